//! Datagrams. Parsing is lenient where boot ROMs are sloppy and the meaning is plain; the quirks are from
//! `measured` (table 1.1, section 2.5) and the threads named.

/// The error codes we send (RFC 1350, RFC 2347).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// See the text.
    Other = 0,
    /// File not found.
    NotFound = 1,
    /// Writing is not allowed.
    AccessViolation = 2,
    /// Not a request we understand.
    IllegalOperation = 4,
}

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A read request.
    Read(Request<'a>),
    /// All blocks up to this number (modulo 65536) arrived.
    Ack(u16),
    /// Ends the transfer, with this code.
    Error(u16),
}

/// How the file's bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferMode {
    /// Unchanged.
    Octet,
    /// Lines end in CR LF, a lone CR is CR NUL.
    Netascii,
}

/// A read request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The file name as sent; see [`table_name`].
    pub name: &'a [u8],
    /// The mode.
    pub mode: TransferMode,
    options: &'a [u8],
}

impl<'a> Request<'a> {
    /// The options as sent, name and value. Padding, and a name without a value at the end, are left out:
    /// ROMs send both and mean nothing by it.
    pub fn options(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            loop {
                let name = word(&mut rest)?;
                if name.is_empty() {
                    continue;
                }
                return Some((name, word(&mut rest)?));
            }
        })
    }
}

/// Why a datagram is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRequest {
    /// A write request.
    #[error("writing is not allowed")]
    Write,
    /// A read request that is truncated or has no file name.
    #[error("the read request is truncated")]
    CutOff,
    /// Neither octet nor netascii.
    #[error("the mode is neither octet nor netascii")]
    Mode,
    /// Not a TFTP operation.
    #[error("not a TFTP operation")]
    Unknown,
    /// A packet of a transfer that has ended or never existed. Like an ERROR, it is not answered.
    #[error("not a request")]
    Stray,
}

impl RefusedRequest {
    /// The code of the ERROR that answers it.
    pub fn code(self) -> ErrorCode {
        if self == RefusedRequest::Write {
            ErrorCode::AccessViolation
        } else {
            ErrorCode::IllegalOperation
        }
    }
}

/// Takes a NUL-terminated word off the front; `None` if there is none.
fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|b| *b == 0)?;
    let found = &rest[..end];
    *rest = &rest[end + 1..];
    Some(found)
}

/// Parses a client's datagram. Bytes after the fields of an ACK or ERROR are ignored.
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, RefusedRequest> {
    match *datagram {
        [0, 1, ref rest @ ..] => {
            let mut rest = rest;
            let name = word(&mut rest).ok_or(RefusedRequest::CutOff)?;
            let mode = word(&mut rest).ok_or(RefusedRequest::CutOff)?;
            let mode = if mode.eq_ignore_ascii_case(b"octet") {
                TransferMode::Octet
            } else if mode.eq_ignore_ascii_case(b"netascii") {
                TransferMode::Netascii
            } else {
                return Err(RefusedRequest::Mode);
            };
            Ok(Packet::Read(Request {
                name,
                mode,
                options: rest,
            }))
        }
        [0, 2, ..] => Err(RefusedRequest::Write),
        [0, 4, high, low, ..] => Ok(Packet::Ack(u16::from_be_bytes([high, low]))),
        [0, 5, high, low, ..] => Ok(Packet::Error(u16::from_be_bytes([high, low]))),
        // DATA, OACK, and anything too short for an ACK or ERROR.
        [] | [0, 3..=6, ..] => Err(RefusedRequest::Stray),
        _ => Err(RefusedRequest::Unknown),
    }
}

/// The name to look up for the name a client sent. Leading and doubled slashes are removed (shim asks for
/// `//grubx64.efi`), backslashes become slashes (Windows loaders), and trailing 0xFF is dropped (a ROM that
/// read the byte after an unterminated option 67, netbootxyz/netboot.xyz#1198). `None`: no name of ours can
/// be meant.
pub fn table_name(sent: &[u8]) -> Option<String> {
    let end = sent.iter().rposition(|b| *b != 0xff)?;
    let text = std::str::from_utf8(&sent[..=end]).ok()?;
    let parts: Vec<&str> = text
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let foreign = |part: &&str| *part == ".." || part.chars().any(char::is_control);
    (!parts.is_empty() && !parts.iter().any(foreign)).then(|| parts.join("/"))
}

/// The bytes of a file in mode netascii (RFC 764: lines end in CR LF, a CR that ends no line is CR NUL).
pub fn netascii(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(file.len() + file.len() / 16);
    for byte in file {
        match byte {
            b'\n' => out.extend(b"\r\n"),
            b'\r' => out.extend(b"\r\0"),
            other => out.push(*other),
        }
    }
    out
}

/// The first four bytes of a DATA packet. `block` does not wrap; the wire has its low 16 bits (65535 is
/// followed by 0).
pub fn data_head(block: u64) -> [u8; 4] {
    let [.., high, low] = block.to_be_bytes();
    [0, 3, high, low]
}

/// An ERROR packet.
pub fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    let mut packet = vec![0, 5, 0, code as u8];
    packet.extend(text.bytes().filter(|b| *b != 0));
    packet.push(0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datagram: &[u8]) -> Request<'_> {
        match parse(datagram) {
            Ok(Packet::Read(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn options(datagram: &[u8]) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        read(datagram)
            .options()
            .map(|(n, v)| (text(n), text(v)))
            .collect()
    }

    #[test]
    fn requests_of_real_clients() {
        let edk2 = b"\0\x01snponly.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0";
        assert_eq!(read(edk2).name, b"snponly.efi");
        assert_eq!(
            options(edk2),
            [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")]
        );
        assert_eq!(read(b"\0\x01x\0OcTeT\0").mode, TransferMode::Octet);
        assert_eq!(read(b"\0\x01x\0netascii\0").mode, TransferMode::Netascii);
    }

    #[test]
    fn padding_and_odd_ends_are_ignored() {
        assert_eq!(options(b"\0\x01x\0octet\0\0\0\0\0\0\0"), []);
        assert_eq!(
            options(b"\0\x01x\0octet\0blksize\x001024\0\0\0\0"),
            [("blksize", "1024")]
        );
        assert_eq!(
            options(b"\0\x01x\0octet\0blksize\x001024\0tsize"),
            [("blksize", "1024")]
        );
        assert_eq!(
            options(b"\0\x01x\0octet\0blksize\x001024\0tsize\x000"),
            [("blksize", "1024")]
        );
        assert_eq!(options(b"\0\x01x\0octet\0abc"), []);
    }

    #[test]
    fn every_invalid_request_has_an_error_code() {
        for (datagram, expected, code) in [
            (&b"\0\x01name"[..], RefusedRequest::CutOff, 4),
            (b"\0\x01", RefusedRequest::CutOff, 4),
            (b"\0\x01name\0", RefusedRequest::CutOff, 4),
            (b"\0\x01name\0octe", RefusedRequest::CutOff, 4),
            (b"\0\x01name\0mail\0", RefusedRequest::Mode, 4),
            (b"\0\x02name\0octet\0", RefusedRequest::Write, 2),
            (b"\0\x02", RefusedRequest::Write, 2),
            (b"", RefusedRequest::Stray, 4),
            (b"\0", RefusedRequest::Unknown, 4),
            (b"\0\x03\0\x01x", RefusedRequest::Stray, 4),
            (b"\0\x04\0", RefusedRequest::Stray, 4),
            (b"\0\x05\0", RefusedRequest::Stray, 4),
            (b"\0\x06x\0", RefusedRequest::Stray, 4),
            (b"\0\x09\0\x01", RefusedRequest::Unknown, 4),
            (b"\x01\x01x\0octet\0", RefusedRequest::Unknown, 4),
        ] {
            assert_eq!(parse(datagram), Err(expected), "{datagram:?}");
            assert_eq!(expected.code() as u8, code);
        }
        assert_eq!(parse(b"\0\x04\x01\x02tail"), Ok(Packet::Ack(0x102)));
        assert_eq!(parse(b"\0\x05\0\x08no\0tail"), Ok(Packet::Error(8)));
        assert_eq!(parse(b"\0\x05\0\x08"), Ok(Packet::Error(8)));
    }

    #[test]
    fn names() {
        for (sent, expected) in [
            (&b"a.efi"[..], Some("a.efi")),
            (b"/a.efi", Some("a.efi")),
            (b"//a.efi", Some("a.efi")),
            (b"\\a.efi", Some("a.efi")),
            (b"\\EFI\\BOOT\\a.efi", Some("EFI/BOOT/a.efi")),
            (b"./grub//x86_64-efi/./fs.lst", Some("grub/x86_64-efi/fs.lst")),
            (b"a.efi\xff", Some("a.efi")),
            (b"a.efi\xff\xff", Some("a.efi")),
            (b"a\xff.efi", None),
            (b"\xff", None),
            (b"", None),
            (b"/", None),
            (b".", None),
            (b"../a.efi", None),
            (b"a/../b", None),
            (b"a\n.efi", None),
        ] {
            assert_eq!(table_name(sent).as_deref(), expected, "{sent:?}");
        }
    }

    #[test]
    fn netascii_changes_only_line_ends() {
        assert_eq!(netascii(b"a\nb\rc\r\n"), b"a\r\nb\r\0c\r\0\r\n");
        assert_eq!(netascii(b""), b"");
    }

    #[test]
    fn block_numbers_roll_over_to_zero() {
        assert_eq!(data_head(65_535), [0, 3, 0xff, 0xff]);
        assert_eq!(data_head(65_536), [0, 3, 0, 0]);
        assert_eq!(data_head(65_537), [0, 3, 0, 1]);
        assert_eq!(error(ErrorCode::NotFound, "no"), b"\0\x05\0\x01no\0");
    }
}
