//! Networks that are not only ours: another DHCP server (a real dnsmasq), addresses that are already in use.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::daemons::AddressServer;
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, OFFER, REQUEST, Reply};
use inventory_api::Mac;
use inventory_api::network::{Gives, NetworkEvent, NetworkState};

use crate::capture::{Capture, is_ipv4};
use crate::port::{BROADCAST, Port, SILENCE};
use crate::site::{RESERVED, SMALL_BRIDGE, Site};

/// The three modes, each on its own bridge with a dnsmasq at .2.
const BRIDGES: [(&str, &str); 3] = [
    ("br3", "10.81.0.1/24"),
    ("br4", "10.82.0.1/24"),
    ("br5", "10.83.0.1/24"),
];
const NETWORKS: &str = r#"
[[network]]
name = "watched"
server = "10.81.0.1"
subnet = "10.81.0.0/24"
pools = [{ first = "10.81.0.100", last = "10.81.0.109" }]

[[network]]
name = "beside"
server = "10.82.0.1"
subnet = "10.82.0.0/24"
mode = "proxy"

[[network]]
name = "refused"
server = "10.83.0.1"
subnet = "10.83.0.0/24"
mode = "server"
look_seconds = 0
pools = [{ first = "10.83.0.100", last = "10.83.0.109" }]
"#;
const PATIENCE: Duration = Duration::from_secs(10);
/// A server counts after two answers in a row and an answer to ARP. We ask at 0, 1, 2 and 4 s, then every
/// minute; on a busy machine it may have missed all but the last of the first four.
const TWO_ANSWERS: Duration = Duration::from_secs(80);

/// Asks until every server in `servers` has answered; returns the replies by server.
async fn offers(port: &Port, message: &Message, servers: &[Ipv4Addr]) -> Result<Vec<Reply>> {
    let socket = port.socket(68)?;
    let mut replies: Vec<Reply> = Vec::new();
    let what = format!("offers of {servers:?}");
    e2e::wait::until(&what, PATIENCE, async || {
        socket.send_to(&message.bytes(), BROADCAST).await?;
        let until = tokio::time::Instant::now() + SILENCE;
        let mut buffer = [0u8; 2048];
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await {
            let reply = Reply::parse(&buffer[..received?.0])?;
            if reply.xid == message.xid && replies.iter().all(|r| r.option(54) != reply.option(54)) {
                replies.push(reply);
            }
            if replies.len() >= servers.len() {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await?;
    let of: BTreeSet<_> = replies.iter().filter_map(|r| r.option(54)).collect();
    let expected: Vec<_> = servers.iter().map(Ipv4Addr::octets).collect();
    assert_eq!(of, expected.iter().map(|o| &o[..]).collect());
    replies.sort_by_key(|reply| {
        servers
            .iter()
            .position(|s| reply.option(54) == Some(&s.octets()[..]))
    });
    Ok(replies)
}

async fn hears(site: &Site, network: &str, server: &str) -> Result<()> {
    e2e::wait::until(&format!("{network} to know {server}"), PATIENCE, async || {
        let status = site.network(network)?;
        let known = status
            .servers
            .iter()
            .any(|s| s.address.to_string() == server && s.gives == Gives::Addresses);
        Ok((known && status.watched).then_some(()))
    })
    .await
}

#[tokio::test]
async fn beside_another_server_nobody_is_harmed() -> Result<()> {
    let Some(site) = Site::start_with(&BRIDGES, NETWORKS).await? else {
        return Ok(());
    };
    let foreign = |bridge, subnet| AddressServer::start(&site.lab, bridge, subnet, site.directory());
    let _servers = [
        foreign("br3", "10.81.0")?,
        foreign("br4", "10.82.0")?,
        foreign("br5", "10.83.0")?,
    ];

    // Observe, the default mode: not one packet, and a report.
    let port = site.port_on("br3", "02:00:00:00:70:01")?;
    let bridge: Mac = site.lab.mac_of("br3")?;
    let capture = Capture::start(&port)?;
    let other = [Ipv4Addr::new(10, 81, 0, 2)];
    offers(&port, &Message::new(DISCOVER, Asker::Uefi, port.mac, 1), &other).await?;
    site.wait_answer(port.mac, "discover:would-offer").await?;
    hears(&site, "watched", "10.81.0.2").await?;
    assert_eq!(site.network("watched")?.state, NetworkState::Observing);
    let ours: Vec<_> = capture
        .frames()
        .into_iter()
        .filter(|frame| is_ipv4(frame) && frame[6..12] == bridge.0 && frame[23] != 2)
        .collect();
    assert!(ours.is_empty(), "an observer sends nothing: {ours:02x?}");

    // Proxy: dnsmasq's address, our boot data, and the script for the holder of that address.
    let port = site.port_on("br4", "02:00:00:00:71:01")?;
    let both = [Ipv4Addr::new(10, 82, 0, 2), Ipv4Addr::new(10, 82, 0, 1)];
    let discover = Message::new(DISCOVER, Asker::Uefi, port.mac, 2);
    let [theirs, boot] = offers(&port, &discover, &both)
        .await?
        .try_into()
        .expect("two offers");
    assert_eq!((boot.kind(), boot.yiaddr), (OFFER, Ipv4Addr::UNSPECIFIED));
    assert_eq!(boot.file, "snponly.efi");
    assert_eq!(boot.option(60), Some(&b"PXEClient"[..]));
    assert_eq!(
        (boot.option(51), boot.option(1), boot.option(3)),
        (None, None, None)
    );
    let request = Message::new(REQUEST, Asker::Uefi, port.mac, 3)
        .with(50, &theirs.yiaddr.octets())
        .with(54, &both[0].octets());
    let [ack] = offers(&port, &request, &both[..1])
        .await?
        .try_into()
        .expect("one ACK");
    assert_eq!((ack.kind(), ack.yiaddr), (ACK, theirs.yiaddr), "dnsmasq's alone");
    site.wait_answer(port.mac, "request:address-server").await?;
    port.take(ack.yiaddr)?;
    let mut asks = Message::new(REQUEST, Asker::Uefi, port.mac, 4).bytes();
    asks[12..16].copy_from_slice(&ack.yiaddr.octets());
    let from_4011 = port.socket(4011)?;
    let boot_server: SocketAddr = "10.82.0.1:4011".parse()?;
    let mut buffer = [0u8; 2048];
    e2e::wait::until("the boot server's answer", PATIENCE, async || {
        from_4011.send_to(&asks, boot_server).await?;
        Ok(tokio::time::timeout(SILENCE, from_4011.recv_from(&mut buffer))
            .await
            .ok())
    })
    .await?
    .map(|(len, from)| {
        let answer = Reply::parse(&buffer[..len]).expect("a reply");
        assert_eq!((answer.kind(), answer.xid, from), (ACK, 4, boot_server));
        assert_eq!(
            (answer.file.as_str(), answer.yiaddr),
            ("snponly.efi", Ipv4Addr::UNSPECIFIED)
        );
    })?;
    let script = format!("http://10.82.0.1:8067/boot.ipxe?mac={}", port.mac);
    let (text, code) = port.curl(&[&script])?;
    assert_eq!(code, 200, "{}", String::from_utf8_lossy(&text));
    assert!(text.starts_with(b"#!ipxe"));
    // A machine's address belongs to it alone: somebody who claims it from elsewhere gets nothing.
    let stranger = site.port_on("br4", "02:00:00:00:71:02")?;
    stranger.take(Ipv4Addr::new(10, 82, 0, 99))?;
    assert_eq!(stranger.curl(&[&script])?.1, 403);

    // Server mode: it finds the other server and gives no addresses beside it.
    hears(&site, "refused", "10.83.0.2").await?;
    let mut status = site.network("refused")?;
    e2e::wait::until("the network to refuse", TWO_ANSWERS, async || {
        status = site.network("refused")?;
        Ok((status.state == NetworkState::Refusing).then_some(()))
    })
    .await
    .with_context(|| format!("{status:?}"))?;
    let said = |what: &str| {
        let about = |e: &&NetworkEvent| e.kind == "foreign-server" && e.detail.contains("10.83.0.2 (");
        status
            .events
            .iter()
            .filter(about)
            .any(|e| e.detail.contains(what))
    };
    assert!(
        said("we have stopped offering addresses. Switch it off"),
        "{status:?}"
    );
    let port = site.port_on("br5", "02:00:00:00:72:01")?;
    let alone = [Ipv4Addr::new(10, 83, 0, 2)];
    offers(&port, &Message::new(DISCOVER, Asker::Bios, port.mac, 5), &alone).await?;
    site.wait_answer(port.mac, "discover:foreign-server").await?;
    let silences = site.network("refused")?.silences;
    assert!(
        silences
            .iter()
            .any(|s| s.reason == "foreign-server" && s.count > 0),
        "{silences:?}"
    );
    // There is no other server in the lab's own network.
    let lab = site.network("lab")?;
    assert_eq!((lab.state, lab.servers.len()), (NetworkState::Serving, 0));
    Ok(())
}

#[tokio::test]
async fn an_address_in_use_is_not_offered_and_one_can_be_reserved() -> Result<()> {
    let Some(mut site) = Site::start().await? else {
        return Ok(());
    };
    // Two addresses in the pool, and a printer uses one of them.
    let printer = site.port_on(SMALL_BRIDGE, "02:00:00:00:73:01")?;
    let (taken, free) = (Ipv4Addr::new(10, 79, 0, 10), Ipv4Addr::new(10, 79, 0, 11));
    printer.take(taken)?;
    let port = site.port_on(SMALL_BRIDGE, "02:00:00:00:73:02")?;
    let wish = Message::new(DISCOVER, Asker::Bios, port.mac, 1).with(50, &taken.octets());
    assert_eq!(port.answer(&wish).await?.yiaddr, free);
    let status = site.network("small")?;
    assert_eq!(status.quarantined, 1);
    let said = status
        .events
        .iter()
        .find(|e| e.kind == "address-in-use")
        .context("no event")?;
    assert!(
        said.detail.contains("10.79.0.10") && said.detail.contains("02:00:00:00:73:01"),
        "{}",
        said.detail
    );

    let out: Vec<_> = status
        .quarantined_addresses
        .iter()
        .map(|q| (q.address, q.mac))
        .collect();
    assert_eq!(out, [(taken, printer.mac)]);
    // Somebody removes the printer and says so.
    site.slipway(&["network", "unquarantine", "small", "10.79.0.10"])?;
    let status = site.network("small")?;
    assert_eq!((status.quarantined, status.quarantined_addresses.len()), (0, 0));
    let again = site.slipway(&["network", "unquarantine", "small", "10.79.0.10"]);
    assert!(format!("{:#}", again.unwrap_err()).contains("10.79.0.10 is not quarantined"));

    // An address reserved by the command line; it survives a restart of the server.
    let machine = site.port("02:00:00:00:73:03")?;
    let mac = machine.mac.to_string();
    site.slipway(&["network", "reserve", "lab", &mac, "10.77.0.42"])?;
    let refused = site.slipway(&["network", "reserve", "lab", "02:00:00:00:73:04", "10.77.0.42"]);
    assert!(format!("{:#}", refused.unwrap_err()).contains(&format!("is reserved for {mac}")));
    site.server.kill();
    site.server.power_on().await?;
    assert_eq!(
        machine.lease(Asker::Uefi, 2).await?.yiaddr,
        Ipv4Addr::new(10, 77, 0, 42)
    );
    let kept = site.network("lab")?.reservations;
    let kept: Vec<_> = kept.iter().map(|r| (r.mac.to_string(), r.configured)).collect();
    assert!(
        kept.contains(&(mac.clone(), false)) && kept.contains(&(RESERVED.0.to_owned(), true)),
        "{kept:?}"
    );
    site.slipway(&["network", "unreserve", "lab", &mac])?;
    assert!(site.slipway(&["network", "list"])?.contains("serves"));
    Ok(())
}
