//! What the fuzz targets do with their input, and what must hold.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::LazyLock;
use std::time::Duration;

use inventory_api::agent::RunsOn;
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::check::{Expectation, Severity};
use inventory_api::dhcp::DhcpReply;
use inventory_api::{Mac, UnixMs};
use lifecycle::bounds;
use netboot_protocol::dhcp4::claims::Claims;
use netboot_protocol::dhcp4::foreign::read_reply;
use netboot_protocol::frame::{arp_claim, datagram_to};
use netboot_protocol::http::head::{HEAD_BYTES, persists, request, response_head};
use netboot_protocol::http::range::{Wanted, wanted};
use netboot_protocol::sender::{Relays, believe};
use netboot_protocol::tftp::{Limits, Packet, Send, Step, Transfer, negotiate, netascii, parse, table_name};
use netboot_protocol::{
    BootUrls, ClassMatch, ClassSettings, LeaseChange, LeaseState, Leases, Mode, Network, NetworkSettings, PoolRange, Rates, V6Settings,
    classify, decide, destination, dhcp6, encode, select_network, would_answer,
};

#[cfg(feature = "agent")]
/// One of the agent's parsers, by name.
pub fn agent(name: &str, bytes: &[u8]) {
    if name == "spcr" {
        return agent::init::fuzz_spcr(bytes);
    }
    let (_, door) = agent::report::fuzz::DOORS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("the agent has this door");
    door(bytes);
    if name == "disks" {
        agent::install::fuzz_partitions(bytes);
    }
}

#[cfg(feature = "agent")]
/// The server's answer, as the agent reads it.
pub fn agent_assignment(bytes: &[u8]) {
    let _ = agent::session::read_assignment(bytes);
}

/// A report as any machine may send it: it is bounded, then goes through everything the server does with one.
/// A machine must match a profile made of its own report.
pub fn server_report(bytes: &[u8]) {
    let report = bounds::read_report(bytes).map(|request| *request.report);
    let Ok(report) = report.or_else(|_| bounds::read_asset_report(bytes)) else {
        return;
    };
    let again = serde_json::to_vec(&report).expect("a report is JSON");
    assert_eq!(
        bounds::read_asset_report(&again).ok().as_ref(),
        Some(&report),
        "bounded twice is bounded once"
    );
    let profile = lifecycle::check::golden(&report);
    assert_eq!(
        lifecycle::check::validate(&profile),
        [],
        "a golden profile is a sound one"
    );
    let expectation = Expectation {
        profile,
        ..Expectation::default()
    };
    let result = lifecycle::check(&expectation, &report, RunsOn::MiniOs);
    let sick = lifecycle::check::unhealthy(&report);
    let beyond = result.findings.iter().filter(|f| f.severity > Severity::Info && !sick.contains(f));
    assert_eq!(beyond.count(), 0, "a machine is what its own profile says, but for its health");
    let others = [("a".to_owned(), &report), ("b".to_owned(), &report)];
    assert_eq!(lifecycle::check::outliers(&others), [], "twins do not differ");
    let _ = lifecycle::check(&Expectation::default(), &report, RunsOn::Installed);
    let _ = lifecycle::parts::parts(&report);
    let _ = lifecycle::expectation::names(&report);
}

/// A network in each mode: on our link, behind a relay, beside another server, and only observed.
static NETWORKS: LazyLock<[Vec<Network>; 3]> = LazyLock::new(|| {
    [Mode::Server, Mode::Proxy, Mode::Observe].map(|mode| {
        [("lab", "10.0.0"), ("far", "10.1.0")]
            .map(|(name, prefix)| {
                let address = |last: u8| format!("{prefix}.{last}").parse().expect("an address");
                let subnet = format!("{prefix}.0/24").parse().expect("a subnet");
                let mut settings = NetworkSettings::new(name, URLS.server, subnet);
                settings.mode = mode;
                if mode != Mode::Proxy {
                    settings.pools = vec![PoolRange {
                        first: address(100),
                        last: address(103),
                    }];
                    let mac = Mac([0x52, 0x54, 0, 0x77, 0, prefix.len() as u8]);
                    settings.reservations.insert(mac, address(50));
                    settings.routers = vec![address(254)];
                    settings.dns = vec![address(53)];
                    settings.domain = Some("lab.example".into());
                    settings.ipv6_only_seconds = Some(1800);
                    settings.search = vec!["a.long.search.domain.example".into(); 12];
                    settings.classes = vec![ClassSettings {
                        name: "any".into(),
                        matches: ClassMatch {
                            vendor_class: Some("*PXE*0*".into()),
                            user_class: Some("*".into()),
                            ..ClassMatch::default()
                        },
                        lease_seconds: Some(60),
                        ..ClassSettings::default()
                    }];
                }
                Network::new(settings).expect("a sound network")
            })
            .into()
    })
});

const URLS: BootUrls = BootUrls {
    server: Ipv4Addr::new(10, 0, 0, 1),
    http_port: 8067,
};

/// A conversation: datagrams, each behind a two-byte length (a length beyond the rest means the rest), one
/// second apart, with the leases that result. A single captured datagram is tried alone first.
pub fn dhcp4(bytes: &[u8]) {
    for networks in NETWORKS.iter() {
        let mut server = DhcpServer::new(networks);
        server.hears(bytes);
        let (mut server, mut rest) = (DhcpServer::new(networks), bytes);
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
            let (datagram, after) = tail.split_at(length);
            server.hears(datagram);
            rest = after;
        }
    }
}

/// The network `lab` with DHCPv6: as a server and only watched.
static V6: LazyLock<[dhcp6::Network; 2]> = LazyLock::new(|| {
    [Mode::Server, Mode::Observe].map(|mode| {
        let address = |text: &str| text.parse().expect("an address");
        let mut settings = NetworkSettings::new("lab", URLS.server, "10.0.0.0/24".parse().expect("a subnet"));
        settings.v6 = Some(V6Settings {
            server: address("fd00:7::1"),
            prefix: "fd00:7::/64".parse().expect("a prefix"),
            mode,
            pools: vec![PoolRange {
                first: address("fd00:7::100"),
                last: address("fd00:7::103"),
            }],
            reservations: [(Mac([0x52, 0x54, 0, 0x77, 0, 1]), address("fd00:7::50"))].into(),
            dns: vec![address("fd00:7::53")],
            boot_parameters: vec!["root=/".to_owned()],
        });
        Network::new(settings)
            .expect("a sound network")
            .v6()
            .expect("with DHCPv6")
            .clone()
    })
});

/// Like [`dhcp4`]; each datagram comes from the link-local address derived from its first byte after the
/// length.
pub fn dhcp6(bytes: &[u8]) {
    const DUID: &[u8] = &[0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    for network in V6.iter() {
        let (mut leases, mut now) = (Leases::<Ipv6Addr>::default(), UnixMs(1_000_000));
        let mut hears = |datagram: &[u8]| {
            now = now.plus_seconds(1);
            let last = datagram.last().copied().unwrap_or(0) & 7;
            let from = Ipv6Addr::from([
                0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, 0xff, 0xfe, 0x77, 0, last,
            ]);
            let _ = dhcp6::foreign::read_reply(datagram, from, DUID);
            let Ok(mut client) = dhcp6::classify(datagram, from) else {
                return;
            };
            let _ = client.asker();
            client.known = last & 1 == 1;
            let networks = std::slice::from_ref(network);
            if dhcp6::select_network(networks, &client).is_err() {
                return;
            }
            let urls = dhcp6::BootUrls {
                server: network.server(),
                http_port: 8067,
            };
            let target = BootTarget::MiniOs {
                purpose: Purpose::Commission,
            };
            let decision = dhcp6::decide(&client, network, DUID, &leases, target, &urls, now);
            match decision.change {
                Some(LeaseChange::Insert(lease)) => {
                    assert_eq!(network.mode(), Mode::Server, "only a server has leases");
                    assert!(network.may_be_host(lease.ip), "{lease:?}");
                    leases.insert(lease);
                }
                Some(change) => leases.apply(change),
                None => {}
            }
            let _ = dhcp6::would_decide(&client, network, DUID, &leases, target, &urls, now);
            let Ok(content) = decision.answer else { return };
            assert_eq!(network.mode(), Mode::Server, "who watches is silent");
            if let Some(ip) = content.address() {
                assert_eq!(
                    leases.holder(ip, now).unwrap_or(client.mac),
                    client.mac,
                    "nobody else's address"
                );
            }
            let reply = dhcp6::encode(&client, network, DUID, &content);
            assert!(
                reply.len() <= datagram.len() + 512,
                "{} bytes to {}",
                reply.len(),
                datagram.len()
            );
            let kind = if client.relays.is_empty() {
                [2, 7]
            } else {
                [13, 13]
            };
            assert!(kind.contains(&reply[0]), "a server's message");
        };
        hears(bytes);
        let mut rest = bytes;
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
            let (datagram, after) = tail.split_at(length);
            hears(datagram);
            rest = after;
        }
    }
}

struct DhcpServer<'a> {
    networks: &'a [Network],
    leases: [Leases; 2],
    rates: Rates,
    relays: Relays,
    claims: Claims,
    now: UnixMs,
}

impl DhcpServer<'_> {
    fn new(networks: &[Network]) -> DhcpServer<'_> {
        DhcpServer {
            networks,
            leases: Default::default(),
            rates: Rates::default(),
            relays: Relays::default(),
            claims: Claims::default(),
            now: UnixMs(1_000_000),
        }
    }

    fn hears(&mut self, datagram: &[u8]) {
        self.now = self.now.plus_seconds(1);
        let _ = (
            read_reply(datagram),
            datagram_to(datagram, 67),
        );
        if let Some((mac, address)) = arp_claim(datagram) {
            self.claims.claimed(Some(mac), address, 40, self.now);
        }
        let _ = netboot_protocol::outsider(datagram, inventory_api::UnixMs(0));
        let Ok(mut client) = classify(datagram) else {
            return;
        };
        let _ = client.asker();
        self.rates
            .admit(client.mac, client.known, client.circuit(), self.now);
        // What the receiver knows although the datagram does not say it.
        (client.known, client.to_boot_server) = (client.xid & 1 == 1, client.xid & 6 == 6);
        client.from = Some(SocketAddrV4::new(client.ciaddr, 67 + (client.xid >> 8) as u16 % 3));
        let _ = believe(&client, &self.relays);
        self.relays.learn(&client);
        let Some(at) = select_network(self.networks, &client).ok().and_then(|chosen| {
            self.networks
                .iter()
                .position(|network| network.name() == chosen.name())
        }) else {
            return;
        };
        let (network, leases) = (&self.networks[at], &mut self.leases[at]);
        let target = BootTarget::MiniOs {
            purpose: Purpose::Commission,
        };
        let decision = decide(&client, network, leases, target, &URLS, self.now);
        match (network.mode(), decision.change) {
            // The other server's clients and their addresses, to know whom a script is for.
            (Mode::Server, _) | (_, None) => {}
            (Mode::Proxy, Some(LeaseChange::Insert(lease))) if lease.state == LeaseState::Seen => {}
            (mode, change) => panic!("{mode:?} and {change:?}: only a server has leases"),
        }
        match decision.change {
            Some(change) => {
                if let LeaseChange::Insert(lease) | LeaseChange::Bind(lease, _) = change {
                    assert!(network.subnet().contains(&lease.ip), "{lease:?}");
                }
                leases.apply(change);
            }
            None => {}
        }
        let _ = would_answer(&client, network, leases, target, &URLS, self.now);
        let Ok(content) = decision.answer else { return };
        assert_ne!(network.mode(), Mode::Observe, "who watches is silent");
        if network.mode() == Mode::Proxy {
            assert!(
                content.address.is_unspecified() && content.kind != DhcpReply::Nak,
                "{content:?}"
            );
        }
        let reply = encode(&client, network, &content);
        assert!((300..=1472).contains(&reply.len()), "{} bytes", reply.len());
        assert_eq!(reply[..3], [2, 1, 6], "a reply on Ethernet");
        assert_eq!(reply[4..8], client.xid.to_be_bytes(), "the client's transaction");
        assert_eq!(reply[28..34], client.chaddr.0, "the client's address");
        // A longer one is split, and one that does not fit is left out.
        if let Some(relay) = client.relay.as_ref().filter(|relay| relay.len() <= 255) {
            let echo = [&[82, relay.len() as u8][..], relay].concat();
            assert!(
                reply.windows(echo.len()).any(|part| part == echo),
                "option 82 as it came"
            );
        }
        let _ = destination(&client, network, &content);
    }
}

/// A request, then what a client may send during its transfer: datagrams behind a one-byte length, time
/// behind a zero. Whatever is sent is within the file and the window, and a client that never answers gets no
/// flood.
pub fn tftp(bytes: &[u8]) {
    let (request, mut rest) = bytes.split_at(bytes.len().min(64));
    let _ = table_name(request);
    if netascii(bytes).len() > 2 * bytes.len() {
        panic!("netascii more than doubles");
    }
    for datagram in [bytes, request] {
        let Ok(Packet::Read(request)) = parse(datagram) else {
            continue;
        };
        let _ = table_name(request.name);
        // Half of the transfers use a single port, with smaller blocks.
        let one_port = bytes.len() % 2 == 1;
        let limits = Limits::for_mtu(1500, false).at_most(one_port.then_some(1024));
        let file = u64::from(bytes.first().copied().unwrap_or(0)) * 1000;
        let accepted = negotiate(&request, file, limits);
        assert!(
            (1..=64).contains(&accepted.window) && (8..=limits.block).contains(&accepted.block),
            "{accepted:?}"
        );
        let mut transfer = Transfer::new(&accepted, file).on_one_port(one_port);
        let (mut now, mut unanswered) = (Duration::ZERO, 0);
        let mut step = transfer.begin(now);
        loop {
            match step {
                Step::Send(send) => {
                    if let Send::Blocks { first, last } = send {
                        assert!(
                            first >= 1 && first <= last && last <= file / transfer.block() + 1,
                            "{send:?}"
                        );
                        assert!(last - first < u64::from(accepted.window), "{send:?}");
                        assert!(transfer.bytes_of(last).end <= file);
                    }
                    if !transfer.is_answered() {
                        unanswered += 1;
                        assert!(unanswered <= 8, "a flood to somebody who never answered");
                    }
                }
                Step::End(_) => break,
                Step::WithoutOptions if one_port => panic!("there is no other port"),
                Step::Wait | Step::WithoutOptions => {}
            }
            step = match rest {
                [] => break,
                [0, tail @ ..] => {
                    (now, rest) = (transfer.deadline(), tail);
                    transfer.elapsed(now)
                }
                [length, tail @ ..] => {
                    let (datagram, after) = tail.split_at(usize::from(*length).min(tail.len()));
                    (now, rest) = (now + Duration::from_millis(1), after);
                    transfer.received(datagram, now)
                }
            };
        }
    }
}

/// A connection's bytes as the HTTP service reads them: each request consumes some, a range is within its
/// file, and a response head is exactly one head.
pub fn http(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((request, len))) = request(rest) {
        assert!(
            (1..=HEAD_BYTES.min(rest.len())).contains(&len),
            "a head of {len} bytes"
        );
        let _ = persists(&request);
        let range = request
            .headers()
            .get("range")
            .and_then(|value| value.to_str().ok());
        for file in [0, 1, 1000, u64::MAX] {
            if let Wanted::Part(first, last) = wanted(range, file) {
                assert!(
                    first <= last && last < file,
                    "{range:?} of {file}: {first}-{last}"
                );
            }
        }
        // Anything a client sent and a response repeats.
        let mut response = http::Response::new(());
        *response.headers_mut() = request.headers().clone();
        let head = response_head(&response, "date", true);
        let ends = head.windows(4).filter(|four| four == b"\r\n\r\n").count();
        assert!(ends == 1 && head.ends_with(b"\r\n\r\n"), "one head");
        rest = &rest[len..];
    }
}
