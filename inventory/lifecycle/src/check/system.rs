//! The machine as a whole: maker, model, board, TPM, boot.

use inventory_api::agent::RunsOn;
use inventory_api::check::{BootProfile, HardwareProfile, TpmProfile, code};
use inventory_api::report::{AssetReport, FirmwareMode};

use super::difference::{Difference, Differences};
use super::findings::Findings;
use super::firmware;
use super::text::{is_filler, same, same_part, words};

pub(super) fn check(
    findings: &mut Findings,
    profile: &HardwareProfile,
    report: &AssetReport,
    runs_on: RunsOn,
) {
    let system = report.system.clone().unwrap_or_default();
    let wanted = &profile.system;
    let facts = [
        ("maker", &wanted.maker, &system.manufacturer),
        ("model", &wanted.model, &system.product),
    ];
    let model = differing(code::SYSTEM_OTHER_MODEL, same, &facts);
    let sku = [("SKU", &wanted.sku, &system.sku)];
    let sku = differing(code::SYSTEM_OTHER_SKU, same, &sku);
    findings.add_list("system", "System", &model, |said| {
        format!(
            "The machine is a {}; ordered is a {}. Another machine was delivered or mounted here.",
            said.found, said.expected
        )
    });
    // Another model has another SKU, and a machine that does not report its model does not report its SKU.
    let explained = |sku: &Difference| model.said().is_some_and(|model| !model.unknown || sku.unknown);
    if let Some(said) = sku.said().filter(|said| !explained(said)) {
        findings.add_said("system", "System", &said, |said| {
            format!(
                "The machine is the right model, but its SKU is {}; ordered is {}. Compare the delivery note.",
                said.found, said.expected
            )
        });
    }
    let board = report.board.clone().unwrap_or_default();
    let wanted = &profile.board;
    let facts = [
        ("maker", &wanted.maker, &board.manufacturer),
        ("model", &wanted.model, &board.product),
        ("version", &wanted.version, &board.version),
    ];
    // Dell appends the revision to the part number of a board.
    let list = differing(code::BOARD_OTHER, same_part, &facts);
    findings.add_list("board", "Base board", &list, |said| {
        format!(
            "The base board is {}; expected is {}. Ask the supplier for the right board.",
            said.found, said.expected
        )
    });
    firmware::check(findings, &profile.firmware, report);
    // A special-purpose kernel may lack the drivers for BMC and TPM.
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

/// Related facts, each with name, expected and found value.
type Facts<'a> = [(&'static str, &'a Option<String>, &'a Option<String>)];

/// Differences among related facts. A placeholder in the profile is not compared.
fn differing(code: &'static str, same: fn(&str, &str) -> bool, facts: &Facts) -> Differences {
    let mut list = Differences::default();
    for (name, wanted, is) in facts {
        let [wanted, is] = [wanted, is].map(|text| text.as_deref().filter(|text| !is_filler(text)));
        list.fact(code, name, (wanted, is), same, str::to_owned);
    }
    list
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
            let version = [("TPM version", &wanted.version, &tpm.version)];
            let list = differing(code::TPM_OTHER, same, &version);
            findings.add_list("TPM", "TPM", &list, |said| {
                format!(
                    "The TPM is of version {}; expected is {}. Look at the firmware's setup, or replace the module.",
                    said.found, said.expected
                )
            });
        }
    }
}

fn boot(findings: &mut Findings, wanted: &BootProfile, report: &AssetReport) {
    let is = report.boot.mode.filter(|mode| *mode != FirmwareMode::Unknown);
    let mut mode = Differences::default();
    let name = |mode: FirmwareMode| mode.words().to_owned();
    mode.exact(code::BOOT_MODE, "boot mode", wanted.mode, is, name);
    findings.add_list("firmware", "Firmware", &mode, |said| {
        format!(
            "The machine boots by {}; expected is {}. Set the boot mode in the firmware's setup.",
            said.found, said.expected
        )
    });
    let is = report.boot.secure_boot;
    if is.is_none() && !mode.0.is_empty() {
        // Without UEFI there is no Secure Boot to report.
        return;
    }
    let mut secure_boot = Differences::default();
    let word = |on: bool| if on { "on" } else { "off" }.to_owned();
    secure_boot.exact(code::SECURE_BOOT, "Secure Boot", wanted.secure_boot, is, word);
    findings.add_list("firmware", "Firmware", &secure_boot, |said| {
        format!(
            "Secure Boot is {}; expected is {}. Set it in the firmware's setup.",
            said.found, said.expected
        )
    });
}
