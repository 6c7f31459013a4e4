//! Client classes: settings for clients of a kind that replace or extend the network's.

use std::net::Ipv4Addr;

use inventory_api::Mac;

use crate::dhcp4::client::{PxeClient, user_classes};
use crate::dhcp4::code::relay;
use crate::dhcp4::options::Options;
use crate::dhcp4::packet::RawOptions;
use crate::network::settings::{ClassSettings, NetworkSettings};

/// A checked class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    matches: Vec<(Field, Pattern)>,
    /// Options that differ from the network's.
    pub(crate) options: Options,
    pub(crate) next_server: Option<Ipv4Addr>,
    pub(crate) lease_seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    VendorClass,
    UserClass,
    /// Sub-option of option 82.
    Relay(u8),
    Mac,
}

impl Class {
    /// `options`: those of a client of this class; `network`: those of all clients.
    ///
    /// # Errors
    /// What is wrong with `match`, completing a sentence that begins with the class.
    pub(crate) fn new(
        settings: &ClassSettings,
        options: Options,
        network: &Options,
    ) -> Result<Class, String> {
        let given = &settings.matches;
        let given = [
            (Field::VendorClass, "vendor_class", &given.vendor_class),
            (Field::UserClass, "user_class", &given.user_class),
            (Field::Relay(relay::CIRCUIT_ID), "circuit_id", &given.circuit_id),
            (Field::Relay(relay::REMOTE_ID), "remote_id", &given.remote_id),
            (Field::Mac, "mac", &given.mac),
        ];
        let mut matches = Vec::new();
        for (field, name, text) in given {
            let Some(text) = text else { continue };
            let pattern = if field == Field::Mac {
                Pattern::of_mac(text)
            } else {
                Pattern::new(text)
            };
            matches.push((field, pattern.map_err(|why| format!("{name} = {text:?} {why}"))?));
        }
        if matches.is_empty() {
            return Err(
                "`match` is empty: give at least one of vendor_class, user_class, circuit_id, remote_id, mac"
                    .to_owned(),
            );
        }
        let differs = |(code, value): &(u8, Vec<u8>)| !network.contains(&(*code, value.clone()));
        Ok(Class {
            matches,
            options: options.into_iter().filter(differs).collect(),
            next_server: settings.next_server,
            lease_seconds: settings.lease_seconds,
        })
    }

    /// Whether a client is of this class.
    pub(crate) fn has(&self, client: &PxeClient) -> bool {
        self.matches.iter().all(|(field, pattern)| match field {
            Field::VendorClass => !client.vendor_class.is_empty() && pattern.is(&client.vendor_class),
            Field::UserClass => {
                let mut said = user_classes(&client.user_class);
                !client.user_class.is_empty() && said.any(|class| pattern.is(class))
            }
            Field::Relay(code) => {
                let said = client.relay.as_deref().map(RawOptions::of);
                said.is_some_and(|said| said.get(*code).is_some_and(|value| pattern.is(value)))
            }
            Field::Mac => pattern.is(hex::encode(client.mac.0).as_bytes()),
        })
    }
}

/// The settings that apply to a class: the network's, overridden by the class's.
pub(crate) fn merged(network: &NetworkSettings, class: &ClassSettings) -> NetworkSettings {
    fn or<T: Clone>(own: &[T], network: &[T]) -> Vec<T> {
        if own.is_empty() { network } else { own }.to_vec()
    }
    let set = |code: u8| class.options.iter().any(|option| option.code == code);
    let kept = network.options.iter().filter(|option| !set(option.code));
    NetworkSettings {
        routers: or(&class.routers, &network.routers),
        dns: or(&class.dns, &network.dns),
        domain: class.domain.clone().or(network.domain.clone()),
        search: or(&class.search, &network.search),
        ntp: or(&class.ntp, &network.ntp),
        mtu: class.mtu.or(network.mtu),
        routes: or(&class.routes, &network.routes),
        options: kept.chain(&class.options).cloned().collect(),
        next_server: class.next_server.or(network.next_server),
        ipv6_only_seconds: class.ipv6_only_seconds.or(network.ipv6_only_seconds),
        lease_seconds: class.lease_seconds.unwrap_or(network.lease_seconds),
        ..network.clone()
    }
}

/// The parts of a pattern between its asterisks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    parts: Vec<Vec<u8>>,
    /// The pattern is text, in lower case.
    text: bool,
}

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    fn new(text: &str) -> Result<Pattern, String> {
        if text.is_empty() || text.len() > 255 {
            return Err("must have 1 to 255 bytes".to_owned());
        }
        let Some(hex) = text.strip_prefix("0x") else {
            let parts = text.split('*').map(|part| part.to_ascii_lowercase().into_bytes());
            return Ok(Pattern {
                parts: parts.collect(),
                text: true,
            });
        };
        let parts: Result<Vec<Vec<u8>>, _> = hex.split('*').map(hex::decode).collect();
        Ok(Pattern {
            parts: parts.map_err(|_| "is not hexadecimal: two digits a byte, and `*` for the rest")?,
            text: false,
        })
    }

    /// # Errors
    /// What is wrong with it.
    fn of_mac(text: &str) -> Result<Pattern, String> {
        let start = text.strip_suffix('*');
        let digits: String = start
            .unwrap_or(text)
            .replace([':', '-', '.'], "")
            .to_ascii_lowercase();
        let whole = start.is_none() && text.parse::<Mac>().is_ok();
        let start = start.is_some() && (1..12).contains(&digits.len());
        if !(whole || start) || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err("is neither a MAC address nor the first digits of one and `*`".to_owned());
        }
        let rest = start.then(Vec::new);
        Ok(Pattern {
            parts: [digits.into_bytes()].into_iter().chain(rest).collect(),
            text: true,
        })
    }

    fn is(&self, value: &[u8]) -> bool {
        let lower;
        let value = if self.text {
            lower = value.to_ascii_lowercase();
            &lower
        } else {
            value
        };
        let Some((first, rest)) = self.parts.split_first() else {
            return false;
        };
        let Some(mut left) = value.strip_prefix(&first[..]) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return left.is_empty();
        };
        for part in middle.iter().filter(|part| !part.is_empty()) {
            let Some(at) = left.windows(part.len()).position(|window| window == part) else {
                return false;
            };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, value, expected) in [
            ("docsis3.0", &b"docsis3.0"[..], true),
            ("DOCSIS3.0", b"docsis3.0", true),
            ("docsis3", b"docsis3.0", false),
            ("docsis3*", b"docsis3.0", true),
            ("*3.0", b"docsis3.0", true),
            ("*sis*", b"docsis3.0", true),
            ("d*s*0", b"docsis3.0", true),
            ("d*s*s*s*0", b"docsis3.0", false),
            ("*", b"", true),
            ("a*a", b"a", false),
            ("a**b", b"ab", true),
            ("0x0004000a*", b"\0\x04\0\x0a\x01\x02", true),
            ("0x0004000a", b"\0\x04\0\x0a\x01\x02", false),
            ("0x*0102", b"\0\x04\0\x0a\x01\x02", true),
            ("0x41", b"a", false),
        ] {
            let read = Pattern::new(pattern).unwrap();
            assert_eq!(read.is(value), expected, "{pattern} {value:?}");
        }
        for wrong in ["", "0x1", "0xgg", "0x0*1", &"x".repeat(256)] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn macs_and_their_prefixes() {
        let mac = hex::encode([0x52, 0x54, 0, 0x12, 0x34, 0xab]);
        for (pattern, expected) in [
            ("52:54:00:12:34:ab", true),
            ("5254.0012.34AB", true),
            ("52-54-00*", true),
            ("5254.00*", true),
            ("5*", true),
            ("52:54:01*", false),
            ("52:54:00:12:34:ac", false),
        ] {
            assert_eq!(
                Pattern::of_mac(pattern).unwrap().is(mac.as_bytes()),
                expected,
                "{pattern}"
            );
        }
        for wrong in ["", "*", "52:54:00", "52:54:0g*", "*34:ab", "52:54:00:12:34:ab*"] {
            assert!(Pattern::of_mac(wrong).is_err(), "{wrong}");
        }
    }
}
