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
                    &named("asset tag", &b.asset_tag),
                    &b.location,
                ],
            );
        }
        if let Some(c) = &report.chassis {
            let height = c.height_u.map(|units| format!("{units} U"));
            let facts = [
                &c.manufacturer,
                &c.kind,
                &height,
                &c.version,
                &named("serial", &c.serial),
                &named("asset tag", &c.asset_tag),
            ];
            self.line("Chassis", &facts);
        }
        if let Some(f) = &report.firmware {
            let facts = [
                f.vendor.clone(),
                f.version.clone(),
                f.date.clone(),
                named("revision", &f.revision),
                named("controller", &f.controller_revision),
            ];
            self.line("Firmware", &facts.each_ref());
        }
    }
}
