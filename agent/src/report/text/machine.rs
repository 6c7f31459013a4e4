use inventory_api::report::AssetReport;

use super::{Page, named};

impl Page {
    /// System, board, chassis and firmware.
    pub(super) fn machine(&mut self, report: &AssetReport) {
        if let Some(s) = &report.system {
            self.line(
                "System",
                &[
                    &s.manufacturer,
                    &s.product,
                    &s.version,
                    &named("serial", &s.serial),
                    &named("sku", &s.sku),
                ],
            );
            self.line("UUID", &[&s.uuid]);
        }
        if let Some(b) = &report.board {
            self.line(
                "Board",
                &[
                    &b.manufacturer,
                    &b.product,
                    &b.version,
                    &named("serial", &b.serial),
                ],
            );
        }
        if let Some(c) = &report.chassis {
            let facts = [
                &c.manufacturer,
                &c.kind,
                &c.version,
                &named("serial", &c.serial),
                &named("asset tag", &c.asset_tag),
            ];
            self.line("Chassis", &facts);
        }
        if let Some(f) = &report.firmware {
            self.line("Firmware", &[&f.vendor, &f.version, &f.date]);
        }
    }
}
