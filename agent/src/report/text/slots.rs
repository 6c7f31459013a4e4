//! Expansion slots, devices on the board, power supplies, OEM strings: what SMBIOS alone tells.

use inventory_api::report::{AssetReport, ExpansionSlot, OnboardDevice, PowerSupply};

use super::{Page, named};

impl Page {
    pub(super) fn slots(&mut self, report: &AssetReport) {
        report.slots.iter().for_each(|slot| self.expansion_slot(slot));
        report.onboard.iter().for_each(|device| self.onboard(device));
        report
            .power_supplies
            .iter()
            .for_each(|psu| self.power_supply(psu));
        for text in &report.oem_strings {
            self.line("OEM string", &[&Some(text.clone())]);
        }
    }

    fn expansion_slot(&mut self, s: &ExpansionSlot) {
        let used = s
            .in_use
            .map(|used| if used { "in use" } else { "empty" }.to_owned());
        self.line("Slot", &[&s.slot, &s.kind, &s.width, &used, &s.pci]);
    }

    fn onboard(&mut self, d: &OnboardDevice) {
        let off = (d.enabled == Some(false)).then(|| "switched off".to_owned());
        self.line("On board", &[&d.name, &d.kind, &d.pci, &off]);
    }

    fn power_supply(&mut self, p: &PowerSupply) {
        let empty = (p.present == Some(false)).then(|| "not present".to_owned());
        let unplugged = (p.plugged == Some(false)).then(|| "no mains power".to_owned());
        let facts = [
            p.location.clone(),
            empty,
            p.manufacturer.clone(),
            p.part.clone(),
            named("serial", &p.serial),
            p.max_watts.map(|watts| format!("{watts} W")),
            p.status.clone(),
            unplugged,
        ];
        self.line("Power", &facts.each_ref());
    }
}
