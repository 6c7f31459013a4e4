//! Names from the PCI id database (pci.ids), if the machine has it.

use std::collections::BTreeMap;

use inventory_api::report::PciDevice;

use super::super::clean;
use super::super::roots::{Roots, bytes};

/// Its path in Debian and Red Hat.
const PLACES: [&str; 2] = ["usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"];
/// The database has 1.5 MB and grows by 50 kB a year.
const LIMIT: u64 = 8 << 20;

/// Fills `name` of every device whose vendor the database knows.
pub(super) fn name_all(roots: &Roots, devices: &mut [PciDevice]) {
    if devices.is_empty() {
        return;
    }
    let found = PLACES.iter().find_map(|place| bytes(&roots.at(place), LIMIT));
    let Some(bytes) = found else { return };
    let mut wanted: BTreeMap<(String, String), Option<String>> = devices
        .iter()
        .filter_map(|d| Some(((d.vendor.clone()?, d.device.clone()?), None)))
        .collect();
    find(&bytes, &mut wanted);
    for device in devices {
        if let (Some(vendor), Some(id)) = (&device.vendor, &device.device) {
            device.name = wanted.get(&(vendor.clone(), id.clone())).cloned().flatten();
        }
    }
}

/// One pass over the file: `8086  Intel Corporation`, below it `\t1572  Ethernet Controller X710`. The class
/// list, starting with `C 00`, ends the vendors.
fn find(bytes: &[u8], wanted: &mut BTreeMap<(String, String), Option<String>>) {
    let mut vendor: Option<(&str, &str)> = None;
    for line in bytes.split(|b| *b == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        if line.starts_with("C ") {
            break;
        }
        if line.starts_with('#') || line.starts_with("\t\t") || line.is_empty() {
            continue;
        }
        match (line.strip_prefix('\t'), vendor) {
            (None, _) => vendor = entry(line).filter(|(id, _)| wanted.keys().any(|(v, _)| v == id)),
            (Some(line), Some((vendor_id, vendor_name))) => {
                let Some((id, name)) = entry(line) else { continue };
                if let Some(found) = wanted.get_mut(&(vendor_id.to_owned(), id.to_owned())) {
                    *found = clean::text(&format!("{vendor_name} {name}"));
                }
            }
            (Some(_), None) => {}
        }
    }
}

fn entry(line: &str) -> Option<(&str, &str)> {
    let (id, name) = line.split_once("  ")?;
    (id.len() == 4 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some((id, name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_and_device_are_named_and_the_class_list_is_ignored() {
        let text = b"# comment\n\n8086  Intel Corporation\n\t1572  Ethernet Controller X710 for 10GbE SFP+\n\
            \t\t1028 0000  Ethernet 10G X710 rNDC\n10de  NVIDIA Corporation\n\t1572  Wrong one\nC 02  Network\n\t1572  no\n";
        let key = |v: &str, d: &str| (v.to_owned(), d.to_owned());
        let mut wanted = BTreeMap::from([(key("8086", "1572"), None), (key("8086", "ffff"), None)]);
        find(text, &mut wanted);
        assert_eq!(
            wanted[&key("8086", "1572")].as_deref(),
            Some("Intel Corporation Ethernet Controller X710 for 10GbE SFP+")
        );
        assert_eq!(wanted[&key("8086", "ffff")], None);
    }
}
