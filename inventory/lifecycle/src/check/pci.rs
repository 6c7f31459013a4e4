//! Other PCI devices: the number of each id.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::{PciProfile, code};
use inventory_api::report::{AssetReport, PciDevice};

use super::findings::Findings;

/// What findings about ports and accelerators already explain about PCI devices.
#[derive(Default)]
pub(super) struct Explained {
    /// Addresses of devices without a driver that have a finding.
    pub addresses: BTreeSet<String>,
    /// Ids of missing devices that have a finding, with their number.
    missing: BTreeMap<String, u32>,
    /// Ids of devices beyond the profile, with their number.
    extra: BTreeMap<String, u32>,
}

impl Explained {
    pub(super) fn is_missing(&mut self, id: &Option<String>, count: u32) {
        note(&mut self.missing, id, count);
    }

    pub(super) fn is_extra(&mut self, id: &Option<String>) {
        note(&mut self.extra, id, 1);
    }
}

/// A profile may demand any number.
fn note(counts: &mut BTreeMap<String, u32>, id: &Option<String>, count: u32) {
    if let Some(id) = id {
        let known = counts.entry(id.to_lowercase()).or_default();
        *known = known.saturating_add(count);
    }
}

/// "8086:1572" in lower case.
pub(super) fn id_of(device: &PciDevice) -> Option<String> {
    match (&device.vendor, &device.device) {
        (Some(vendor), Some(device)) => Some(format!("{vendor}:{device}").to_lowercase()),
        _ => None,
    }
}

/// "Ethernet Controller X710 (8086:1572)".
pub(super) fn name_of(device: &PciDevice) -> String {
    let id = id_of(device).unwrap_or_else(|| "unknown id".to_owned());
    match &device.name {
        Some(name) => format!("{name} ({id})"),
        None => id,
    }
}

/// Slot, else the PCI address.
pub(super) fn place_of(device: &PciDevice) -> &str {
    device.slot.as_deref().unwrap_or(&device.address)
}

pub(super) fn check(
    findings: &mut Findings,
    wants: &[PciProfile],
    report: &AssetReport,
    explained: &Explained,
) {
    if wants.is_empty() {
        return;
    }
    let mut counts: BTreeMap<String, (u32, &PciDevice)> = BTreeMap::new();
    for device in &report.pci {
        if let Some(id) = id_of(device) {
            counts.entry(id).or_insert((0, device)).0 += 1;
        }
    }
    for want in wants {
        let id = want.id.trim().to_lowercase();
        let wanted = want.count.unwrap_or(1);
        let is = counts.get(&id).map_or(0, |(count, _)| *count);
        let told = |of: &BTreeMap<String, u32>| of.get(&id).copied().unwrap_or(0);
        let what = match &want.name {
            Some(name) => format!("{name} ({id})"),
            None => id.clone(),
        };
        let expected = format!("{wanted} x {what}");
        if is.saturating_add(told(&explained.missing)) < wanted {
            let sentence = format!(
                "{} of {wanted} PCI devices {what} are missing: a card is missing, not seated or broken.",
                wanted - is
            );
            findings.add(code::PCI_MISSING, &id, &expected, &is.to_string(), &sentence);
        } else if is.saturating_sub(told(&explained.extra)) > wanted {
            let sentence = format!("{} PCI devices {what} more than expected are there.", is - wanted);
            findings.add(code::PCI_EXTRA, &id, &expected, &is.to_string(), &sentence);
        }
    }
}
