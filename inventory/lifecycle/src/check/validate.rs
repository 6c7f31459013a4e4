//! A profile that can be read but makes no sense is refused before it is used.

use std::collections::BTreeSet;

use inventory_api::check::{HardwareProfile, ProfileProblem, code};

use super::parts::{GROUP_LIMIT, PART_LIMIT};

/// What is wrong with a profile; empty: nothing. At most some hundred problems are told.
pub fn validate(profile: &HardwareProfile) -> Vec<ProfileProblem> {
    let mut problems = Problems(Vec::new());
    for known in profile.severity.keys() {
        if !code::ALL.contains(&known.as_str()) {
            let near: Vec<&str> = code::ALL.iter().copied().filter(|c| alike(c, known)).collect();
            let hint = if near.is_empty() {
                "docs/check.md lists them".to_owned()
            } else {
                format!("did you mean {}?", near.join(" or "))
            };
            problems.add(
                format!("severity.{}", super::text::tame(known, 60)),
                format!("there is no finding with this code; {hint}"),
            );
        }
    }
    sizes(&mut problems, profile);
    groups(&mut problems, profile);
    for (at, dimm) in profile.memory.dimms.iter().enumerate() {
        let field = format!("memory.dimms[{at}]");
        let placed = dimm.slot.is_some() || dimm.bank.is_some();
        problems.count(&field, dimm.count, placed.then_some("slot"));
        if dimm.empty && (dimm.size.is_some() || dimm.part.is_some() || dimm.speed_mts.is_some()) {
            problems.add(
                field,
                "it is empty and yet has a module: leave out one of the two".to_owned(),
            );
        }
    }
    for (at, disk) in profile.disks.iter().enumerate() {
        let field = format!("disks[{at}]");
        let place = disk
            .bay
            .as_ref()
            .map(|_| "bay")
            .or(disk.path.as_ref().map(|_| "path"));
        problems.count(&field, disk.count, place);
        if disk
            .size
            .zip(disk.min_size)
            .is_some_and(|(size, least)| size < least)
        {
            problems.add(field, "size is less than min_size".to_owned());
        }
    }
    for (at, nic) in profile.nics.iter().enumerate() {
        let place = nic
            .slot
            .as_ref()
            .map(|_| "slot")
            .or(nic.pci.as_ref().map(|_| "pci"));
        problems.count(&format!("nics[{at}]"), nic.count, place);
        problems.pci_id(format!("nics[{at}].pci_id"), nic.pci_id.as_deref());
    }
    for (at, gpu) in profile.gpus.iter().enumerate() {
        problems.count(&format!("gpus[{at}]"), gpu.count, gpu.pci.as_ref().map(|_| "pci"));
        problems.pci_id(format!("gpus[{at}].pci_id"), gpu.pci_id.as_deref());
    }
    for (at, psu) in profile.psus.iter().enumerate() {
        problems.count(&format!("psus[{at}]"), psu.count, psu.bay.as_ref().map(|_| "bay"));
    }
    for (at, link) in profile.links.iter().enumerate() {
        problems.pci_id(format!("links[{at}].id"), Some(&link.id));
    }
    let mut seen = BTreeSet::new();
    for (at, pci) in profile.pci.iter().enumerate() {
        problems.pci_id(format!("pci[{at}].id"), Some(&pci.id));
        if !seen.insert(pci.id.to_lowercase()) {
            problems.add(
                format!("pci[{at}].id"),
                "it stands twice: give it once with a count".to_owned(),
            );
        }
    }
    tolerances(&mut problems, profile);
    problems.0
}

/// Codes with the same first word: "dimm-".
fn alike(code: &str, text: &str) -> bool {
    let first = |text: &str| {
        text.split(['-', '_', ' '])
            .next()
            .unwrap_or_default()
            .to_lowercase()
    };
    !text.is_empty() && first(code) == first(text)
}

fn sizes(problems: &mut Problems, profile: &HardwareProfile) {
    for (field, len) in [
        ("cpu.processors", profile.cpu.processors.len()),
        ("memory.dimms", profile.memory.dimms.len()),
        ("disks", profile.disks.len()),
        ("nics", profile.nics.len()),
        ("gpus", profile.gpus.len()),
        ("psus", profile.psus.len()),
        ("pci", profile.pci.len()),
        ("links", profile.links.len()),
    ] {
        if len > PART_LIMIT {
            problems.add(
                field.to_owned(),
                format!("{len} entries; a profile has at most {PART_LIMIT}"),
            );
        }
    }
}

/// Entries without a place, which are looked at all together.
fn groups(problems: &mut Problems, profile: &HardwareProfile) {
    let dimms = profile.memory.dimms.iter();
    let (disks, nics) = (profile.disks.iter(), profile.nics.iter());
    for (field, groups) in [
        (
            "memory.dimms",
            dimms.filter(|d| d.slot.is_none() && d.bank.is_none()).count(),
        ),
        (
            "disks",
            disks.filter(|d| d.bay.is_none() && d.path.is_none()).count(),
        ),
        (
            "nics",
            nics.filter(|n| n.slot.is_none() && n.pci.is_none()).count(),
        ),
        ("gpus", profile.gpus.iter().filter(|g| g.pci.is_none()).count()),
        ("psus", profile.psus.iter().filter(|p| p.bay.is_none()).count()),
    ] {
        if groups > GROUP_LIMIT {
            problems.add(
                field.to_owned(),
                format!("{groups} entries without a place; at most {GROUP_LIMIT}: give like parts one entry with a count"),
            );
        }
    }
}

fn tolerances(problems: &mut Problems, profile: &HardwareProfile) {
    let t = &profile.tolerance;
    for (field, percent) in [
        ("memory_total", t.memory_total),
        ("memory_speed", t.memory_speed),
        ("disk_size", t.disk_size),
        ("link_speed", t.link_speed),
        ("psu_watts", t.psu_watts),
    ] {
        if percent > 100 {
            problems.add(
                format!("tolerance.{field}"),
                format!("{percent} percent; at most 100 make sense"),
            );
        }
    }
}

struct Problems(Vec<ProfileProblem>);

impl Problems {
    fn add(&mut self, field: String, detail: String) {
        if self.0.len() < 200 {
            self.0.push(ProfileProblem { field, detail });
        }
    }

    fn count(&mut self, field: &str, count: Option<u32>, place: Option<&str>) {
        match (count, place) {
            (Some(0), _) => self.add(
                format!("{field}.count"),
                "0 of a part fix nothing: leave the entry out".to_owned(),
            ),
            (Some(n), Some(place)) if n > 1 => self.add(
                format!("{field}.count"),
                format!("{n} parts cannot be in one {place}: leave out one of the two"),
            ),
            (Some(n), None) if n as usize > PART_LIMIT => self.add(
                format!("{field}.count"),
                format!("{n} is more than any machine has (at most {PART_LIMIT})"),
            ),
            _ => {}
        }
    }

    fn pci_id(&mut self, field: String, id: Option<&str>) {
        let Some(id) = id else { return };
        let four = |text: &str| text.len() == 4 && text.chars().all(|c| c.is_ascii_hexdigit());
        let holds = id.contains('*') || id.trim().split_once(':').is_some_and(|(v, d)| four(v) && four(d));
        if !holds {
            self.add(
                field,
                "a PCI id is vendor and device in hex, as \"8086:1572\"".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::check::{DimmProfile, DiskProfile, PciProfile, SeverityRule};

    #[test]
    fn nonsense_is_told_by_field() {
        let mut profile = HardwareProfile::default();
        assert_eq!(validate(&profile), []);
        profile.severity.insert("dimm-mising".into(), SeverityRule::Info);
        profile.memory.dimms = vec![DimmProfile {
            slot: Some("A1".into()),
            count: Some(2),
            ..DimmProfile::default()
        }];
        profile.disks = vec![DiskProfile {
            count: Some(0),
            ..DiskProfile::default()
        }];
        profile.pci = vec![PciProfile {
            id: "X710".into(),
            ..PciProfile::default()
        }];
        profile.tolerance.disk_size = 200;
        let fields: Vec<String> = validate(&profile).into_iter().map(|p| p.field).collect();
        assert_eq!(
            fields,
            [
                "severity.dimm-mising",
                "memory.dimms[0].count",
                "disks[0].count",
                "pci[0].id",
                "tolerance.disk_size"
            ]
        );
        assert!(validate(&profile)[0].detail.contains("dimm-missing"));
    }
}
