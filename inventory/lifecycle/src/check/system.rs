//! The machine as a whole: maker, model, board, TPM, boot.

use inventory_api::agent::RunsOn;
use inventory_api::check::{BootProfile, HardwareProfile, TpmProfile, code};
use inventory_api::report::{AssetReport, FirmwareMode};

use super::difference::{Difference, Said, said};
use super::findings::Findings;
use super::firmware;
use super::text::{is_filler, same, same_part, words};

pub(super) fn check(
    findings: &mut Findings,
    profile: &HardwareProfile,
    report: &AssetReport,
    runs_on: RunsOn,
) {
    let system = report.system.as_ref();
    let wanted = &profile.system;
    let model = differing(
        code::SYSTEM_OTHER_MODEL,
        same,
        &[
            (
                "maker",
                &wanted.maker,
                system.and_then(|s| s.manufacturer.as_deref()),
            ),
            ("model", &wanted.model, system.and_then(|s| s.product.as_deref())),
        ],
    );
    let sku = differing(
        code::SYSTEM_OTHER_SKU,
        same,
        &[("SKU", &wanted.sku, system.and_then(|s| s.sku.as_deref()))],
    );
    let (is_other, is_unknown) = match &model {
        Some(said) => (!said.unknown, said.unknown),
        None => (false, false),
    };
    if let Some(said) = model {
        findings.add_said("system", "System", &said, |said| {
            format!(
                "The machine is a {}; ordered is a {}. Another machine was delivered or mounted here.",
                said.found, said.expected
            )
        });
    }
    if let Some(said) = sku.filter(|said| !(is_other || is_unknown && said.unknown)) {
        findings.add_said("system", "System", &said, |said| {
            format!(
                "The machine is the right model, but its SKU is {}; ordered is {}. Compare the delivery note.",
                said.found, said.expected
            )
        });
    }
    let board = report.board.as_ref();
    let wanted = &profile.board;
    // Dell writes the revision behind the part number of a board.
    if let Some(said) = differing(
        code::BOARD_OTHER,
        same_part,
        &[
            (
                "maker",
                &wanted.maker,
                board.and_then(|b| b.manufacturer.as_deref()),
            ),
            ("model", &wanted.model, board.and_then(|b| b.product.as_deref())),
            (
                "version",
                &wanted.version,
                board.and_then(|b| b.version.as_deref()),
            ),
        ],
    ) {
        findings.add_said("board", "Base board", &said, |said| {
            format!(
                "The base board is {}; expected is {}. Ask the supplier for the right board.",
                said.found, said.expected
            )
        });
    }
    firmware::check(findings, &profile.firmware, report);
    // A kernel that was made for one purpose may lack the drivers of BMC and TPM.
    if runs_on == RunsOn::MiniOs || report.bmc.is_some() {
        firmware::bmc(findings, &profile.bmc, report);
    }
    if runs_on == RunsOn::MiniOs || report.tpm.is_some() {
        tpm(findings, &profile.tpm, report);
    }
    if runs_on == RunsOn::MiniOs {
        boot(findings, &profile.boot, report);
    }
}

/// Facts that belong together, each with its name: wanted and found.
type Facts<'a> = [(&'static str, &'a Option<String>, Option<&'a str>)];

/// What differs among facts that belong together. A filler that somebody took for a fact fixes nothing.
fn differing(code: &'static str, same: fn(&str, &str) -> bool, facts: &Facts) -> Option<Said> {
    let list: Vec<Difference> = facts
        .iter()
        .filter_map(|(what, wanted, is)| {
            let wanted = wanted.as_deref().filter(|wanted| !is_filler(wanted))?;
            let is = is.filter(|is| !is_filler(is));
            (!is.is_some_and(|is| same(wanted, is)))
                .then(|| Difference::of(code, wanted, is.map(str::to_owned), what))
        })
        .collect();
    said(&list)
}

fn tpm(findings: &mut Findings, wanted: &TpmProfile, report: &AssetReport) {
    let version = wanted.version.as_deref();
    let expected = words([Some("TPM"), version]);
    match &report.tpm {
        None if wanted.present || version.is_some() => {
            let sentence = format!(
                "{expected} is expected and none is seen. Check that the module is seated, and that it is switched on in the \
                 firmware's setup."
            );
            findings.add(code::TPM_MISSING, "TPM", &expected, "no TPM", &sentence);
        }
        None => {}
        Some(tpm) => {
            let Some(said) = differing(
                code::TPM_OTHER,
                same,
                &[("TPM version", &wanted.version, tpm.version.as_deref())],
            ) else {
                return;
            };
            findings.add_said("TPM", "TPM", &said, |said| {
                format!(
                    "The TPM is of version {}; expected is {}. Look at the firmware's setup, or replace the module.",
                    said.found, said.expected
                )
            });
        }
    }
}

fn mode_name(mode: FirmwareMode) -> &'static str {
    match mode {
        FirmwareMode::Bios => "BIOS",
        FirmwareMode::Uefi => "UEFI",
        FirmwareMode::Unknown => "unknown",
    }
}

fn boot(findings: &mut Findings, wanted: &BootProfile, report: &AssetReport) {
    let is = report.boot.mode.filter(|mode| *mode != FirmwareMode::Unknown);
    let mut told = false;
    if let Some(mode) = wanted.mode.filter(|mode| is != Some(*mode)) {
        let found = is.map(|is| mode_name(is).to_owned());
        let list = [Difference::of(
            code::BOOT_MODE,
            mode_name(mode),
            found,
            "boot mode",
        )];
        told = true;
        findings.add_list("firmware", "Firmware", &list, |said| {
            format!(
                "The machine boots by {}; expected is {}. Set the boot mode in the firmware's setup.",
                said.found, said.expected
            )
        });
    }
    let is = report.boot.secure_boot;
    let word = |on: bool| if on { "on" } else { "off" }.to_owned();
    // Without UEFI there is no Secure Boot to report.
    if let Some(on) = wanted
        .secure_boot
        .filter(|on| is != Some(*on) && !(told && is.is_none()))
    {
        let list = [Difference::of(
            code::SECURE_BOOT,
            word(on),
            is.map(word),
            "Secure Boot",
        )];
        findings.add_list("firmware", "Firmware", &list, |said| {
            format!(
                "Secure Boot is {}; expected is {}. Set it in the firmware's setup.",
                said.found, said.expected
            )
        });
    }
}
