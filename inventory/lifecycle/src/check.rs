//! The asset check: what was expected against what was reported.

use inventory_api::check::{
    CheckResult, DiskProfile, Expectation, Finding, MemoryProfile, Severity, Verdict,
};
use inventory_api::report::{AssetReport, DiskFacts, Transport};

/// Compares. A fact that is expected but was not reported is a finding: "unknown" is never a pass.
pub fn check(expectation: &Expectation, report: &AssetReport) -> CheckResult {
    let expected = &expectation.profile;
    let placement = expectation.placement.as_ref();
    let mut findings = Vec::new();
    let system = report.system.as_ref();
    text(
        &mut findings,
        "system-other-model",
        "maker",
        &expected.system.maker,
        system.and_then(|s| s.manufacturer.as_deref()),
        Same,
    );
    text(
        &mut findings,
        "system-other-model",
        "model",
        &expected.system.model,
        system.and_then(|s| s.product.as_deref()),
        Same,
    );
    text(
        &mut findings,
        "serial-other",
        "serial number",
        &placement.and_then(|p| p.serial.clone()),
        system.and_then(|s| s.serial.as_deref()),
        Same,
    );
    let cpu = report.cpu.as_ref();
    number(
        &mut findings,
        "cpu-missing",
        "CPU",
        "populated CPU sockets",
        expected.cpu.sockets,
        cpu.and_then(|c| c.sockets),
    );
    number(
        &mut findings,
        "cpu-cores",
        "CPU",
        "CPU cores",
        expected.cpu.cores,
        cpu.and_then(|c| c.cores),
    );
    text(
        &mut findings,
        "cpu-other-model",
        "CPU model",
        &expected.cpu.model,
        cpu.and_then(|c| c.model.as_deref()),
        Contains,
    );
    memory(&mut findings, &expected.memory, report);
    disks(&mut findings, &expected.disks, &report.disks);
    if !expected.nics.is_empty() {
        let wanted: u32 = expected
            .nics
            .iter()
            .map(|n| n.count.unwrap_or(1))
            .fold(0, u32::saturating_add);
        let found = report.nics.len() as u32;
        if found < wanted {
            findings.push(finding(
                "nic-missing",
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
        Some(Severity::Info) | None => Verdict::Pass,
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

fn memory(findings: &mut Vec<Finding>, expected: &MemoryProfile, report: &AssetReport) {
    let populated: Vec<_> = report
        .memory
        .slots
        .iter()
        .filter(|s| s.populated != Some(false))
        .collect();
    if let Some(wanted) = expected.modules {
        let found = (!report.memory.slots.is_empty()).then_some(populated.len() as u32);
        number(
            findings,
            "dimm-missing",
            "memory",
            "memory modules",
            Some(wanted),
            found,
        );
    }
    let Some(wanted) = expected.total else {
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
fn disks(findings: &mut Vec<Finding>, groups: &[DiskProfile], disks: &[DiskFacts]) {
    let mut left: Vec<&DiskFacts> = disks.iter().filter(|d| d.removable != Some(true)).collect();
    left.sort_by_key(|d| d.size_bytes.unwrap_or(0));
    let mut order: Vec<&DiskProfile> = groups.iter().collect();
    order.sort_by_key(|g| {
        (
            g.model.is_none(),
            g.transport.is_none(),
            std::cmp::Reverse(g.min_size.unwrap_or(0)),
        )
    });
    for group in order {
        let mut found = 0;
        while found < group.count.unwrap_or(1) {
            let Some(at) = left.iter().position(|d| disk_fits(group, d)) else {
                break;
            };
            left.remove(at);
            found += 1;
        }
        if found < group.count.unwrap_or(1) {
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

fn disk_fits(group: &DiskProfile, disk: &DiskFacts) -> bool {
    group
        .min_size
        .is_none_or(|min| disk.size_bytes.is_some_and(|size| size >= min))
        && group.transport.is_none_or(|t| disk.transport == Some(t))
        && group.model.as_deref().is_none_or(|model| {
            disk.model
                .as_deref()
                .is_some_and(|m| m.to_lowercase().contains(&model.to_lowercase()))
        })
}

fn describe(group: &DiskProfile) -> String {
    let mut text = format!("{} x disk", group.count.unwrap_or(1));
    if let Some(transport) = group.transport {
        text = format!(
            "{} x {} disk",
            group.count.unwrap_or(1),
            transport_name(transport)
        );
    }
    if let Some(model) = &group.model {
        text.push_str(&format!(" {model}"));
    }
    if let Some(min) = group.min_size {
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
