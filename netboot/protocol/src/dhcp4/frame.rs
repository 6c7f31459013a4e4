//! Reads and writes the Ethernet frames we need: DHCP in UDP over IPv4 and IPv6, and ARP for IPv4 (RFC 826,
//! 5227); also ICMP echo, for addresses that are not on the link.

use std::net::{Ipv4Addr, Ipv6Addr};

use inventory_api::Mac;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const BROADCAST: [u8; 6] = [0xff; 6];
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;

fn ethernet(to: [u8; 6], from: Mac, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(400);
    frame.extend(to);
    frame.extend(from.0);
    frame.extend(ethertype.to_be_bytes());
    frame
}

/// The checksum field must still be zero (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum = !bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .fold(0, |sum, word| (sum + word) % 0xffff);
    (sum as u16).to_be_bytes()
}

/// A broadcast of a client without an address: from 0.0.0.0 port 68 to 255.255.255.255 port 67.
pub fn client_broadcast(from: Mac, payload: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, from, ETHERTYPE_IPV4);
    let (total, udp) = ((IPV4 + UDP + payload.len()) as u16, (UDP + payload.len()) as u16);
    let mut header = [
        0x45, 0x10, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    ];
    header[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    frame.extend(header);
    frame.extend([0, 68, 0, 67]);
    frame.extend(udp.to_be_bytes());
    // No checksum: optional over IPv4 (RFC 768), and the frame has its own.
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// A UDP datagram to `port` in a frame: the sender of the frame, of the packet, and the payload. Fragments
/// are ignored.
pub fn datagram_to(frame: &[u8], port: u16) -> Option<(Mac, Ipv4Addr, &[u8])> {
    let from = Mac(frame.get(6..12)?.try_into().ok()?);
    let packet = frame.get(ETHERNET..)?;
    let ipv4 = frame.get(12..14)? == ETHERTYPE_IPV4.to_be_bytes() && packet.first()? >> 4 == 4;
    let header = usize::from(packet.first()? & 15) * 4;
    let fragment = u16::from_be_bytes(packet.get(6..8)?.try_into().ok()?) & 0x3fff;
    if !ipv4 || header < IPV4 || fragment != 0 || *packet.get(9)? != 17 {
        return None;
    }
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    Some((from, source.into(), payload_to(packet.get(header..)?, port)?))
}

/// The payload of a UDP datagram to `port`.
fn payload_to(udp: &[u8], port: u16) -> Option<&[u8]> {
    let len = usize::from(u16::from_be_bytes(udp.get(4..6)?.try_into().ok()?));
    let ours = udp.get(2..4)? == port.to_be_bytes();
    udp.get(UDP..len).filter(|_| ours)
}

/// Like [`datagram_to`], for IPv6. Extension headers, and so fragments, are ignored.
pub fn datagram6_to(frame: &[u8], port: u16) -> Option<(Mac, Ipv6Addr, &[u8])> {
    let from = Mac(frame.get(6..12)?.try_into().ok()?);
    let packet = frame.get(ETHERNET..)?;
    let ipv6 = frame[12..14] == ETHERTYPE_IPV6.to_be_bytes() && packet.first()? >> 4 == 6;
    let header = packet.first_chunk::<IPV6>()?;
    let sender: [u8; 16] = header[8..24].try_into().ok()?;
    let payload = payload_to(packet.get(IPV6..)?, port)?;
    (ipv6 && header[6] == 17).then(|| (from, sender.into(), payload))
}

/// An ARP probe (RFC 5227, 2.1.1): asks who has `address` without claiming one.
pub fn arp_probe(from: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, from, ETHERTYPE_ARP);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(from.0);
    frame.extend([0; 4]);
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame.resize(60, 0);
    frame
}

/// Who claims which address in an ARP frame, request or reply.
pub fn arp_claim(frame: &[u8]) -> Option<(Mac, Ipv4Addr)> {
    let arp = frame.get(ETHERNET..ETHERNET + 28)?;
    let ours = frame[12..14] == ETHERTYPE_ARP.to_be_bytes() && arp[..6] == [0, 1, 8, 0, 6, 4];
    let mac = Mac(arp[8..14].try_into().ok()?);
    let ip = Ipv4Addr::new(arp[14], arp[15], arp[16], arp[17]);
    (ours && !ip.is_unspecified() && !mac.is_junk()).then_some((mac, ip))
}

/// An ICMP echo request (RFC 792), for a raw socket. `token`: identifier and sequence number, which the reply
/// repeats.
pub fn echo_request(token: u32) -> [u8; 8] {
    let mut message = [0; 8];
    message[0] = 8;
    message[4..].copy_from_slice(&token.to_be_bytes());
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    message
}

/// Who answers an echo request, and its token. `packet`: from a raw socket, with its IPv4 header.
pub fn echo_reply(packet: &[u8]) -> Option<(Ipv4Addr, u32)> {
    let header = usize::from(packet.first()? & 15) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let message = packet.get(header.max(IPV4)..)?;
    let token: [u8; 4] = message.get(4..8)?.try_into().ok()?;
    (packet[0] >> 4 == 4 && message[..2] == [0, 0]).then_some((source.into(), u32::from_be_bytes(token)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_datagram_round_trips_with_a_valid_header_checksum() {
        let frame = client_broadcast(MAC, b"payload");
        assert_eq!(
            datagram_to(&frame, 67),
            Some((MAC, Ipv4Addr::UNSPECIFIED, &b"payload"[..]))
        );
        assert_eq!(datagram_to(&frame, 68), None);
        let sum: u32 = frame[14..34]
            .chunks_exact(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "RFC 791: ones' complement");
        for cut in 0..frame.len() {
            assert_eq!(datagram_to(&frame[..cut], 67), None, "cut at {cut}");
        }
        let mut fragment = frame.clone();
        fragment[20] = 0x20;
        assert_eq!(datagram_to(&fragment, 67), None);
    }

    #[test]
    fn an_echo_reply_carries_its_token() {
        let mut reply = vec![
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 88, 0, 9, 10, 77, 0, 1,
        ];
        reply.extend(echo_request(0xdead_beef));
        assert_eq!(
            reply[20..24],
            [8, 0, 0x5a, 0x62],
            "RFC 1071 by hand: !(0800+dead+beef)"
        );
        assert_eq!(echo_reply(&reply), None, "our own question");
        reply[20] = 0;
        let answer = Some((Ipv4Addr::new(10, 88, 0, 9), 0xdead_beef));
        assert_eq!(echo_reply(&reply), answer);
        for cut in 0..reply.len() {
            assert_eq!(echo_reply(&reply[..cut]), None, "cut at {cut}");
        }
        reply.splice(20..20, [1; 4]);
        reply[0] = 0x46;
        assert_eq!(echo_reply(&reply), answer, "with IP options");
    }

    #[test]
    fn a_datagram_by_ipv6_is_read_with_its_sender() {
        let sender: Ipv6Addr = "fe80::9".parse().unwrap();
        let mut frame = ethernet([2; 6], MAC, ETHERTYPE_IPV6);
        frame.extend([0x60, 0, 0, 0, 0, 12, 17, 64]);
        frame.extend(sender.octets());
        frame.extend([0; 16]);
        frame.extend([2, 35, 2, 34, 0, 12, 0, 0]);
        frame.extend(b"load");
        assert_eq!(datagram6_to(&frame, 546), Some((MAC, sender, &b"load"[..])));
        assert_eq!(datagram6_to(&frame, 547), None);
        for cut in 0..frame.len() {
            assert_eq!(datagram6_to(&frame[..cut], 546), None, "cut at {cut}");
        }
        let mut fragment = frame.clone();
        fragment[20] = 44;
        assert_eq!(datagram6_to(&fragment, 546), None);
    }

    #[test]
    fn arp_probes_claim_nothing_and_answers_do() {
        let ip = Ipv4Addr::new(10, 0, 0, 9);
        let mut frame = arp_probe(MAC, ip);
        assert_eq!(frame.len(), 60, "the shortest Ethernet frame");
        assert_eq!(arp_claim(&frame), None, "a probe has no sender address");
        frame[28..32].copy_from_slice(&ip.octets());
        assert_eq!(arp_claim(&frame), Some((MAC, ip)));
        frame[12] = 0x86;
        assert_eq!(arp_claim(&frame), None);
    }

    proptest! {
        #[test]
        fn any_frame_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), ip in any::<bool>()) {
            let mut frame = bytes;
            if frame.len() > 14 {
                frame[12..14].copy_from_slice(if ip { &[8, 0] } else { &[8, 6] });
                if ip { frame[14] = 0x40 | (frame[14] & 15); }
            }
            let _ = datagram_to(&frame, 68);
            let _ = datagram6_to(&frame, 546);
            let _ = arp_claim(&frame);
        }
    }
}
