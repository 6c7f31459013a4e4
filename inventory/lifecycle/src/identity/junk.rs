//! Placeholder values that many machines share. They never count.
//!
//! Sources: the SMBIOS fixtures, GLPI's list of invalid serial numbers, oshi issue 2417 and its links
//! (UUIDs), and the firmware defaults of AMI, Phoenix and Insyde.

use inventory_api::Mac;
use inventory_api::report::NicFacts;

/// UUIDs shared by series of boards. Compared in every byte order.
pub(super) const SERIES_UUIDS: &[&str] = &[
    // AMI's template, as shipped and with the first fields in the other order.
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "00010203-0405-0607-0809-0a0b0c0d0e0f",
    "00112233-4455-6677-8899-aabbccddeeff",
    "01234567-8910-1112-1314-151617181920",
    "11111111-2222-3333-4444-555555555555",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "12345678-1234-5678-1234-567812345678",
    "12345678-1234-1234-1234-123456789abc",
    "12345678-9abc-def0-1234-56789abcdef0",
    "deadbeef-dead-beef-dead-beefdeadbeef",
    // SolidRun LX2160A until 2021 (SolidRun/lx2160a_uefi issue 4).
    "8a95d198-7f46-11e5-bf8b-08002704d48e",
    // The device tree default of several ARM boards, and Award's.
    "30303030-3030-3030-3030-303030303030",
    "ffffffff-ffff-0000-0000-000000000000",
    "01010101-0101-0101-0101-010101010101",
];

/// Whether the sixteen bytes of a UUID are a filler: one or two bytes repeated.
pub(super) fn is_filling(bytes: &[u8; 16]) -> bool {
    bytes.iter().zip(&bytes[1..]).all(|(a, b)| a == b) || bytes.iter().zip(&bytes[2..]).all(|(a, b)| a == b)
}

/// MACs shared by USB adapters, and addresses that belong to a protocol instead of a card.
const SHARED_MACS: &[&[u8]] = &[
    // VRRP for IPv4 and IPv6 (RFC 9568 7.3), HSRP, GLBP.
    &[0x00, 0x00, 0x5e, 0x00, 0x01],
    &[0x00, 0x00, 0x5e, 0x00, 0x02],
    &[0x00, 0x00, 0x0c, 0x07, 0xac],
    &[0x00, 0x00, 0x0c, 0x9f],
    &[0x00, 0x07, 0xb4, 0x00],
    // Never set: the maker's part is zero, or the example from manuals.
    &[0x00, 0x00, 0x00],
    &[0x00, 0x11, 0x22, 0x33, 0x44],
    &[0x00, 0x01, 0x02, 0x03, 0x04],
    // Defaults of DM9601 and RTL8150 clones, of ASIX adapters without EEPROM, of VMware's host-only adapters.
    &[0x00, 0xe0, 0x4c, 0x53, 0x44, 0x58],
    &[0x00, 0xe0, 0x4c, 0x00, 0x00],
    &[0x00, 0x0e, 0xc6, 0x87, 0x72, 0x01],
    &[0x00, 0x0e, 0xc6, 0x00, 0x00],
    &[0x00, 0x50, 0x56, 0xc0, 0x00],
    // Intel NICs whose EEPROM was never written.
    &[0x00, 0xa0, 0xc9, 0x00, 0x00],
    &[0x88, 0x88, 0x88, 0x88],
];

/// Whether a MAC can belong to one card: not multicast, not locally administered (anyone may set those), not
/// shared.
pub(super) fn counts_as_mac(mac: Mac) -> bool {
    !mac.is_junk() && mac.0[0] & 2 == 0 && !SHARED_MACS.iter().any(|start| mac.0.starts_with(start))
}

/// Drivers of USB network adapters: adapters are carried from machine to machine, and BMCs show the same one
/// everywhere.
const USB_NIC_DRIVERS: &[&str] = &[
    "aqc111",
    "asix",
    "ax88179_178a",
    "cdc_eem",
    "cdc_ether",
    "cdc_mbim",
    "cdc_ncm",
    "cdc_subset",
    "dm9601",
    "ipheth",
    "kaweth",
    "lan78xx",
    "mcs7830",
    "pegasus",
    "r8152",
    "rndis_host",
    "rtl8150",
    "smsc75xx",
    "smsc95xx",
    "sr9700",
    "sr9800",
    "usbnet",
];

/// Whether a NIC is a USB network adapter.
pub(crate) fn is_usb_nic(nic: &NicFacts) -> bool {
    let driver = nic.driver.as_deref();
    driver.is_some_and(|driver| USB_NIC_DRIVERS.contains(&driver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_have_macs_of_their_own() {
        let mac = |text: &str| text.parse::<Mac>().unwrap();
        for junk in [
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "02:00:4c:4f:4f:50",
            "52:54:00:12:34:56",
            "00:00:5e:00:01:0a",
            "00:e0:4c:53:44:58",
            "00:11:22:33:44:55",
            "00:00:00:00:00:01",
        ] {
            assert!(!counts_as_mac(mac(junk)), "{junk}");
        }
        assert!(counts_as_mac(mac("9c:b6:54:88:2d:b0")) && counts_as_mac(mac("00:25:90:eb:96:28")));
    }
}
