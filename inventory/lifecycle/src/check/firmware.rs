//! Firmware of machine and BMC. Version, date and release number belong to one firmware and give one finding:
//! the version decides which is older, then the date, then the release number.

use inventory_api::check::{BmcProfile, FirmwareProfile, Severity, code};
use inventory_api::report::AssetReport;

use super::difference::Differences;
use super::findings::Findings;
use super::version::{Fact, How, compare_dates, off};

pub(super) fn check(findings: &mut Findings, wanted: &FirmwareProfile, report: &AssetReport) {
    let is = report.firmware.clone().unwrap_or_default();
    let facts = [
        Fact {
            name: "version",
            ..Fact::firmware(&wanted.version, &wanted.min_version, &is.version)
        },
        Fact {
            name: "date",
            word: "of ",
            compare: compare_dates,
            ..Fact::firmware(&wanted.date, &wanted.min_date, &is.date)
        },
        Fact {
            name: "release number",
            word: "release ",
            ..Fact::firmware(&wanted.revision, &wanted.min_revision, &is.revision)
        },
    ];
    let Some(off) = off(&facts) else { return };
    let tidy = |text: String| text.replace(" release ", ", release ");
    let (expected, found, act) = (tidy(off.expected), tidy(off.found), off.how.act());
    let what = match off.how {
        How::NotReported => {
            let sentence = format!("Firmware (BIOS/UEFI): {found} (expected {expected}). {act}");
            let code = code::FIRMWARE_OTHER;
            return findings.add_as(Severity::Warning, code, "firmware", &expected, &found, &sentence);
        }
        How::Older => "is older than",
        How::Newer => "is newer than",
        How::Other => "is not",
        How::NoOrder => "cannot be compared with",
    };
    let code = off.how.code(code::FIRMWARE_OLDER, code::FIRMWARE_OTHER);
    let sentence = format!("The firmware (BIOS/UEFI) {found} {what} the expected {expected}. {act}");
    findings.add(code, "firmware", &expected, &found, &sentence);
}

pub(super) fn bmc(findings: &mut Findings, wanted: &BmcProfile, report: &AssetReport) {
    if *wanted == BmcProfile::default() {
        return;
    }
    let Some(bmc) = &report.bmc else {
        let expected = wanted.firmware.as_deref().or(wanted.min_firmware.as_deref());
        let sentence = "No BMC answers in band. Check that it is there, has started and that IPMI is switched on in the \
                        firmware's setup.";
        let expected = expected.unwrap_or("a BMC");
        return findings.add(code::BMC_MISSING, "BMC", expected, "no BMC", sentence);
    };
    let fact = Fact::firmware(&wanted.firmware, &wanted.min_firmware, &bmc.firmware);
    let Some(act) = off(std::slice::from_ref(&fact)).map(|off| off.how.act()) else {
        return;
    };
    let mut list = Differences::default();
    list.firmware(code::BMC_FIRMWARE_OLDER, code::BMC_FIRMWARE_OTHER, fact);
    findings.add_list("BMC", "BMC", &list, |said| {
        format!(
            "The BMC's firmware is {}; expected is {}. {act}",
            said.found, said.expected
        )
    });
}
