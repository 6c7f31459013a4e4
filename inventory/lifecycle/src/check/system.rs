//! The machine as a whole: maker, model, board, firmware, BMC.

use inventory_api::check::{BmcProfile, HardwareProfile, code};
use inventory_api::report::AssetReport;

use super::findings::Findings;
use super::text::same;
use super::version::{Off, compare, compare_dates, off};

pub(super) fn check(findings: &mut Findings, profile: &HardwareProfile, report: &AssetReport) {
    let system = report.system.as_ref();
    let wanted = &profile.system;
    let model = differing(&[
        (&wanted.maker, system.and_then(|s| s.manufacturer.as_deref())),
        (&wanted.model, system.and_then(|s| s.product.as_deref())),
    ]);
    let sku = differing(&[(&wanted.sku, system.and_then(|s| s.sku.as_deref()))]);
    if let Some((expected, found)) = model {
        let sentence = format!(
            "The machine is a {found}; ordered is a {expected}. Another machine was delivered or mounted here."
        );
        findings.add(code::SYSTEM_OTHER_MODEL, "system", &expected, &found, &sentence);
    } else if let Some((expected, found)) = sku {
        let sentence = format!(
            "The machine is the right model, but its SKU is {found}; ordered is {expected}. Compare the delivery note."
        );
        findings.add(code::SYSTEM_OTHER_SKU, "system", &expected, &found, &sentence);
    }
    let board = report.board.as_ref();
    let wanted = &profile.board;
    if let Some((expected, found)) = differing(&[
        (&wanted.maker, board.and_then(|b| b.manufacturer.as_deref())),
        (&wanted.model, board.and_then(|b| b.product.as_deref())),
        (&wanted.version, board.and_then(|b| b.version.as_deref())),
    ]) {
        let sentence = format!(
            "The base board is {found}; expected is {expected}. Ask the supplier for the right board."
        );
        findings.add(code::BOARD_OTHER, "board", &expected, &found, &sentence);
    }
    firmware(findings, profile, report);
    bmc(findings, &profile.bmc, report);
}

/// What differs among facts that belong together: expected and found; None: nothing.
fn differing(facts: &[(&Option<String>, Option<&str>)]) -> Option<(String, String)> {
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for (wanted, is) in facts {
        let Some(wanted) = wanted.as_deref().filter(|w| !w.trim().is_empty()) else {
            continue;
        };
        if !is.is_some_and(|is| same(wanted, is)) {
            expected.push(wanted);
            found.push(is.unwrap_or("not reported"));
        }
    }
    (!expected.is_empty()).then(|| (expected.join(" "), found.join(" ")))
}

/// Version, release number and date are one firmware and one finding.
fn firmware(findings: &mut Findings, profile: &HardwareProfile, report: &AssetReport) {
    let (wanted, is) = (&profile.firmware, report.firmware.as_ref());
    let version = off(
        wanted.version.as_deref(),
        wanted.min_version.as_deref(),
        is.and_then(|f| f.version.as_deref()),
        compare,
    );
    let revision = off(
        wanted.revision.as_deref(),
        None,
        is.and_then(|f| f.revision.as_deref()),
        compare,
    );
    let date = off(
        wanted.date.as_deref(),
        wanted.min_date.as_deref(),
        is.and_then(|f| f.date.as_deref()),
        compare_dates,
    );
    let parts: Vec<(&str, Off)> = [("", version), ("release ", revision), ("of ", date)]
        .into_iter()
        .filter_map(|(word, off)| off.map(|off| (word, off)))
        .collect();
    if parts.is_empty() {
        return;
    }
    let older = parts.iter().any(|(_, off)| off.older);
    let join = |of: fn(&Off) -> &str| {
        let words: Vec<String> = parts
            .iter()
            .map(|(word, off)| format!("{word}{}", of(off)))
            .collect();
        words.join(", ")
    };
    let (expected, found) = (join(|o| &o.expected), join(|o| &o.found));
    let (code, what, act) = if older {
        (code::FIRMWARE_OLDER, "is older than", "Update it.")
    } else {
        (
            code::FIRMWARE_OTHER,
            "is not",
            "Install the expected version, or change the profile.",
        )
    };
    let sentence = format!("The firmware (BIOS/UEFI) {found} {what} the expected {expected}. {act}");
    findings.add(code, "firmware", &expected, &found, &sentence);
}

fn bmc(findings: &mut Findings, wanted: &BmcProfile, report: &AssetReport) {
    if *wanted == BmcProfile::default() {
        return;
    }
    let expected = wanted.firmware.as_deref().or(wanted.min_firmware.as_deref());
    let Some(bmc) = &report.bmc else {
        let sentence = "No BMC answers in band. Check that it is there, has started and that IPMI is switched on in the \
                        firmware's setup.";
        findings.add(
            code::BMC_MISSING,
            "BMC",
            expected.unwrap_or("a BMC"),
            "no BMC",
            sentence,
        );
        return;
    };
    if let Some(off) = off(
        wanted.firmware.as_deref(),
        wanted.min_firmware.as_deref(),
        bmc.firmware.as_deref(),
        compare,
    ) {
        let (code, act) = if off.older {
            (code::BMC_FIRMWARE_OLDER, "Update it.")
        } else {
            (
                code::BMC_FIRMWARE_OTHER,
                "Install the expected version, or change the profile.",
            )
        };
        let sentence = format!(
            "The BMC's firmware is {}; expected is {}. {act}",
            off.found, off.expected
        );
        findings.add(code, "BMC", &off.expected, &off.found, &sentence);
    }
}
