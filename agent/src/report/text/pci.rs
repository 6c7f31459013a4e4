use inventory_api::report::{GpuFacts, PciDevice, StorageController};

use super::super::pci::words;
use super::{Page, binary, decimal, named};

impl Page {
    pub(super) fn controller(&mut self, c: &StorageController) {
        let facts = [
            Some(c.pci.clone()),
            c.kind.clone(),
            c.model.clone().or_else(|| vendor_of(c.pci_id.as_deref())),
            c.pci_id.clone(),
            c.driver.clone().or_else(|| Some("no driver".to_owned())),
            named("firmware", &c.firmware),
            c.raid
                .filter(|raid| *raid && c.disks.is_empty())
                .map(|_| "may hide its disks".to_owned()),
        ];
        self.line("Controller", &facts.each_ref());
        for disk in &c.disks {
            let facts = [
                Some(disk.name.clone()),
                disk.size_bytes.map(decimal),
                disk.model.clone(),
                named("serial", &disk.serial),
                named("firmware", &disk.firmware),
                disk.health
                    .as_ref()
                    .and_then(|health| health.passed)
                    .filter(|passed| !passed)
                    .map(|_| "FAILING".to_owned()),
            ];
            self.line("  disk", &facts.each_ref());
        }
    }

    pub(super) fn gpu(&mut self, g: &GpuFacts) {
        let facts = [
            Some(g.pci.clone()),
            g.name.clone().or_else(|| vendor_of(g.pci_id.as_deref())),
            g.pci_id.clone(),
            g.memory_bytes.map(binary),
            named("serial", &g.serial),
            g.driver.clone().or_else(|| Some("no driver".to_owned())),
        ];
        self.line("GPU", &facts.each_ref());
    }

    pub(super) fn pci(&mut self, d: &PciDevice) {
        let id = d
            .vendor
            .as_ref()
            .zip(d.device.as_ref())
            .map(|(vendor, id)| format!("{vendor}:{id}"));
        let width = d.link_width.map(|width| match d.link_width_max {
            Some(most) if most != width => format!("x{width} of x{most}"),
            _ => format!("x{width}"),
        });
        let kind = d.class.as_deref().map(|class| {
            let word = words::class(class);
            word.map_or_else(|| format!("class {class}"), str::to_owned)
        });
        let facts = [
            Some(d.address.clone()),
            kind,
            d.name.clone().or_else(|| vendor_of(d.vendor.as_deref())),
            id,
            d.slot.clone(),
            d.link_speed.clone(),
            width,
            d.driver.clone().or_else(|| Some("no driver".to_owned())),
        ];
        self.line("PCI", &facts.each_ref());
    }
}

/// The vendor in words, of an id or of "vendor:device".
fn vendor_of(id: Option<&str>) -> Option<String> {
    words::vendor(id?.split(':').next()?).map(str::to_owned)
}
