//! Port GUIDs of InfiniBand.

use std::fmt;
use std::str::FromStr;

use crate::id::{Mac, text_serde};

/// The GUID of an InfiniBand port: an EUI-64. Text form: 16 lower-case hexadecimal digits, as sysfs and
/// `ibstat` have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 8]);

impl Guid {
    /// The Ethernet address of the same port: the first three and the last three bytes, as NVIDIA's FlexBoot
    /// and drivers make it.
    pub fn mac(self) -> Mac {
        let [a, b, c, _, _, d, e, f] = self.0;
        Mac([a, b, c, d, e, f])
    }

    /// The GUID at the end of a client identifier of IP over InfiniBand (RFC 4390, 2.1; `ff:<IAID>:<DUID>`
    /// with the link address of 20 bytes, or FlexBoot's and dracut's
    /// `ff:00:00:00:00:00:02:00:00:02:c9:00:<GUID>`).
    pub fn of_client_id(id: &[u8]) -> Option<Guid> {
        let (_, guid) = id.split_last_chunk::<8>()?;
        (*guid != [0; 8]).then_some(Guid(*guid))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Not a GUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a port GUID: expected eight bytes such as b8:ce:f6:03:00:31:33:3e")]
pub struct NotAGuid(String);

impl FromStr for Guid {
    type Err = NotAGuid;

    /// Reads 8 bytes, or the 20 of a link address (RFC 4391, 9.1.1), whose last 8 are the GUID; in
    /// hexadecimal with or without `0x`, with colons, hyphens or dots between digits.
    fn from_str(text: &str) -> Result<Guid, NotAGuid> {
        let bad = || NotAGuid(text.chars().take(80).collect());
        let body = text.strip_prefix("0x").unwrap_or(text);
        let digits = body.replace([':', '-', '.'], "");
        let bytes = hex::decode(&digits).map_err(|_| bad())?;
        let guid = match (body.len(), bytes.len(), bytes.last_chunk()) {
            (..=60, 8 | 20, Some(guid)) => *guid,
            _ => return Err(bad()),
        };
        Ok(Guid(guid))
    }
}

text_serde!(Guid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_guid_is_read_and_its_mac_known() {
        for text in [
            "b8cef6030031333e",
            "0xb8cef6030031333e",
            "B8:CE:F6:03:00:31:33:3E",
            "b8-ce-f6-03-00-31-33-3e",
            "b8ce:f603:0031:333e",
            "80:00:00:48:fe:80:00:00:00:00:00:00:b8:ce:f6:03:00:31:33:3e",
        ] {
            let guid: Guid = text.parse().unwrap();
            assert_eq!(guid.to_string(), "b8cef6030031333e", "{text}");
            assert_eq!(guid.mac().to_string(), "b8:ce:f6:31:33:3e");
        }
        for text in [
            "",
            "b8cef6",
            "b8:ce:f6:31:33:3e",
            "b8cef6030031333g",
            "é8cef6030031333e",
            &"0".repeat(90),
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_client_identifier_ends_with_the_guid() {
        let id = [
            &[0xff, 0, 0, 0, 0, 0, 2, 0, 0, 2, 0xc9, 0][..],
            &[0xb8, 0xce, 0xf6, 3, 0, 0x31, 0x33, 0x3e],
        ]
        .concat();
        assert_eq!(
            Guid::of_client_id(&id).map(|guid| guid.to_string()).as_deref(),
            Some("b8cef6030031333e")
        );
        assert_eq!(Guid::of_client_id(&[1, 2, 3]), None);
        assert_eq!(Guid::of_client_id(&[0; 20]), None);
    }
}
