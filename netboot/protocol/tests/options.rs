//! Which options a reply has, in which order and where, and what clients of a class get.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use inventory_api::UnixMs;
use inventory_api::boot::BootTarget;
use netboot_protocol::dhcp4::packet::RawOptions;
use netboot_protocol::*;
use proptest::prelude::*;

const NOW: UnixMs = UnixMs(1_000_000_000);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const UEFI: [(u8, &[u8]); 2] = [(60, b"PXEClient:Arch:00007:UNDI:003000"), (93, &[0, 7])];

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

fn discover(options: &[(u8, &[u8])]) -> PxeClient {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0x12, 0x34, 0xab]);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1]);
    for (code, value) in options {
        for part in value.chunks(255) {
            bytes.extend([*code, part.len() as u8]);
            bytes.extend(part);
        }
    }
    bytes.push(255);
    classify(&bytes).unwrap()
}

fn reply(network: &Network, client: &PxeClient) -> Vec<u8> {
    let urls = BootUrls {
        server: SERVER,
        http_port: 8067,
    };
    let decision = decide(
        client,
        network,
        &Leases::default(),
        BootTarget::LocalDisk,
        &urls,
        NOW,
    );
    encode(client, network, &decision.answer.unwrap())
}

/// The options as a client reads them: joined (RFC 3396), including those in header fields if option 52 says
/// so.
fn options(reply: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let main = RawOptions::of(&reply[240..]);
    let overload = main.get(52).map_or(0, |value| value[0]);
    let file = if overload & 1 == 1 { &reply[108..236] } else { &[] };
    let sname = if overload & 2 == 2 { &reply[44..108] } else { &[] };
    let mut all = BTreeMap::new();
    for field in [main, RawOptions::of(file), RawOptions::of(sname)] {
        for code in 1..=254 {
            if let Some(value) = field.get(code) {
                all.entry(code).or_insert_with(Vec::new).extend_from_slice(value);
            }
        }
    }
    all
}

fn text(code: u8, length: usize) -> CustomOption {
    CustomOption {
        code,
        text: Some("x".repeat(length)),
        ..CustomOption::default()
    }
}

#[test]
fn long_options_and_routes_are_split_and_joined_again() {
    let network = network(|s| {
        s.routers = vec![ip(254)];
        s.routes = (0..60)
            .map(|n| Route {
                to: format!("10.{n}.0.0/16").parse().unwrap(),
                via: ip(253),
            })
            .collect();
        s.options = vec![text(224, 300)];
    });
    let client = discover(&[(57, &1500u16.to_be_bytes())]);
    let bytes = reply(&network, &client);
    let all = options(&bytes);
    let expected: Vec<u8> = (0..60)
        .flat_map(|n| [16, 10, n, 10, 0, 0, 253])
        .chain([0, 10, 0, 0, 254])
        .collect();
    assert_eq!(all[&121], expected, "425 bytes");
    assert_eq!(all[&224], vec![b'x'; 300]);
    // dhcproto joins the consecutive parts too.
    let read =
        <dhcproto::v4::Message as dhcproto::Decodable>::decode(&mut dhcproto::Decoder::new(&bytes)).unwrap();
    let routes = read.opts().get(dhcproto::v4::OptionCode::ClasslessStaticRoute);
    assert!(format!("{routes:?}").contains("10.59.0.0"), "{routes:?}");
    // Parts sent by a client are joined too.
    let long: Vec<u8> = (0..=255).chain(0..100).collect();
    assert_eq!(discover(&[(55, &long)]).wanted, long);
}

#[test]
fn what_a_client_requests_first_is_kept_if_not_all_fits() {
    let network = network(|s| {
        s.routers = vec![ip(254)];
        s.dns = vec![ip(53)];
        s.options = (224..232).map(|code| text(code, 100)).collect();
    });
    // No requests: what the protocol needs, the network's options, then as much as fits, using the header's
    // fields too.
    let all = options(&reply(&network, &discover(&[])));
    for code in [1, 3, 6, 28, 51, 53, 54, 58, 59] {
        assert!(all.contains_key(&code), "option {code}");
    }
    assert_eq!(
        all.keys().filter(|code| **code >= 224).count(),
        3,
        "{:?}",
        all.keys()
    );
    assert_eq!(all[&52], [1]);
    // Its own requests come first, in its order.
    for wanted in [[231, 226, 229], [224, 230, 228]] {
        let bytes = reply(&network, &discover(&[(55, &wanted)]));
        let all = options(&bytes);
        for code in wanted {
            assert_eq!(all[&code].len(), 100, "option {code} of {wanted:?}");
        }
        assert!(bytes.len() <= 548, "{}", bytes.len());
    }
    // With room there is no need to choose, and the header fields stay empty.
    let roomy = reply(&network, &discover(&[(57, &1500u16.to_be_bytes())]));
    let all = options(&roomy);
    assert_eq!(all.keys().filter(|code| **code >= 224).count(), 8);
    assert!(!all.contains_key(&52) && roomy[44..236].iter().all(|byte| *byte == 0));
    let codes: Vec<u8> = all.into_keys().collect();
    assert!(codes.is_sorted());
}

#[test]
fn the_header_names_the_boot_file_however_little_fits() {
    let network = network(|s| s.options = (224..232).map(|code| text(code, 100)).collect());
    // Firmware asks for everything but 67 first.
    let wishes: Vec<u8> = (224..232).chain([66, 67]).collect();
    let client = discover(&[UEFI[0], UEFI[1], (55, &wishes)]);
    let bytes = reply(&network, &client);
    let all = options(&bytes);
    assert!(bytes[108..].starts_with(b"snponly.efi\0"));
    assert_eq!((&all[&67][..], all.get(&52)), (&b"snponly.efi\0"[..], None));
    assert!(all.contains_key(&43) && all.contains_key(&60));
}

#[test]
fn ipv6_only_is_sent_on_request() {
    let network = network(|s| s.ipv6_only_seconds = Some(1800));
    for (wanted, expected) in [
        (&[1, 108][..], Some(&[0, 0, 7, 8][..])),
        (&[1], None),
        (&[], None),
    ] {
        let all = options(&reply(&network, &discover(&[(55, wanted)])));
        assert_eq!(all.get(&108).map(Vec::as_slice), expected, "{wanted:?}");
    }
}

#[test]
fn a_name_is_answered_and_nothing_is_promised() {
    let network = network(|s| s.domain = Some("lab.example".into()));
    let client = discover(&[(81, b"\x05\0\0\x03web")]);
    assert_eq!(
        options(&reply(&network, &client))[&81],
        b"\x0e\xff\xff\x03web\x03lab\x07example\0"
    );
    assert!(!options(&reply(&network, &discover(&[]))).contains_key(&81));
}

#[test]
fn short_leases_are_renewed_at_exactly_half_their_time() {
    for (seconds, spread) in [
        (10, false),
        (120, false),
        (600, false),
        (3599, false),
        (7200, true),
    ] {
        let network = network(|s| s.lease_seconds = seconds);
        let mut seen = std::collections::BTreeSet::new();
        for mac in 0..16 {
            let mut client = discover(&[]);
            client.mac.0[5] = mac;
            let all = options(&reply(&network, &client));
            let of = |code| u32::from_be_bytes(all[&code][..].try_into().unwrap());
            assert!(
                of(58) < of(59) && of(59) < of(51),
                "{seconds}: {} {}",
                of(58),
                of(59)
            );
            assert!(of(58) <= seconds / 2 && of(58) >= seconds / 2 - seconds / 16);
            assert!(of(59) <= seconds * 7 / 8 && of(59) >= seconds * 7 / 8 - seconds / 16);
            seen.insert(of(58));
        }
        assert_eq!(seen.len() > 1, spread, "{seconds}: {seen:?}");
        assert!(spread || seen.contains(&(seconds / 2)));
    }
}

/// `[[network.class]]` as it is written.
fn with_classes() -> Network {
    network(|s| {
        s.routers = vec![ip(254)];
        s.dns = vec![ip(53)];
        s.lease_seconds = 7200;
        s.next_server = Some(ip(9));
        s.routes = vec![Route {
            to: "172.16.0.0/12".parse().unwrap(),
            via: ip(253),
        }];
        s.classes = serde_json::from_value(serde_json::json!([
            {
                "name": "phones", "match": { "vendor_class": "AASTRA*" }, "router": "10.0.0.250", "lease_seconds": 60,
                "options": [{ "code": 66, "text": "10.0.0.8" }, { "code": 67, "text": "phone.cfg" }, { "code": 150, "hex": "0a000008" }],
            },
            { "name": "rack 7", "match": { "circuit_id": "0x0004*", "remote_id": "leaf-7*" }, "router": ["10.0.0.240", "10.0.0.241"] },
            { "name": "lab", "match": { "user_class": "lab" }, "domain": "lab.example", "next_server": "10.0.0.7" },
            { "name": "cards", "match": { "mac": "5254.00*", "vendor_class": "*card*" }, "dns": ["10.0.0.54"], "mtu": 9000 },
        ]))
        .unwrap();
    })
}

#[test]
fn a_classs_options_override_the_networks() {
    let network = with_classes();
    let relay: &[u8] = b"\x01\x06\0\x04\0\x0a\x01\x02\x02\x0ALEAF-7/1/2";
    let other: &[u8] = b"\x01\x06\0\x05\0\x0a\x01\x02\x02\x0ALEAF-7/1/2";
    let lease = |seconds: u32| seconds.to_be_bytes().to_vec();
    let routes = |last| vec![12, 172, 16, 10, 0, 0, 253, 0, 10, 0, 0, last];
    type Expected = (u8, Option<Vec<u8>>);
    type Row<'a> = (&'a str, Vec<(u8, &'a [u8])>, Vec<Expected>, u8);
    let rows: Vec<Row<'_>> = vec![
        (
            "of none",
            vec![],
            vec![
                (3, Some(vec![10, 0, 0, 254])),
                (6, Some(vec![10, 0, 0, 53])),
                (15, None),
                (51, Some(lease(7200))),
            ],
            9,
        ),
        (
            "a phone",
            vec![(60, b"Aastra 6865i")],
            vec![
                (3, Some(vec![10, 0, 0, 250])),
                (6, Some(vec![10, 0, 0, 53])),
                (51, Some(lease(60))),
                (66, Some(b"10.0.0.8".to_vec())),
                (67, Some(b"phone.cfg".to_vec())),
                (121, Some(routes(250))),
                (150, Some(vec![10, 0, 0, 8])),
            ],
            9,
        ),
        (
            "behind a circuit",
            vec![(82, relay)],
            vec![
                (3, Some(vec![10, 0, 0, 240, 10, 0, 0, 241])),
                (121, Some(routes(240))),
                (67, None),
            ],
            9,
        ),
        (
            "behind another circuit",
            vec![(82, other)],
            vec![(3, Some(vec![10, 0, 0, 254]))],
            9,
        ),
        (
            "a raw user class",
            vec![(77, b"LAB")],
            vec![(15, Some(b"lab.example".to_vec()))],
            7,
        ),
        (
            "a listed user class",
            vec![(77, b"\x01x\x03lab")],
            vec![(15, Some(b"lab.example".to_vec()))],
            7,
        ),
        (
            "two classes: the second sets what the first leaves out",
            vec![(60, b"Aastra card"), (77, b"lab")],
            vec![
                (3, Some(vec![10, 0, 0, 250])),
                (6, Some(vec![10, 0, 0, 54])),
                (15, Some(b"lab.example".to_vec())),
                (26, Some(vec![0x23, 0x28])),
            ],
            7,
        ),
    ];
    for (row, said, expected, next) in rows {
        let bytes = reply(&network, &discover(&said));
        let all = options(&bytes);
        for (code, value) in expected {
            assert_eq!(all.get(&code), value.as_ref(), "{row}: option {code}");
        }
        assert_eq!(bytes[20..24], ip(next).octets(), "{row}: siaddr");
        let file: &[u8] = all.get(&67).map_or(&[], |name| name);
        let named: Vec<u8> = bytes[108..236]
            .iter()
            .copied()
            .take_while(|byte| *byte != 0)
            .collect();
        assert_eq!(named, file, "{row}: file");
    }
}

/// An operator's boot options for other clients do not reach those that Slipway boots; the file server does.
#[test]
fn booting_clients_get_our_loader_whatever_their_class_says() {
    let network = network(|s| {
        s.next_server = Some(ip(9));
        s.classes = serde_json::from_value(serde_json::json!([
            { "name": "firmware", "match": { "vendor_class": "PXEClient*" },
              "options": [{ "code": 67, "text": "other.efi" }, { "code": 43, "hex": "0102" }, { "code": 60, "text": "x" }] },
        ]))
        .unwrap();
    });
    let bytes = reply(&network, &discover(&UEFI));
    let all = options(&bytes);
    assert_eq!(&all[&67][..], b"snponly.efi\0");
    assert_eq!(
        (&all[&43][..], &all[&60][..]),
        (&[6, 1, 8, 255][..], &b"PXEClient"[..])
    );
    assert_eq!(
        (&all[&66][..], &bytes[20..24]),
        (&b"10.0.0.9\0"[..], &[10, 0, 0, 9][..])
    );
    // By HTTP the loader comes from us.
    let http = discover(&[(60, b"HTTPClient:Arch:00016:UNDI:003000"), (93, &[0, 16])]);
    assert_eq!(reply(&network, &http)[20..24], SERVER.octets());
}

proptest! {
    /// Whatever is configured and requested: the reply fits, has what the protocol needs, and each option is
    /// complete.
    #[test]
    fn every_reply_fits(
        lengths in proptest::collection::vec(1usize..1025, 0..12),
        wanted in proptest::collection::vec(any::<u8>(), 0..300),
        id in proptest::collection::vec(any::<u8>(), 0..256),
        relay in proptest::collection::vec(any::<u8>(), 0..400),
        size in any::<u16>(),
        boots in any::<bool>(),
        name in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let network = network(|s| {
            s.options = lengths.iter().zip(200u8..).map(|(length, code)| text(code, *length)).collect();
        });
        let size = size.to_be_bytes();
        let mut said: Vec<(u8, &[u8])> = vec![(57, &size), (55, &wanted), (61, &id), (81, &name), (82, &relay)];
        if boots {
            said.extend(UEFI);
        }
        said.retain(|(_, value)| !value.is_empty());
        let client = discover(&said);
        let bytes = reply(&network, &client);
        let limit = usize::from(u16::from_be_bytes(size)).clamp(576, 1500) - 28;
        prop_assert!((300..=limit).contains(&bytes.len()), "{} of {limit}", bytes.len());
        let all = options(&bytes);
        for code in [53, 54, 51, 1] {
            prop_assert!(all.contains_key(&code), "option {code}");
        }
        for (length, code) in lengths.iter().zip(200u8..) {
            prop_assert!(all.get(&code).is_none_or(|value| value.len() == *length), "option {code}");
        }
        if let Some(echo) = all.get(&82) {
            prop_assert_eq!(echo, &relay);
        }
        prop_assert_eq!(bytes.iter().rposition(|byte| *byte != 0), bytes.iter().rposition(|byte| *byte == 255));
    }
}
