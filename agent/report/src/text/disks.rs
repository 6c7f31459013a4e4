use inventory_api::report::{DiskFacts, DiskHealth, Transport};
use inventory_api::text::disk_size;

use super::{Page, counted, named, when};

impl Page {
    pub(super) fn disk(&mut self, d: &DiskFacts) {
        let transport = d.transport.filter(|transport| *transport != Transport::Unknown);
        let facts = [
            Some(d.name.clone()),
            d.size_bytes.map(disk_size),
            d.logical_block_bytes
                .filter(|bytes| !matches!(bytes, 512 | 4096))
                .map(|bytes| format!("sectors of {bytes} bytes")),
            transport.map(|transport| transport.words().to_owned()),
            d.rotational
                .map(|spins| if spins { "rotating" } else { "solid state" }.to_owned()),
            d.model.clone(),
            named("serial", &d.serial),
            d.wwn.clone(),
            named("firmware", &d.firmware),
            d.path.clone().or_else(|| d.pci.clone()),
            named("bay", &d.bay),
            named("shelf", &d.shelf),
            d.rpm.map(|rpm| format!("{rpm} rpm")),
            when(d.raid_volume == Some(true), "RAID volume"),
            when(d.removable == Some(true), "removable"),
            when(d.read_only == Some(true), "read-only"),
        ];
        self.line("Disk", facts);
        for path in &d.paths {
            let place = path.path.clone().or_else(|| path.pci.clone());
            self.line("  path", [Some(path.name.clone()), place]);
        }
        for namespace in &d.namespaces {
            let size = namespace.size_bytes.map(disk_size);
            self.line(
                "  namespace",
                [Some(namespace.name.clone()), size, namespace.wwn.clone()],
            );
        }
        if let Some(health) = &d.health {
            self.health(health);
        }
    }

    fn health(&mut self, h: &DiskHealth) {
        // Error counters are shown only if not zero.
        let errors = |count: Option<u64>, what: &str| counted(count.filter(|n| *n > 0), what);
        let facts = [
            h.passed
                .map(|passed| if passed { "passed" } else { "FAILING" }.to_owned()),
            h.used_percent.map(|used| format!("{used} % used")),
            h.spare_percent.map(|spare| format!("{spare} % spare")),
            h.critical_warning
                .filter(|bits| *bits != 0)
                .map(|bits| format!("critical warning {bits:#04x}")),
            errors(h.reallocated_sectors, "reallocated sector"),
            errors(h.pending_sectors, "pending sector"),
            errors(h.uncorrectable_errors, "uncorrectable error"),
            errors(h.link_errors, "link error"),
            h.temperature_c.map(|degrees| format!("{degrees} °C")),
            h.power_on_hours.map(|hours| format!("{hours} h on")),
            h.written_bytes
                .map(|bytes| format!("{} written", disk_size(bytes))),
            named("self-test", &h.self_test),
        ];
        self.line("  health", facts);
    }
}
