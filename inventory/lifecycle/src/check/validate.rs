//! Refuses a hardware profile that can be parsed but makes no sense.

use std::collections::BTreeSet;

use inventory_api::check::{HardwareProfile, ProfileProblem, code};
use inventory_api::text::tame;

use super::parts::{GROUP_LIMIT, PART_LIMIT};

/// Errors of a profile, at most a few hundred; empty if it is valid.
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
            let field = format!("severity.{}", tame(known, 60));
            problems.add(field, format!("there is no finding with this code; {hint}"));
        }
    }
    problems.size("cpu.processors", profile.cpu.processors.len());
    let dimms = &profile.memory.dimms;
    problems.parts("memory.dimms", dimms, |d| {
        (d.count, place(&[("slot", &d.slot), ("slot", &d.bank)]))
    });
    problems.parts("disks", &profile.disks, |d| {
        (d.count, place(&[("bay", &d.bay), ("path", &d.path)]))
    });
    problems.parts("nics", &profile.nics, |n| {
        (n.count, place(&[("slot", &n.slot), ("pci", &n.pci)]))
    });
    problems.parts("gpus", &profile.gpus, |g| (g.count, place(&[("pci", &g.pci)])));
    problems.parts("psus", &profile.psus, |p| (p.count, place(&[("bay", &p.bay)])));
    problems.size("pci", profile.pci.len());
    problems.size("links", profile.links.len());
    for (at, dimm) in dimms.iter().enumerate() {
        if dimm.empty && (dimm.size.is_some() || dimm.part.is_some() || dimm.speed_mts.is_some()) {
            let detail = "it is empty and yet has a module: leave out one of the two";
            problems.add(format!("memory.dimms[{at}]"), detail.to_owned());
        }
    }
    for (at, disk) in profile.disks.iter().enumerate() {
        if disk.size.is_some() && disk.size < disk.min_size {
            problems.add(format!("disks[{at}]"), "size is less than min_size".to_owned());
        }
    }
    problems.pci_ids(
        "nics",
        "pci_id",
        profile.nics.iter().map(|nic| nic.pci_id.as_deref()),
    );
    problems.pci_ids(
        "gpus",
        "pci_id",
        profile.gpus.iter().map(|gpu| gpu.pci_id.as_deref()),
    );
    problems.pci_ids(
        "links",
        "id",
        profile.links.iter().map(|link| Some(link.id.as_str())),
    );
    problems.pci_ids("pci", "id", profile.pci.iter().map(|pci| Some(pci.id.as_str())));
    let mut seen = BTreeSet::new();
    for (at, pci) in profile.pci.iter().enumerate() {
        if !seen.insert(pci.id.to_lowercase()) {
            problems.add(
                format!("pci[{at}].id"),
                "duplicate: list it once with a count".to_owned(),
            );
        }
    }
    tolerances(&mut problems, profile);
    problems.0
}

/// The first kind of place named by an entry.
fn place(names: &[(&'static str, &Option<String>)]) -> Option<&'static str> {
    names
        .iter()
        .find(|(_, name)| name.is_some())
        .map(|(kind, _)| *kind)
}

/// Codes with the same first word, e.g. "dimm-".
fn alike(code: &str, text: &str) -> bool {
    let first = |text: &str| {
        text.split(['-', '_', ' '])
            .next()
            .unwrap_or_default()
            .to_lowercase()
    };
    !text.is_empty() && first(code) == first(text)
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
            let detail = format!("{percent} percent; at most 100 make sense");
            problems.add(format!("tolerance.{field}"), detail);
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

    fn size(&mut self, field: &str, len: usize) {
        if len > PART_LIMIT {
            let detail = format!("{len} entries; a profile has at most {PART_LIMIT}");
            self.add(field.to_owned(), detail);
        }
    }

    /// Checks entries with counts and places, and those without a place all together.
    fn parts<T>(&mut self, field: &str, list: &[T], of: impl Fn(&T) -> (Option<u32>, Option<&'static str>)) {
        self.size(field, list.len());
        let groups = list.iter().filter(|entry| of(entry).1.is_none()).count();
        if groups > GROUP_LIMIT {
            let detail = format!(
                "{groups} entries without a place; at most {GROUP_LIMIT}: give like parts one entry with a count"
            );
            self.add(field.to_owned(), detail);
        }
        for (at, entry) in list.iter().enumerate() {
            let detail = match of(entry) {
                (Some(0), _) => "a count of 0 checks nothing: omit the entry".to_owned(),
                (Some(n), Some(place)) if n > 1 => {
                    format!("{n} parts cannot be in one {place}: leave out one of the two")
                }
                (Some(n), None) if n as usize > PART_LIMIT => {
                    format!("{n} is more than any machine has (at most {PART_LIMIT})")
                }
                _ => continue,
            };
            self.add(format!("{field}[{at}].count"), detail);
        }
    }

    fn pci_ids<'a>(&mut self, list: &str, field: &str, ids: impl Iterator<Item = Option<&'a str>>) {
        let is_id = |id: &str| id.contains('*') || is_pci_id(id);
        for (at, _) in ids.enumerate().filter(|(_, id)| id.is_some_and(|id| !is_id(id))) {
            let detail = "a PCI id is vendor and device in hex, such as \"8086:1572\"";
            self.add(format!("{list}[{at}].{field}"), detail.to_owned());
        }
    }
}

/// "8086:1572"
pub(super) fn is_pci_id(id: &str) -> bool {
    let four = |text: &str| text.len() == 4 && text.chars().all(|c| c.is_ascii_hexdigit());
    id.trim().split_once(':').is_some_and(|(v, d)| four(v) && four(d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::check::{DimmProfile, DiskProfile, PciProfile, SeverityRule};

    #[test]
    fn errors_of_a_profile_name_the_field() {
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
