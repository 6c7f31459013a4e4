//! `slipway explain` tells the truth: faults made with real packets, daemons and clients, and the facts that
//! each sentence must have.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::child::Owned;
use e2e::daemons::AddressServer;
use e2e::netns::ip;
use e2e::sim::dhcp::{Asker, DISCOVER, Message, NAK, REQUEST};
use inventory_api::Mac;
use inventory_api::machine::Journey;

use crate::crowd::{Crowd, mac};
use crate::explain_files::{agents, transfers};
use crate::port::{BROADCAST, Port};
use crate::site::{OTHER_BRIDGE, SMALL_BRIDGE, Site};

pub const SERVER: &str = "10.77.0.1";
/// Bridges, each with one network.
const BRIDGES: [(&str, &str); 6] = [
    ("br3", "10.81.0.1/24"),
    ("br4", "10.82.0.1/24"),
    ("br5", "10.83.0.1/24"),
    ("br6", "10.84.0.1/24"),
    ("br7", "10.85.0.1/24"),
    ("br8", "10.86.0.1/24"),
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

[[network]]
name = "lonely"
server = "10.84.0.1"
subnet = "10.84.0.0/24"
mode = "proxy"

[[network]]
name = "shared"
server = "10.85.0.1"
subnet = "10.85.0.0/24"
mode = "server"
look_seconds = 0
unknown_share = 10
pools = [{ first = "10.85.0.100", last = "10.85.0.109" }]

[[network]]
name = "twopxe"
server = "10.86.0.1"
subnet = "10.86.0.0/24"
mode = "server"
look_seconds = 0
on_foreign_server = "warn"
pools = [{ first = "10.86.0.100", last = "10.86.0.109" }]
"#;

/// Rows: what was done, the NIC or GUID to ask about, and what must be said.
pub struct Rows(Vec<(&'static str, String, Vec<String>)>);

impl Rows {
    pub fn add(&mut self, fault: &'static str, about: impl ToString, facts: &[&str]) {
        self.0.push((
            fault,
            about.to_string(),
            facts.iter().map(|fact| (*fact).to_owned()).collect(),
        ));
    }
}

#[tokio::test]
async fn forty_faults_are_named() -> Result<()> {
    let Some(site) = Site::start_with(&BRIDGES, NETWORKS).await? else {
        return Ok(());
    };
    let directory = site.directory().to_owned();
    let _servers = [
        AddressServer::start(&site.lab, "br4", "10.82.0", &directory)?,
        AddressServer::start(&site.lab, "br5", "10.83.0", &directory)?,
    ];
    let (_pxe, _place) = second_pxe(&site)?;
    let crowd = Crowd::new(site.port("02:00:00:00:60:01")?)?;
    let at = |bridge| Crowd::new(site.port_on(bridge, "02:00:00:00:60:02")?);
    let mut rows = Rows(Vec::new());

    silences(&site, &crowd, &mut rows).await?;
    strangers(&crowd, &mut rows).await?;

    // Other kinds of networks.
    let small = at(SMALL_BRIDGE)?;
    for n in [30, 31] {
        small.lease(Asker::Bios, mac(n)).await?;
    }
    small
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(32), 32))
        .await?;
    rows.add(
        "pool empty",
        mac(32),
        &[
            "no address is left",
            "network small",
            "2 of 2",
            "pools",
            "lease_seconds",
        ],
    );
    let shared = at("br7")?;
    shared.lease(Asker::Bios, mac(33)).await?;
    shared
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(34), 34))
        .await?;
    rows.add(
        "kept for known",
        mac(34),
        &[
            "1 of at most 1",
            "unknown_share",
            "slipway network reserve shared",
        ],
    );
    let watched = at("br3")?;
    watched
        .silence(&Message::new(DISCOVER, Asker::Uefi, mac(35), 35))
        .await?;
    rows.add(
        "observe mode",
        mac(35),
        &[
            "network watched is only observed",
            "mode = \"server\" in [[network]] watched",
        ],
    );
    let lonely = at("br6")?;
    for n in 0..3 {
        lonely
            .answer(&Message::new(DISCOVER, Asker::Uefi, mac(36), 360 + n))
            .await?;
    }
    rows.add(
        "proxy without an address server",
        mac(36),
        &[
            "no DHCP server that gives addresses is heard in network lonely",
            "10.84.0.1",
        ],
    );
    let refused = at("br5")?;
    refused
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(70), 70))
        .await?;
    heard(&site, "refused", "10.83.0.2").await?;
    refused
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(37), 37))
        .await?;
    rows.add(
        "second DHCP server",
        mac(37),
        &[
            "network refused",
            "10.83.0.2",
            "mode = \"proxy\"",
            "on_foreign_server",
        ],
    );
    let beside = at("br4")?;
    beside
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(71), 71))
        .await?;
    heard(&site, "beside", "10.82.0.2").await?;
    let request = Message::new(REQUEST, Asker::Uefi, mac(38), 38)
        .with(50, &[10, 82, 0, 55])
        .with(54, &[10, 82, 0, 2]);
    // Only once: an answer to a second one would arrive after the choice.
    let asks = Message::new(DISCOVER, Asker::Uefi, mac(38), 39).bytes();
    beside.send(&asks, Duration::from_secs(10)).await?;
    site.wait_answer(mac(38), "discover:offer").await?;
    beside.silence(&request).await?;
    rows.add(
        "proxy: the loader is never asked for",
        mac(38),
        &[
            "10.82.0.55 from 10.82.0.2",
            "snponly.efi",
            "UDP port 69",
            "10.82.0.1",
        ],
    );
    let two = at("br8")?;
    two.silence(&Message::new(DISCOVER, Asker::Bios, mac(72), 72))
        .await?;
    heard(&site, "twopxe", "10.86.0.2").await?;
    let offer = two
        .offer_of(
            [10, 86, 0, 1],
            &Message::new(DISCOVER, Asker::Bios, mac(39), 3900),
        )
        .await?;
    let ours = Message::new(REQUEST, Asker::Bios, mac(39), 3901)
        .with(50, &offer.yiaddr.octets())
        .with(54, &[10, 86, 0, 1]);
    two.answer(&ours).await?;
    rows.add("second PXE server", mac(39), &["10.86.0.2", "pxelinux.0"]);

    let _kept = transfers(&site, &crowd, &mut rows).await?;
    agents(&site, &crowd, &mut rows).await?;

    // A stalled transfer is reported after five seconds.
    let (mut wrong, mut told) = (Vec::new(), Vec::new());
    e2e::wait::until("all rows to be right", Duration::from_secs(20), async || {
        wrong.clear();
        told.clear();
        for (fault, about, facts) in &rows.0 {
            let journey: Journey = site.server.api()?.journey(about).await?;
            told.push(format!("{fault}: {}", journey.diagnosis));
            let lacks: Vec<_> = facts
                .iter()
                .filter(|fact| !journey.diagnosis.contains(*fact))
                .collect();
            if !lacks.is_empty() {
                wrong.push(format!(
                    "{fault} ({about}): {lacks:?} is not in: {}",
                    journey.diagnosis
                ));
            }
        }
        Ok(wrong.is_empty().then_some(()))
    })
    .await
    .with_context(|| {
        format!(
            "{} of {} rows are wrong:\n{}",
            wrong.len(),
            rows.0.len(),
            wrong.join("\n")
        )
    })?;
    println!("{}", told.join("\n"));
    assert!(rows.0.len() >= 40, "{}", rows.0.len());

    // The same on the command line, also for a GUID, and the state of the networks.
    let said = site.slipway(&["explain", "b8:ce:f6:03:00:31:33:3e"])?;
    assert!(said.contains("InfiniBand (hardware type 32"), "{said}");
    let network = site.network("lab")?;
    let ib = network
        .silences
        .iter()
        .find(|s| s.reason == "hardware-type")
        .context("no senders")?;
    assert!(
        ib.senders
            .iter()
            .any(|s| s.guid.is_some_and(|guid| guid.to_string() == "b8cef6030031333e"))
    );
    let who: Vec<_> = network.visitors.iter().map(|v| v.who.as_str()).collect();
    assert!(
        who.iter().any(|who| who.contains("ONIE")) && who.iter().any(|who| who.contains("petitboot")),
        "{who:?}"
    );
    let listed = site.slipway(&["network"])?;
    assert!(
        listed.contains("Network watched is only observed") && listed.contains("serves"),
        "{listed}"
    );
    let shown = site.slipway(&["network", "show", "lab"])?;
    assert!(
        shown.contains("GUID b8cef6030031333e") && shown.contains("a switch in ONIE"),
        "{shown}"
    );
    Ok(())
}

/// A dnsmasq that gives addresses and a boot file, on its own bridge.
fn second_pxe(site: &Site) -> Result<(Owned, e2e::netns::NetNs)> {
    let place = site.lab.client_on("br8", "02:00:00:00:86:02")?;
    place.run(|| ip("addr add 10.86.0.2/24 dev eth0"))?;
    let mut command = place.command("dnsmasq");
    command.args([
        "-k",
        "-C",
        "/dev/null",
        "-p",
        "0",
        "--no-ping",
        "--user=root",
        "--pid-file=",
    ]);
    command.args(["--dhcp-range=10.86.0.50,10.86.0.60,1h", "--dhcp-boot=pxelinux.0"]);
    command.arg(format!(
        "--dhcp-leasefile={}",
        site.directory().join("pxe-leases").display()
    ));
    Ok((Owned::start(command, &site.directory().join("pxe.log"))?, place))
}

async fn heard(site: &Site, network: &str, server: &str) -> Result<()> {
    e2e::wait::until(
        &format!("{network} to know {server}"),
        Duration::from_secs(70),
        async || {
            let status = site.network(network)?;
            Ok(status
                .servers
                .iter()
                .any(|s| s.address.to_string() == server)
                .then_some(()))
        },
    )
    .await
}

/// DHCP exchanges that fail.
async fn silences(site: &Site, crowd: &Crowd, rows: &mut Rows) -> Result<()> {
    rows.add(
        "nothing heard",
        mac(1),
        &[
            "Nothing was ever heard",
            "lab (10.77.0.1 on 10.77.0.0/24",
            "spanning tree",
            "relay",
        ],
    );
    let elsewhere = Crowd::new(site.port_on(OTHER_BRIDGE, "02:00:00:00:60:03")?)?;
    elsewhere
        .silence(&Message::new(DISCOVER, Asker::Bios, mac(2), 2))
        .await?;
    rows.add("wrong VLAN", mac(2), &["Nothing was ever heard", "VLAN"]);
    let mut near = mac(3);
    crowd
        .answer(&Message::new(DISCOVER, Asker::Bios, near, 3))
        .await?;
    near.0[5] += 1;
    rows.add(
        "cable in the other port",
        near,
        &["But 02:00:00:60:03:10", "another port of the same machine"],
    );
    for n in 0..4 {
        crowd
            .answer(&Message::new(DISCOVER, Asker::Bios, mac(4), 40 + n))
            .await?;
    }
    rows.add(
        "offers do not arrive",
        mac(4),
        &[
            "4 times in a row",
            "was offered the address 10.77.0.",
            SERVER,
            "DHCP snooping",
        ],
    );
    let relay = Port::new(site.lab.client("02:00:00:00:60:04")?, "02:00:00:00:60:04")?;
    relay.take(Ipv4Addr::new(10, 77, 0, 2))?;
    relay.ns.run(|| ip("addr add 10.88.0.1/32 dev lo"))?;
    site.lab
        .inside()
        .run(|| ip("route add 10.88.0.0/24 via 10.77.0.2"))?;
    let socket = relay.socket(67)?;
    for (n, giaddr) in [(5, [10, 88, 0, 1]), (6, [10, 99, 0, 1])] {
        let mut bytes = Message::new(DISCOVER, Asker::Uefi, mac(n), 50 + u32::from(n)).bytes();
        bytes[24..28].copy_from_slice(&giaddr);
        socket.send_to(&bytes, "10.77.0.1:67").await?;
    }
    rows.add(
        "offer lost behind the relay",
        mac(5),
        &["relay 10.88.0.1", "UDP port 67", "way back"],
    );
    rows.add(
        "relay of no network",
        mac(6),
        &["the relay 10.99.0.1", "add a [[network]]"],
    );
    let foreign = Message::new(REQUEST, Asker::Bios, mac(7), 70)
        .with(50, &[10, 9, 9, 9])
        .with(54, &[10, 77, 0, 1]);
    assert_eq!(crowd.answer(&foreign).await?.kind(), NAK);
    rows.add("NAK", mac(7), &["10.9.9.9", "NAK", "10.77.0.0/24"]);
    let other = Message::new(REQUEST, Asker::Bios, mac(8), 80)
        .with(50, &[10, 77, 0, 240])
        .with(54, &[10, 77, 0, 99]);
    crowd.silence(&other).await?;
    rows.add(
        "REQUEST to another server",
        mac(8),
        &["10.77.0.240 from the DHCP server 10.77.0.99", "mode = \"proxy\""],
    );
    let bytes = Message::new(DISCOVER, Asker::Bios, mac(9), 90).bytes();
    for _ in 0..60 {
        crowd.socket.send_to(&bytes, BROADCAST).await?;
    }
    rows.add("too many", mac(9), &["more than 20 messages a second", "loop"]);
    for n in 0..2u8 {
        let twin = Message::new(DISCOVER, Asker::Uefi, mac(11), 110 + u32::from(n))
            .with(97, &[[0, 1 + n].as_slice(), &[7; 15]].concat());
        crowd.answer(&twin).await?;
    }
    rows.add("twins", mac(11), &["Two machines ask with this MAC", "UUID"]);
    for (n, number, name) in [
        (12, 77u8, "IANA"),
        (13, 31, "s390x"),
        (14, 39, "LoongArch"),
        (15, 6, "set the firmware to 64-bit"),
        (16, 11, "64-bit ARM"),
    ] {
        let mut message = Message::new(DISCOVER, Asker::Uefi, mac(n), u32::from(n) * 10);
        message.options.retain(|(code, _)| *code != 93);
        crowd.answer(&message.with(93, &[0, number])).await?;
        rows.add("architecture", mac(n), &[name, "client architecture"]);
    }
    Ok(())
}

/// Clients that do not netboot: `shared/cases/18-openpower-and-onie`, `07-infiniband-unheard`, and two real
/// clients.
async fn strangers(crowd: &Crowd, rows: &mut Rows) -> Result<()> {
    let system = |n: u8, options: &[(u8, &[u8])]| {
        let mut message = Message::new(DISCOVER, Asker::System, mac(n), u32::from(n) * 16);
        message.options.retain(|(code, _)| *code != 55);
        for (code, value) in options {
            message = message.with(*code, value);
        }
        message
    };
    let onie: &[(u8, &[u8])] = &[
        (60, b"onie_vendor:x86_64-accton_as7712-r0"),
        (77, b"onie_dhcp_user_class"),
    ];
    crowd.answer(&system(20, onie)).await?;
    rows.add(
        "ONIE",
        mac(20),
        &["a switch in ONIE", "does not install switches"],
    );
    crowd
        .answer(&system(21, &[(60, b"petitboot"), (93, &[0, 14])]))
        .await?;
    rows.add("petitboot", mac(21), &["OpenPOWER petitboot is not supported"]);
    crowd
        .answer(&system(22, &[(60, b"udhcp 1.23.1"), (12, b"AMIB42E99000004")]))
        .await?;
    rows.add(
        "BMC",
        mac(22),
        &["a BMC (AMI MegaRAC)", "does not boot from the network"],
    );
    crowd.answer(&system(23, &[(60, b"MSFT 5.0")])).await?;
    rows.add(
        "Windows",
        mac(23),
        &["an operating system (Windows)", "network boot first"],
    );

    let guid = [0xb8, 0xce, 0xf6, 3, 0, 0x31, 0x33, 0x3e];
    let infiniband = |len: u8, address: &[u8], id: Option<&[u8]>| {
        let mut message = Message::new(DISCOVER, Asker::Uefi, Mac([0; 6]), 7);
        if let Some(id) = id {
            message = message.with(61, id);
        }
        let mut bytes = message.bytes();
        (bytes[1], bytes[2]) = (32, len);
        bytes[28..28 + address.len()].copy_from_slice(address);
        bytes
    };
    let id = [&[0xff, 0, 0, 0, 0, 0, 3, 0, 0x20, 0, 2, 0xc9, 3, 0][..], &guid].concat();
    let second = [0xb8, 0xce, 0xf6, 3, 0, 0x31, 0x33, 0x4e];
    for bytes in [
        infiniband(0, &[], Some(&id)),
        infiniband(8, &second, None),
        infiniband(6, &[0xb8, 0xce, 0xf6, 0x31, 0x33, 0x5e], None),
    ] {
        crowd.socket.send_to(&bytes, BROADCAST).await?;
    }
    let says = [
        "It asks by InfiniBand (hardware type 32",
        "Slipway boots by Ethernet only: set the port to Ethernet",
    ];
    for about in [
        "b8cef6030031333e",
        "b8:ce:f6:31:33:3e",
        "0xb8cef6030031334e",
        "b8:ce:f6:31:33:5e",
    ] {
        rows.add("InfiniBand", about, &says);
    }
    Ok(())
}
