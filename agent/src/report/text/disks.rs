use inventory_api::report::{DiskFacts, Transport};

use super::{Page, decimal, named};

impl Page {
    pub(super) fn disk(&mut self, d: &DiskFacts) {
        let transport = d.transport.and_then(|transport| match transport {
            Transport::Sata => Some("SATA"),
            Transport::Sas => Some("SAS"),
            Transport::Scsi => Some("SCSI"),
            Transport::Nvme => Some("NVMe"),
            Transport::Virtio => Some("virtio"),
            Transport::Usb => Some("USB"),
            Transport::Mmc => Some("MMC"),
            Transport::Unknown => None,
        });
        let facts = [
            Some(d.name.clone()),
            d.size_bytes.map(decimal),
            transport.map(str::to_owned),
            d.rotational
                .map(|spins| if spins { "rotating" } else { "solid state" }.to_owned()),
            d.model.clone(),
            named("serial", &d.serial),
            d.wwn.clone(),
            named("firmware", &d.firmware),
            d.pci.clone(),
            d.removable.filter(|r| *r).map(|_| "removable".to_owned()),
            d.read_only.filter(|r| *r).map(|_| "read-only".to_owned()),
        ];
        self.line("Disk", &facts.each_ref());
    }
}
