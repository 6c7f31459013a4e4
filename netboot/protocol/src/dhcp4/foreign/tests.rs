//! Other servers, and when they close the gate.

use super::*;
use crate::dhcp4::client::classify;
use crate::dhcp4::packet::tests::discover;
use crate::network::Network;
use crate::network::lease::{Lease, LeaseState};
use crate::network::settings::{NetworkSettings, PoolRange};
use std::net::Ipv4Addr;

const NOW: UnixMs = UnixMs(1_000_000);
const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);

fn network(change: impl FnOnce(&mut NetworkSettings)) -> Network {
    let mut settings =
        NetworkSettings::new("lab", Ipv4Addr::new(10, 0, 0, 1), "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 0, 0, 10),
        last: Ipv4Addr::new(10, 0, 0, 19),
    }];
    change(&mut settings);
    Network::new(settings).unwrap()
}

fn watching(network: &Network, now: UnixMs) -> ForeignServers {
    ForeignServers::new(network.mode(), network.settings(), now)
}

fn reply(kind: u8, yiaddr: [u8; 4], options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut all = vec![(53, vec![kind]), (54, OTHER.octets().to_vec())];
    all.extend(options.iter().map(|(code, value)| (*code, value.to_vec())));
    let all: Vec<(u8, &[u8])> = all.iter().map(|(code, value)| (*code, &value[..])).collect();
    let mut bytes = discover(&all);
    bytes[0] = 2;
    bytes[16..20].copy_from_slice(&yiaddr);
    bytes
}

#[test]
fn servers_are_classified_by_their_replies() {
    let read = |bytes: &[u8]| read_reply(bytes).map(|reply| (reply.server, reply.gives));
    assert_eq!(
        read(&reply(2, [10, 0, 0, 50], &[])),
        Some((OTHER.into(), Gives::Addresses))
    );
    assert_eq!(
        read(&reply(5, [10, 0, 0, 50], &[(60, b"PXEClient")])),
        Some((OTHER.into(), Gives::Addresses))
    );
    assert_eq!(
        read(&reply(2, [0; 4], &[(60, b"PXEClient")])),
        Some((OTHER.into(), Gives::BootData))
    );
    assert_eq!(
        read(&reply(6, [0; 4], &[])),
        Some((OTHER.into(), Gives::Addresses)),
        "a NAK"
    );
    assert_eq!(read(&reply(1, [0; 4], &[])), None, "a client's message type");
    assert_eq!(
        read(&discover(&[(53, &[2]), (54, &[10, 0, 0, 99])])),
        None,
        "a BOOTREQUEST"
    );
    for cut in 0..240 {
        assert_eq!(read(&reply(2, [10, 0, 0, 50], &[])[..cut]), None);
    }
}

#[test]
fn the_boot_file_of_a_second_pxe_server_is_read() {
    let by_option = read_reply(&reply(2, [10, 0, 0, 50], &[(67, b"pxelinux.0\0")])).unwrap();
    assert_eq!(by_option.boot_file.as_deref(), Some("pxelinux.0"));
    let mut bytes = reply(2, [10, 0, 0, 50], &[]);
    bytes[108..113].copy_from_slice(b"x.efi");
    let by_field = read_reply(&bytes).unwrap();
    assert_eq!(by_field.boot_file.as_deref(), Some("x.efi"));
    let mut watch = watching(&network(|_| {}), NOW);
    watch.heard(&by_field, OURS, NOW);
    watch.heard(&read_reply(&reply(2, [10, 0, 0, 50], &[])).unwrap(), OURS, NOW);
    let kept = watch.servers().next().and_then(|server| server.boot_file.clone());
    assert_eq!(kept.as_deref(), Some("x.efi"), "only who asks by PXE is reported");
}

#[test]
fn the_question_looks_like_a_machines_discover() {
    for (boots, kind) in [(false, "other"), (true, "uefi-x64")] {
        let client = classify(&question(OURS, 7, boots)).unwrap();
        assert_eq!(
            (client.mac, client.xid, client.message),
            (OURS, 7, MessageKind::Discover)
        );
        assert_eq!(client.kind.code(), kind);
        assert!(client.wants_broadcast());
    }
}

#[test]
fn a_server_closes_the_gate_until_it_is_gone() {
    let gives_addresses = read_reply(&reply(2, [10, 0, 0, 50], &[])).unwrap();
    let gives_boot_data = read_reply(&reply(2, [0; 4], &[(60, b"PXEClient")])).unwrap();
    let mut watch = watching(&network(|_| {}), NOW);
    assert_eq!(watch.gate(NOW), Gate::Looking);
    let looked = NOW.plus_seconds(4);
    assert_eq!(watch.gate(looked), Gate::Open);
    let other = gives_addresses.server;
    let second = looked.plus_seconds(1);
    watch.heard(&gives_boot_data, OURS, looked);
    watch.heard(&gives_boot_data, OURS, second);
    watch.proven(other, OURS, second);
    assert_eq!(watch.gate(second), Gate::Open, "it gives no addresses");
    let again = watch.heard(&gives_addresses, OURS, second).unwrap();
    assert!(!again.new && again.closes, "the same server");
    assert_eq!(watch.gate(second), Gate::Refused);
    let soon = second.plus_seconds(GONE_SECONDS - 1);
    assert!(watch.expire(soon).is_empty());
    watch.heard(&gives_addresses, OURS, soon);
    let late = soon.plus_seconds(GONE_SECONDS);
    assert_eq!(watch.expire(late).len(), 1);
    assert_eq!(watch.gate(late), Gate::Open);

    let warns = |s: &mut NetworkSettings| s.on_foreign_server = OnForeignServer::Warn;
    let proxies = |s: &mut NetworkSettings| s.mode = Mode::Proxy;
    for (network, gate) in [(network(warns), Gate::Beside), (network(proxies), Gate::Open)] {
        let mut watch = watching(&network, NOW);
        watch.heard(&gives_addresses, OURS, looked);
        assert_eq!((watch.gate(looked), watch.servers().count()), (gate, 1));
    }
    assert_eq!(
        ForeignServers::unheard(Mode::Server, network(|_| {}).settings()).gate(NOW),
        Gate::Open,
        "without listening there is no need to wait"
    );
}

#[test]
fn one_packet_or_one_without_a_real_host_closes_nothing() {
    let (host, forger) = (Mac([2, 0, 0, 0, 0, 7]), Mac([2, 0, 0, 0, 0, 6]));
    let answer = read_reply(&reply(2, [10, 0, 0, 50], &[])).unwrap();
    // When answers arrive in ms, from whom, and which MAC answers ARP for the server; whether the gate
    // closes.
    let minutes = |every: i64| (0..10).map(|n| n * every * 60_000).collect::<Vec<_>>();
    for (what, answers, from, arp, closes) in [
        ("one", vec![0], host, Some(host), false),
        ("the same doubled", vec![0, 1, 20, 300], host, Some(host), false),
        ("every three minutes", minutes(3), host, Some(host), false),
        ("nobody there", minutes(1), forger, None, false),
        ("another host", minutes(1), forger, Some(host), false),
        ("two consecutive answers", vec![0, 1000], host, Some(host), true),
        ("every minute", minutes(1), host, Some(host), true),
    ] {
        let mut watch = watching(&network(|_| {}), UnixMs(-10_000));
        let (mut said, mut at) = (0, UnixMs(0));
        for ms in answers {
            at = UnixMs(ms);
            let heard = watch.heard(&answer, from, at).unwrap();
            said += usize::from(heard.closes);
            if let Some(arp) = arp.filter(|_| heard.unproven) {
                said += usize::from(watch.proven(answer.server, arp, at).is_some());
            }
        }
        let expected = if closes { Gate::Refused } else { Gate::Beside };
        assert_eq!((watch.gate(at), said), (expected, usize::from(closes)), "{what}");
    }
    // Forged answers of a real server do not make it go away.
    let mut watch = watching(&network(|_| {}), UnixMs(-10_000));
    for ms in [0, 1000, 2000] {
        watch.heard(&answer, host, UnixMs(ms));
        watch.proven(answer.server, host, UnixMs(ms));
        watch.heard(&answer, forger, UnixMs(ms + 600));
        watch.proven(answer.server, host, UnixMs(ms + 600));
    }
    assert_eq!(watch.gate(UnixMs(3000)), Gate::Refused);
}

#[test]
fn memory_is_bounded() {
    let mut watch = watching(&network(|_| {}), NOW);
    for n in 0..1000u32 {
        let reply = ServerReply {
            server: Ipv4Addr::from(n).into(),
            gives: Gives::Addresses,
            boot_file: None,
        };
        watch.heard(&reply, OURS, NOW);
    }
    assert_eq!(watch.servers().count(), MOST);
}

#[test]
fn leases_already_given_are_kept() {
    let ip = [10, 0, 0, 12];
    let ask = |kind: u8, options: &[(u8, &[u8])]| {
        let mut all = vec![(53, vec![kind])];
        all.extend(options.iter().map(|(code, value)| (*code, value.to_vec())));
        let all: Vec<(u8, &[u8])> = all.iter().map(|(code, value)| (*code, &value[..])).collect();
        classify(&discover(&all)).unwrap()
    };
    let none = Leases::default();
    let mut bound = Leases::default();
    bound.insert(Lease {
        mac: Mac([0x52, 0x54, 0, 0, 0, 1]),
        ip: ip.into(),
        expires: NOW.plus_seconds(9),
        state: LeaseState::Bound,
    });
    let discover = ask(1, &[]);
    let confirms = ask(3, &[(50, &ip)]);
    let wants_another = ask(3, &[(50, &[10, 0, 0, 13])]);
    let (looking, refused) = (Err(Unanswered::Looking), Err(Unanswered::ForeignServer));
    for (gate, leases, client, expected) in [
        (Gate::Open, &none, &discover, Ok(())),
        (Gate::Looking, &none, &discover, looking),
        (Gate::Looking, &bound, &discover, Ok(())),
        (Gate::Refused, &none, &discover, refused),
        (Gate::Refused, &bound, &discover, refused),
        (Gate::Looking, &none, &confirms, looking),
        (Gate::Looking, &bound, &confirms, Ok(())),
        (Gate::Refused, &bound, &confirms, Ok(())),
        (Gate::Refused, &bound, &wants_another, refused),
        (Gate::Refused, &none, &ask(7, &[]), Ok(())),
        // Beside another server, only our own clients get a NAK.
        (Gate::Beside, &none, &discover, Ok(())),
        (Gate::Beside, &bound, &wants_another, Ok(())),
        (
            Gate::Beside,
            &none,
            &wants_another,
            Err(Unanswered::UnknownBinding),
        ),
        (Gate::Beside, &none, &ask(3, &[]), Err(Unanswered::UnknownBinding)),
        (
            Gate::Beside,
            &none,
            &ask(3, &[(50, &ip), (54, &[10, 0, 0, 1])]),
            Ok(()),
        ),
    ] {
        assert_eq!(pass(gate, client, leases, NOW), expected, "{gate:?} {client:?}");
    }
    let expired = NOW.plus_seconds(10);
    assert_eq!(pass(Gate::Refused, &confirms, &bound, expired), refused);
}
