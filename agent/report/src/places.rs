//! Where a device sits: joins SMBIOS slots and on-board devices with the PCI devices found.

use std::collections::BTreeMap;

use inventory_api::report::{AssetReport, ExpansionSlot, OnboardDevice, Transport};

use super::pci;
use super::roots::Roots;

/// Fills the slot of PCI devices and NICs and the bay of NVMe disks, where SMBIOS or the kernel names it.
/// SMBIOS wins over the kernel's numbers, because its names are printed on the board.
pub(super) fn join(roots: &Roots, report: &mut AssetReport) {
    let kernel = pci::Slots::read(roots);
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut place = |slots: &[ExpansionSlot], onboard: &[OnboardDevice], address: &str| {
        known
            .entry(address.to_owned())
            .or_insert_with(|| {
                let above = pci::above(roots, address);
                named(slots, onboard, address, &above).or_else(|| kernel.of(address, &above))
            })
            .clone()
    };
    for device in &mut report.pci {
        device.slot = place(&report.slots, &report.onboard, &device.address).or(device.slot.take());
    }
    for nic in &mut report.nics {
        if let Some(address) = &nic.pci {
            nic.slot = place(&report.slots, &report.onboard, address);
        }
    }
    for disk in &mut report.disks {
        if let (Some(Transport::Nvme), None, Some(address)) = (disk.transport, &disk.bay, &disk.pci) {
            disk.bay = place(&report.slots, &report.onboard, address);
        }
    }
}

/// SMBIOS's name for the place of a PCI function. `above` is its path, from the root port to itself.
fn named(
    slots: &[ExpansionSlot],
    onboard: &[OnboardDevice],
    address: &str,
    above: &[String],
) -> Option<String> {
    let same =
        |pci: &Option<String>, other: &str| pci.as_deref().is_some_and(|pci| pci.eq_ignore_ascii_case(other));
    let device_of = |address: &str| Some(address.split_once('.')?.0.to_ascii_lowercase());
    onboard
        .iter()
        .find(|device| device.enabled != Some(false) && same(&device.pci, address))
        .and_then(|device| device.name.clone())
        .or_else(|| {
            // Type 9 has the address of the card in the slot (any function of it), or of the bridge above it.
            // On the root bus the other functions of that address belong to the chipset.
            let is_used = |slot: &&ExpansionSlot| slot.in_use != Some(false) && slot.pci.is_some();
            let used = || slots.iter().filter(is_used);
            let on_root_bus = above.len() < 2;
            let here = used().find(|slot| {
                same(&slot.pci, address)
                    || (!on_root_bus && slot.pci.as_deref().and_then(device_of) == device_of(address))
            });
            let bridge = || {
                above
                    .iter()
                    .rev()
                    .skip_while(|function| function.as_str() == address)
                    .find_map(|function| used().find(|slot| same(&slot.pci, function)))
            };
            here.or_else(bridge)?.slot.clone()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, pci: &str, in_use: Option<bool>) -> ExpansionSlot {
        ExpansionSlot {
            slot: Some(name.to_owned()),
            kind: None,
            in_use,
            pci: Some(pci.to_owned()),
            ..ExpansionSlot::default()
        }
    }

    #[test]
    fn onboard_then_the_card_then_the_bridge_above() {
        let slots = [
            slot("PCIe Slot 1", "0000:3b:00.0", Some(true)),
            slot("PCIe Slot 2", "0000:5d:00.0", Some(true)),
            slot("PCIe Slot 3", "0000:3b:00.0", Some(false)),
        ];
        let onboard = [OnboardDevice {
            name: Some("Integrated NIC 1".to_owned()),
            pci: Some("0000:18:00.0".to_owned()),
            ..OnboardDevice::default()
        }];
        let of = |address: &str, above: &[&str]| {
            let above: Vec<String> = above.iter().map(|a| (*a).to_owned()).collect();
            named(&slots, &onboard, address, &above)
        };
        assert_eq!(of("0000:18:00.0", &[]).as_deref(), Some("Integrated NIC 1"));
        assert_eq!(of("0000:18:00.1", &[]), None);
        assert_eq!(
            of("0000:3b:00.1", &["0000:3a:00.0", "0000:3b:00.1"]).as_deref(),
            Some("PCIe Slot 1")
        );
        assert_eq!(
            of("0000:5e:00.0", &["0000:5d:00.0", "0000:5e:00.0"]).as_deref(),
            Some("PCIe Slot 2")
        );
        assert_eq!(of("0000:00:1f.2", &["0000:00:1f.2"]), None);
        // A chipset device next to the one that a table lists as a slot (seen: slots at 00:1f.5).
        let chipset = [slot("J6B1", "0000:00:1f.5", None)];
        assert_eq!(
            named(&chipset, &[], "0000:00:1f.2", &["0000:00:1f.2".to_owned()]),
            None
        );
    }
}
