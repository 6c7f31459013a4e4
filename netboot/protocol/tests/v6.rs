//! DHCPv6 conversations: the answers as dhcproto reads them, and the change of the lease.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, IANA, Message, MessageType, OptionCode, Status};
use dhcproto::{Decodable, Decoder};
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::{Mac, UnixMs};
use netboot_protocol::dhcp6::{
    BootUrls, Content, Decision, classify, decide, encode, select_network, would_decide,
};
use netboot_protocol::{
    LeaseChange, LeaseState, Leases, Mode, Network, NetworkSettings, PoolRange, Unanswered, V6Settings,
};

const NOW: UnixMs = UnixMs(1_000_000);
const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const OURS: &[u8] = &[0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const THEIRS: &[u8] = &[0, 4, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
const MINI_OS: BootTarget = BootTarget::MiniOs {
    purpose: Purpose::Commission,
};

const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION: u8 = 11;

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn network(change: impl FnOnce(&mut NetworkSettings)) -> Network {
    let mut settings = NetworkSettings::new("lab", [10, 0, 0, 1].into(), "10.0.0.0/24".parse().unwrap());
    settings.v6 = Some(V6Settings {
        server: address("fd00:7::1"),
        prefix: "fd00:7::/64".parse().unwrap(),
        mode: Mode::Server,
        pools: vec![PoolRange {
            first: address("fd00:7::100"),
            last: address("fd00:7::103"),
        }],
        reservations: Default::default(),
        dns: vec![address("fd00:7::53")],
        boot_parameters: Vec::new(),
    });
    change(&mut settings);
    Network::new(settings).unwrap()
}

/// An option's bytes.
fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [
        &code.to_be_bytes()[..],
        &(value.len() as u16).to_be_bytes(),
        value,
    ]
    .concat()
}

fn ia(id: u32, addresses: &[Ipv6Addr]) -> Vec<u8> {
    let addresses = addresses
        .iter()
        .map(|ip| option(5, &[&ip.octets()[..], &[0; 8]].concat()));
    let value = [
        &id.to_be_bytes()[..],
        &[0; 8],
        &addresses.collect::<Vec<_>>().concat(),
    ]
    .concat();
    option(3, &value)
}

/// How EDK2 describes itself.
fn firmware(class: &str, architecture: u16) -> Vec<u8> {
    let text = format!("{class}:Arch:{architecture:05}:UNDI:003016");
    let class = [
        &343u32.to_be_bytes()[..],
        &(text.len() as u16).to_be_bytes(),
        text.as_bytes(),
    ]
    .concat();
    [
        option(16, &class),
        option(61, &architecture.to_be_bytes()),
        option(62, &[1, 3, 16]),
    ]
    .concat()
}

fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

struct Server {
    network: Network,
    leases: Leases<Ipv6Addr>,
    now: UnixMs,
    target: BootTarget,
}

impl Server {
    fn new(network: Network) -> Server {
        Server {
            network,
            leases: Leases::default(),
            now: NOW,
            target: MINI_OS,
        }
    }

    fn decide(&mut self, mac: Mac, kind: u8, options: &[Vec<u8>]) -> Decision {
        let bytes = [
            &[kind, 0xab, 0xcd, 0xef][..],
            &option(1, THEIRS),
            &options.concat(),
        ]
        .concat();
        self.hears(&bytes, link_local(mac)).0
    }

    fn hears(&mut self, bytes: &[u8], from: Ipv6Addr) -> (Decision, Vec<u8>) {
        let mut client = classify(bytes, from).unwrap();
        client.known = true;
        let networks = [self.network.v6().unwrap().clone()];
        let network = select_network(&networks, &client).unwrap();
        let decision = decide(
            &client,
            network,
            OURS,
            &self.leases,
            self.target,
            &urls(),
            self.now,
        );
        if let Some(change) = decision.change {
            self.leases.apply(change);
        }
        let reply = decision
            .answer
            .as_ref()
            .map(|content| encode(&client, network, OURS, content));
        (decision.clone(), reply.unwrap_or_default())
    }

    /// The reply as dhcproto reads it.
    fn reply(&mut self, kind: u8, options: &[Vec<u8>]) -> Message {
        let bytes = [
            &[kind, 0xab, 0xcd, 0xef][..],
            &option(1, THEIRS),
            &options.concat(),
        ]
        .concat();
        let (decision, reply) = self.hears(&bytes, link_local(MAC));
        assert!(decision.answer.is_ok(), "{decision:?}");
        let message = Message::decode(&mut Decoder::new(&reply)).unwrap();
        assert_eq!(message.xid(), [0xab, 0xcd, 0xef]);
        assert_eq!(
            message.opts().get(OptionCode::ServerId),
            Some(&DhcpOption::ServerId(OURS.to_vec()))
        );
        assert_eq!(
            message.opts().get(OptionCode::ClientId),
            Some(&DhcpOption::ClientId(THEIRS.to_vec()))
        );
        message
    }

    fn state(&self, mac: Mac) -> Option<LeaseState> {
        self.leases.of(mac).map(|lease| lease.state)
    }
}

fn urls() -> BootUrls<Ipv6Addr> {
    BootUrls {
        server: address("fd00:7::1"),
        http_port: 8067,
    }
}

fn associations(message: &Message) -> Vec<IANA> {
    let all = message.opts().get_all(OptionCode::IANA).unwrap_or_default();
    let one = |option: &DhcpOption| match option {
        DhcpOption::IANA(ia) => ia.clone(),
        other => panic!("{other:?}"),
    };
    all.iter().map(one).collect()
}

/// Addresses of an association with their lifetimes, and its status.
fn of(ia: &IANA) -> (Vec<(Ipv6Addr, u32)>, Option<Status>) {
    let all = ia.opts.get_all(OptionCode::IAAddr).unwrap_or_default();
    let addresses = all.iter().map(|option| match option {
        DhcpOption::IAAddr(a) => {
            assert_eq!(a.preferred_life, a.valid_life);
            (a.addr, a.valid_life)
        }
        other => panic!("{other:?}"),
    });
    (addresses.collect(), status(&ia.opts))
}

fn status(options: &dhcproto::v6::DhcpOptions) -> Option<Status> {
    options.get(OptionCode::StatusCode).map(|option| match option {
        DhcpOption::StatusCode(code) => code.status,
        other => panic!("{other:?}"),
    })
}

fn text(message: &Message, code: OptionCode) -> String {
    match message.opts().get(code) {
        Some(DhcpOption::Unknown(unknown)) => String::from_utf8_lossy(unknown.data()).into_owned(),
        Some(DhcpOption::VendorClass(class)) => {
            assert_eq!(class.num, 343);
            String::from_utf8_lossy(&class.data[0]).into_owned()
        }
        other => panic!("{code:?}: {other:?}"),
    }
}

#[test]
fn a_sites_parameters_are_sent_only_with_the_boot_file() {
    let parameters = |with: &[&str]| {
        let with = with.iter().map(|p| (*p).to_owned()).collect();
        let mut server = Server::new(network(|all| {
            if let Some(v6) = &mut all.v6 {
                v6.boot_parameters = with;
            }
        }));
        let of = |message: &Message| {
            let option = message.opts().get(OptionCode::OptBootfileParam).cloned();
            option.map(|option| match option {
                DhcpOption::Unknown(unknown) => unknown.data().to_vec(),
                other => panic!("{other:?}"),
            })
        };
        let boots = server.reply(SOLICIT, &[ia(7, &[]), firmware("HTTPClient", 16)]);
        let system = server.reply(SOLICIT, &[ia(9, &[]), option(14, &[])]);
        (of(&boots), of(&system))
    };
    assert_eq!(parameters(&[]), (None, None));
    // RFC 5970, 3.2: each with its length.
    let two = b"\0\x06root=/\0\x02-v".to_vec();
    assert_eq!(parameters(&["root=/", "-v"]), (Some(two), None));
}

#[test]
fn firmware_gets_its_loader() {
    for (class, architecture, url) in [
        ("PXEClient", 7, "tftp://[fd00:7::1]/snponly.efi"),
        ("PXEClient", 9, "tftp://[fd00:7::1]/snponly.efi"),
        ("HTTPClient", 16, "http://[fd00:7::1]:8067/boot/snponly.efi"),
    ] {
        let mut server = Server::new(network(|_| {}));
        let says = firmware(class, architecture);
        let advertise = server.reply(SOLICIT, &[ia(7, &[]), says.clone()]);
        assert_eq!(advertise.msg_type(), MessageType::Advertise);
        assert_eq!(server.state(MAC), Some(LeaseState::Offered));
        assert_eq!(text(&advertise, OptionCode::OptBootfileUrl), url);
        // EDK2's PXE client takes an offer with its class for a boot server's.
        match class {
            "HTTPClient" => assert_eq!(text(&advertise, OptionCode::VendorClass), class),
            _ => assert_eq!(advertise.opts().get(OptionCode::VendorClass), None),
        }
        assert_eq!(
            advertise.opts().get(OptionCode::Preference),
            Some(&DhcpOption::Preference(255))
        );
        let offered = associations(&advertise);
        let (addresses, status) = of(&offered[0]);
        assert_eq!(
            (offered.len(), offered[0].id, addresses.len(), status),
            (1, 7, 1, None)
        );
        let (ip, seconds) = addresses[0];
        assert!(ip >= address("fd00:7::100") && ip <= address("fd00:7::103"));
        assert_eq!(seconds, 600, "a lease of firmware");
        assert!(offered[0].t1 <= 300 && offered[0].t1 < offered[0].t2 && offered[0].t2 <= 480);

        let reply = server.reply(REQUEST, &[option(2, OURS), ia(7, &[ip]), says.clone()]);
        assert_eq!(reply.msg_type(), MessageType::Reply);
        assert_eq!(server.state(MAC), Some(LeaseState::Bound));
        assert_eq!(text(&reply, OptionCode::OptBootfileUrl), url);
        assert_eq!(reply.opts().get(OptionCode::Preference), None);
        assert_eq!(of(&associations(&reply)[0]).0, [(ip, 600)]);
        let dns = DhcpOption::DomainNameServers(vec![address("fd00:7::53")]);
        assert_eq!(reply.opts().get(OptionCode::DomainNameServers), Some(&dns));

        // The next stage has another DUID and association but the same NIC, so the same address.
        let system = server.reply(SOLICIT, &[ia(99, &[]), option(14, &[])]);
        assert_eq!(system.msg_type(), MessageType::Reply, "rapid commit");
        assert_eq!(
            system.opts().get(OptionCode::RapidCommit),
            Some(&DhcpOption::RapidCommit)
        );
        assert_eq!(
            of(&associations(&system)[0]).0,
            [(ip, 3600)],
            "the lease of a system"
        );
        assert_eq!(system.opts().get(OptionCode::OptBootfileUrl), None);
    }
}

#[test]
fn clients_without_a_boot_file() {
    let mut server = Server::new(network(|_| {}));
    let ipxe = [option(15, b"\0\x04iPXE"), option(61, &[0, 7])].concat();
    for says in [
        ipxe,
        firmware("PXEClient", 6),
        firmware("PXEClient", 27),
        Vec::new(),
    ] {
        let reply = server.reply(SOLICIT, &[ia(1, &[]), says]);
        assert_eq!(reply.opts().get(OptionCode::OptBootfileUrl), None);
        assert_eq!(reply.opts().get(OptionCode::VendorClass), None);
        assert_eq!(of(&associations(&reply)[0]).0.len(), 1, "an address it gets");
    }
}

#[test]
fn a_machine_gets_one_address_whatever_it_asks_for() {
    let mut server = Server::new(network(|_| {}));
    let reply = server.reply(SOLICIT, &[option(14, &[]), ia(1, &[]), ia(2, &[])]);
    let all: Vec<_> = associations(&reply).iter().map(of).collect();
    assert_eq!((all[0].0.len(), all[0].1), (1, None));
    assert_eq!(all[1], (vec![], Some(Status::NoAddrsAvail)));
}

#[test]
fn renew_rebind_confirm_and_information() {
    let mut server = Server::new(network(|_| {}));
    let first = server.reply(SOLICIT, &[option(14, &[]), ia(1, &[])]);
    let ip = of(&associations(&first)[0]).0[0].0;
    let (foreign, other) = (address("fd00:8::5"), address("fd00:7::777"));
    server.now = NOW.plus_seconds(1000);
    let kept = server.reply(RENEW, &[option(2, OURS), ia(1, &[ip])]);
    assert_eq!(of(&associations(&kept)[0]), (vec![(ip, 3600)], None));
    assert_eq!(server.leases.of(MAC).unwrap().expires, NOW.plus_seconds(4600));
    let mixed = server.reply(RENEW, &[option(2, OURS), ia(1, &[other, ip]), ia(2, &[])]);
    let all: Vec<_> = associations(&mixed).iter().map(of).collect();
    assert_eq!(
        all[0],
        (vec![(other, 0), (ip, 3600)], None),
        "an address it may not have ends"
    );
    assert_eq!(all[1], (vec![], Some(Status::NoBinding)));
    let rebound = server.reply(REBIND, &[ia(1, &[ip])]);
    assert_eq!(of(&associations(&rebound)[0]).0, [(ip, 3600)]);

    let fits = server.reply(CONFIRM, &[ia(1, &[ip])]);
    assert_eq!(status(fits.opts()), Some(Status::Success));
    let moved = server.reply(CONFIRM, &[ia(1, &[ip, foreign])]);
    assert_eq!(status(moved.opts()), Some(Status::NotOnLink));
    assert_eq!(
        server.decide(MAC, CONFIRM, &[ia(1, &[])]).answer,
        Err(Unanswered::NoAddress)
    );

    let settings = server.reply(INFORMATION, &[firmware("HTTPClient", 16)]);
    assert!(associations(&settings).is_empty());
    assert!(text(&settings, OptionCode::OptBootfileUrl).starts_with("http://"));

    // A machine unknown to us: another server may know it.
    let stranger = Mac([0x52, 0x54, 0, 0, 0, 9]);
    let unknown = Err(Unanswered::UnknownBinding);
    assert_eq!(server.decide(stranger, REBIND, &[ia(1, &[ip])]).answer, unknown);
    let renewed = server.decide(stranger, RENEW, &[option(2, OURS), ia(1, &[ip])]);
    assert_eq!(renewed.change, None);
    assert_eq!(
        renewed.answer.unwrap().associations[0].addresses,
        [(ip, 0)],
        "not this machine's"
    );
}

#[test]
fn release_and_decline_are_answered() {
    let mut server = Server::new(network(|_| {}));
    let first = server.reply(SOLICIT, &[option(14, &[]), ia(1, &[])]);
    let ip = of(&associations(&first)[0]).0[0].0;
    let stranger = Mac([0x52, 0x54, 0, 0, 0, 9]);
    let not_theirs = server.decide(stranger, DECLINE, &[option(2, OURS), ia(1, &[ip])]);
    assert_eq!(
        not_theirs.change, None,
        "no machine can quarantine another's address"
    );

    let reply = server.reply(RELEASE, &[option(2, OURS), ia(1, &[ip])]);
    assert_eq!(status(reply.opts()), Some(Status::Success));
    assert_eq!(server.state(MAC), Some(LeaseState::Released));
    let again = server.reply(RELEASE, &[option(2, OURS), ia(1, &[ip])]);
    assert_eq!(of(&associations(&again)[0]).1, Some(Status::NoBinding));
    let back = server.reply(SOLICIT, &[option(14, &[]), ia(5, &[])]);
    assert_eq!(
        of(&associations(&back)[0]).0[0].0,
        ip,
        "the same MAC, the same address"
    );

    server.reply(DECLINE, &[option(2, OURS), ia(5, &[ip])]);
    assert_eq!(server.leases.at(ip).unwrap().state, LeaseState::Declined);
    let next = server.reply(SOLICIT, &[option(14, &[]), ia(5, &[])]);
    assert_ne!(of(&associations(&next)[0]).0[0].0, ip);
}

/// RFC 8415, 16: messages that all servers must hear are ignored if sent to one alone; 18.4: the rest are
/// told so.
#[test]
fn unicast_clients_are_told_to_use_multicast() {
    let network = network(|_| {});
    let ours = option(2, OURS);
    for (kind, options, expected) in [
        (SOLICIT, vec![ia(1, &[])], Err(Unanswered::Unicast)),
        (
            CONFIRM,
            vec![ia(1, &[address("fd00:7::100")])],
            Err(Unanswered::Unicast),
        ),
        (
            REBIND,
            vec![ia(1, &[address("fd00:7::100")])],
            Err(Unanswered::Unicast),
        ),
        (INFORMATION, vec![], Err(Unanswered::Unicast)),
        (REQUEST, vec![ours.clone(), ia(1, &[])], Ok(5)),
        (RENEW, vec![ours.clone(), ia(1, &[])], Ok(5)),
        (RELEASE, vec![ours.clone(), ia(1, &[])], Ok(5)),
        (DECLINE, vec![ours.clone(), ia(1, &[])], Ok(5)),
    ] {
        let bytes = [&[kind, 1, 2, 3][..], &option(1, THEIRS), &options.concat()].concat();
        let mut client = classify(&bytes, link_local(MAC)).unwrap();
        client.unicast = true;
        let v6 = network.v6().unwrap();
        let decision = decide(&client, v6, OURS, &Leases::default(), MINI_OS, &urls(), NOW);
        assert_eq!(decision.change, None, "{kind}");
        let answer = decision.answer.map(|content| {
            let reply = encode(&client, v6, OURS, &content);
            let message = Message::decode(&mut Decoder::new(&reply)).unwrap();
            assert!(associations(&message).is_empty(), "{kind}");
            content.status.unwrap() as u16
        });
        assert_eq!(answer, expected, "{kind}");
    }
}

/// RFC 4704: the name is answered, and nothing is promised.
#[test]
fn a_name_is_answered() {
    let mut server = Server::new(network(|s| s.domain = Some("lab.example".into())));
    let named = [option(14, &[]), ia(1, &[]), option(39, b"\x01\x03web")];
    let bytes = [&[SOLICIT, 1, 2, 3][..], &option(1, THEIRS), &named.concat()].concat();
    let (_, reply) = server.hears(&bytes, link_local(MAC));
    let answer = option(39, b"\x06\x03web\x03lab\x07example\0");
    assert!(
        reply.windows(answer.len()).any(|part| part == answer),
        "{reply:?}"
    );
}

#[test]
fn silences() {
    let solicit = |server: &mut Server, mac, says: Vec<u8>| server.decide(mac, SOLICIT, &[ia(1, &[]), says]);
    let mut server = Server::new(network(|_| {}));
    assert_eq!(
        server.decide(MAC, SOLICIT, &[]).answer,
        Err(Unanswered::NoAddress)
    );
    for n in 0..4 {
        assert!(
            solicit(&mut server, Mac([2, 0, 0, 0, 0, n]), vec![])
                .answer
                .is_ok()
        );
    }
    let full = solicit(&mut server, MAC, vec![]).answer;
    assert!(matches!(full, Err(Unanswered::Exhausted)), "{full:?}");
    let reply = server.reply(REQUEST, &[option(2, OURS), ia(1, &[])]);
    assert_eq!(of(&associations(&reply)[0]), (vec![], Some(Status::NoAddrsAvail)));

    server = Server::new(network(|_| {}));
    server.target = BootTarget::Ignore;
    assert_eq!(
        solicit(&mut server, MAC, firmware("PXEClient", 7)).answer,
        Err(Unanswered::Ignored)
    );
    assert!(
        solicit(&mut server, MAC, vec![]).answer.is_ok(),
        "a system gets its address"
    );

    // The client took another server's offer: ours is free again.
    let taken = server.decide(MAC, REQUEST, &[option(2, THEIRS), ia(1, &[])]);
    assert_eq!(taken.answer, Err(Unanswered::OtherServer));
    assert_eq!(server.state(MAC), None);

    let mut observed = Server::new(network(|s| s.v6.as_mut().unwrap().mode = Mode::Observe));
    assert_eq!(
        solicit(&mut observed, MAC, vec![]),
        Decision {
            answer: Err(Unanswered::Observing),
            change: None
        }
    );
    let bytes = [&[SOLICIT, 1, 2, 3][..], &option(1, THEIRS), &ia(1, &[])].concat();
    let client = classify(&bytes, link_local(MAC)).unwrap();
    let v6 = observed.network.v6().unwrap();
    let would = would_decide(&client, v6, OURS, &Leases::default(), MINI_OS, &urls(), NOW).answer;
    assert!(would.is_ok_and(|content: Content| content.address().is_some()));
}

#[test]
fn strangers_are_limited_to_their_share() {
    let network = network(|s| s.unknown_share = 50);
    let v6 = network.v6().unwrap();
    let mut leases = Leases::default();
    let mut given = 0;
    for n in 0..4 {
        let bytes = [&[SOLICIT, 1, 2, 3][..], &option(1, THEIRS), &ia(1, &[])].concat();
        let client = classify(&bytes, link_local(Mac([2, 0, 0, 0, 0, n]))).unwrap();
        let decision = decide(&client, v6, OURS, &leases, MINI_OS, &urls(), NOW);
        match decision.change {
            Some(LeaseChange::Insert(lease)) => {
                leases.insert(lease);
                leases.set_known(lease.mac, false);
                given += 1;
            }
            _ => assert_eq!(decision.answer, Err(Unanswered::KeptForKnown)),
        }
    }
    assert_eq!(given, 2);
}

#[test]
fn a_stranger_that_declines_every_address_spoils_only_its_share() {
    let network = network(|s| s.unknown_share = 50);
    let v6 = network.v6().unwrap();
    let mut leases = Leases::default();
    let mut now = NOW;
    let mut hears = |leases: &mut Leases<Ipv6Addr>, kind: u8, options: &[Vec<u8>]| {
        now = now.plus_seconds(1);
        let bytes = [&[kind, 1, 2, 3][..], &option(1, THEIRS), &options.concat()].concat();
        let client = classify(&bytes, link_local(MAC)).unwrap();
        let decision = decide(&client, v6, OURS, leases, MINI_OS, &urls(), now);
        if let Some(LeaseChange::Insert(lease)) = decision.change {
            leases.insert(lease);
            leases.set_known(lease.mac, false);
        }
        decision.answer
    };
    for _ in 0..8 {
        let rapid = hears(&mut leases, SOLICIT, &[option(14, &[]), ia(1, &[])]);
        if let Some(ip) = rapid.ok().and_then(|content| content.address()) {
            hears(&mut leases, DECLINE, &[option(2, OURS), ia(1, &[ip])]).unwrap();
        }
    }
    let declined = leases.iter().filter(|l| l.state == LeaseState::Declined);
    assert_eq!(declined.count(), 2, "of four addresses");
    let last = hears(&mut leases, SOLICIT, &[ia(1, &[])]);
    assert_eq!(last, Err(Unanswered::KeptForKnown));
    assert_eq!(leases.strangers(NOW.plus_seconds(4000)), 0, "an hour later");
}

#[test]
fn a_request_for_another_links_address_is_refused() {
    let mut server = Server::new(network(|_| {}));
    let moved = [option(2, OURS), ia(1, &[address("fd00:8::100")])];
    let reply = server.reply(REQUEST, &moved);
    assert_eq!(of(&associations(&reply)[0]), (vec![], Some(Status::NotOnLink)));
    assert_eq!(server.state(MAC), None);
    let wish = server.reply(SOLICIT, &[ia(1, &[address("fd00:8::100")])]);
    assert_eq!(of(&associations(&wish)[0]).0.len(), 1, "only a wish");
}

#[test]
fn through_relays_and_back() {
    let mut server = Server::new(network(|_| {}));
    let inner = [
        &[SOLICIT, 1, 2, 3][..],
        &option(1, THEIRS),
        &ia(1, &[]),
        &firmware("PXEClient", 7),
    ]
    .concat();
    let wrap = |hops: u8, link: Ipv6Addr, peer: Ipv6Addr, id: &[u8], inner: &[u8]| {
        [
            &[12, hops][..],
            &link.octets(),
            &peer.octets(),
            &option(18, id),
            &option(9, inner),
        ]
        .concat()
    };
    let near = wrap(0, address("fd00:7::fe"), link_local(MAC), b"port 7", &inner);
    let far = wrap(1, Ipv6Addr::UNSPECIFIED, address("fd00:7::fe"), b"vlan 3", &near);
    let (decision, reply) = server.hears(&far, address("fd00:1::9"));
    let ip = decision.answer.unwrap().address().unwrap();
    assert_eq!(server.leases.of(MAC).unwrap().ip, ip);
    // Each relay finds its own envelope.
    let envelope = |bytes: &[u8], hops: u8, link: Ipv6Addr, peer: Ipv6Addr, id: &[u8]| -> Vec<u8> {
        let head = [&[13, hops][..], &link.octets(), &peer.octets(), &option(18, id)].concat();
        assert_eq!(bytes[..head.len()], head);
        assert_eq!(bytes[head.len()..head.len() + 2], [0, 9]);
        bytes[head.len() + 4..].to_vec()
    };
    let near = envelope(&reply, 1, Ipv6Addr::UNSPECIFIED, address("fd00:7::fe"), b"vlan 3");
    let inner = envelope(&near, 0, address("fd00:7::fe"), link_local(MAC), b"port 7");
    let advertise = Message::decode(&mut Decoder::new(&inner)).unwrap();
    assert_eq!(advertise.msg_type(), MessageType::Advertise);

    let elsewhere = wrap(0, address("fd00:9::1"), link_local(MAC), b"x", &inner[..0]);
    let elsewhere = [
        &elsewhere[..34],
        &option(9, &[&[SOLICIT, 1, 2, 3][..], &option(1, THEIRS)].concat()),
    ]
    .concat();
    let client = classify(&elsewhere, address("fd00:9::1")).unwrap();
    let networks = [server.network.v6().unwrap().clone()];
    assert_eq!(select_network(&networks, &client), Err(Unanswered::UnknownRelay));
}
