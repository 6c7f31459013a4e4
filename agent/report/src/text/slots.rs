//! Expansion slots, on-board devices, power supplies, OEM strings: facts only from SMBIOS.

use inventory_api::report::{AssetReport, ExpansionSlot, OnboardDevice, PowerSupply};

use super::{Page, named, when};

impl Page {
    pub(super) fn slots(&mut self, report: &AssetReport) {
        report.slots.iter().for_each(|slot| self.expansion_slot(slot));
        report.onboard.iter().for_each(|device| self.onboard(device));
        report
            .power_supplies
            .iter()
            .for_each(|psu| self.power_supply(psu));
        for text in &report.oem_strings {
            self.line("OEM string", [Some(text.clone())]);
        }
    }

    fn expansion_slot(&mut self, s: &ExpansionSlot) {
        let facts = [
            s.slot.clone(),
            s.kind.clone(),
            s.width.clone(),
            s.in_use
                .map(|used| if used { "in use" } else { "empty" }.to_owned()),
            s.pci.clone(),
        ];
        self.line("Slot", facts);
    }

    fn onboard(&mut self, d: &OnboardDevice) {
        let off = when(d.enabled == Some(false), "switched off");
        self.line("On board", [d.name.clone(), d.kind.clone(), d.pci.clone(), off]);
    }

    fn power_supply(&mut self, p: &PowerSupply) {
        let facts = [
            p.location.clone(),
            when(p.present == Some(false), "not present"),
            p.manufacturer.clone(),
            p.part.clone(),
            named("serial", &p.serial),
            p.max_watts.map(|watts| format!("{watts} W")),
            p.status.clone(),
            when(p.plugged == Some(false), "no mains power"),
        ];
        self.line("Power", facts);
    }
}
