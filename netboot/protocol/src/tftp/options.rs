//! Which options of a client's request are accepted.

use std::time::Duration;

use super::packet::Request;

/// Block size without the option (RFC 1350).
const DEFAULT_BLOCK: u16 = 512;
/// Smallest and largest block of RFC 2348.
const BLOCKS: std::ops::RangeInclusive<u16> = 8..=65_464;
/// IPv4, UDP and TFTP header: 20 + 8 + 4 bytes.
const HEADERS_V4: u32 = 32;
/// IPv6, UDP and TFTP header: 40 + 8 + 4 bytes.
const HEADERS_V6: u32 = 52;
/// Largest window. RFC 7440 allows 65535, and U-Boot asks for it; more than this overruns the client's
/// buffer.
const LARGEST_WINDOW: u16 = 64;

/// Upper limits for options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest block, in bytes.
    pub block: u16,
    /// Largest window, in blocks.
    pub window: u16,
}

impl Limits {
    /// For a path with this MTU, so that no block is fragmented: few boot ROMs reassemble fragments.
    pub fn for_mtu(mtu: u32, v6: bool) -> Limits {
        let fits = mtu.saturating_sub(if v6 { HEADERS_V6 } else { HEADERS_V4 });
        let block = u16::try_from(fits).unwrap_or(u16::MAX);
        Limits {
            block: block.clamp(DEFAULT_BLOCK, *BLOCKS.end()),
            window: LARGEST_WINDOW,
        }
    }

    /// Lowers the block size to `block`, if given, but never below what every client accepts.
    pub fn at_most(self, block: Option<u16>) -> Limits {
        let most = block.unwrap_or(u16::MAX).max(DEFAULT_BLOCK);
        Limits {
            block: self.block.min(most),
            ..self
        }
    }
}

/// The options of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes in each block but the last.
    pub block: u16,
    /// Blocks sent before waiting for an ACK; at least 1.
    pub window: u16,
    /// Longest pause before a packet is repeated, if the client asks for one.
    pub timeout: Option<Duration>,
    /// The OACK; `None` if no option was accepted, so that the first block is the answer.
    pub oack: Option<Vec<u8>>,
}

impl Accepted {
    /// No options: 512 bytes, one block at a time.
    pub fn none() -> Accepted {
        Accepted {
            block: DEFAULT_BLOCK,
            window: 1,
            timeout: None,
            oack: None,
        }
    }
}

/// Accepts the known options of a request, lowered to the limits. Others are left out of the OACK, which
/// tells the client so (RFC 2347). Of a repeated option the first counts.
pub fn negotiate(request: &Request<'_>, file_len: u64, limits: Limits) -> Accepted {
    let mut accepted = Accepted::none();
    let mut oack = vec![0, 6];
    let mut taken: [bool; 4] = [false; 4];
    for (name, value) in request.options() {
        let known = ["blksize", "windowsize", "timeout", "tsize"];
        let Some(which) = known.iter().position(|k| name.eq_ignore_ascii_case(k.as_bytes())) else {
            continue;
        };
        let Some(asked) = number(value).filter(|_| !taken[which]) else {
            continue;
        };
        let answer = match which {
            0 if asked >= u64::from(*BLOCKS.start()) => {
                accepted.block = lowered(asked, limits.block);
                u64::from(accepted.block)
            }
            1 if asked >= 1 => {
                accepted.window = lowered(asked, limits.window.max(1));
                u64::from(accepted.window)
            }
            // RFC 2349: 1 to 255 s, echoed unchanged or not at all.
            2 if (1..=255).contains(&asked) => {
                accepted.timeout = Some(Duration::from_secs(asked));
                asked
            }
            3 => file_len,
            _ => continue,
        };
        taken[which] = true;
        // In the client's own spelling: some compare it byte by byte.
        oack.extend_from_slice(name);
        oack.push(0);
        oack.extend_from_slice(answer.to_string().as_bytes());
        oack.push(0);
    }
    accepted.oack = taken.contains(&true).then_some(oack);
    accepted
}

fn lowered(asked: u64, limit: u16) -> u16 {
    u16::try_from(asked).unwrap_or(u16::MAX).min(limit)
}

/// A decimal number; signs, spaces and more than 19 digits are rejected.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(value).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Packet, parse};
    use super::*;

    const ETHERNET: u32 = 1500;

    fn taken(options: &str) -> (Accepted, String) {
        let datagram = format!("\0\x01x\0octet\0{options}");
        let Ok(Packet::Read(request)) = parse(datagram.as_bytes()) else {
            panic!("{options:?}")
        };
        let accepted = negotiate(&request, 70_000, Limits::for_mtu(ETHERNET, false));
        let oack = accepted.oack.clone().unwrap_or_default();
        let text = String::from_utf8(oack.get(2..).unwrap_or_default().to_vec()).unwrap();
        (accepted, text)
    }

    #[test]
    fn edk2_gets_what_it_asks_for() {
        let (accepted, oack) = taken("tsize\x000\0blksize\x001468\0windowsize\x004\0");
        assert_eq!((accepted.block, accepted.window), (1468, 4));
        assert_eq!(oack, "tsize\x0070000\0blksize\x001468\0windowsize\x004\0");
    }

    #[test]
    fn excessive_options_are_lowered() {
        let (accepted, oack) = taken("blksize\x0065464\0windowsize\x0065535\0timeout\x00255\0");
        assert_eq!((accepted.block, accepted.window), (1468, 64));
        assert_eq!(accepted.timeout, Some(Duration::from_secs(255)));
        assert_eq!(oack, "blksize\x001468\0windowsize\x0064\0timeout\x00255\0");
        let (accepted, _) = taken("blksize\x0099999999999\0windowsize\x0018446744073709551615\0");
        assert_eq!(
            (accepted.block, accepted.window),
            (1468, 1),
            "20 digits are not a number"
        );
    }

    #[test]
    fn invalid_options_are_left_out() {
        for options in [
            "",
            "blksize\x007\0",
            "blksize\x00\0",
            "blksize\x00-8\0",
            "blksize\x0010x\0",
            "windowsize\x000\0",
            "timeout\x000\0",
            "timeout\x00256\0",
            "multicast\x00\0",
            "utimeout\x001000\0",
        ] {
            assert_eq!(taken(options), (Accepted::none(), String::new()), "{options:?}");
        }
        let (accepted, oack) = taken("BlkSize\x001024\0blksize\x00512\0multicast\0\0TSIZE\x000\0");
        assert_eq!(accepted.block, 1024);
        assert_eq!(oack, "BlkSize\x001024\0TSIZE\x0070000\0");
    }

    #[test]
    fn no_block_exceeds_a_packet() {
        assert_eq!(Limits::for_mtu(1500, false).block, 1468);
        assert_eq!(Limits::for_mtu(1500, true).block, 1448);
        assert_eq!(Limits::for_mtu(9000, false).block, 8968);
        assert_eq!(Limits::for_mtu(65_536, false).block, 65_464);
        assert_eq!(Limits::for_mtu(0, false).block, 512);
        let ethernet = Limits::for_mtu(1500, false);
        for (most, block) in [
            (None, 1468),
            (Some(1024), 1024),
            (Some(9000), 1468),
            (Some(0), 512),
        ] {
            assert_eq!(ethernet.at_most(most).block, block, "{most:?}");
        }
    }
}
