//! Beside another DHCP server: the truth table of measured, byte by byte, and observe mode.

use std::net::Ipv4Addr;

use inventory_api::UnixMs;
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::dhcp::DhcpReply;
use netboot_protocol::*;

const NOW: UnixMs = UnixMs(1_000_000);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const TARGET: BootTarget = BootTarget::MiniOs {
    purpose: Purpose::Commission,
};
const URLS: BootUrls = BootUrls {
    server: SERVER,
    http_port: 8067,
};

fn network(mode: Mode) -> Network {
    let mut settings = NetworkSettings::new("lab", SERVER, "10.77.0.0/24".parse().unwrap());
    settings.mode = mode;
    settings.routers = vec![Ipv4Addr::new(10, 77, 0, 254)];
    settings.dns = vec![Ipv4Addr::new(10, 77, 0, 53)];
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 77, 0, 100),
        last: Ipv4Addr::new(10, 77, 0, 199),
    }];
    Network::new(settings).unwrap()
}

fn decided(mode: Mode, client: &PxeClient) -> Decision {
    decide(client, &network(mode), &Leases::default(), TARGET, &URLS, NOW)
}

/// Options in order, read without dhcproto.
fn options(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut rest, mut options) = (&bytes[240..], Vec::new());
    while let [code, len, tail @ ..] = rest {
        if *code == 255 {
            break;
        }
        let (value, tail) = tail.split_at(usize::from(*len));
        options.push((*code, value.to_vec()));
        rest = tail;
    }
    options
}

fn option(bytes: &[u8], code: u8) -> Option<Vec<u8>> {
    options(bytes)
        .into_iter()
        .find(|(c, _)| *c == code)
        .map(|(_, v)| v)
}

fn message(kind: u8, given: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
    bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
    for (code, value) in given {
        bytes.extend([*code, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes.push(255);
    bytes
}

/// The captured messages of SeaBIOS' iPXE, OVMF's PXE and HTTP boot, with the port each was sent to.
fn vectors() -> Option<Vec<(u16, Vec<u8>)>> {
    let file = fixtures::find("dhcp/firmware-vectors/client-messages.txt")?;
    let text = std::fs::read_to_string(file).unwrap();
    let blocks = text.split("## dport ").skip(1).map(|block| {
        let port = block.split(' ').next().unwrap().parse().unwrap();
        let hex = block
            .split("hex ")
            .nth(1)
            .unwrap()
            .split_ascii_whitespace()
            .next()
            .unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        (port, (0..hex.len() / 2).map(byte).collect())
    });
    Some(blocks.collect())
}

/// What no proxy may ever send: it has no addresses, and the network is another server's.
fn says_nothing_of_addresses(bytes: &[u8]) {
    assert_eq!(bytes[16..20], [0; 4], "yiaddr");
    for code in [1, 3, 6, 15, 28, 50, 51, 58, 59] {
        assert_eq!(option(bytes, code), None, "option {code}");
    }
}

/// Rows 1, 2 and 7: boot data in header and options, 60 with 43, never one of the failing rows.
fn is_boot_data(client: &PxeClient, bytes: &[u8]) {
    assert_eq!(option(bytes, 54), Some(SERVER.octets().to_vec()));
    let file = option(bytes, 67).unwrap();
    match client.kind {
        ClientKind::UefiX64Http => {
            assert_eq!(option(bytes, 60).as_deref(), Some(&b"HTTPClient"[..]));
            assert_eq!(option(bytes, 43), None);
            assert_eq!(file, b"http://10.77.0.1:8067/boot/snponly.efi\0");
        }
        _ => {
            // Without 60 the offer is ignored (row 5); 60 without 43 sends the client to port 4011 (rows 3,
            // 4, 6).
            assert_eq!(option(bytes, 60).as_deref(), Some(&b"PXEClient"[..]));
            assert_eq!(option(bytes, 43).as_deref(), Some(&[6, 1, 8, 255][..]));
            let expected: &[u8] = match client.kind {
                ClientKind::Bios => b"undionly.kpxe\0",
                ClientKind::UefiX64 => b"snponly.efi\0",
                ClientKind::Ipxe { .. } => b"http://10.77.0.1:8067/boot.ipxe?mac=52:54:00:77:00:01\0",
                other => panic!("{other:?}"),
            };
            assert_eq!(file, expected);
        }
    }
    assert_eq!(bytes[20..24], SERVER.octets(), "siaddr");
    assert!(bytes[44..].starts_with(b"10.77.0.1\0"), "sname");
    assert_eq!(bytes[108..108 + file.len()], file, "file");
    assert_eq!(option(bytes, 97), client.machine_id, "97 as received");
    assert_eq!(
        option(bytes, 175),
        None,
        "no-pxedhcp would make iPXE ignore this very offer"
    );
}

#[test]
fn captured_firmware_is_offered_boot_data_and_no_address() {
    let Some(vectors) = vectors() else { return };
    let (mut offers, mut answers) = (0, 0);
    for (port, bytes) in vectors {
        let mut client = classify(&bytes).unwrap();
        client.to_boot_server = port == BOOT_SERVER_PORT;
        let decision = decided(Mode::Proxy, &client);
        match (client.message, client.to_boot_server) {
            (MessageKind::Discover, false) => {
                let content = decision.answer.unwrap();
                assert_eq!(decision.change, None);
                let reply = encode(&client, &network(Mode::Proxy), &content);
                assert_eq!(option(&reply, 53), Some(vec![2]));
                assert_eq!(
                    destination(&client, &network(Mode::Proxy), &content),
                    Destination::Broadcast
                );
                says_nothing_of_addresses(&reply);
                is_boot_data(&client, &reply);
                offers += 1;
            }
            // The other server's ACK is the answer; what the machine chose is remembered.
            (MessageKind::Request, false) => {
                assert_eq!(decision.answer, Err(Unanswered::AddressServer));
                let Some(LeaseChange::Insert(lease)) = decision.change else {
                    panic!("{decision:?}")
                };
                assert_eq!(Some(lease.ip), client.requested);
                assert_eq!((lease.mac, lease.state), (client.mac, LeaseState::Seen));
            }
            (MessageKind::Request, true) => {
                for mode in [Mode::Proxy, Mode::Server] {
                    let decision = decided(mode, &client);
                    let content = decision.answer.unwrap();
                    let reply = encode(&client, &network(mode), &content);
                    assert_eq!(option(&reply, 53), Some(vec![5]));
                    assert_eq!(reply[12..16], client.ciaddr.octets(), "ciaddr");
                    assert_eq!(
                        destination(&client, &network(mode), &content),
                        Destination::Unicast(client.ciaddr)
                    );
                    says_nothing_of_addresses(&reply);
                    is_boot_data(&client, &reply);
                    assert_eq!(
                        decision.change.is_some(),
                        mode == Mode::Proxy,
                        "a server has its own leases"
                    );
                }
                answers += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        offers >= 5 && answers >= 2,
        "{offers} offers, {answers} answers on port 4011"
    );
}

/// The architectures of RFC 4578 and its registry, alone and in a list.
#[test]
fn every_architecture_has_its_answer() {
    let silent: &[u8] = b"";
    for (class, arch, file) in [
        ("PXEClient", &[0u8, 0][..], &b"undionly.kpxe\0"[..]),
        ("PXEClient:Arch:00007:UNDI:003000", &[0, 7], b"snponly.efi\0"),
        ("PXEClient:Arch:00009:UNDI:003000", &[0, 9], b"snponly.efi\0"),
        (
            "PXEClient:Arch:00007:UNDI:003000",
            &[0, 27, 0, 7],
            b"snponly.efi\0",
        ),
        (
            "HTTPClient:Arch:00016:UNDI:003000",
            &[0, 16],
            b"http://10.77.0.1:8067/boot/snponly.efi\0",
        ),
        ("PXEClient:Arch:00010:UNDI:003000", &[0, 10], silent),
        ("PXEClient:Arch:00027:UNDI:003000", &[0, 27], silent),
        ("HTTPClient:Arch:00020:UNDI:003000", &[0, 20], silent),
        ("PXEClient:Arch:00041:UNDI:003000", &[0, 41], silent),
    ] {
        let asked = message(1, &[(60, class.as_bytes()), (93, arch)]);
        let client = classify(&asked).unwrap();
        match decided(Mode::Proxy, &client).answer {
            Ok(content) => {
                let reply = encode(&client, &network(Mode::Proxy), &content);
                assert_eq!(option(&reply, 67).as_deref(), Some(file), "{class} {arch:?}");
            }
            Err(silence) => {
                assert_eq!(
                    (silence, file),
                    (Unanswered::NoBootFile, silent),
                    "{class} {arch:?}"
                );
            }
        }
    }
}

/// Whatever is asked: no NAK, no lease, nothing for clients that do not netboot.
#[test]
fn a_proxy_harms_nobody() {
    let pxe: (u8, &[u8]) = (60, b"PXEClient:Arch:00007:UNDI:003000");
    let arch: (u8, &[u8]) = (93, &[0, 7]);
    let system = message(1, &[]);
    let answer = |mode, bytes: &[u8], boot_server: bool| {
        let mut client = classify(bytes).unwrap();
        client.to_boot_server = boot_server;
        decided(mode, &client)
    };
    assert_eq!(
        answer(Mode::Proxy, &system, false).answer,
        Err(Unanswered::NotBooting)
    );
    for kind in [3u8, 4, 7, 8] {
        // Addresses of the subnet, of another one, ours, none; for us, for another server, for nobody.
        for requested in [[10, 77, 0, 120], [192, 168, 0, 9], SERVER.octets(), [0; 4]] {
            for server in [SERVER.octets(), [10, 77, 0, 99]] {
                for boot_server in [false, true] {
                    let asked = message(kind, &[pxe, arch, (50, &requested), (54, &server)]);
                    let decision = answer(Mode::Proxy, &asked, boot_server);
                    let acks = boot_server && (kind == 3 || kind == 8);
                    match decision.answer {
                        Ok(content) => {
                            assert!(acks);
                            assert_eq!((content.kind, content.lease_seconds), (DhcpReply::Ack, None));
                        }
                        Err(silence) => assert_eq!((silence, acks), (Unanswered::AddressServer, false)),
                    }
                    match decision.change {
                        None => {}
                        Some(LeaseChange::Insert(lease)) => {
                            assert_eq!(lease.state, LeaseState::Seen);
                            assert_eq!(
                                lease.ip,
                                Ipv4Addr::new(10, 77, 0, 120),
                                "only hosts of the network"
                            );
                        }
                        Some(other) => panic!("{other:?}"),
                    }
                }
            }
        }
    }
    let discover_on_4011 = answer(Mode::Proxy, &message(1, &[pxe, arch]), true);
    assert_eq!(discover_on_4011.answer, Err(Unanswered::AddressServer));
}

#[test]
fn addresses_of_other_servers_are_attributed_to_their_machines() {
    let mut asked = message(3, &[(50, &[10, 77, 0, 120]), (54, &[10, 77, 0, 99])]);
    let mut leases = Leases::default();
    let mut take = |bytes: &[u8]| {
        let client = classify(bytes).unwrap();
        let Some(LeaseChange::Insert(lease)) = decided(Mode::Proxy, &client).change else {
            panic!("nothing was learned")
        };
        leases.insert(lease);
    };
    take(&asked);
    asked[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    take(&asked);
    let ip = Ipv4Addr::new(10, 77, 0, 120);
    let last = inventory_api::Mac([2, 0, 0, 0, 0, 9]);
    assert_eq!(
        leases.holder(ip, NOW),
        Some(last),
        "the last machine that took it"
    );
    assert_eq!(leases.holder(ip, NOW.plus_seconds(90_000)), None, "not forever");
}

#[test]
fn an_observer_answers_nothing_and_reports_what_it_would() {
    let pxe: &[(u8, &[u8])] = &[(60, b"PXEClient"), (93, &[0, 7])];
    for kind in [1u8, 3, 4, 7, 8] {
        for boot_server in [false, true] {
            let mut client = classify(&message(kind, pxe)).unwrap();
            client.to_boot_server = boot_server;
            let silent = Decision {
                answer: Err(Unanswered::Observing),
                change: None,
            };
            assert_eq!(decided(Mode::Observe, &client), silent);
        }
    }
    let client = classify(&message(1, pxe)).unwrap();
    let would =
        |network: &Network| would_answer(&client, network, &Leases::default(), TARGET, &URLS, NOW).unwrap();
    let as_server = would(&network(Mode::Observe));
    assert!(!as_server.proxy && as_server.address.octets()[..3] == [10, 77, 0]);
    let mut bare = network(Mode::Observe).settings().clone();
    bare.pools.clear();
    let as_proxy = would(&Network::new(bare).unwrap());
    assert!(as_proxy.proxy && as_proxy.address.is_unspecified());
    assert_eq!(as_proxy.boot, as_server.boot);
}
