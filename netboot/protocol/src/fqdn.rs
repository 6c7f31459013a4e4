//! The answer to a client that sends its name (RFC 4702 for option 81, RFC 4704 for DHCPv6's option 39).
//!
//! Slipway never updates the DNS, and the flags say so. The name it returns is that of the machine's
//! deployment, else the client's own.

use crate::names::labels;

/// The server updates the client's address record (A, AAAA).
const S: u8 = 1;
/// The server overrides what the client asked for.
const O: u8 = 2;
/// The name is in DNS labels, not in ASCII (DHCPv4 only).
const E: u8 = 4;
/// The server updates nothing; in DHCPv6 this bit has the value of `E`.
const N: u8 = 8;
const N_V6: u8 = 4;

/// The longest name in labels (RFC 1035, 2.3.4).
const LONGEST: usize = 255;

/// The answer to a client's option 81; `None`: the client's is truncated. `host_name`: the machine's own, a
/// single label.
pub(crate) fn answer(sent: &[u8], host_name: Option<&str>, domain: Option<&str>) -> Option<Vec<u8>> {
    let (head, name) = sent.split_first_chunk::<3>()?;
    let mut name = if head[0] & E == 0 {
        std::str::from_utf8(name).map(labels).unwrap_or_default()
    } else {
        in_labels(name)
    };
    complete(&mut name, host_name, domain);
    let text = head[0] & E == 0;
    let flags = head[0] & E | N | overrides(head[0]);
    let name = if text { dotted(&name) } else { name };
    // Both result codes are 255: obsolete (RFC 4702, 3.2).
    Some([&[flags, 255, 255], &name[..]].concat())
}

/// The answer to DHCPv6's option 39, like [`answer`].
pub(crate) fn answer_v6(sent: &[u8], domain: Option<&str>) -> Option<Vec<u8>> {
    let (flags, name) = sent.split_first()?;
    let mut name = in_labels(name);
    complete(&mut name, None, domain);
    Some([&[N_V6 | overrides(*flags)], &name[..]].concat())
}

/// `O`, if the client wants what we do not do.
fn overrides(flags: u8) -> u8 {
    if flags & S == 0 { 0 } else { O }
}

/// Replaces the first label by the machine's host name, and adds the domain to a name without one. A name
/// that ends in an empty label is complete.
fn complete(name: &mut Vec<u8>, host_name: Option<&str>, domain: Option<&str>) {
    if let Some(host_name) = host_name {
        *name = labels(host_name);
    }
    let tail = domain.map(labels).unwrap_or_default();
    let single = name
        .first()
        .is_some_and(|len| name.len() == usize::from(*len) + 1);
    if single && *name != [0] && !tail.is_empty() && name.len() + tail.len() < LONGEST {
        name.extend(tail);
        name.push(0);
    }
}

/// The labels a client sent, if they are well formed: no pointers, not longer than a name. Empty if they are
/// not.
fn in_labels(sent: &[u8]) -> Vec<u8> {
    if sent.len() > LONGEST {
        return Vec::new();
    }
    let mut rest = sent;
    while let [len, tail @ ..] = rest {
        match (len, tail.get(usize::from(*len)..)) {
            (0, Some([])) => return sent.to_vec(),
            (1..=63, Some(after)) => rest = after,
            _ => return Vec::new(),
        }
    }
    sent.to_vec()
}

/// Labels joined by dots.
fn dotted(name: &[u8]) -> Vec<u8> {
    let (mut rest, mut text) = (name, Vec::new());
    while let [len, tail @ ..] = rest {
        let Some((label, after)) = tail.split_at_checked(usize::from(*len)) else {
            break;
        };
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend(label);
        rest = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_and_names() {
        for (sent, host, domain, expected) in [
            // No flags: N, nothing overridden.
            (
                &b"\x04\0\0\x03web\x03lab\0"[..],
                None,
                None,
                &b"\x0c\xff\xff\x03web\x03lab\0"[..],
            ),
            // S: the client wants its address record updated; we do not.
            (
                b"\x05\0\0\x03web",
                None,
                Some("lab.example"),
                b"\x0e\xff\xff\x03web\x03lab\x07example\0",
            ),
            // N: the client wants nothing.
            (b"\x0c\0\0\x03web", None, None, b"\x0c\xff\xff\x03web"),
            // The machine's own name wins.
            (
                b"\x05\0\0\x03old\x01x\0",
                Some("web-7"),
                Some("lab"),
                b"\x0e\xff\xff\x05web-7\x03lab\0",
            ),
            (
                b"\x04\0\0\x03old\x01x\0",
                Some("web-7"),
                None,
                b"\x0c\xff\xff\x05web-7",
            ),
            // In ASCII, which is obsolete and still sent.
            (b"\x01\0\0web", None, Some("lab"), b"\x0a\xff\xffweb.lab."),
            (b"\x00\0\0web.other", None, Some("lab"), b"\x08\xff\xffweb.other"),
            // No name, or an invalid one.
            (b"\x04\0\0", None, Some("lab"), b"\x0c\xff\xff"),
            (b"\x04\0\0\x00", None, Some("lab"), b"\x0c\xff\xff\x00"),
            (b"\x04\0\0\xc0\x0c", None, Some("lab"), b"\x0c\xff\xff"),
            (b"\x04\0\0\x09web", None, Some("lab"), b"\x0c\xff\xff"),
            (b"\x00\0\0\xff\xfe", None, Some("lab"), b"\x08\xff\xff"),
        ] {
            let got = answer(sent, host, domain);
            assert_eq!(got.as_deref(), Some(expected), "{sent:?}");
        }
        assert_eq!(answer(b"\x04\0", None, None), None);
        assert_eq!(
            answer_v6(b"\x01\x03web", Some("lab")).as_deref(),
            Some(&b"\x06\x03web\x03lab\0"[..])
        );
        assert_eq!(answer_v6(b"", None), None);
    }

    proptest! {
        #[test]
        fn any_bytes_get_a_bounded_answer(sent in proptest::collection::vec(any::<u8>(), 0..600)) {
            for host in [None, Some("web-7")] {
                let answer = answer(&sent, host, Some("lab.example")).unwrap_or_default();
                prop_assert!(answer.len() <= 3 + LONGEST + 1, "{}", answer.len());
                let _ = answer_v6(&sent, Some("lab.example"));
            }
        }
    }
}
