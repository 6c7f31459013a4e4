//! Where a disk sits: the path from its controller, its bay, and whether it is a volume of a RAID controller.

use std::path::{Path, PathBuf};

use super::super::roots::{Roots, attribute, file_name, is_numbered, names, number, text};
use super::super::{clean, pci};

/// Maximum number of entries below one controller.
const ENTRY_LIMIT: usize = 512;

/// A SCSI address in a device path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scsi {
    pub host: u32,
    pub channel: u32,
    pub target: u32,
    pub lun: u64,
}

impl Scsi {
    /// Finds "0:2:1:0" among the path's components.
    pub fn of(path: &Path) -> Option<Scsi> {
        path.iter().filter_map(|part| part.to_str()).find_map(|part| {
            let mut numbers = part.split(':').map(|n| n.parse::<u64>().ok());
            let mut next = || numbers.next().flatten();
            let (host, channel, target, lun) = (next()?, next()?, next()?, next()?);
            let small = |n: u64| u32::try_from(n).ok();
            (part.matches(':').count() == 3).then_some(Scsi {
                host: small(host)?,
                channel: small(channel)?,
                target: small(target)?,
                lun,
            })
        })
    }
}

/// The path up to the first component that is `prefix` and a number: ".../ata5".
fn up_to<'a>(path: &'a Path, prefix: &str) -> Option<&'a Path> {
    path.ancestors()
        .filter(|p| is_numbered(file_name(p), prefix))
        .last()
}

/// The folder with the attributes of a transport class, for the last path component that starts with
/// `prefix`.
fn of_class(roots: &Roots, path: &Path, prefix: &str, class: &str) -> Option<PathBuf> {
    let part = path.ancestors().find(|p| file_name(p).starts_with(prefix))?;
    let inside = roots.sys(part).join(class).join(file_name(part));
    Some(if inside.exists() {
        inside
    } else {
        roots.sys("class").join(class).join(file_name(part))
    })
}

/// The name from udev's path_id builtin, without the partition: "pci-0000:00:1f.2-ata-1". `path` is that of
/// the block device below sys. None if its bus has no such names or the capture lacks them.
pub(super) fn by_path(roots: &Roots, path: &Path, block: &Path) -> Option<String> {
    if let Some(target) = iscsi_part(roots, path) {
        return Some(target);
    }
    let mut parts = pci_parts(path);
    if parts.is_empty() {
        return None;
    }
    let name = file_name(path);
    if name.starts_with("nvme") {
        let id = number::<u32>(&block.join("nsid")).or_else(|| name.rsplit_once('n')?.1.parse().ok())?;
        parts.push(format!("nvme-{id}"));
        return Some(parts.join("-"));
    }
    parts.extend(usb_part(path));
    if let Some(scsi) = Scsi::of(path) {
        parts.push(scsi_part(roots, path, scsi)?);
    }
    Some(parts.join("-"))
}

/// The last function of each unbroken run of functions; a bridge with its own PCI domain (VMD) starts another
/// run.
fn pci_parts(path: &Path) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut before = false;
    for part in path.iter().filter_map(|part| part.to_str()) {
        let is_function = pci::is_address(part);
        if is_function && before {
            runs.pop();
        }
        if is_function {
            runs.push(format!("pci-{part}"));
        }
        before = is_function;
    }
    runs
}

/// "1-2.3:1.0" is "usb-0:2.3:1.0".
fn usb_part(path: &Path) -> Option<String> {
    let interface = path.iter().filter_map(|part| part.to_str()).rfind(|part| {
        let is_word = part
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':'));
        is_word && part.contains('-') && part.matches(':').count() == 1
    })?;
    Some(format!("usb-0:{}", interface.split_once('-')?.1))
}

/// "ip-10.0.0.7:3260-iscsi-iqn.2001-04.com.example:disk-lun-1"; without the address if the capture has none.
fn iscsi_part(roots: &Roots, path: &Path) -> Option<String> {
    let session = up_to(path, "session")?;
    let folder = roots.sys(session);
    let own = folder.join("iscsi_session").join(file_name(session));
    let target = text(&own.join("targetname"))?;
    let mut inside = names(&folder).into_iter();
    let connection = inside.find(|name| name.starts_with("connection"));
    let portal = connection.and_then(|name| {
        let folder = folder.join(&name).join("iscsi_connection").join(&name);
        let address = text(&folder.join("persistent_address"))?;
        let port = text(&folder.join("persistent_port"))?;
        Some(format!("ip-{address}:{port}-"))
    });
    let lun = Scsi::of(path)?.lun;
    Some(format!("{}iscsi-{target}-lun-{lun}", portal.unwrap_or_default()))
}

fn scsi_part(roots: &Roots, path: &Path, scsi: Scsi) -> Option<String> {
    // Fibre Channel: the array's port name.
    let target = of_class(roots, path, "target", "fc_transport");
    if let Some(port) = target.and_then(|folder| text(&folder.join("port_name"))) {
        return Some(format!("fc-{port}-lun-{}", scsi.lun));
    }
    if let Some(port) = up_to(path, "ata") {
        // The number in the name counts over all controllers; this is the port's own number.
        let own = roots.sys(port).join("ata_port").join(file_name(port));
        let number: u32 = number(&own.join("port_no"))?;
        return Some(match (scsi.channel, scsi.target) {
            (0, 0) => format!("ata-{number}"),
            (0, slave) => format!("ata-{number}.{slave}"),
            (multiplied, _) => format!("ata-{number}.{multiplied}.0"),
        });
    }
    if let Some(end) = sas_device(roots, path) {
        let address = text(&end.join("sas_address"))?;
        // The expander directly above the end device.
        let expander = of_class(roots, path, "expander-", "sas_device");
        let expander = expander.and_then(|folder| text(&folder.join("sas_address")));
        return Some(match (text(&end.join("phy_identifier")), expander) {
            (Some(phy), Some(expander)) => format!("sas-exp{expander}-phy{phy}-lun-{}", scsi.lun),
            (Some(phy), None) => format!("sas-phy{phy}-lun-{}", scsi.lun),
            (None, _) => format!("sas-{address}-lun-{}", scsi.lun),
        });
    }
    // Hosts count from the first one of the same controller.
    let host = up_to(path, "host")?;
    let first = names(&roots.sys(host.parent()?))
        .iter()
        .take(ENTRY_LIMIT)
        .filter_map(|name| name.strip_prefix("host")?.parse::<u32>().ok())
        .min()?;
    Some(format!(
        "scsi-{}:{}:{}:{}",
        scsi.host.checked_sub(first)?,
        scsi.channel,
        scsi.target,
        scsi.lun
    ))
}

/// The folder with the SAS end device's attributes.
fn sas_device(roots: &Roots, path: &Path) -> Option<PathBuf> {
    of_class(roots, path, "end_device-", "sas_device")
}

/// The disk's enclosure (SES), if the kernel knows it: the bay's name and folder.
fn enclosure(block: &Path) -> Option<(String, PathBuf)> {
    let entries = std::fs::read_dir(block.join("device")).into_iter().flatten();
    entries.take(ENTRY_LIMIT).flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((
            clean::place(name.strip_prefix("enclosure_device:")?)?,
            entry.path(),
        ))
    })
}

/// The bay: its name from the enclosure, if the kernel knows it, or else its number from the SAS controller.
pub(super) fn bay(roots: &Roots, path: Option<&Path>, block: &Path) -> Option<String> {
    enclosure(block).map(|(bay, _)| bay).or_else(|| {
        let bay: u32 = number(&sas_device(roots, path?)?.join("bay_identifier"))?;
        Some(format!("Slot {bay:02}"))
    })
}

/// The logical identifier of the bay's enclosure (SES-3, 6.1.2), "5000ccab05000000": from the enclosure if
/// the kernel knows it, or else from the SAS controller.
pub(super) fn shelf(roots: &Roots, path: Option<&Path>, block: &Path) -> Option<String> {
    let by_ses = || attribute(&roots.sys(roots.device(&enclosure(block)?.1)?.parent()?.join("id")));
    let by_sas = || attribute(&sas_device(roots, path?)?.join("enclosure_identifier"));
    let id = by_ses().or_else(by_sas)?;
    let id = id.to_lowercase();
    let id = id.strip_prefix("0x").unwrap_or(&id);
    let sound = (1..=32).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_hexdigit())
        && id.bytes().any(|b| b != b'0');
    sound.then(|| id.to_owned())
}

/// The driver of the SCSI host.
pub(super) fn host_driver(roots: &Roots, path: &Path) -> Option<String> {
    let host = up_to(path, "host")?;
    let own = roots.sys(host).join("scsi_host").join(file_name(host));
    text(&own.join("proc_name"))
}

/// Whether a SCSI disk is a volume. None if nothing indicates a RAID controller.
///
/// Channels by driver: megaraid_sas has disks on 0 and 1 and volumes from 2 on (MEGASAS_MAX_PD_CHANNELS),
/// mpt3sas and mptsas have volumes on 1 (RAID_CHANNEL), aacraid on 0 (CONTAINER_CHANNEL). hpsa and smartpqi
/// report each disk's RAID level.
pub(super) fn raid_volume(
    driver: Option<&str>,
    scsi: Option<Scsi>,
    level: Option<&str>,
    model: &str,
) -> Option<bool> {
    let channel = scsi.map(|scsi| scsi.channel);
    if let Some(level) = level {
        return Some(level != "N/A");
    }
    let by_model = [
        "LOGICAL VOLUME",
        "PERC ",
        "DELLBOSS VD",
        "MR9",
        "ServeRAID",
        "RAID 930",
        "RAID 530",
        "Virtual Disk RAID",
    ]
    .iter()
    .any(|name| model.starts_with(name));
    match (driver, channel) {
        (Some("megaraid_sas"), Some(channel)) => Some(channel >= 2),
        (Some("mpt3sas" | "mpt2sas" | "mptsas"), Some(1)) => Some(true),
        (Some("aacraid"), Some(channel)) => Some(channel == 0),
        (
            Some(
                "arcmsr" | "3w-9xxx" | "3w-sas" | "3w-xxxx" | "ips" | "gdth" | "megaraid" | "stex" | "hptiop",
            ),
            _,
        ) => Some(true),
        _ => by_model.then_some(true),
    }
}
