//! PCIe links of GPUs and network cards: compared with the profile if it names the device, else with what
//! card and slot support.

use std::collections::BTreeSet;

use inventory_api::check::{LinkProfile, Severity, code};
use inventory_api::report::{AssetReport, PciDevice};

use super::findings::Findings;
use super::parts::PART_LIMIT;
use super::pci::{id_of, name_of, place_of};
use super::text::words;
use super::validate::is_pci_id;

/// GPUs, accelerators and network cards.
fn is_watched(device: &PciDevice) -> bool {
    let class = device.class.as_deref().unwrap_or_default();
    ["02", "03", "0b40", "12"].iter().any(|c| class.starts_with(c))
}

/// "32.0 GT/s PCIe" as a number.
fn speed(text: &Option<String>) -> Option<f64> {
    text.as_deref()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n > 0.0)
}

/// The lanes that both card and slot support. A slot may have fewer than the card.
fn most_lanes(device: &PciDevice, report: &AssetReport) -> Option<u32> {
    let card = device.link_width_max?;
    let is_here = |pci: &Option<String>| {
        let device_of = |address: &str| address.split('.').next().unwrap_or_default().to_lowercase();
        pci.as_deref()
            .is_some_and(|pci| device_of(pci) == device_of(&device.address))
    };
    let slot = report
        .slots
        .iter()
        .take(PART_LIMIT)
        .find(|slot| is_here(&slot.pci) || device.slot.is_some() && slot.slot == device.slot);
    let lanes = slot.and_then(|slot| slot.width.as_deref()?.trim_start_matches('x').parse().ok());
    Some(
        lanes
            .filter(|lanes: &u32| *lanes > 0)
            .map_or(card, |lanes| lanes.min(card)),
    )
}

/// The link that a golden profile demands, for devices that run as fast as card and slot support.
pub(super) fn golden(report: &AssetReport) -> Vec<LinkProfile> {
    let mut list: Vec<LinkProfile> = Vec::new();
    let mut slow = BTreeSet::new();
    for device in report.pci.iter().filter(|d| is_watched(d)).take(PART_LIMIT) {
        let (Some(id), Some(width)) = (id_of(device), device.link_width) else {
            continue;
        };
        let Some(now) = speed(&device.link_speed) else {
            continue;
        };
        // A card in a slot of an older generation runs slower and is fine; far slower is not.
        let most = speed(&device.link_speed_max).unwrap_or(now);
        if most_lanes(device, report).is_some_and(|most| width < most) || now * 2.0 < most {
            slow.insert(id);
            continue;
        }
        match list.iter_mut().find(|link| link.id == id) {
            Some(link) => {
                link.min_width = link.min_width.min(Some(width));
                link.min_speed_gts = link.min_speed_gts.map(|known| known.min(now));
            }
            None => list.push(LinkProfile {
                id,
                min_width: Some(width),
                min_speed_gts: Some(now),
            }),
        }
    }
    list.retain(|link| !slow.contains(&link.id) && is_pci_id(&link.id));
    list
}

/// `by_health`: devices that the profile does not name are compared with what they support. `idles`: the
/// reporting system may slow down links to save power.
pub(super) fn check(
    findings: &mut Findings,
    wants: &[LinkProfile],
    report: &AssetReport,
    by_health: bool,
    idles: bool,
) {
    // The functions of a card share its link.
    let mut told = BTreeSet::new();
    for device in report.pci.iter().take(PART_LIMIT) {
        let id = id_of(device).unwrap_or_default();
        let wanted = wants.iter().find(|want| want.id.trim().eq_ignore_ascii_case(&id));
        let now = speed(&device.link_speed);
        let (width, gts, by_profile) = match wanted {
            Some(want) => (want.min_width, want.min_speed_gts, true),
            None if by_health && is_watched(device) => {
                (most_lanes(device, report), speed(&device.link_speed_max), false)
            }
            None => continue,
        };
        let gts = gts.filter(|_| !idles);
        let card = device.address.split('.').next().unwrap_or_default();
        if by_profile && (width.is_some() && device.link_width.is_none() || gts.is_some() && now.is_none()) {
            if told.insert(card) {
                let (place, expected) = (&device.address, shown(width, gts));
                findings.not_reported(code::LINK_SLOW, place, place, &expected, "link");
            }
            continue;
        }
        let narrow = width
            .zip(device.link_width)
            .is_some_and(|(most, is)| is > 0 && is < most);
        let slow = gts.zip(now).is_some_and(|(most, is)| is < most);
        if !(narrow || slow) || !told.insert(card) {
            continue;
        }
        // A slot of the previous generation is not a fault; only a profile can tell.
        let halved = gts.zip(now).is_some_and(|(most, is)| is * 2.0 < most);
        let severity = if by_profile || narrow || halved {
            Severity::Warning
        } else {
            Severity::Info
        };
        let (place, name) = (place_of(device), name_of(device));
        let (expected, found) = (shown(width, gts), shown(device.link_width, now));
        let sentence = format!(
            "{name} at {place} runs at {found}; expected is {expected}. Reseat the card, clean its contacts, and look at the slot's \
             settings."
        );
        findings.add_as(severity, code::LINK_SLOW, place, &expected, &found, &sentence);
    }
}

/// "x16 32 GT/s".
fn shown(width: Option<u32>, gts: Option<f64>) -> String {
    let width = width.map(|n| format!("x{n}"));
    let gts = gts.map(|n| format!("{n} GT/s"));
    words([width.as_deref(), gts.as_deref()])
}
