//! Server mode as a whole: the options a network sends, and a flood of made-up machines.

use std::net::Ipv4Addr;

use inventory_api::boot::BootTarget;
use inventory_api::dhcp::DhcpReply;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::*;

const NOW: UnixMs = UnixMs(1_000_000_000);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const URLS: BootUrls = BootUrls {
    server: SERVER,
    http_port: 8067,
};

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

fn network(change: impl FnOnce(&mut NetworkSettings)) -> Network {
    let mut settings = NetworkSettings::new("lab", SERVER, "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: ip(100),
        last: ip(199),
    }];
    change(&mut settings);
    Network::new(settings).unwrap()
}

fn message(kind: u8, mac: Mac, options: &[(u8, &[u8])]) -> PxeClient {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&mac.0[2..]);
    bytes[28..34].copy_from_slice(&mac.0);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
    for (code, value) in options {
        bytes.extend([*code, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes.push(255);
    classify(&bytes).unwrap()
}

/// Decides and applies the change.
fn act(
    network: &Network,
    leases: &mut Leases,
    client: &PxeClient,
    now: UnixMs,
) -> Result<ReplyContent, Unanswered> {
    let decision = decide(client, network, leases, BootTarget::LocalDisk, &URLS, now);
    if let Some(change) = decision.change {
        leases.apply(change);
        leases.set_known(client.mac, client.known);
    }
    decision.answer
}

/// DISCOVER to ACK.
fn boot(
    network: &Network,
    leases: &mut Leases,
    mac: Mac,
    known: bool,
    now: UnixMs,
) -> Result<Ipv4Addr, Unanswered> {
    let mut discover = message(1, mac, &[]);
    discover.known = known;
    let offer = act(network, leases, &discover, now)?;
    let mut request = message(3, mac, &[(50, &offer.address.octets()), (54, &SERVER.octets())]);
    request.known = known;
    let ack = act(network, leases, &request, now)?;
    assert_eq!((ack.kind, ack.address), (DhcpReply::Ack, offer.address));
    Ok(ack.address)
}

fn machine(n: u32) -> Mac {
    let [a, b, c, d] = n.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

#[test]
fn every_option_of_a_network_is_sent() {
    let network = network(|s| {
        s.routers = vec![ip(254), ip(253)];
        s.dns = vec![ip(53), ip(54)];
        s.domain = Some("lab.example".into());
        s.search = vec!["lab.example".into(), "example".into()];
        s.ntp = vec![ip(123)];
        s.mtu = Some(9000);
        s.routes = vec![Route {
            to: "172.16.0.0/12".parse().unwrap(),
            via: ip(253),
        }];
        s.options = vec![CustomOption {
            code: 100,
            text: Some("CET-1CEST".into()),
            ..CustomOption::default()
        }];
        s.lease_seconds = 7200;
    });
    let client = message(1, machine(1), &[(57, &[0x05, 0xdc])]);
    let mut leases = Leases::default();
    let mut content = act(&network, &mut leases, &client, NOW).unwrap();
    content.host_name = Some("node-7".into());
    let bytes = encode(&client, &network, &content);
    let mut found = std::collections::BTreeMap::new();
    let mut rest = &bytes[240..];
    while let [code, len, tail @ ..] = rest {
        if *code == 255 {
            break;
        }
        let (value, tail) = tail.split_at(usize::from(*len));
        assert!(
            found.insert(*code, value.to_vec()).is_none(),
            "option {code} twice"
        );
        rest = tail;
    }
    for (code, expected) in [
        (1, &[255, 255, 255, 0][..]),
        (3, &[10, 0, 0, 254, 10, 0, 0, 253]),
        (6, &[10, 0, 0, 53, 10, 0, 0, 54]),
        (12, b"node-7"),
        (15, b"lab.example"),
        (26, &[0x23, 0x28]),
        (28, &[10, 0, 0, 255]),
        (42, &[10, 0, 0, 123]),
        (51, &[0, 0, 0x1c, 0x20]),
        (54, &[10, 0, 0, 1]),
        (100, b"CET-1CEST"),
        (119, b"\x03lab\x07example\0\x07example\0"),
        (121, &[12, 172, 16, 10, 0, 0, 253, 0, 10, 0, 0, 254]),
    ] {
        assert_eq!(
            found.get(&code).map(Vec::as_slice),
            Some(expected),
            "option {code}"
        );
    }
    // A client that accepts only the minimum size: optional data is dropped, the route is not.
    let small = message(1, machine(1), &[(61, &[7; 200])]);
    let bytes = encode(&small, &network, &content);
    assert!(bytes.len() <= 548, "{}", bytes.len());
    assert!(
        bytes
            .windows(12)
            .any(|w| w == [12, 172, 16, 10, 0, 0, 253, 0, 10, 0, 0, 254])
    );
}

#[test]
fn a_flood_of_made_up_machines_leaves_the_known_ones_alone() {
    let network = network(|s| {
        s.lease_seconds = 600;
        s.reservations.insert(machine(9_000_001), ip(50));
    });
    let mut leases = Leases::default();
    // Ten enrolled machines had addresses and are switched off.
    let had: Vec<Ipv4Addr> = (0..10)
        .map(|n| boot(&network, &mut leases, machine(n), true, NOW).unwrap())
        .collect();
    let later = NOW.plus_seconds(3600);
    let (mut got, mut kept) = (0, 0);
    for n in 1000..21_000 {
        match boot(&network, &mut leases, machine(n), false, later) {
            Ok(_) => got += 1,
            Err(Unanswered::KeptForKnown) => kept += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((got, kept), (80, 19_920), "80 % of 100 addresses");
    assert!(
        leases.iter().count() <= 100,
        "memory depends on the pool, not on the flood"
    );
    // The enrolled machines come back to their addresses, ten new ones get one, a reserved one its own.
    for (n, address) in (0..10).zip(&had) {
        assert_eq!(boot(&network, &mut leases, machine(n), true, later), Ok(*address));
    }
    for n in 100..110 {
        boot(&network, &mut leases, machine(n), true, later).unwrap();
    }
    assert_eq!(
        boot(&network, &mut leases, machine(9_000_001), false, later),
        Ok(ip(50))
    );
    let full = boot(&network, &mut leases, machine(111), true, later);
    assert_eq!(full, Err(Unanswered::Exhausted));
    // A machine of the flood may keep its address; when the others' leases end, others get them.
    let flood = leases.iter().find(|lease| lease.mac.0[4] >= 3);
    let one = flood.map(|lease| lease.mac).unwrap();
    assert!(boot(&network, &mut leases, one, false, later).is_ok());
    let much_later = later.plus_seconds(601);
    assert!(boot(&network, &mut leases, machine(50_000), false, much_later).is_ok());
}

#[test]
fn a_repeated_discover_gets_the_same_offer() {
    let network = network(|_| {});
    let mut leases = Leases::default();
    let client = message(1, machine(7), &[]);
    let first = act(&network, &mut leases, &client, NOW).unwrap();
    for seconds in [0, 4, 12, 28, 59] {
        let again = act(&network, &mut leases, &client, NOW.plus_seconds(seconds)).unwrap();
        assert_eq!(
            encode(&client, &network, &again),
            encode(&client, &network, &first)
        );
    }
    assert_eq!(leases.iter().count(), 1);
}
