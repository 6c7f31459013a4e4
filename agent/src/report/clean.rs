//! From bytes that firmware and devices wrote to a fact, or to nothing.

/// Longest fact kept, in characters. The longest string in 227 real tables is a third of this.
const FACT_LIMIT: usize = 256;

/// Trims, drops control characters and cuts. Empty is None.
pub fn text(raw: &str) -> Option<String> {
    let kept: String = raw
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect();
    let kept: String = kept.trim().chars().take(FACT_LIMIT).collect();
    let kept = kept.trim_end();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// As [`text`], and a placeholder is None too.
pub fn fact(raw: &str) -> Option<String> {
    text(raw).filter(|t| !is_placeholder(t))
}

/// As [`fact`], for serial numbers and part numbers: a filler of one repeated sign or a counting pattern is None.
pub fn serial(raw: &str) -> Option<String> {
    fact(raw).filter(|t| !is_filler(t))
}

/// Bidirectional and zero-width characters: they make a page or a terminal show something else than what is there.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

/// What firmware makers leave where a fact should stand; seen in real tables. Compared without case, spaces,
/// dots, dashes and underscores.
const PLACEHOLDERS: &[&str] = &[
    "asset",
    "assettag",
    "badindex",
    "basebboardassettag",
    "chassisserialnumber",
    "chassisversion",
    "defaultstring",
    "dimm",
    "empty",
    "fillbyoem",
    "filledbyoem",
    "invalid",
    "manufacturer",
    "na",
    "n/a",
    "noasset",
    "noassetinformation",
    "noassettag",
    "nodimm",
    "nomodule",
    "nomoduleinstalled",
    "none",
    "notapplicable",
    "notavailable",
    "notinstalled",
    "notpresent",
    "notprovided",
    "notset",
    "notsettable",
    "notspecified",
    "null",
    "nullstring",
    "oem",
    "oemdefault",
    "outofspec",
    "partnum",
    "partnumber",
    "productname",
    "reserved",
    "sernum",
    "serialnumber",
    "skunumber",
    "sn",
    "socketdesignation",
    "string",
    "systemmanufacturer",
    "systemproductname",
    "systemserialnumber",
    "systemversion",
    "tobefilledbyoem",
    "tobefilledbyom",
    "undefined",
    "unknow",
    "unknown",
    "unspecified",
    "version",
    "xxxxx",
];

fn is_placeholder(text: &str) -> bool {
    let key: String = text
        .chars()
        .filter(|c| {
            !c.is_whitespace()
                && !matches!(c, '.' | '-' | '_' | '<' | '>' | '[' | ']' | '(' | ')' | '*' | ',')
        })
        .flat_map(char::to_lowercase)
        .collect();
    key.is_empty() || key.chars().all(|c| c == '0') || PLACEHOLDERS.contains(&key.as_str())
}

fn is_filler(text: &str) -> bool {
    let key: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase();
    let hex = key.strip_prefix("0X").unwrap_or(&key);
    let one_sign = |key: &str| {
        key.len() > 1
            && key.bytes().all(|b| b == key.as_bytes()[0])
            && matches!(key.as_bytes()[0], b'0' | b'F' | b'X')
    };
    one_sign(&key)
        || one_sign(hex)
        || matches!(
            key.as_str(),
            "123456789" | "0123456789" | "1234567890" | "12345678"
        )
}
