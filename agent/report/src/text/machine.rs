use inventory_api::report::AssetReport;

use super::{Page, named};

impl Page {
    /// System, board, chassis and firmware.
    pub(super) fn machine(&mut self, report: &AssetReport) {
        if let Some(s) = &report.system {
            let facts = [
                s.manufacturer.clone(),
                s.product.clone(),
                s.version.clone(),
                named("serial", &s.serial),
                named("sku", &s.sku),
            ];
            self.line("System", facts);
            self.line("UUID", [s.uuid.clone()]);
        }
        if let Some(b) = &report.board {
            let facts = [
                b.manufacturer.clone(),
                b.product.clone(),
                b.version.clone(),
                named("serial", &b.serial),
                named("asset tag", &b.asset_tag),
                b.location.clone(),
            ];
            self.line("Board", facts);
        }
        if let Some(c) = &report.chassis {
            let facts = [
                c.manufacturer.clone(),
                c.kind.clone(),
                c.height_u.map(|units| format!("{units} U")),
                c.version.clone(),
                named("serial", &c.serial),
                named("asset tag", &c.asset_tag),
            ];
            self.line("Chassis", facts);
        }
        if let Some(f) = &report.firmware {
            let facts = [
                f.vendor.clone(),
                f.version.clone(),
                f.date.clone(),
                named("revision", &f.revision),
                named("controller", &f.controller_revision),
            ];
            self.line("Firmware", facts);
        }
    }
}
