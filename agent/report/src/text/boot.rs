use inventory_api::report::{AssetReport, FirmwareMode};

use super::{Page, named, when};

impl Page {
    pub(super) fn boot(&mut self, report: &AssetReport) {
        let boot = &report.boot;
        let mode = boot.mode.filter(|mode| *mode != FirmwareMode::Unknown);
        let secure_boot = boot
            .secure_boot
            .map(|on| format!("Secure Boot {}", if on { "on" } else { "off" }));
        let facts = [
            mode.map(|mode| mode.words().to_owned()),
            secure_boot,
            when(boot.setup_mode == Some(true), "setup mode (no keys enrolled)"),
            named("from", &boot.boot_mac),
            named("kernel", &boot.kernel),
        ];
        self.line("Booted", facts);
        for entry in &boot.entries {
            let place = boot.order.iter().position(|number| *number == entry.number);
            let facts = [
                Some(format!("Boot{:04X}", entry.number)),
                Some(entry.label.clone()).filter(|label| !label.is_empty()),
                place.map(|place| format!("{}. in the order", place + 1)),
                when(!entry.active, "not active"),
                when(boot.current == Some(entry.number), "booted"),
            ];
            self.line("  entry", facts);
        }
    }
}
