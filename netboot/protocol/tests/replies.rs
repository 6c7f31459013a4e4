//! What is answered to whom: the DHCP rules of measured and 2.3, one by one.

use std::net::Ipv4Addr;

use dhcproto::{Decodable, Decoder, v4};
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::dhcp::DhcpReply;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::*;
use proptest::prelude::*;

const NOW: UnixMs = UnixMs(1_000_000);
const URLS: BootUrls = BootUrls {
    server: Ipv4Addr::new(10, 0, 0, 1),
    http_port: 8067,
};
const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const TARGET: BootTarget = BootTarget::MiniOs {
    purpose: Purpose::Commission,
};

type Options<'a> = &'a [(u8, &'a [u8])];

const UEFI: Options = &[
    (60, b"PXEClient:Arch:00007:UNDI:003000"),
    (93, &[0, 7]),
    (97, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
];
const HTTP: Options = &[(60, b"HTTPClient:Arch:00016:UNDI:003000"), (93, &[0, 16])];
const IPXE: Options = &[
    (60, b"PXEClient:Arch:00000:UNDI:002001"),
    (93, &[0, 0]),
    (175, &[0x13, 1, 1]),
];

fn network() -> Network {
    let mut settings = NetworkSettings::new("lab", URLS.server, "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 0, 0, 100),
        last: Ipv4Addr::new(10, 0, 0, 103),
    }];
    settings.routers = vec![Ipv4Addr::new(10, 0, 0, 254)];
    settings.dns = vec![Ipv4Addr::new(10, 0, 0, 53)];
    settings.domain = Some("lab.example".into());
    Network::new(settings).unwrap()
}

fn message(kind: u8, options: &[Options]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
    bytes[28..34].copy_from_slice(&MAC.0);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
    for (code, value) in options.iter().copied().flatten() {
        bytes.extend([*code, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes.push(255);
    bytes
}

fn ask(leases: &Leases, bytes: &[u8]) -> (PxeClient, Decision) {
    let client = classify(bytes).unwrap();
    let decision = decide(&client, &network(), leases, TARGET, &URLS, NOW);
    (client, decision)
}

fn reply(bytes: &[u8]) -> (Vec<u8>, v4::Message) {
    let (client, decision) = ask(&Leases::default(), bytes);
    let encoded = encode(&client, &network(), &decision.answer.unwrap());
    let message = v4::Message::decode(&mut Decoder::new(&encoded)).unwrap();
    (encoded, message)
}

fn option(message: &v4::Message, code: u8) -> Option<v4::DhcpOption> {
    message.opts().get(v4::OptionCode::from(code)).cloned()
}

fn codes(encoded: &[u8]) -> Vec<u8> {
    let (mut rest, mut codes) = (&encoded[240..], Vec::new());
    while let [code, len, tail @ ..] = rest {
        if *code == 255 {
            break;
        }
        codes.push(*code);
        rest = &tail[usize::from(*len)..];
    }
    codes
}

fn bound(n: u8) -> Leases {
    let mut leases = Leases::default();
    let ip = Ipv4Addr::new(10, 0, 0, n);
    leases.insert(Lease {
        mac: MAC,
        ip,
        expires: NOW.plus_seconds(100),
        state: LeaseState::Bound,
    });
    leases
}

#[test]
fn firmware_gets_the_loader_in_every_place_it_may_look() {
    let (bytes, message) = reply(&message(1, &[UEFI]));
    assert_eq!(codes(&bytes)[..2], [53, 1], "53 first, then ascending");
    assert!(codes(&bytes)[1..].is_sorted());
    assert!(bytes.len() >= 300);
    assert_eq!(message.siaddr(), URLS.server);
    assert_eq!(message.fname(), Some(&b"snponly.efi\0"[..]));
    assert_eq!(
        option(&message, 67),
        Some(v4::DhcpOption::BootfileName(b"snponly.efi\0".to_vec()))
    );
    assert_eq!(
        option(&message, 66),
        Some(v4::DhcpOption::TFTPServerName(b"10.0.0.1\0".to_vec()))
    );
    assert_eq!(
        option(&message, 60),
        Some(v4::DhcpOption::ClassIdentifier(b"PXEClient".to_vec()))
    );
    assert_eq!(
        option(&message, 43),
        Some(v4::DhcpOption::VendorExtensions(vec![6, 1, 8, 255]))
    );
    assert_eq!(
        option(&message, 97),
        Some(v4::DhcpOption::ClientMachineIdentifier((0..=16).collect())),
        "97 as received"
    );
    assert_eq!(option(&message, 175), None);
}

#[test]
fn http_boot_and_ipxe_get_urls() {
    let (_, http) = reply(&message(1, &[HTTP]));
    assert_eq!(
        option(&http, 60),
        Some(v4::DhcpOption::ClassIdentifier(b"HTTPClient".to_vec()))
    );
    let url = b"http://10.0.0.1:8067/boot/snponly.efi\0";
    assert_eq!(
        option(&http, 67),
        Some(v4::DhcpOption::BootfileName(url.to_vec()))
    );
    assert_eq!(option(&http, 43), None);

    let (bytes, ipxe) = reply(&message(1, &[IPXE]));
    let url = b"http://10.0.0.1:8067/boot.ipxe?mac=52:54:00:00:00:01\0";
    assert_eq!(
        option(&ipxe, 67),
        Some(v4::DhcpOption::BootfileName(url.to_vec()))
    );
    assert!(codes(&bytes).contains(&175), "no-pxedhcp saves 3 s");
    assert_eq!(option(&ipxe, 60), None);
}

#[test]
fn clients_that_do_not_netboot_get_only_an_address() {
    let arm: Options = &[(60, b"PXEClient:Arch:00011:UNDI:003000"), (93, &[0, 11])];
    for options in [arm, &[], &[(77, b"slipway")]] {
        let (_, message) = reply(&message(1, &[options]));
        assert_eq!(
            (option(&message, 67), message.fname()),
            (None, None),
            "{options:?}"
        );
        assert_eq!(message.siaddr(), Ipv4Addr::UNSPECIFIED);
        assert!(network().addresses().pool().contains(&message.yiaddr()));
    }
}

#[test]
fn the_relays_option_is_echoed_unchanged_and_last() {
    // Sub-options out of order and a truncated one: dhcproto alone would sort and repair them.
    let odd: &[u8] = &[2, 3, 9, 9, 9, 1, 2, 7, 7, 9, 200];
    let mut asked = message(1, &[UEFI, &[(82, odd)]]);
    asked[24..28].copy_from_slice(&[10, 0, 0, 200]);
    let (bytes, message) = reply(&asked);
    assert_eq!(codes(&bytes).last(), Some(&82));
    assert!(
        bytes
            .windows(odd.len() + 3)
            .any(|w| w == [&[82, odd.len() as u8], odd, &[255]].concat())
    );
    assert_eq!(message.giaddr(), Ipv4Addr::new(10, 0, 0, 200));
    let (client, decision) = ask(&Leases::default(), &asked);
    let relay = Destination::Relay(Ipv4Addr::new(10, 0, 0, 200));
    assert_eq!(destination(&client, &network(), &decision.answer.unwrap()), relay);
}

#[test]
fn a_reply_fits_by_dropping_optional_data_first() {
    let long = [7u8; 255];
    let mut asked = message(1, &[UEFI, &[(61, &long), (82, &long)]]);
    asked[24..28].copy_from_slice(&[10, 0, 0, 200]);
    let (bytes, message) = reply(&asked);
    assert!(
        codes(&bytes).contains(&82) && !codes(&bytes).contains(&61),
        "{:?}",
        codes(&bytes)
    );
    assert!(message.fname().is_some(), "the header still names the boot file");
    let big: Options = &[(57, &[0x05, 0xc0])];
    let mut asked = self::message(1, &[UEFI, big, &[(61, &long), (82, &long)]]);
    asked[24..28].copy_from_slice(&[10, 0, 0, 200]);
    let (bytes, _) = reply(&asked);
    assert!(codes(&bytes).contains(&61) && bytes.len() > 548 && bytes.len() <= 1472);
}

#[test]
fn destinations() {
    let mut leases = Leases::default();
    let mut asked = message(1, &[UEFI]);
    let to = |leases: &Leases, bytes: &[u8]| {
        let (client, decision) = ask(leases, bytes);
        destination(&client, &network(), &decision.answer.unwrap())
    };
    assert!(
        matches!(to(&leases, &asked), Destination::Link(ip) if network().addresses().pool().contains(&ip))
    );
    asked[10] = 0x80;
    assert_eq!(to(&leases, &asked), Destination::Broadcast);
    leases = bound(101);
    let mut renew = message(3, &[]);
    renew[12..16].copy_from_slice(&[10, 0, 0, 101]);
    assert_eq!(
        to(&leases, &renew),
        Destination::Link(Ipv4Addr::new(10, 0, 0, 101)),
        "whether it answers ARP or not"
    );
    let wrong = message(3, &[&[(50, &[10, 0, 0, 9])]]);
    assert_eq!(to(&leases, &wrong), Destination::Broadcast, "a NAK");
}

#[test]
fn requests() {
    let ours: Options = &[(54, &[10, 0, 0, 1])];
    let theirs: Options = &[(54, &[10, 0, 0, 9])];
    let want: Options = &[(50, &[10, 0, 0, 101])];
    let answer = |leases: &Leases, bytes: &[u8]| match ask(leases, bytes).1.answer {
        Ok(content) => content.kind.to_string(),
        Err(silence) => silence.code().to_owned(),
    };
    let none = Leases::default();
    // SELECTING
    assert_eq!(
        answer(&none, &message(3, &[ours, want])),
        "ack",
        "an offer from before a restart"
    );
    assert_eq!(answer(&none, &message(3, &[ours])), "ack");
    assert_eq!(
        answer(&none, &message(3, &[ours, &[(50, &[10, 0, 0, 9])]])),
        "nak"
    );
    let (_, other) = ask(&bound(101), &message(3, &[theirs, want]));
    assert_eq!(
        (other.answer, other.change),
        (Err(Unanswered::OtherServer), None),
        "a binding is kept"
    );
    let mut offered = Leases::default();
    let lease = bound(101).of(MAC).unwrap();
    offered.insert(Lease {
        state: LeaseState::Offered,
        ..lease
    });
    assert_eq!(
        ask(&offered, &message(3, &[theirs, want])).1.change,
        Some(LeaseChange::Forget(lease.ip))
    );
    // INIT-REBOOT
    assert_eq!(answer(&none, &message(3, &[want])), "unknown-binding");
    assert_eq!(answer(&bound(101), &message(3, &[want])), "ack");
    assert_eq!(
        answer(&bound(101), &message(3, &[&[(50, &[192, 168, 0, 9])]])),
        "nak"
    );
    // RENEWING, REBINDING
    let mut renew = message(3, &[]);
    renew[12..16].copy_from_slice(&[10, 0, 0, 101]);
    assert_eq!(answer(&none, &renew), "unknown-binding");
    assert_eq!(answer(&bound(101), &renew), "ack");
    // The address belongs to another machine.
    let mut taken = Leases::default();
    taken.insert(Lease {
        mac: Mac([2; 6]),
        ..lease
    });
    assert_eq!(answer(&taken, &message(3, &[ours, want])), "nak");
    let change = ask(&none, &message(3, &[ours, want])).1.change;
    assert!(matches!(
        change,
        Some(LeaseChange::Bind(
            Lease {
                state: LeaseState::Bound,
                ..
            },
            None
        ))
    ));
}

/// Answers a message and applies the change, as the server does.
fn serve(leases: &mut Leases, bytes: &[u8]) -> ReplyContent {
    let (_, decision) = ask(leases, bytes);
    if let Some(change) = decision.change {
        leases.apply(change);
    }
    decision.answer.expect("an answer")
}

/// pfsense#3307, coreos/bugs#1432, TechnitiumSoftware/DnsServer#870: firmware, iPXE and the operating system
/// each send a different client identifier, and the pool ran out. The MAC identifies the machine.
#[test]
fn three_client_identifiers_of_one_machine_get_one_address() {
    let mut leases = Leases::default();
    let stages: [(&str, Options, &[u8]); 4] = [
        (
            "firmware",
            UEFI,
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        ),
        ("iPXE", IPXE, &[1, 0x52, 0x54, 0, 0, 0, 1]),
        (
            "systemd-networkd (RFC 4361)",
            &[],
            &[255, 0xb6, 0x22, 0x0f, 0xeb, 0, 2, 0, 0, 0xab, 0x11, 9, 9],
        ),
        ("no identifier", &[], &[]),
    ];
    // The pool has four addresses: twelve clients would exhaust it.
    for round in 0..3 {
        for (stage, options, id) in stages {
            let id: &[(u8, &[u8])] = &[(61, id)];
            let id = if id[0].1.is_empty() { &[] } else { id };
            let offer = serve(&mut leases, &message(1, &[options, id]));
            let address = offer.address;
            let asked: Options = &[(54, &[10, 0, 0, 1]), (50, &address.octets())];
            let ack = serve(&mut leases, &message(3, &[options, id, asked]));
            assert_eq!((ack.kind, ack.address), (DhcpReply::Ack, address));
            let all: Vec<_> = leases.iter().collect();
            assert_eq!(all.len(), 1, "{stage}, round {round}: {all:?}");
            assert_eq!(leases.of(MAC).map(|l| l.ip), Some(address), "{stage}");
        }
    }
}

/// raspberrypi/rpi-eeprom#87: the firmware sends architecture 0, and its REQUEST has no option 60. An
/// omission in the REQUEST must not change the answer: the ACK names the same boot file as the OFFER.
#[test]
fn a_request_without_option_60_still_comes_from_the_firmware() {
    let arch: Options = &[(93, &[0, 0]), (94, &[1, 2, 1])];
    let discover = message(1, &[&[(60, b"PXEClient:Arch:00000:UNDI:002001")], arch]);
    let (offered, offer) = reply(&discover);
    let asked: Options = &[(54, &[10, 0, 0, 1]), (50, &offer.yiaddr().octets())];
    let request = message(3, &[arch, asked]);
    assert_eq!(classify(&request).unwrap().kind, ClientKind::Bios);
    let (acked, ack) = reply(&request);
    assert_eq!(ack.opts().msg_type(), Some(v4::MessageType::Ack));
    assert_eq!(ack.yiaddr(), offer.yiaddr());
    let file = |bytes: &[u8]| (bytes[20..24].to_vec(), bytes[108..236].to_vec());
    assert_eq!(
        (file(&acked), option(&ack, 67)),
        (file(&offered), option(&offer, 67))
    );
    assert!(acked[108..].starts_with(b"undionly.kpxe\0"));
    // An operating system sends no architecture: it gets an address and nothing to boot.
    let (bytes, plain) = reply(&message(3, &[asked]));
    assert_eq!((plain.yiaddr(), bytes[108]), (offer.yiaddr(), 0));
}

#[test]
fn release_decline_inform_ignore() {
    let want: Options = &[(50, &[10, 0, 0, 101])];
    let mut release = message(7, &[]);
    release[12..16].copy_from_slice(&[10, 0, 0, 101]);
    let (_, released) = ask(&bound(101), &release);
    assert_eq!(released.answer, Err(Unanswered::Released));
    assert!(matches!(
        released.change,
        Some(LeaseChange::Insert(Lease {
            state: LeaseState::Released,
            ..
        }))
    ));
    assert_eq!(ask(&bound(102), &release).1.change, None, "not its address");

    let ours: Options = &[(54, &[10, 0, 0, 1])];
    let (_, unsaid) = ask(&bound(101), &message(4, &[want]));
    assert_eq!(
        (unsaid.answer, unsaid.change),
        (Err(Unanswered::OtherServer), None),
        "it names no server"
    );
    let (_, declined) = ask(&bound(101), &message(4, &[want, ours]));
    assert_eq!(declined.answer, Err(Unanswered::Declined));
    let Some(LeaseChange::Insert(lease)) = declined.change else {
        panic!("{declined:?}")
    };
    let mut leases = bound(101);
    leases.insert(lease);
    let (_, again) = ask(&leases, &message(1, &[UEFI, want]));
    assert_ne!(
        again.answer.unwrap().address,
        Ipv4Addr::new(10, 0, 0, 101),
        "a new address"
    );
    assert_eq!(
        ask(&Leases::default(), &message(4, &[want, ours])).1.change,
        None,
        "strangers must not empty the pool"
    );

    let mut inform = message(8, &[UEFI]);
    assert_eq!(ask(&bound(101), &inform).1.answer, Err(Unanswered::NoAddress));
    inform[12..16].copy_from_slice(&[10, 0, 0, 9]);
    let content = ask(&Leases::default(), &inform).1.answer.unwrap();
    assert_eq!((content.kind, content.lease_seconds), (DhcpReply::Ack, None));
    inform[12..16].copy_from_slice(&[192, 168, 0, 9]);
    assert_eq!(
        ask(&bound(101), &inform).1.answer,
        Err(Unanswered::ForeignAddress)
    );

    let client = classify(&message(1, &[UEFI])).unwrap();
    let ignored = decide(
        &client,
        &network(),
        &Leases::default(),
        BootTarget::Ignore,
        &URLS,
        NOW,
    );
    assert_eq!(
        ignored,
        Decision {
            answer: Err(Unanswered::Ignored),
            change: None
        }
    );
    let local = decide(
        &client,
        &network(),
        &Leases::default(),
        BootTarget::LocalDisk,
        &URLS,
        NOW,
    );
    assert_eq!(
        local.answer.unwrap().boot,
        BootFile::Tftp(Loader::Snponly.file().into()),
        "firmware without one wastes a minute"
    );
}

#[test]
fn a_full_pool_is_silence_and_a_repeated_discover_keeps_a_binding() {
    let mut leases = Leases::default();
    for n in 100..104 {
        let ip = Ipv4Addr::new(10, 0, 0, n);
        let mac = Mac([2, 0, 0, 0, 0, n]);
        leases.insert(Lease {
            mac,
            ip,
            expires: NOW.plus_seconds(9),
            state: LeaseState::Bound,
        });
    }
    let (_, full) = ask(&leases, &message(1, &[UEFI]));
    assert!(matches!(full.answer, Err(Unanswered::Exhausted)));
    let (_, again) = ask(&bound(102), &message(1, &[UEFI]));
    assert_eq!(again.change, None);
    assert_eq!(again.answer.unwrap().address, Ipv4Addr::new(10, 0, 0, 102));
}

#[test]
fn the_link_decides_the_network() {
    let mut far = NetworkSettings::new("far", URLS.server, "10.9.0.0/24".parse().unwrap());
    far.mode = Mode::Server;
    far.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 9, 0, 9),
        last: Ipv4Addr::new(10, 9, 0, 9),
    }];
    let networks = [Network::new(far).unwrap(), network()];
    let mut asked = message(1, &[UEFI]);
    let name = |bytes: &[u8]| {
        let client = classify(bytes).unwrap();
        select_network(&networks, &client)
            .ok()
            .map(|network| network.name().to_owned())
    };
    assert_eq!(name(&asked).as_deref(), Some("lab"));
    asked[24..28].copy_from_slice(&[10, 9, 0, 1]);
    assert_eq!(name(&asked).as_deref(), Some("far"));
    asked[24..28].copy_from_slice(&[10, 8, 0, 1]);
    assert_eq!(name(&asked), None, "another network's relay");
    // The client renews directly, without the relay.
    let mut renew = message(3, &[]);
    renew[12..16].copy_from_slice(&[10, 9, 0, 9]);
    assert_eq!(name(&renew).as_deref(), Some("far"));
    renew[12..16].copy_from_slice(&[10, 0, 0, 101]);
    assert_eq!(name(&renew).as_deref(), Some("lab"));
}

proptest! {
    /// Whatever arrives: no panic, and dhcproto can read every reply, whose size fits.
    #[test]
    fn mutated_messages_are_survived(
        kind in 1u8..9,
        which in 0usize..3,
        giaddr in any::<bool>(),
        extra in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..255)), 0..4),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        cut in 0usize..40,
    ) {
        let extra: Vec<(u8, &[u8])> = extra.iter().map(|(code, value)| (*code, &value[..])).collect();
        let mut bytes = message(kind, &[[UEFI, HTTP, IPXE][which], &extra]);
        if giaddr {
            bytes[24..28].copy_from_slice(&[10, 0, 0, 200]);
        }
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() - cut);
        if let Ok(client) = classify(&bytes) {
            let decision = decide(&client, &network(), &bound(101), TARGET, &URLS, NOW);
            if let Ok(content) = decision.answer {
                let encoded = encode(&client, &network(), &content);
                prop_assert!((300..=1472).contains(&encoded.len()));
                let read = v4::Message::decode(&mut Decoder::new(&encoded)).unwrap();
                prop_assert_eq!(read.xid(), client.xid);
                prop_assert!(read.opts().msg_type().is_some());
                let _ = destination(&client, &network(), &content);
            }
        }
    }
}
