//! Captured machines, read by the agent's real collectors; shared by the tests of the check in `tests/`.

use std::path::Path;
use std::sync::OnceLock;

use agent_report::{Roots, collect};
use inventory_api::agent::RunsOn;
use inventory_api::check::{CheckResult, HardwareProfile};
use inventory_api::report::AssetReport;
use lifecycle::check;

/// The last component of a path, as text.
pub fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The report of a machine captured as SMBIOS tables only.
pub fn smbios_report(tables: &Path) -> AssetReport {
    let root = tempfile::tempdir().unwrap();
    let to = root.path().join("sys/firmware/dmi/tables");
    std::fs::create_dir_all(&to).unwrap();
    for file in ["DMI", "smbios_entry_point"] {
        if tables.join(file).exists() {
            std::fs::copy(tables.join(file), to.join(file)).unwrap();
        }
    }
    collect(&Roots::under(root.path()))
}

/// Every machine with captured SMBIOS tables, by name.
pub fn machines() -> &'static [(String, AssetReport)] {
    static MACHINES: OnceLock<Vec<(String, AssetReport)>> = OnceLock::new();
    MACHINES.get_or_init(|| {
        ["smbios/norm", "smbios/rebuilt", "smbios/linuxhw"]
            .iter()
            .filter_map(fixtures::find)
            .flat_map(|part| fixtures::folders(&part))
            .map(|path| (name_of(&path), smbios_report(&path)))
            .collect()
    })
}

/// The check of a report against the golden profile of another.
pub fn against(profile: &HardwareProfile, report: &AssetReport) -> CheckResult {
    check(&profile.clone().into(), report, RunsOn::MiniOs)
}

/// Findings as "code place", for messages.
pub fn told(result: &CheckResult) -> Vec<(String, String)> {
    result
        .findings
        .iter()
        .map(|f| (f.code.clone(), f.place.clone()))
        .collect()
}
