//! Machines behind a relay (RFC 3046): the answer goes to the relay and returns the relay's option byte for
//! byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::netns::ip;
use e2e::sim::dhcp::{ACK, Asker, DISCOVER, Message, OFFER, REQUEST, Reply};
use inventory_api::Mac;
use tokio::net::UdpSocket;

use crate::port::{Port, SILENCE};
use crate::site::Site;

/// The relay's address on the machines' side.
const GIADDR: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// How long to wait for an answer that must come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// Circuit and remote id out of order, an unknown sub-option, an irregular end: none of it may be changed.
const OPTION_82: &[u8] = &[
    2, 6, 0xde, 0xad, 0, 1, 2, 3, 1, 4, b'p', b'7', 0, 0xff, 151, 2, 0, 9, 200, 0,
];

struct Relay {
    port: Port,
    socket: UdpSocket,
}

impl Relay {
    /// A router with one leg in the lab's network, and a route to the network behind it.
    fn new(site: &Site) -> Result<Relay> {
        let port = site.port("02:00:00:00:50:01")?;
        port.take(Ipv4Addr::new(10, 77, 0, 2))?;
        port.ns.run(|| ip(&format!("addr add {GIADDR}/32 dev lo")))?;
        site.lab
            .inside()
            .run(|| ip("route add 10.88.0.0/24 via 10.77.0.2"))?;
        let socket = port.socket(67)?;
        Ok(Relay { port, socket })
    }

    /// Forwards a machine's message; returns the bytes of the reply and where they came from. `None`:
    /// silence.
    async fn ask(&self, bytes: &[u8], patience: Duration) -> Result<Option<(Vec<u8>, SocketAddr)>> {
        self.socket.send_to(bytes, "10.77.0.1:67").await?;
        let mut buffer = [0u8; 2048];
        let until = tokio::time::Instant::now() + patience;
        while let Ok(received) = tokio::time::timeout_at(until, self.socket.recv_from(&mut buffer)).await {
            let (len, from) = received?;
            // The server's own search for other servers is a request that the relay receives, too.
            if len > 0 && buffer[0] == 2 {
                return Ok(Some((buffer[..len].to_vec(), from)));
            }
        }
        Ok(None)
    }
}

fn relayed(kind: u8, mac: Mac, xid: u32, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = Message::new(kind, Asker::Uefi, mac, xid);
    message.giaddr = GIADDR;
    message.broadcast = false;
    for (code, value) in options {
        message = message.with(*code, value);
    }
    let mut bytes = message.bytes();
    bytes[3] = 2; // hops
    bytes
}

#[tokio::test]
async fn a_relayed_machine_gets_an_address_of_its_subnet_through_the_relay() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let relay = Relay::new(&site)?;
    let mac: Mac = "02:00:00:00:50:99".parse().map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut address = Ipv4Addr::UNSPECIFIED;
    for (message, expected) in [(DISCOVER, OFFER), (REQUEST, ACK)] {
        let chosen = address.octets();
        let mut options: Vec<(u8, &[u8])> = Vec::new();
        if message == REQUEST {
            options.extend([(50, &chosen[..]), (54, &[10, 77, 0, 1])]);
        }
        options.push((82, OPTION_82));
        let (bytes, from) = relay
            .ask(&relayed(message, mac, 5, &options), PATIENCE)
            .await?
            .context("no reply at the relay's port 67")?;
        assert_eq!(from.to_string(), "10.77.0.1:67");
        let reply = Reply::parse(&bytes)?;
        assert_eq!((reply.kind(), reply.xid, reply.giaddr), (expected, 5, GIADDR));
        assert_eq!(bytes[3], 2, "hops as they came");
        assert_eq!(
            reply.yiaddr.octets()[..3],
            [10, 88, 0],
            "an address of the relay's subnet"
        );
        assert_eq!(reply.option(1), Some(&[255, 255, 255, 0][..]));
        assert_eq!(
            reply
                .options
                .last()
                .map(|(code, value)| (*code, value.as_slice())),
            Some((82, OPTION_82)),
            "verbatim and last"
        );
        assert_eq!(reply.file, "snponly.efi", "and it boots from us");
        address = reply.yiaddr;
    }

    // Link selection (82.5) names another subnet than giaddr.
    let selected = relayed(DISCOVER, mac, 6, &[(82, &[5, 4, 10, 79, 0, 0])]);
    assert!(
        relay.ask(&selected, SILENCE).await?.is_none(),
        "10.79.0.0/24 is not served through this address"
    );
    // A subnet that is not configured.
    let mut foreign = relayed(DISCOVER, mac, 7, &[]);
    foreign[24..28].copy_from_slice(&[10, 99, 0, 1]);
    assert!(relay.ask(&foreign, SILENCE).await?.is_none());
    // Both were heard, and deliberately not answered.
    e2e::wait::until("two messages of unknown relays", PATIENCE, async || {
        let answers = site.answers(mac).await?;
        let unknown = answers.iter().filter(|a| *a == "discover:unknown-relay");
        Ok((unknown.count() == 2).then_some(()))
    })
    .await?;

    // The system renews directly, past the relay: with its address and without giaddr.
    relay
        .port
        .ns
        .run(|| ip(&format!("addr add {address}/32 dev lo")))?;
    let mut renew = Message::new(REQUEST, Asker::System, mac, 8).bytes();
    renew[12..16].copy_from_slice(&address.octets());
    // Somebody else renews it from the relay's own address (RFC 2131, 4.4.5): silence.
    let other = relay.port.socket(68)?;
    other.send_to(&renew, "10.77.0.1:67").await?;
    site.wait_answer(mac, "request:wrong-sender").await?;
    drop(other);
    let system = relay
        .port
        .ns
        .run(|| Ok(std::net::UdpSocket::bind((address, 68))?))?;
    system.set_nonblocking(true)?;
    let system = UdpSocket::from_std(system)?;
    system.send_to(&renew, "10.77.0.1:67").await?;
    let mut buffer = [0u8; 2048];
    let Ok(received) = tokio::time::timeout(PATIENCE, system.recv_from(&mut buffer)).await else {
        bail!("no answer to the renewal: {:?}", site.answers(mac).await?);
    };
    let reply = Reply::parse(&buffer[..received?.0])?;
    assert_eq!((reply.kind(), reply.yiaddr), (ACK, address));
    Ok(())
}

#[tokio::test]
async fn an_address_in_use_behind_the_relay_is_not_offered() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let relay = Relay::new(&site)?;
    let taken = Ipv4Addr::new(10, 88, 0, 105);
    relay.port.ns.run(|| ip(&format!("addr add {taken}/32 dev lo")))?;
    let mac: Mac = "02:00:00:00:50:98".parse().map_err(|e| anyhow::anyhow!("{e}"))?;
    let wish = relayed(DISCOVER, mac, 5, &[(50, &taken.octets()), (82, OPTION_82)]);
    let (bytes, _) = relay.ask(&wish, PATIENCE).await?.context("no offer")?;
    let offered = Reply::parse(&bytes)?.yiaddr;
    assert!(
        offered != taken && offered.octets()[..3] == [10, 88, 0],
        "{offered}"
    );
    let status = site.network("far")?;
    let out = status.quarantined_addresses.iter().map(|q| q.address);
    assert_eq!(out.collect::<Vec<_>>(), [taken]);
    let said = status.events.iter().find(|event| event.kind == "address-in-use");
    let said = &said.context("no event")?.detail;
    assert!(said.contains("10.88.0.105") && said.contains("ping"), "{said}");
    Ok(())
}
