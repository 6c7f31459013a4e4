//! Network ports: by slot and port, by PCI address, or in groups.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::{HardwareProfile, NicProfile, Severity, Tolerance, code};
use inventory_api::report::{AssetReport, ExpansionSlot, LinkLayer, NicFacts, PciDevice};

use super::difference::{Difference, said};
use super::findings::Findings;
use super::parts::{Kind, Outcome, PART_LIMIT, Place, pair};
use super::text::{counted, label, same, words};
use super::version::{compare, off};

/// What findings about ports and accelerators explain of the PCI devices.
#[derive(Default)]
pub(super) struct Explained {
    /// Addresses of devices without a driver that were told.
    pub addresses: BTreeSet<String>,
    /// Ids of devices that are missing, and how many: told already.
    pub missing: BTreeMap<String, u32>,
    /// Ids of devices that are beyond the profile, and how many.
    pub extra: BTreeMap<String, u32>,
}

impl Explained {
    pub(super) fn merge(&mut self, other: Explained) {
        self.addresses.extend(other.addresses);
        for (into, from) in [(&mut self.missing, other.missing), (&mut self.extra, other.extra)] {
            for (id, count) in from {
                *into.entry(id).or_default() += count;
            }
        }
    }

    pub(super) fn is_missing(&mut self, id: &Option<String>, count: u32) {
        if let Some(id) = id {
            *self.missing.entry(id.to_lowercase()).or_default() += count;
        }
    }

    pub(super) fn is_extra(&mut self, id: &Option<String>) {
        if let Some(id) = id {
            *self.extra.entry(id.to_lowercase()).or_default() += 1;
        }
    }
}

/// Ports that a profile means: not those of a USB gadget (a BMC's, an adapter somebody left in).
pub(super) fn is_fixed(nic: &NicFacts) -> bool {
    nic.pci.is_some()
        || !nic.driver.as_deref().is_some_and(|d| {
            d.starts_with("cdc_") || matches!(d, "rndis_host" | "r8152" | "ax88179_178a" | "asix" | "usbnet")
        })
}

/// An InfiniBand port; older agents give its kind by its name alone.
pub(super) fn is_infiniband(nic: &NicFacts) -> bool {
    match nic.link_layer {
        Some(layer) => layer == LinkLayer::Infiniband,
        None => nic.mac.is_none() && nic.name.starts_with("ib"),
    }
}

/// `lacks_drivers`: the kernel that reported has drivers for its own purpose only.
pub(super) fn check(
    findings: &mut Findings,
    profile: &HardwareProfile,
    report: &AssetReport,
    lacks_drivers: bool,
) -> Explained {
    let mut explained = Explained::default();
    let wants = &profile.nics;
    if wants.is_empty() {
        return explained;
    }
    let haves: Vec<&NicFacts> = report.nics.iter().filter(|n| is_fixed(n)).collect();
    let kind = Nics {
        tolerance: &profile.tolerance,
        slots: &report.slots,
    };
    for outcome in pair(&kind, wants, &haves) {
        match outcome {
            Outcome::Fits { .. } => {}
            Outcome::Missing { want, lacking } => {
                explained.is_missing(&wants[want].pci_id, lacking);
                let around = Around {
                    haves: &haves,
                    pci: &report.pci,
                    lacks_drivers,
                };
                missing(findings, &mut explained, &wants[want], lacking, &around);
            }
            Outcome::Extra { have } => {
                let nic = haves[have];
                explained.is_extra(&nic.pci_id);
                let (place, found) = (place_of(nic), describe(nic));
                if is_infiniband(nic) {
                    let sentence =
                        format!("Network port {place}: {found} is an InfiniBand port beside those ordered.");
                    findings.add_as(
                        Severity::Info,
                        code::NIC_EXTRA,
                        &place,
                        "no port",
                        &found,
                        &sentence,
                    );
                    continue;
                }
                let sentence = format!("Network port {place}: {found} is there although none was ordered.");
                findings.add(code::NIC_EXTRA, &place, "no port", &found, &sentence);
            }
            // Only a slot is a place that somebody chose.
            Outcome::Moved { want, have } | Outcome::Swapped { want, have, .. } => {
                let (want, nic) = (&wants[want], haves[have]);
                if let (Some(from), Some(to)) = (&want.slot, &nic.slot)
                    && !same(from, to)
                {
                    let what = describe(nic);
                    let sentence = format!("{what} sits in {to} instead of {from}. Move the card to {from}.");
                    findings.add(
                        code::NIC_MOVED,
                        from,
                        &format!("{what} in {from}"),
                        &format!("in {to}"),
                        &sentence,
                    );
                }
            }
            Outcome::Differs { want, have } => {
                let (want, nic) = (&wants[want], haves[have]);
                let list = kind.differences(want, &nic);
                let Some(said) = said(&list) else { continue };
                if said.code == code::NIC_OTHER && !said.unknown {
                    explained.is_missing(&want.pci_id, 1);
                    explained.is_extra(&nic.pci_id);
                }
                let place = place_of(nic);
                let name = label("Network port", &place);
                findings.add_said(&place, &name, &said, |said| {
                    let act = match said.code {
                        code::NIC_SLOW => "Check cable, transceiver and switch port.",
                        code::NIC_FIRMWARE_OLDER => "Update its firmware.",
                        code::NIC_FIRMWARE_OTHER => "Install the expected firmware, or change the profile.",
                        _ => "Another card is fitted than ordered.",
                    };
                    format!("{name}: expected {}, found {}. {act}", said.expected, said.found)
                });
            }
        }
    }
    if haves.len() > PART_LIMIT {
        let more = format!("{} more network ports", haves.len() - PART_LIMIT);
        let sentence = format!("The machine lists {more} than are looked at one by one.");
        findings.add(code::NIC_EXTRA, "NICs", "", &more, &sentence);
    }
    explained
}

struct Nics<'a> {
    tolerance: &'a Tolerance,
    slots: &'a [ExpansionSlot],
}

impl<'a> Kind for Nics<'a> {
    type Want = NicProfile;
    type Have = &'a NicFacts;

    fn place(&self, want: &NicProfile) -> Option<Place> {
        let function = words([want.pci.as_deref(), want.port.as_deref()]);
        Place::new("slot", want.slot.as_deref(), Some(&function))
            .or_else(|| Place::new("pci", want.pci.as_deref(), want.port.as_deref()))
    }

    fn places(&self, have: &&NicFacts) -> Vec<Place> {
        let function = words([have.pci.as_deref(), have.port.as_deref()]);
        let slot = Place::new("slot", have.slot.as_deref(), Some(&function));
        slot.into_iter()
            .chain(Place::new("pci", have.pci.as_deref(), have.port.as_deref()))
            .collect()
    }

    fn count(&self, want: &NicProfile) -> u32 {
        want.count.unwrap_or(1)
    }

    fn shifts(&self, _: &NicProfile) -> bool {
        true
    }

    fn other_places(&self) -> Vec<Place> {
        let slots = self.slots.iter().take(PART_LIMIT);
        slots
            .filter_map(|slot| Place::new("slot", slot.slot.as_deref(), None))
            .collect()
    }

    fn differences(&self, want: &NicProfile, have: &&NicFacts) -> Vec<Difference> {
        let mut list = Vec::new();
        // A profile of an older version has the port's place and id, and not its kind.
        let placed = want.slot.is_some() || want.pci.is_some();
        let other_kind = match want.link_layer {
            Some(wanted) => (wanted == LinkLayer::Infiniband) != is_infiniband(have),
            None => is_infiniband(have) && !placed,
        };
        if other_kind {
            let word = |infiniband: bool| if infiniband { "InfiniBand" } else { "Ethernet" };
            let is = is_infiniband(have);
            list.push(Difference::new(code::NIC_OTHER, word(!is), word(is)));
        }
        let texts = [
            ("PCI id", &want.pci_id, &have.pci_id),
            ("driver", &want.driver, &have.driver),
        ];
        for (what, wanted, is) in texts {
            if let Some(wanted) = wanted
                && !is.as_deref().is_some_and(|is| same(wanted, is))
            {
                let found = is.as_ref().map(|is| format!("{what} {is}"));
                list.push(Difference::of(
                    code::NIC_OTHER,
                    format!("{what} {wanted}"),
                    found,
                    what,
                ));
            }
        }
        if let Some(speed) = want.min_speed_mbps {
            let least = u64::from(speed) * u64::from(100_u32.saturating_sub(self.tolerance.link_speed));
            if have.speed_mbps.is_none_or(|is| u64::from(is) * 100 < least) {
                let found = match (have.speed_mbps, have.link) {
                    (Some(is), _) => Some(format!("{is} Mbit/s")),
                    (None, Some(false)) => Some("no link".to_owned()),
                    (None, Some(true) | None) => None,
                };
                list.push(Difference::of(
                    code::NIC_SLOW,
                    format!("{speed} Mbit/s"),
                    found,
                    "link speed",
                ));
            }
        }
        if let Some(off) = off(
            want.firmware.as_deref(),
            want.min_firmware.as_deref(),
            have.firmware.as_deref(),
            compare,
        ) {
            let mut difference = off.difference(code::NIC_FIRMWARE_OLDER, code::NIC_FIRMWARE_OTHER);
            difference.expected = format!("firmware {}", difference.expected);
            if !difference.unknown {
                difference.found = format!("firmware {}", difference.found);
            }
            list.push(difference);
        }
        list
    }

    /// Any port may be another port, but none of another kind.
    fn may_be(&self, want: &NicProfile, have: &&NicFacts) -> bool {
        (want.link_layer == Some(LinkLayer::Infiniband)) == is_infiniband(have)
    }
}

/// Slot and port, else the PCI address, else the kernel's name.
pub(super) fn place_of(nic: &NicFacts) -> String {
    let slot = words([
        nic.slot.as_deref(),
        nic.port.as_deref().filter(|_| nic.slot.is_some()),
    ]);
    match (slot.is_empty(), &nic.pci) {
        (false, _) => slot,
        (true, Some(pci)) => pci.clone(),
        (true, None) => nic.name.clone(),
    }
}

fn describe(nic: &NicFacts) -> String {
    let mac = nic.permanent_mac.or(nic.mac).map(|mac| mac.to_string());
    let text = words([nic.driver.as_deref(), nic.pci_id.as_deref(), mac.as_deref()]);
    format!("{} ({text})", nic.name)
}

/// Whether a port is on the card that a profile means: its slot, else its PCI device.
fn one_card(want: &NicProfile, have: &NicFacts) -> bool {
    let device = |address: &str| address.rsplit_once('.').map(|(device, _)| device.to_lowercase());
    match (&want.slot, &have.slot, &want.pci, &have.pci) {
        (Some(slot), Some(other), _, _) => same(slot, other),
        (_, _, Some(pci), Some(other)) => device(pci).is_some_and(|d| device(other) == Some(d)),
        _ => false,
    }
}

/// What else the report has where a port is missing.
struct Around<'a> {
    haves: &'a [&'a NicFacts],
    pci: &'a [PciDevice],
    lacks_drivers: bool,
}

fn missing(
    findings: &mut Findings,
    explained: &mut Explained,
    want: &NicProfile,
    lacking: u32,
    around: &Around,
) {
    let what = words([want.driver.as_deref(), want.pci_id.as_deref()]);
    let what = if what.is_empty() {
        "a network port".to_owned()
    } else {
        what
    };
    let slot = words([
        want.slot.as_deref(),
        want.port.as_deref().filter(|_| want.slot.is_some()),
    ]);
    let place = match (slot.is_empty(), &want.pci) {
        (false, _) => slot,
        (true, Some(pci)) => pci.clone(),
        (true, None) => "NICs".to_owned(),
    };
    // The card may be there, with nobody to drive it.
    let idle: Vec<&PciDevice> = around
        .pci
        .iter()
        .take(PART_LIMIT)
        .filter(|d| {
            d.driver.is_none() && d.class.as_deref().is_some_and(|c| c.starts_with("02")) && {
                let id = words([d.vendor.as_deref(), d.device.as_deref()]).replace(' ', ":");
                match (&want.pci, &want.pci_id) {
                    (Some(address), _) if same(address, &d.address) => true,
                    (_, Some(wanted)) => same(wanted, &id),
                    (Some(_), None) => false,
                    (None, None) => true,
                }
            }
        })
        .take(lacking as usize)
        .collect();
    let of = want.count.unwrap_or(1);
    let expected = if of > 1 {
        format!("{of} x {what}")
    } else {
        what.clone()
    };
    let (found, act) = if idle.is_empty() && around.haves.iter().take(PART_LIMIT).any(|h| one_card(want, h)) {
        (
            "missing",
            "Other ports of its card are seen: it is switched off in the firmware's setup, or broken.",
        )
    } else if idle.is_empty() {
        ("missing", "The card is missing, not seated or broken.")
    } else {
        (
            "there, but no driver took it",
            "It is on the bus but has no driver: the mini-os lacks one, or the card is broken.",
        )
    };
    explained.addresses.extend(idle.iter().map(|d| d.address.clone()));
    if around.lacks_drivers && !idle.is_empty() {
        return;
    }
    let sentence = if of > 1 {
        format!(
            "{lacking} of {} ({what}) are missing. {act}",
            counted(u64::from(of), "network port")
        )
    } else {
        format!(
            "{}: expected {what}, which is missing. {act}",
            label("Network port", &place)
        )
    };
    findings.add(code::NIC_MISSING, &place, &expected, found, &sentence);
}
