//! The asset check: what was expected against what was reported.

use inventory_api::check::{CheckResult, ExpectedAssets, ExpectedDisks, Finding, Severity, Verdict};
use inventory_api::report::{AssetReport, DiskFacts, Transport};

/// Compares. A fact that is expected but was not reported is a finding: "unknown" is never a pass.
pub fn check(expected: &ExpectedAssets, report: &AssetReport) -> CheckResult {
    let mut findings = Vec::new();
    let system = report.system.as_ref();
    text(
        &mut findings,
        "manufacturer",
        "maker",
        &expected.manufacturer,
        system.and_then(|s| s.manufacturer.as_deref()),
        Same,
    );
    text(
        &mut findings,
        "product",
        "model",
        &expected.product,
        system.and_then(|s| s.product.as_deref()),
        Same,
    );
    text(
        &mut findings,
        "serial",
        "serial number",
        &expected.serial,
        system.and_then(|s| s.serial.as_deref()),
        Same,
    );
    let cpu = report.cpu.as_ref();
    number(
        &mut findings,
        "cpu-sockets",
        "CPU",
        "populated CPU sockets",
        expected.cpu_sockets,
        cpu.and_then(|c| c.sockets),
    );
    number(
        &mut findings,
        "cpu-cores",
        "CPU",
        "CPU cores",
        expected.cpu_cores,
        cpu.and_then(|c| c.cores),
    );
    text(
        &mut findings,
        "cpu-model",
        "CPU model",
        &expected.cpu_model,
        cpu.and_then(|c| c.model.as_deref()),
        Contains,
    );
    memory(&mut findings, expected, report);
    disks(&mut findings, &expected.disks, &report.disks);
    if let Some(wanted) = expected.nics {
        let found = report.nics.len() as u32;
        if found < wanted {
            findings.push(finding(
                "nic-count",
                "NICs",
                &wanted.to_string(),
                &found.to_string(),
                format!("{wanted} network ports are expected, {found} found: a card is missing, not seated, or has no driver."),
            ));
        }
    }
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    let verdict = match findings.iter().map(|f| f.severity).max() {
        Some(Severity::Error) => Verdict::Fail,
        Some(Severity::Warning) => Verdict::Warn,
        None => Verdict::Pass,
    };
    CheckResult { verdict, findings }
}

use Comparison::{Contains, Same};

enum Comparison {
    Same,
    Contains,
}

fn finding(code: &str, place: &str, expected: &str, found: &str, sentence: String) -> Finding {
    Finding {
        code: code.to_owned(),
        place: place.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        severity: Severity::Error,
        sentence,
    }
}

fn text(
    findings: &mut Vec<Finding>,
    code: &str,
    what: &str,
    expected: &Option<String>,
    found: Option<&str>,
    comparison: Comparison,
) {
    let Some(wanted) = expected else { return };
    let holds = found.is_some_and(|found| {
        let (wanted, found) = (wanted.trim().to_lowercase(), found.trim().to_lowercase());
        match comparison {
            Same => wanted == found,
            Contains => found.contains(&wanted),
        }
    });
    if !holds {
        let shown = found.unwrap_or("not reported");
        findings.push(finding(
            code,
            "system",
            wanted,
            shown,
            format!(
                "The {what} is expected to be {wanted:?}, but it is {}.",
                match found {
                    Some(found) => format!("{found:?}"),
                    None => "not reported by the machine".to_owned(),
                }
            ),
        ));
    }
}

fn number(
    findings: &mut Vec<Finding>,
    code: &str,
    place: &str,
    what: &str,
    expected: Option<u32>,
    found: Option<u32>,
) {
    let Some(wanted) = expected else { return };
    if found != Some(wanted) {
        let shown = found.map_or("not reported".to_owned(), |n| n.to_string());
        let sentence = format!("{wanted} {what} are expected; found: {shown}.");
        findings.push(finding(code, place, &wanted.to_string(), &shown, sentence));
    }
}

fn memory(findings: &mut Vec<Finding>, expected: &ExpectedAssets, report: &AssetReport) {
    let populated: Vec<_> = report
        .memory
        .slots
        .iter()
        .filter(|s| s.populated != Some(false))
        .collect();
    if let Some(wanted) = expected.dimms {
        let found = (!report.memory.slots.is_empty()).then_some(populated.len() as u32);
        number(
            findings,
            "dimm-count",
            "memory",
            "memory modules",
            Some(wanted),
            found,
        );
    }
    let Some(wanted) = expected.memory_bytes else {
        return;
    };
    // Where SMBIOS lists no module, the kernel's total stands in; it is short of what is built in by what firmware and
    // kernel keep for themselves.
    let modules: u64 = populated.iter().filter_map(|s| s.size_bytes).sum();
    let (found, holds) = match (modules, report.memory.usable_bytes) {
        (0, None) => (None, false),
        (0, Some(usable)) => (Some(usable), usable <= wanted && usable >= wanted - wanted / 10),
        (total, _) => (Some(total), total == wanted),
    };
    if !holds {
        let shown = found.map_or("not reported".to_owned(), bytes);
        let empty: Vec<_> = report
            .memory
            .slots
            .iter()
            .filter(|s| s.populated == Some(false))
            .filter_map(|s| s.slot.as_deref())
            .collect();
        let hint = match (found, empty.as_slice()) {
            (Some(found), [_, ..]) if found < wanted => format!(" Empty slots: {}.", empty.join(", ")),
            _ => String::new(),
        };
        let sentence = format!("{} of memory are expected; found: {shown}.{hint}", bytes(wanted));
        findings.push(finding(
            "memory-total",
            "memory",
            &bytes(wanted),
            &shown,
            sentence,
        ));
    }
}

/// Each group takes the smallest disks that fit it, groups with the most demands first, so that a big disk is not used up by
/// a group that a small one would do for.
fn disks(findings: &mut Vec<Finding>, groups: &[ExpectedDisks], disks: &[DiskFacts]) {
    let mut left: Vec<&DiskFacts> = disks.iter().filter(|d| d.removable != Some(true)).collect();
    left.sort_by_key(|d| d.size_bytes.unwrap_or(0));
    let mut order: Vec<&ExpectedDisks> = groups.iter().collect();
    order.sort_by_key(|g| {
        (
            g.model.is_none(),
            g.transport.is_none(),
            std::cmp::Reverse(g.min_bytes.unwrap_or(0)),
        )
    });
    for group in order {
        let mut found = 0;
        while found < group.count {
            let Some(at) = left.iter().position(|d| disk_fits(group, d)) else {
                break;
            };
            left.remove(at);
            found += 1;
        }
        if found < group.count {
            let wanted = describe(group);
            let shown = if disks.is_empty() {
                "no disk at all".to_owned()
            } else {
                disks.iter().map(describe_disk).collect::<Vec<_>>().join(", ")
            };
            let sentence = format!("{wanted} expected, {found} of them found. The machine has: {shown}.");
            findings.push(finding("disk-missing", "disks", &wanted, &shown, sentence));
        }
    }
}

fn disk_fits(group: &ExpectedDisks, disk: &DiskFacts) -> bool {
    group
        .min_bytes
        .is_none_or(|min| disk.size_bytes.is_some_and(|size| size >= min))
        && group.transport.is_none_or(|t| disk.transport == Some(t))
        && group.model.as_deref().is_none_or(|model| {
            disk.model
                .as_deref()
                .is_some_and(|m| m.to_lowercase().contains(&model.to_lowercase()))
        })
}

fn describe(group: &ExpectedDisks) -> String {
    let mut text = format!("{} x disk", group.count);
    if let Some(transport) = group.transport {
        text = format!("{} x {} disk", group.count, transport_name(transport));
    }
    if let Some(model) = &group.model {
        text.push_str(&format!(" {model}"));
    }
    if let Some(min) = group.min_bytes {
        text.push_str(&format!(" of at least {}", bytes(min)));
    }
    text
}

fn describe_disk(disk: &DiskFacts) -> String {
    let size = disk.size_bytes.map_or("size unknown".to_owned(), bytes);
    let transport = disk.transport.map_or("", transport_name);
    let serial = disk
        .serial
        .as_deref()
        .map_or(String::new(), |s| format!(" serial {s}"));
    format!("{} ({transport} {size}{serial})", disk.name).replace("( ", "(")
}

/// The word for a transport, as on the wire.
pub fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Sata => "sata",
        Transport::Sas => "sas",
        Transport::Scsi => "scsi",
        Transport::Nvme => "nvme",
        Transport::Virtio => "virtio",
        Transport::Usb => "usb",
        Transport::Mmc => "mmc",
        Transport::Unknown => "unknown",
    }
}

/// Bytes for people: binary units where they divide evenly, else the exact number of GB with one digit.
pub fn bytes(n: u64) -> String {
    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;
    if n >= GIB && n.is_multiple_of(GIB) {
        format!("{} GiB", n / GIB)
    } else if (MIB..10 * GIB).contains(&n) && n.is_multiple_of(MIB) {
        format!("{} MiB", n / MIB)
    } else {
        format!("{:.1} GB", n as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::report::{CpuFacts, MemoryFacts, MemorySlot, NicFacts, SystemFacts};

    const GIB: u64 = 1 << 30;

    fn machine() -> AssetReport {
        let slot = |name: &str, size: Option<u64>| MemorySlot {
            slot: Some(name.into()),
            size_bytes: size,
            populated: Some(size.is_some()),
            ..Default::default()
        };
        let disk = |name: &str, size: u64, transport| DiskFacts {
            name: name.into(),
            size_bytes: Some(size),
            transport: Some(transport),
            serial: Some(format!("S-{name}")),
            ..Default::default()
        };
        AssetReport {
            system: Some(SystemFacts {
                manufacturer: Some("Dell Inc.".into()),
                product: Some("PowerEdge R640".into()),
                serial: Some("ABC1234".into()),
                ..Default::default()
            }),
            cpu: Some(CpuFacts {
                sockets: Some(2),
                cores: Some(32),
                model: Some("Intel(R) Xeon(R) Gold 6130".into()),
                ..Default::default()
            }),
            memory: MemoryFacts {
                usable_bytes: Some(63 * GIB),
                slots: vec![
                    slot("A1", Some(32 * GIB)),
                    slot("A2", Some(32 * GIB)),
                    slot("A3", None),
                ],
                ..Default::default()
            },
            disks: vec![
                disk("nvme0n1", 1000 * GIB, Transport::Nvme),
                disk("sda", 4000 * GIB, Transport::Sata),
            ],
            nics: vec![NicFacts::default(), NicFacts::default()],
            ..Default::default()
        }
    }

    fn expected() -> ExpectedAssets {
        ExpectedAssets {
            manufacturer: Some("dell inc.".into()),
            product: Some("PowerEdge R640".into()),
            serial: Some("ABC1234".into()),
            cpu_sockets: Some(2),
            cpu_model: Some("gold 6130".into()),
            cpu_cores: Some(32),
            memory_bytes: Some(64 * GIB),
            dimms: Some(2),
            disks: vec![
                ExpectedDisks {
                    count: 1,
                    min_bytes: None,
                    transport: None,
                    model: None,
                },
                ExpectedDisks {
                    count: 1,
                    min_bytes: Some(4000 * GIB),
                    transport: Some(Transport::Sata),
                    model: None,
                },
            ],
            nics: Some(2),
        }
    }

    #[test]
    fn a_machine_as_ordered_passes() {
        let result = check(&expected(), &machine());
        assert_eq!(
            result,
            CheckResult {
                verdict: Verdict::Pass,
                findings: vec![]
            }
        );
        assert_eq!(
            check(&ExpectedAssets::default(), &AssetReport::default()).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn each_difference_is_exactly_its_finding() {
        type Plant = fn(&mut AssetReport);
        let planted: [(&str, Plant); 9] = [
            ("manufacturer", |r| {
                r.system.as_mut().unwrap().manufacturer = Some("HP".into())
            }),
            ("product", |r| r.system.as_mut().unwrap().product = None),
            ("serial", |r| {
                r.system.as_mut().unwrap().serial = Some("ABC1235".into())
            }),
            ("cpu-sockets", |r| r.cpu.as_mut().unwrap().sockets = Some(1)),
            ("cpu-cores", |r| r.cpu.as_mut().unwrap().cores = None),
            ("cpu-model", |r| {
                r.cpu.as_mut().unwrap().model = Some("Gold 5118".into())
            }),
            ("memory-total", |r| r.memory.slots[1].size_bytes = Some(16 * GIB)),
            ("disk-missing", |r| r.disks[1].size_bytes = Some(2000 * GIB)),
            ("nic-count", |r| drop(r.nics.pop())),
        ];
        for (code, plant) in planted {
            let mut report = machine();
            plant(&mut report);
            let result = check(&expected(), &report);
            let codes: Vec<_> = result.findings.iter().map(|f| f.code.as_str()).collect();
            assert_eq!(codes, [code]);
            assert_eq!(result.verdict, Verdict::Fail);
        }
    }

    #[test]
    fn a_missing_module_names_the_empty_slots() {
        let mut report = machine();
        report.memory.slots[1].size_bytes = None;
        report.memory.slots[1].populated = Some(false);
        let result = check(&expected(), &report);
        assert_eq!(result.findings.len(), 2, "{result:?}");
        assert!(
            result
                .findings
                .iter()
                .any(|f| f.sentence.contains("Empty slots: A2, A3")),
            "{result:?}"
        );
    }

    #[test]
    fn without_smbios_the_usable_memory_stands_in() {
        let mut report = machine();
        report.memory.slots.clear();
        let expected = ExpectedAssets {
            memory_bytes: Some(64 * GIB),
            ..Default::default()
        };
        assert_eq!(check(&expected, &report).verdict, Verdict::Pass);
        report.memory.usable_bytes = Some(32 * GIB);
        assert_eq!(check(&expected, &report).verdict, Verdict::Fail);
    }
}
