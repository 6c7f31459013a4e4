//! Domain names and host names that can be sent.

/// Whether a text is a domain name that can be sent.
pub(crate) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    (1..=200).contains(&text.len()) && text.split('.').all(label)
}

/// Whether a text is a host name of one label that can be sent (option 12).
pub fn is_host_name(text: &str) -> bool {
    is_domain(text) && !text.contains('.') && text.len() <= 63
}

/// A dotted name as labels; a trailing dot becomes the empty label. Empty if it is not a name.
pub(crate) fn labels(text: &str) -> Vec<u8> {
    let (text, end) = match text.strip_suffix('.') {
        Some(text) => (text, &[0][..]),
        None => (text, &[][..]),
    };
    if !is_domain(text) {
        return Vec::new();
    }
    let parts = text
        .split('.')
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    parts.chain(end.iter().copied()).collect()
}
