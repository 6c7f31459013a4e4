//! Slots known to the kernel (ACPI, hot-plug): /sys/bus/pci/slots/NAME/address is "0000:3b:00".

use std::collections::BTreeMap;

use super::super::clean;
use super::super::roots::{Roots, attribute, names};

/// Slot names by "domain:bus:device".
pub(crate) struct Slots(BTreeMap<String, String>);

impl Slots {
    /// Reads them; may be empty.
    pub fn read(roots: &Roots) -> Slots {
        let folder = roots.sys("bus/pci/slots");
        let mut slots = BTreeMap::new();
        for name in names(&folder) {
            let place = attribute(&folder.join(&name).join("address")).unwrap_or_default();
            let place = place.to_lowercase();
            // If two sources name it ("4", "4-1"), the first wins.
            if super::is_address(&format!("{place}.0"))
                && let Some(name) = clean::place(&name)
            {
                slots.entry(place).or_insert(name);
            }
        }
        Slots(slots)
    }

    /// The slot of a function, or the nearest one above it. `above` is its path of functions, root port
    /// first.
    pub fn of(&self, address: &str, above: &[String]) -> Option<String> {
        std::iter::once(address)
            .chain(above.iter().rev().map(String::as_str))
            .find_map(|function| self.0.get(device_of(function)))
            .cloned()
    }
}

/// "0000:3b:00" of "0000:3b:00.1".
fn device_of(address: &str) -> &str {
    address.split_once('.').map_or(address, |(device, _)| device)
}
