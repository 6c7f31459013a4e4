use inventory_api::report::{AssetReport, FirmwareMode};

use super::{Page, named};

impl Page {
    pub(super) fn boot(&mut self, report: &AssetReport) {
        let mode = match report.boot.mode {
            Some(FirmwareMode::Bios) => Some("BIOS".to_owned()),
            Some(FirmwareMode::Uefi) => Some("UEFI".to_owned()),
            Some(FirmwareMode::Unknown) | None => None,
        };
        let secure_boot = report
            .boot
            .secure_boot
            .map(|on| format!("Secure Boot {}", if on { "on" } else { "off" }));
        let boot_mac = named("from", &report.boot.boot_mac);
        self.line(
            "Booted",
            &[
                &mode,
                &secure_boot,
                &boot_mac,
                &named("kernel", &report.boot.kernel),
            ],
        );
    }
}
