//! Every captured packet is classified correctly. The captures are not in the repository.

use std::path::PathBuf;

use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::dhcp::DhcpMessage;
use inventory_api::{Mac, UnixMs};
use netboot_protocol::*;

/// Exercises everything that can be done with a datagram, to find panics.
fn exercise(bytes: &[u8]) {
    let mut settings =
        NetworkSettings::new("lab", "10.0.0.1".parse().unwrap(), "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: "10.0.0.100".parse().unwrap(),
        last: "10.0.0.200".parse().unwrap(),
    }];
    let network = Network::new(settings).unwrap();
    let urls = BootUrls {
        server: network.server(),
        http_port: 8067,
    };
    let Ok(client) = classify(bytes) else { return };
    let target = BootTarget::MiniOs {
        purpose: Purpose::Commission,
    };
    let decision = decide(&client, &network, &Leases::default(), target, &urls, UnixMs(0));
    if let Ok(content) = decision.answer {
        let reply = encode(&client, &network, &content);
        assert!((300..=1472).contains(&reply.len()));
        let _ = destination(&client, &network, &content);
    }
}

/// The facts of `## dport 67 type 1 len 400 ...` and the lines below it.
#[test]
fn firmware_vectors() {
    let Some(dhcp) = fixtures::find("dhcp") else {
        return;
    };
    let text = std::fs::read_to_string(dhcp.join("firmware-vectors/client-messages.txt")).unwrap();
    let mut seen = 0;
    for block in text.split("## ").filter(|block| block.starts_with("dport")) {
        let word = |name: &str| {
            let mut words = block.split_ascii_whitespace();
            words.find(|w| *w == name);
            words.next().unwrap()
        };
        let after = |name: &str| {
            let start = block.find(name).map(|at| &block[at + name.len()..])?;
            start.split_ascii_whitespace().next()
        };
        let hex = after("hex ").unwrap();
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let client = classify(&bytes).unwrap_or_else(|reason| panic!("{}: {block}", reason.code()));
        assert_eq!(bytes.len(), word("len").parse::<usize>().unwrap());
        let message = match word("type") {
            "1" => MessageKind::Discover,
            "3" => MessageKind::Request,
            other => panic!("type {other}"),
        };
        assert_eq!(client.message, message);
        assert_eq!(format!("{:04x}", client.flags), word("flags"));
        let arch = after(" 93=").unwrap();
        assert_eq!(client.architectures, [u16::from_str_radix(arch, 16).unwrap()]);
        let kind = match (after(" 77="), arch) {
            (Some("b'iPXE'"), "0000") => ClientKind::Ipxe {
                http: true,
                efi: false,
            },
            (Some("b'iPXE'"), "0007") => ClientKind::Ipxe {
                http: true,
                efi: true,
            },
            (_, "0000") => ClientKind::Bios,
            (_, "0007") => ClientKind::UefiX64,
            (_, "0010") => ClientKind::UefiX64Http,
            other => panic!("{other:?}"),
        };
        assert_eq!(client.kind, kind, "{block}");
        let size = u16::from_str_radix(after(" 57=").unwrap(), 16).unwrap();
        assert_eq!(client.max_size, Some(size));
        let junk_guid = after(" 97=").unwrap().bytes().all(|c| c == b'0');
        assert_eq!(client.guid.is_none(), junk_guid);
        exercise(&bytes);
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} messages read");
}

/// Single datagrams; what each is was read by hand from its capture.
#[test]
fn client_packets() {
    let Some(dhcp) = fixtures::find("dhcp") else {
        return;
    };
    let mut seen = 0;
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dhcp.join("client-packets"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    entries.sort();
    for path in entries {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        exercise(&bytes);
        let Some((family, number)) = name.split_once('-') else {
            continue;
        };
        let number: u32 = number.parse().unwrap();
        let got = match classify(&bytes) {
            Ok(client) => format!("{} {}", DhcpMessage::from(client.message), client.kind.code()),
            Err(reason) => reason.code().to_owned(),
        };
        let kind = match (family, number) {
            ("dhcp4", 0 | 1 | 10..=13 | 30 | 31 | 133 | 134 | 163) | ("pxe4011", 32) => "ipxe",
            ("dhcp4", 94 | 95 | 131 | 132) => "uefi-x64",
            ("dhcp4", 161 | 162) => "uefi-x64-http",
            ("dhcp4", 264 | 268) | ("pxe4011", 269) => "bios",
            ("dhcp4", _) => "other",
            _ => "",
        };
        let requests = [
            1, 11, 13, 23, 29, 31, 92, 95, 132, 134, 162, 168, 170, 183, 186, 188, 191, 198, 203, 249, 250,
            258, 259, 265, 268,
        ];
        let expected = match (family, number) {
            ("pxe4011", 270) => "not-a-request".to_owned(),
            ("dhcp4", 193 | 194 | 255) => "bad-cookie".to_owned(),
            ("dhcp4", 189 | 192 | 195 | 196) => "message-type".to_owned(), // lease queries
            ("dhcp4", 251) => format!("decline {kind}"),
            ("dhcp4", 252) => format!("release {kind}"),
            ("dhcp4", 253 | 257) => format!("inform {kind}"),
            ("pxe4011", _) => format!("request {kind}"),
            ("dhcp4", n) if requests.contains(&n) => format!("request {kind}"),
            ("dhcp4", _) => format!("discover {kind}"),
            // DHCPv6 and TFTP: anything but a client.
            _ => {
                assert!(classify(&bytes).is_err(), "{name}: {got}");
                seen += 1;
                continue;
            }
        };
        assert_eq!(got, expected, "{name}");
        seen += 1;
    }
    assert!(seen >= 100, "only {seen} packets read");
}

/// Whatever is in the captures, including fuzz seeds: no panic at any offset, and no client with a junk
/// address.
#[test]
fn captures_and_fuzz_seeds() {
    let Some(dhcp) = fixtures::find("dhcp") else {
        return;
    };
    let mut folders = vec![dhcp];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if !path.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            // A DHCP message is somewhere in the file: try every place where one could start.
            for start in 0..bytes.len().min(60_000) {
                if bytes[start..].starts_with(&[1, 1]) {
                    let datagram = &bytes[start..bytes.len().min(start + 1000)];
                    exercise(datagram);
                    if let Ok(client) = classify(datagram) {
                        assert!(client.mac != Mac([0; 6]) && !client.mac.is_junk());
                    }
                }
            }
            files += 1;
        }
    }
    assert!(files >= 20, "only {files} captures read");
}
