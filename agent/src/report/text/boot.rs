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
        let setup_mode = report
            .boot
            .setup_mode
            .filter(|on| *on)
            .map(|_| "setup mode (no keys enrolled)".to_owned());
        let boot_mac = named("from", &report.boot.boot_mac);
        self.line(
            "Booted",
            &[
                &mode,
                &secure_boot,
                &setup_mode,
                &boot_mac,
                &named("kernel", &report.boot.kernel),
            ],
        );
        for entry in &report.boot.entries {
            let place = report
                .boot
                .order
                .iter()
                .position(|number| *number == entry.number);
            let facts = [
                Some(format!("Boot{:04X}", entry.number)),
                Some(entry.label.clone()).filter(|label| !label.is_empty()),
                place.map(|place| format!("{}. in the order", place + 1)),
                (!entry.active).then(|| "not active".to_owned()),
                (report.boot.current == Some(entry.number)).then(|| "booted".to_owned()),
            ];
            self.line("  entry", &facts.each_ref());
        }
    }
}
