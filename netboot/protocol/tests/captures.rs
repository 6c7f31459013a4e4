//! Every DHCP message of every capture is classified correctly, and answered or ignored for the right reason.
//! The expected results in captures.txt come from other programs; the captures themselves are not in the
//! repository.

use std::path::Path;

use inventory_api::UnixMs;
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::dhcp::{DhcpAnswer, DhcpMessage};
use netboot_protocol::*;

/// The frames of a pcap or pcapng file.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let little = matches!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1])
        || (bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) && bytes[8] == 0x4d);
    let word = |at: usize| {
        let four: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        (if little {
            u32::from_le_bytes(four)
        } else {
            u32::from_be_bytes(four)
        }) as usize
    };
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let mut at = 0;
        while at + 12 <= bytes.len() {
            if word(at) == 6 {
                frames.push(&bytes[at + 28..at + 28 + word(at + 20)]);
            }
            at += word(at + 4);
        }
    } else {
        let mut at = 24;
        while at + 16 <= bytes.len() {
            let end = (at + 16 + word(at + 8)).min(bytes.len());
            frames.push(&bytes[at + 16..end]);
            at = end;
        }
    }
    frames
}

/// Port and payload of a datagram to a DHCP server; first fragments count, as in tcpdump.
fn datagram(frame: &[u8]) -> Option<(u16, &[u8])> {
    let mut at = 12;
    while frame.get(at..at + 2)? == [0x81, 0] {
        at += 4;
    }
    let packet = frame.get(at + 2..)?;
    if frame[at..at + 2] != [8, 0] || *packet.get(9)? != 17 || packet[6] & 0x1f != 0 || packet[7] != 0 {
        return None;
    }
    let udp = packet.get(usize::from(packet[0] & 15) * 4..)?;
    let port = u16::from_be_bytes([*udp.get(2)?, *udp.get(3)?]);
    let len = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    (port == 67 || port == BOOT_SERVER_PORT).then(|| (port, &udp[8..len.clamp(8, udp.len())]))
}

fn network() -> Network {
    let mut settings =
        NetworkSettings::new("lab", "10.0.0.1".parse().unwrap(), "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: "10.0.0.100".parse().unwrap(),
        last: "10.0.0.200".parse().unwrap(),
    }];
    Network::new(settings).unwrap()
}

fn taken_for(network: &Network, port: u16, bytes: &[u8]) -> String {
    let mut client = match classify(bytes) {
        Ok(client) => client,
        Err(reason) => return reason.code().to_owned(),
    };
    client.to_boot_server = port == BOOT_SERVER_PORT;
    let urls = BootUrls {
        server: network.server(),
        http_port: 8067,
    };
    let target = BootTarget::MiniOs {
        purpose: Purpose::Commission,
    };
    let decision = decide(&client, network, &Leases::default(), target, &urls, UnixMs(0));
    let answer = match &decision.answer {
        Ok(content) => {
            let reply = encode(&client, network, content);
            assert!((300..=1472).contains(&reply.len()));
            assert_eq!(reply[4..8], client.xid.to_be_bytes());
            let loads = !matches!(content.boot, BootFile::None);
            assert_eq!(loads, client.kind.boots(), "{:?}", client.kind);
            DhcpAnswer::Sent(content.kind)
        }
        Err(silence) => (*silence).into(),
    };
    format!(
        "{} {} {answer}",
        DhcpMessage::from(client.message),
        client.kind.code()
    )
}

fn check(file: &Path, expected: &[(usize, String)]) {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let network = network();
    let mut got: Vec<(usize, String)> = Vec::new();
    for (port, payload) in frames(&bytes).into_iter().filter_map(datagram) {
        let what = taken_for(&network, port, payload);
        match got.last_mut() {
            Some((count, last)) if *last == what => *count += 1,
            _ => got.push((1, what)),
        }
    }
    assert_eq!(got, expected, "{}", file.display());
}

#[test]
fn every_message_is_classified_correctly() {
    let Some(dhcp) = fixtures::find("dhcp") else {
        return;
    };
    let mut files: Vec<(&str, Vec<(usize, String)>)> = Vec::new();
    for line in include_str!("captures.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        match line.strip_prefix("  ") {
            None => files.push((line, Vec::new())),
            Some(entry) => {
                let (count, what) = entry.split_once(' ').unwrap();
                files
                    .last_mut()
                    .unwrap()
                    .1
                    .push((count.parse().unwrap(), what.to_owned()));
            }
        }
    }
    assert!(files.len() >= 28, "{} captures", files.len());
    for (file, expected) in files {
        check(&dhcp.join(file), &expected);
    }
}
