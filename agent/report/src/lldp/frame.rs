//! One LLDP data unit: a list of type-length-value fields. Pure; every byte is untrusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use inventory_api::Mac;
use inventory_api::report::LldpNeighbour;

use super::super::clean;

/// Maximum number of fields per unit; a 1500-byte frame could hold 750 empty ones.
const FIELD_LIMIT: usize = 128;
/// IEEE 802.1's own fields.
const OUI_802_1: [u8; 3] = [0x00, 0x80, 0xc2];

/// The content of a unit and its time to live. Zero means that the neighbour leaves.
pub(super) struct Heard {
    pub neighbour: LldpNeighbour,
    pub lifetime: Duration,
}

/// Parses a unit, without the Ethernet header. None if it is not LLDP, or a mandatory field is missing or
/// broken. Broken optional fields are skipped.
pub(super) fn parse(unit: &[u8]) -> Option<Heard> {
    let mut neighbour = LldpNeighbour::default();
    let mut lifetime = None;
    for (number, (kind, value)) in Fields(unit).take(FIELD_LIMIT).enumerate() {
        match (number, kind) {
            // 8.5.2, 8.5.3, 9.2.7.5: these three come first, in this order, and only once.
            (0, 1) => neighbour.chassis = Some(name(value, 4, 5)?),
            (1, 2) => neighbour.port = Some(name(value, 3, 4)?),
            (2, 3) => lifetime = Some(u16::from_be_bytes([*value.first()?, *value.get(1)?])),
            (0..3, _) | (_, 1..=3) => return None,
            (_, 0) => break,
            (_, 4) => neighbour.port_description = neighbour.port_description.or_else(|| text(value)),
            (_, 5) => neighbour.system = neighbour.system.or_else(|| text(value)),
            (_, 8) => {
                let address = management(value);
                // Prefer IPv4 if there are both.
                if neighbour.management.is_none()
                    || address.is_some_and(|a| a.is_ipv4() && !is_ipv4(&neighbour))
                {
                    neighbour.management = address.or(neighbour.management);
                }
            }
            (_, 127) => match value {
                // 802.1 port VLAN id: 0 means unknown or none.
                [a, b, c, 1, high, low, ..] if [*a, *b, *c] == OUI_802_1 => {
                    neighbour.vlan =
                        Some(u16::from_be_bytes([*high, *low])).filter(|id| (1..4095).contains(id));
                }
                _ => {}
            },
            _ => {}
        }
    }
    Some(Heard {
        neighbour,
        lifetime: Duration::from_secs(u64::from(lifetime?)),
    })
}

fn is_ipv4(neighbour: &LldpNeighbour) -> bool {
    neighbour.management.is_some_and(|address| address.is_ipv4())
}

/// Type (7 bits), length (9 bits), value. Stops at the end of the bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = self.0.split_at_checked(2)?;
        let header = u16::from_be_bytes([header[0], header[1]]);
        let (value, rest) = rest.split_at_checked(usize::from(header & 0x1ff))?;
        self.0 = rest;
        Some(((header >> 9) as u8, value))
    }
}

fn text(value: &[u8]) -> Option<String> {
    clean::text(&String::from_utf8_lossy(value))
}

/// The name of a chassis or port. Its first byte is the kind; `mac` and `address` are the kinds for a MAC and
/// a network address. The others are text, some only by convention (Juniper writes a port's SNMP index as
/// text).
fn name(value: &[u8], mac: u8, address: u8) -> Option<String> {
    match value.split_first()? {
        (kind, name) if *kind == mac => Some(Mac(name.try_into().ok()?).to_string()),
        (kind, name) if *kind == address => network_address(name).map(|address| address.to_string()),
        (_, name) => text_or_hex(name),
    }
}

/// Text if it is printable, otherwise hex.
fn text_or_hex(bytes: &[u8]) -> Option<String> {
    // Some switches include the final zero.
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => clean::text(text),
        _ => (!bytes.is_empty()).then(|| hex::encode(&bytes[..bytes.len().min(64)])),
    }
}

/// Address family (IANA: 1 IPv4, 2 IPv6) and address.
fn network_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.split_first()? {
        (1, address) => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?))),
        (2, address) => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?))),
        _ => None,
    }
}

/// 8.5.9: length of family and address, then those, then interface number and OID.
fn management(value: &[u8]) -> Option<IpAddr> {
    let (length, rest) = value.split_first()?;
    network_address(rest.get(..usize::from(*length))?).filter(|address| !address.is_unspecified())
}
