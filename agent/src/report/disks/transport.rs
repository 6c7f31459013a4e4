//! How a disk is attached, and whether it spins. Pure.

use std::path::Path;

use inventory_api::report::Transport;

use super::identity::Rotation;

/// By the device path: the same wires have several drivers.
pub(super) fn transport(name: &str, path: Option<&Path>, is_ata: bool) -> Option<Transport> {
    let parts: Vec<&str> = path
        .into_iter()
        .flat_map(Path::iter)
        .filter_map(|part| part.to_str())
        .collect();
    let numbered = |prefix: &str| {
        parts.iter().any(|part| {
            part.strip_prefix(prefix)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let starts = |prefix: &str| parts.iter().any(|part| part.starts_with(prefix));
    let is_scsi = numbered("host");
    if name.starts_with("nvme") {
        Some(Transport::Nvme)
    } else if name.starts_with("mmcblk") {
        Some(Transport::Mmc)
    } else if name.starts_with("pmem") {
        Some(Transport::Pmem)
    } else if starts("rport-") || starts("vport-") {
        Some(Transport::FibreChannel)
    } else if numbered("session") {
        Some(Transport::Iscsi)
    } else if numbered("usb") {
        Some(Transport::Usb)
    } else if is_ata || numbered("ata") {
        // Behind a SAS controller too: it is a SATA disk.
        Some(Transport::Sata)
    } else if starts("end_device-") {
        Some(Transport::Sas)
    } else if is_scsi {
        Some(Transport::Scsi)
    } else if numbered("virtio") {
        Some(Transport::Virtio)
    } else if name.starts_with("sd") {
        Some(Transport::Scsi)
    } else if name.starts_with("vd") {
        Some(Transport::Virtio)
    } else {
        None
    }
}

/// The disk's own word goes before the kernel's, which says "rotational" when it was told nothing.
pub(super) fn rotational(
    transport: Option<Transport>,
    kernel: Option<bool>,
    disk: Option<Rotation>,
) -> Option<bool> {
    match (disk, transport) {
        (Some(Rotation::Spins(_)), _) => Some(true),
        (Some(Rotation::Solid), _) => Some(false),
        (Some(Rotation::NotReported), _) | (None, Some(Transport::Virtio)) => None,
        // RAID volumes, virtual disks and USB bridges keep the kernel's default.
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
