//! Network ports: by slot and port, by PCI address, or in groups.

use inventory_api::check::{HardwareProfile, NicProfile, Severity, Tolerance, code};
use inventory_api::report::{AssetReport, ExpansionSlot, LinkLayer, NicFacts, PciDevice};
use inventory_api::text::counted;

use super::difference::{Differences, not_blank};
use super::findings::Findings;
use super::parts::{Kind, Outcome, PART_LIMIT, Place, pair};
use super::pci::{Explained, id_of};
use super::text::{label, not_below, same, words, words_or};
use super::version::Fact;

/// Ports that a profile covers: not those of USB gadgets (of a BMC, or a forgotten adapter). Built-in USB
/// ports of small ARM boards (smsc95xx, lan78xx) count.
pub(super) fn is_fixed(nic: &NicFacts) -> bool {
    let gadget = |driver: &str| {
        driver.starts_with("cdc_")
            || matches!(
                driver,
                "rndis_host" | "r8152" | "ax88179_178a" | "asix" | "usbnet"
            )
    };
    nic.pci.is_some() || !nic.driver.as_deref().is_some_and(gadget)
}

/// Whether it is an InfiniBand port; with older agents only the name tells.
pub(super) fn is_infiniband(nic: &NicFacts) -> bool {
    match nic.link_layer {
        Some(layer) => layer == LinkLayer::Infiniband,
        None => nic.mac.is_none() && nic.name.starts_with("ib"),
    }
}

/// `lacks_drivers`: the reporting kernel has only the drivers it needs.
pub(super) fn check(
    findings: &mut Findings,
    profile: &HardwareProfile,
    report: &AssetReport,
    lacks_drivers: bool,
    explained: &mut Explained,
) {
    let wants = &profile.nics;
    if wants.is_empty() {
        return;
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
                missing(findings, explained, &wants[want], lacking, &around);
            }
            Outcome::Extra { have } => {
                let nic = haves[have];
                explained.is_extra(&nic.pci_id);
                let (place, found) = (place_of(nic), describe(nic));
                if is_infiniband(nic) {
                    let (severity, code) = (Severity::Info, code::NIC_EXTRA);
                    let sentence =
                        format!("Network port {place}: {found} is an InfiniBand port beside those ordered.");
                    findings.add_as(severity, code, &place, "no port", &found, &sentence);
                } else {
                    let name = format!("Network port {place}");
                    findings.extra(code::NIC_EXTRA, &place, &name, "no port", &found);
                }
            }
            // Only a slot is a place that someone chose.
            Outcome::Moved { want, have } | Outcome::Swapped { want, have, .. } => {
                let (want, nic) = (&wants[want], haves[have]);
                if let (Some(from), Some(to)) = (&want.slot, &nic.slot)
                    && !same(from, to)
                {
                    let what = describe(nic);
                    let sentence = format!("{what} sits in {to} instead of {from}. Move the card to {from}.");
                    findings.moved(code::NIC_MOVED, from, &what, (from, to), &sentence);
                }
            }
            Outcome::Differs { want, have } => {
                let (want, nic) = (&wants[want], haves[have]);
                let list = kind.differences(want, &nic);
                let Some(said) = list.said() else { continue };
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
    findings.too_many(code::NIC_EXTRA, "NICs", haves.len(), "network ports");
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

    fn differences(&self, want: &NicProfile, have: &&NicFacts) -> Differences {
        let mut list = Differences::default();
        // Profiles of older versions have the port's place and id, but not its kind.
        let placed = want.slot.is_some() || want.pci.is_some();
        let is = is_infiniband(have);
        let other_kind = match want.link_layer {
            Some(wanted) => (wanted == LinkLayer::Infiniband) != is,
            None => is && !placed,
        };
        if other_kind {
            let word = |infiniband: bool| if infiniband { "InfiniBand" } else { "Ethernet" };
            list.add(code::NIC_OTHER, word(!is), word(is));
        }
        for (name, wanted, is) in [
            ("PCI id", &want.pci_id, &have.pci_id),
            ("driver", &want.driver, &have.driver),
        ] {
            let texts = (not_blank(wanted), is.as_deref());
            list.fact(code::NIC_OTHER, name, texts, same, |text| {
                format!("{name} {text}")
            });
        }
        if let Some(speed) = want.min_speed_mbps {
            let percent = self.tolerance.link_speed;
            let found = match (have.speed_mbps, have.link) {
                (Some(is), _) => Some(format!("{is} Mbit/s")),
                (None, Some(false)) => Some("no link".to_owned()),
                (None, Some(true) | None) => None,
            };
            if !have.speed_mbps.is_some_and(|is| not_below(is, speed, percent)) {
                list.other(code::NIC_SLOW, "link speed", format!("{speed} Mbit/s"), found);
            }
        }
        let firmware = Fact {
            word: "firmware ",
            ..Fact::firmware(&want.firmware, &want.min_firmware, &have.firmware)
        };
        list.firmware(code::NIC_FIRMWARE_OLDER, code::NIC_FIRMWARE_OTHER, firmware);
        list
    }

    /// A port may replace another one of its kind.
    fn may_be(&self, want: &NicProfile, have: &&NicFacts) -> bool {
        (want.link_layer == Some(LinkLayer::Infiniband)) == is_infiniband(have)
    }
}

/// Slot and port, else PCI address, else kernel name.
pub(crate) fn place_of(nic: &NicFacts) -> String {
    place_or(&nic.name, &nic.slot, &nic.port, &nic.pci)
}

fn place_or(name: &str, slot: &Option<String>, port: &Option<String>, pci: &Option<String>) -> String {
    let slot = slot.as_deref().filter(|slot| !slot.trim().is_empty());
    match (slot, pci) {
        (Some(_), _) => words([slot, port.as_deref()]),
        (None, Some(pci)) => pci.clone(),
        (None, None) => name.to_owned(),
    }
}

fn describe(nic: &NicFacts) -> String {
    let mac = nic.permanent_mac.or(nic.mac).map(|mac| mac.to_string());
    let text = words([nic.driver.as_deref(), nic.pci_id.as_deref(), mac.as_deref()]);
    format!("{} ({text})", nic.name)
}

/// Whether a port is on the card of an entry: same slot, else same PCI device.
fn one_card(want: &NicProfile, have: &NicFacts) -> bool {
    let device = |address: &str| address.rsplit_once('.').map(|(device, _)| device.to_lowercase());
    match (&want.slot, &have.slot, &want.pci, &have.pci) {
        (Some(slot), Some(other), _, _) => same(slot, other),
        (_, _, Some(pci), Some(other)) => device(pci).is_some_and(|d| device(other) == Some(d)),
        _ => false,
    }
}

/// What else the report shows about a missing port.
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
    let what = words_or("a network port", [want.driver.as_deref(), want.pci_id.as_deref()]);
    let place = place_or("NICs", &want.slot, &want.port, &want.pci);
    // The card may be present without a driver.
    let idle: Vec<&PciDevice> = around
        .pci
        .iter()
        .take(PART_LIMIT)
        .filter(|d| d.driver.is_none() && d.class.as_deref().is_some_and(|c| c.starts_with("02")))
        .filter(|d| match (&want.pci, &want.pci_id) {
            (Some(address), _) if same(address, &d.address) => true,
            (_, Some(wanted)) => id_of(d).is_some_and(|id| same(wanted, &id)),
            (Some(_), None) => false,
            (None, None) => true,
        })
        .take(lacking as usize)
        .collect();
    let of = want.count.unwrap_or(1);
    let (found, act) = if !idle.is_empty() {
        (
            "present, but without a driver",
            "It is on the bus but has no driver: the mini-os lacks one, or the card is broken.",
        )
    } else if around.haves.iter().take(PART_LIMIT).any(|h| one_card(want, h)) {
        (
            "missing",
            "Other ports of its card are seen: it is switched off in the firmware's setup, or broken.",
        )
    } else {
        ("missing", "The card is missing, not seated or broken.")
    };
    explained.addresses.extend(idle.iter().map(|d| d.address.clone()));
    if around.lacks_drivers && !idle.is_empty() {
        return;
    }
    let (expected, sentence) = if of > 1 {
        let ports = counted(of, "network port");
        let sentence = format!("{lacking} of {ports} ({what}) are missing. {act}");
        (format!("{of} x {what}"), sentence)
    } else {
        let name = label("Network port", &place);
        let sentence = format!("{name}: expected {what}, which is missing. {act}");
        (what, sentence)
    };
    findings.add(code::NIC_MISSING, &place, &expected, found, &sentence);
}
