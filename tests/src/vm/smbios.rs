//! SMBIOS tables beyond QEMU's own.

use super::VmSpec;

/// A version 4 UUID derived from a MAC, so that a machine has the same one in every run.
pub(super) fn uuid_of(mac: &str) -> String {
    let digits: String = mac.chars().filter(|c| *c != ':').collect();
    format!("51495057-4159-4000-8000-{digits}")
}

/// One memory module as SMBIOS type 17 (specification 3.6, 7.18; the layout of version 2.8).
pub(super) fn dimm(spec: &VmSpec, index: u32) -> Vec<u8> {
    const LENGTH: u8 = 0x28;
    let mut bytes = vec![17, LENGTH];
    let mut word = |value: u16| bytes.extend(value.to_le_bytes());
    word(0x1100 + index as u16); // handle
    word(0x1000); // QEMU's physical memory array
    word(0xfffe); // no error information
    word(72); // total width, with ECC
    word(64); // data width
    word(spec.module_mib(index) as u16); // MiB, below 32 GiB; 0: nothing in the slot
    // Form factor DIMM, no set, strings 1 and 2 for slot and bank, DDR4, synchronous.
    bytes.extend([9, 0, 1, 2, 0x1a, 0x80, 0]);
    bytes.extend(3200u16.to_le_bytes());
    // Strings for maker, serial number, asset tag (none), part; two ranks.
    bytes.extend([3, 4, 0, 5, 2]);
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(3200u16.to_le_bytes());
    for millivolts in [1200u16; 3] {
        bytes.extend(millivolts.to_le_bytes());
    }
    debug_assert_eq!(bytes.len(), usize::from(LENGTH));
    let slot = char::from(b'A' + index as u8);
    let strings = [
        format!("DIMM_{slot}1"),
        format!("NODE 0 CHANNEL {index}"),
        "Samsung".to_owned(),
        format!("M{}-{slot}", spec.system_serial()),
        "M393A2K43DB3-CWE".to_owned(),
    ];
    for text in strings {
        bytes.extend(text.bytes());
        bytes.push(0);
    }
    bytes.push(0);
    bytes
}
