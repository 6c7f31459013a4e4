use inventory_api::report::{GpuFacts, PciDevice, StorageController};
use inventory_api::text::{disk_size, memory_size};

use super::super::pci::{id_of, words};
use super::{Page, named, when};

impl Page {
    pub(super) fn controller(&mut self, c: &StorageController) {
        let facts = [
            Some(c.pci.clone()),
            c.kind.clone(),
            c.model.clone().or_else(|| vendor_of(c.pci_id.as_deref())),
            c.pci_id.clone(),
            driver(&c.driver),
            named("firmware", &c.firmware),
            when(c.raid == Some(true) && c.disks.is_empty(), "may hide its disks"),
        ];
        self.line("Controller", facts);
        for disk in &c.disks {
            let health = disk.health.as_ref();
            let failing = health.is_some_and(|health| health.passed == Some(false));
            let facts = [
                Some(disk.name.clone()),
                disk.size_bytes.map(disk_size),
                disk.model.clone(),
                named("serial", &disk.serial),
                named("firmware", &disk.firmware),
                when(failing, "FAILING"),
            ];
            self.line("  disk", facts);
        }
    }

    pub(super) fn gpu(&mut self, g: &GpuFacts) {
        let facts = [
            Some(g.pci.clone()),
            g.name.clone().or_else(|| vendor_of(g.pci_id.as_deref())),
            g.pci_id.clone(),
            g.memory_bytes.map(memory_size),
            named("serial", &g.serial),
            driver(&g.driver),
        ];
        self.line("GPU", facts);
    }

    pub(super) fn pci(&mut self, d: &PciDevice) {
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
            id_of(d),
            d.slot.clone(),
            d.link_speed.clone(),
            width,
            driver(&d.driver),
        ];
        self.line("PCI", facts);
    }
}

fn driver(name: &Option<String>) -> Option<String> {
    Some(name.clone().unwrap_or_else(|| "no driver".to_owned()))
}

/// The vendor's name, from an id or from "vendor:device".
fn vendor_of(id: Option<&str>) -> Option<String> {
    words::vendor(id?.split(':').next()?).map(str::to_owned)
}
