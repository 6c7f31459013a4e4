//! A disk's transport, and whether it rotates. Pure.

use std::path::Path;

use inventory_api::report::Transport;

use super::super::roots::is_numbered;
use super::identity::Rotation;

/// From the device path, because one transport has several drivers.
pub(super) fn transport(name: &str, path: Option<&Path>, is_ata: bool) -> Option<Transport> {
    let parts: Vec<&str> = path
        .into_iter()
        .flat_map(Path::iter)
        .filter_map(|part| part.to_str())
        .collect();
    let numbered = |prefix: &str| parts.iter().any(|part| is_numbered(part, prefix));
    let starts = |prefix: &str| parts.iter().any(|part| part.starts_with(prefix));
    // The first match wins.
    let ways = [
        (name.starts_with("nvme"), Transport::Nvme),
        (name.starts_with("mmcblk"), Transport::Mmc),
        (name.starts_with("pmem"), Transport::Pmem),
        (starts("rport-") || starts("vport-"), Transport::FibreChannel),
        (numbered("session"), Transport::Iscsi),
        (numbered("usb"), Transport::Usb),
        // A SATA disk, also behind a SAS controller.
        (is_ata || numbered("ata"), Transport::Sata),
        (starts("end_device-"), Transport::Sas),
        (numbered("host"), Transport::Scsi),
        (numbered("virtio"), Transport::Virtio),
        (name.starts_with("sd"), Transport::Scsi),
        (name.starts_with("vd"), Transport::Virtio),
    ];
    ways.into_iter()
        .find(|(holds, _)| *holds)
        .map(|(_, transport)| transport)
}

/// The disk's own answer wins over the kernel's, which defaults to "rotational".
pub(super) fn rotational(
    transport: Option<Transport>,
    kernel: Option<bool>,
    disk: Option<Rotation>,
) -> Option<bool> {
    match (disk, transport) {
        (Some(Rotation::Spins(_)), _) => Some(true),
        (Some(Rotation::Solid), _) => Some(false),
        (Some(Rotation::NotReported), _) | (None, Some(Transport::Virtio)) => None,
        // For RAID volumes, virtual disks and USB bridges the kernel's value is just its default.
        (
            None,
            Some(
                Transport::Scsi
                | Transport::Usb
                | Transport::FibreChannel
                | Transport::Iscsi
                | Transport::NvmeOf
                | Transport::Pmem,
            )
            | None,
        ) => kernel.filter(|spins| !spins),
        (
            None,
            Some(
                Transport::Sata
                | Transport::Sas
                | Transport::Nvme
                | Transport::Mmc
                | Transport::Sd
                | Transport::Unknown,
            ),
        ) => kernel,
    }
}
