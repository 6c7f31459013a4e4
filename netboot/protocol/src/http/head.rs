//! Heads of HTTP/1.1 messages (RFC 9112): reads requests, writes responses.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};

/// Longest request line and header fields, in bytes.
pub const HEAD_BYTES: usize = 16 << 10;
/// Most fields. EDK2 sends four, curl and iPXE three, a browser twenty.
const FIELDS: usize = 64;

/// Why bytes are not a valid request. This ends the connection: the start of the next request is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// 400.
    #[error("not an HTTP/1.1 request: {0}")]
    Malformed(httparse::Error),
    /// 400.
    #[error("the request line has no valid method and path")]
    Target,
    /// 400.
    #[error("an HTTP/1.1 request needs exactly one Host field")]
    Host,
    /// 431.
    #[error(
        "the request has more than {HEAD_BYTES} bytes of request line and header fields, or more than {FIELDS} fields"
    )]
    TooLong,
}

impl BadHead {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            BadHead::Malformed(_) | BadHead::Target | BadHead::Host => StatusCode::BAD_REQUEST,
            BadHead::TooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// The request at the start of `bytes`, and the length of its head. `None`: it is incomplete.
///
/// # Errors
/// It can never become a valid request, or is too long.
pub fn request(bytes: &[u8]) -> Result<Option<(Request<()>, usize)>, BadHead> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let within = &bytes[..bytes.len().min(HEAD_BYTES)];
    let len = match parsed.parse(within) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLong),
        Err(error) => return Err(BadHead::Malformed(error)),
    };
    let mut request = Request::builder()
        .method(parsed.method.unwrap_or_default())
        .uri(parsed.path.unwrap_or_default())
        .version(if parsed.version == Some(0) {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        })
        .body(())
        .map_err(|_| BadHead::Target)?;
    for field in parsed.headers.iter() {
        // httparse lets only valid names and values through.
        let name = HeaderName::from_bytes(field.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) {
            request.headers_mut().append(name, value);
        }
    }
    // RFC 9112, section 3.2. All firmware sends it; HTTP/1.0 had none.
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(BadHead::Host);
    }
    Ok(Some((request, len)))
}

/// Whether the connection stays open for another request (RFC 9112, section 9.3). Not after a request with
/// content: we do not read it, so the next request would start behind it.
#[must_use]
pub fn persists(request: &Request<()>) -> bool {
    let fields = request.headers();
    let content = fields.contains_key(TRANSFER_ENCODING)
        || fields.get_all(CONTENT_LENGTH).iter().any(|value| value != "0");
    !content
        && !has_option(fields, "close")
        && (request.version() == Version::HTTP_11 || has_option(fields, "keep-alive"))
}

fn has_option(fields: &HeaderMap, wanted: &str) -> bool {
    let values = fields.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case(wanted))
}

/// The head of a response on the wire. `date`: in the format of RFC 9110 (section 5.6.7); `close`: the
/// connection ends after it. Always HTTP/1.1: EDK2 refuses 1.0 (tianocore/edk2 issue 9920).
#[must_use]
pub fn response_head<T>(response: &Response<T>, date: &str, close: bool) -> Vec<u8> {
    let status = response.status();
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Unknown")
    )
    .into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        // GRUB 2.12 compares field names case-sensitively: with "content-length" it reads every file as
        // empty.
        let mut first = true;
        head.extend(name.bytes().map(|byte| {
            let byte = if first { byte.to_ascii_uppercase() } else { byte };
            first = byte == b'-';
            byte
        }));
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for (name, value) in response.headers() {
        // OVMF hangs on a field without a value (tianocore/edk2 issue 7443).
        if !value.is_empty() {
            field(name.as_str(), value.as_bytes());
        }
    }
    field("date", date.as_bytes());
    // HTTP/1.1 assumes keep-alive; an HTTP/1.0 client that asked for it does not.
    field("connection", if close { b"close" } else { b"keep-alive" });
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EDK2: &[u8] =
        b"GET //shimx64.efi?a=b HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: */*\r\nRange: bytes=1-2\r\n\r\nGET ";

    #[test]
    fn a_request_is_complete_at_its_empty_line_and_not_before() {
        let len = EDK2.len() - 4;
        for end in 0..len {
            assert!(request(&EDK2[..end]).unwrap().is_none(), "{end}");
        }
        for end in [len, EDK2.len()] {
            let (request, head) = request(&EDK2[..end]).unwrap().unwrap();
            assert_eq!(head, len);
            assert_eq!(request.method(), "GET");
            assert_eq!(
                (request.uri().path(), request.uri().query()),
                ("//shimx64.efi", Some("a=b"))
            );
            assert_eq!(request.headers()["range"], "bytes=1-2");
            assert!(persists(&request));
        }
    }

    #[test]
    fn invalid_requests() {
        for (bytes, status) in [
            (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400),
            (b"GET / HTTP/2.0\r\n\r\n", 400),
            (b"GET /\r\n\r\n", 400),
            (b"G\0T / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nA: b\r\n c: folded\r\n\r\n", 400),
            (b"GET  HTTP/1.1\r\n\r\n", 400),
            (b"GET http:// HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ] {
            let bad = request(bytes).expect_err("refused");
            assert_eq!(bad.status(), status, "{}: {bad}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_head_has_a_maximum_size() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_BYTES));
        assert_eq!(request(long.as_bytes()).unwrap_err(), BadHead::TooLong);
        assert!(request(&long.as_bytes()[..HEAD_BYTES - 1]).unwrap().is_none());
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS + 1));
        assert_eq!(request(many.as_bytes()).unwrap_err(), BadHead::TooLong);
        assert_eq!(BadHead::TooLong.status(), 431);
    }

    #[test]
    fn when_a_connection_stays_open() {
        for (line, fields, stays) in [
            ("GET / HTTP/1.1", "", true),
            ("GET / HTTP/1.1", "Connection: close\r\n", false),
            ("GET / HTTP/1.1", "Connection: TE, Close\r\n", false),
            ("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", true),
            ("GET / HTTP/1.0", "", false),
            ("GET / HTTP/1.0", "Connection: Keep-Alive\r\n", true),
            ("GET / HTTP/1.1", "Content-Length: 0\r\n", true),
            ("GET / HTTP/1.1", "Content-Length: 5\r\n", false),
            (
                "GET / HTTP/1.1",
                "Content-Length: 0\r\nContent-Length: 5\r\n",
                false,
            ),
            ("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", false),
        ] {
            let head = format!("{line}\r\nHost: a\r\n{fields}\r\n");
            let (request, _) = request(head.as_bytes()).unwrap().unwrap();
            assert_eq!(persists(&request), stays, "{head}");
        }
    }

    #[test]
    fn a_response_is_one_that_firmware_can_read() {
        let response = Response::builder()
            .status(206)
            .header("content-length", "5")
            .header("x-empty", "")
            .header("content-range", "bytes 0-4/10")
            .body(())
            .unwrap();
        let head = response_head(&response, "Sun, 22 Nov 2026 18:00:00 GMT", false);
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/10\r\n\
             Date: Sun, 22 Nov 2026 18:00:00 GMT\r\nConnection: keep-alive\r\n\r\n"
        );
        let last = String::from_utf8(response_head(&response, "", true)).unwrap();
        assert!(last.contains("\r\nConnection: close\r\n"), "{last}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_result_in_any_pieces(
            cut in 0..2000_usize, noise in proptest::collection::vec(any::<u8>(), 0..40), at in 0..80_usize
        ) {
            let mut bytes = EDK2.to_vec();
            let at = at.min(bytes.len());
            bytes.splice(at..at, noise);
            let whole = request(&bytes).map(|read| read.map(|(_, len)| len));
            // More bytes never make a refused start valid, and a complete request stays as it is.
            match request(&bytes[..cut.min(bytes.len())]) {
                Ok(None) => {}
                piece => prop_assert_eq!(piece.map(|read| read.map(|(_, len)| len)), whole),
            }
        }
    }
}
