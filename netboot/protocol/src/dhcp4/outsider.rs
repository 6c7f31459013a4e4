//! The sender of a datagram whose format shows that it is not from a machine we could boot.

use std::net::Ipv4Addr;

use inventory_api::network::Sender;
use inventory_api::{Guid, UnixMs};

use crate::dhcp4::code;
use crate::dhcp4::packet::RawOptions;
use crate::stranger::printable;

/// Hardware type of InfiniBand (IANA "Hardware Types"; RFC 4390).
pub const INFINIBAND: u8 = 32;
/// Bytes of a client identifier that are kept: those of IP over InfiniBand have 12 to 29.
const CLIENT_ID: usize = 32;

/// What a datagram tells of its sender; `None`: too short for a DHCP header.
pub fn outsider(bytes: &[u8], now: UnixMs) -> Option<Sender> {
    let header = bytes.get(..240)?;
    let (hardware_type, hardware_len) = (header[1], header[2]);
    let address = &header[28..44][..usize::from(hardware_len).min(16)];
    let relay = Ipv4Addr::new(header[24], header[25], header[26], header[27]);
    let options = RawOptions::of(&bytes[240..]);
    let id = options.get(code::CLIENT_ID).unwrap_or_default();
    // RFC 4390: the header has no address, the identifier does. FlexBoot puts the GUID or its Ethernet form
    // there.
    let guid = match <[u8; 8]>::try_from(address) {
        _ if hardware_type != INFINIBAND => None,
        Ok(guid) => Some(Guid(guid)),
        Err(_) => Guid::of_client_id(id),
    };
    Some(Sender {
        last: now,
        hardware_type,
        hardware_len,
        address: (!address.is_empty()).then(|| colons(address)),
        client_id: (!id.is_empty()).then(|| colons(&id[..id.len().min(CLIENT_ID)])),
        guid,
        vendor: options.get(code::VENDOR_CLASS).map(printable),
        relay: (!relay.is_unspecified()).then_some(relay),
    })
}

fn colons(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp4::packet::tests::discover;
    use proptest::prelude::*;

    const GUID: [u8; 8] = [0xb8, 0xce, 0xf6, 3, 0, 0x31, 0x33, 0x3e];

    /// The three forms in `shared/cases/07-infiniband-unheard/packets.py`.
    #[test]
    fn infiniband_guids_are_read_in_each_form() {
        let id = [&[0xff, 0, 0, 0, 0, 0, 3, 0, 0x20, 0, 2, 0xc9, 3, 0][..], &GUID].concat();
        let form = |len: u8, address: &[u8], id: &[u8]| {
            let options: Vec<(u8, &[u8])> = [(53, &[1u8][..]), (61, id)]
                .into_iter()
                .filter(|o| !o.1.is_empty())
                .collect();
            let mut bytes = discover(&options);
            (bytes[1], bytes[2]) = (32, len);
            bytes[28..44].fill(0);
            bytes[28..28 + address.len()].copy_from_slice(address);
            outsider(&bytes, UnixMs(5)).unwrap()
        };
        let rfc = form(0, &[], &id);
        assert_eq!(
            (rfc.guid, rfc.address, rfc.hardware_type),
            (Some(Guid(GUID)), None, 32)
        );
        assert!(rfc.client_id.unwrap().ends_with("b8:ce:f6:03:00:31:33:3e"));
        assert_eq!(form(8, &GUID, &[]).guid, Some(Guid(GUID)));
        let flexboot = form(6, &[0xb8, 0xce, 0xf6, 0x31, 0x33, 0x3e], &[]);
        assert_eq!(
            (flexboot.guid, flexboot.address.as_deref()),
            (None, Some("b8:ce:f6:31:33:3e"))
        );
        assert_eq!(form(255, &[], &[]).hardware_len, 255, "longer than the field");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = outsider(&bytes, UnixMs(0));
        }
    }
}
