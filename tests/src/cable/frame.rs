//! What a switch may read and change: DHCP options and TFTP requests in an Ethernet frame.

use super::{Filter, Towards};

/// The options by which iPXE identifies itself: user class and encapsulated options.
const OF_IPXE: [u8; 2] = [77, 175];
/// Ports of DHCP messages, and of requests for boot data only.
const DHCP_SERVERS: [u16; 2] = [67, 4011];

/// Offset of the UDP header behind Ethernet and the shortest IPv4 header.
const ETHERNET: usize = 14;
/// BOOTP's fixed part and the magic cookie.
const BOOTP: usize = 240;

/// Where the payload of a UDP datagram over IPv4 begins, and its ports; `None` if the frame is something
/// else.
fn udp(frame: &[u8]) -> Option<(usize, [u16; 2])> {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let header = usize::from(frame.get(ETHERNET)? & 15) * 4;
    let is_udp = word(12)? == 0x0800 && *frame.get(ETHERNET + 9)? == 17;
    let start = ETHERNET + header;
    (is_udp && word(start + 6).is_some()).then_some((start + 8, [word(start)?, word(start + 2)?]))
}

/// Removes options from a DHCP message to this port, leaving pad bytes. True if there was one.
pub fn blank_options(frame: &mut [u8], to_port: u16, codes: &[u8]) -> bool {
    let Some((payload, [_, to])) = udp(frame) else {
        return false;
    };
    if to != to_port || frame.len() < payload + BOOTP {
        return false;
    }
    let (mut at, mut found) = (payload + BOOTP, false);
    while let Some(&code) = frame.get(at).filter(|code| **code != 255) {
        if code == 0 {
            at += 1;
            continue;
        }
        let Some(end) = frame.get(at + 1).map(|len| at + 2 + usize::from(*len)) else {
            break;
        };
        if codes.contains(&code) && end <= frame.len() {
            frame[at..end].fill(0);
            found = true;
        }
        at = end;
    }
    if found {
        // No checksum (RFC 768).
        frame[payload - 2..payload].fill(0);
    }
    found
}

/// The file name in a TFTP read request.
pub fn read_request(frame: &[u8]) -> Option<String> {
    let (payload, [_, to]) = udp(frame)?;
    let name = frame.get(payload..)?.strip_prefix(&[0, 1])?;
    let end = name.iter().position(|b| *b == 0)?;
    (to == 69).then(|| String::from_utf8_lossy(&name[..end]).into_owned())
}

/// QEMU's BIOS ROMs are iPXE with HTTP, which gets its script at once. This filter removes what identifies
/// iPXE from their DHCP messages, which makes them plain PXE firmware, until `last` has been requested by
/// TFTP.
pub fn plain_pxe(last: &'static str) -> Filter {
    let mut firmware = true;
    Box::new(move |towards, frame| {
        if towards == Towards::Bridge && firmware {
            for port in DHCP_SERVERS {
                blank_options(frame, port, &OF_IPXE);
            }
            firmware = read_request(frame).as_deref() != Some(last);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET];
        frame[12] = 8;
        frame.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend(68u16.to_be_bytes());
        frame.extend(to.to_be_bytes());
        frame.extend([0, 0, 9, 9]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn options_are_taken_out_and_nothing_else_is_touched() {
        let mut message = vec![7; BOOTP];
        message.extend([
            53, 1, 1, 77, 4, b'i', b'P', b'X', b'E', 60, 1, 77, 175, 2, 1, 1, 255, 77, 1, 1,
        ]);
        let before = frame(67, &message);
        let mut after = before.clone();
        assert!(blank_options(&mut after, 67, &[77, 175]));
        let options = &after[after.len() - 20..];
        assert_eq!(
            options,
            [53, 1, 1, 0, 0, 0, 0, 0, 0, 60, 1, 77, 0, 0, 0, 0, 255, 77, 1, 1]
        );
        assert_eq!(after[40..42], [0, 0], "checksum");
        assert_eq!(after[42..42 + BOOTP], before[42..42 + BOOTP]);
        for (port, cut) in [(68, before.len()), (67, 60), (67, before.len() - 12)] {
            let mut other = before[..cut].to_vec();
            blank_options(&mut other, port, &[175]);
            assert_eq!(other, before[..cut], "{port} {cut}");
        }
    }

    #[test]
    fn a_read_request_names_its_file() {
        let request = frame(69, b"\0\x01undionly.kpxe\0octet\0");
        assert_eq!(read_request(&request).as_deref(), Some("undionly.kpxe"));
        assert_eq!(read_request(&frame(67, b"\0\x01undionly.kpxe\0octet\0")), None);
        assert_eq!(read_request(&request[..50]), None);
    }
}
