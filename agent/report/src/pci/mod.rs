//! PCI devices, and PCI addresses in device paths.

mod database;
mod slots;
#[cfg(test)]
mod tests;
pub(super) mod words;

use std::path::Path;

use inventory_api::report::PciDevice;

pub(super) use self::slots::Slots;
use super::Problems;
use super::roots::{Roots, attribute, file_name, link_name, number, text};

/// Maximum number of devices; the largest machines have a few hundred.
const DEVICE_LIMIT: usize = 2048;

/// Every PCI function except bridges and SR-IOV virtual functions, sorted by address.
pub(super) fn collect(roots: &Roots, problems: &mut Problems) -> Vec<PciDevice> {
    let folder = roots.sys("bus/pci/devices");
    let slots = Slots::read(roots);
    let mut devices: Vec<PciDevice> = problems
        .names(&folder)
        .iter()
        .filter(|name| is_address(name))
        .filter_map(|name| device(roots, name, &slots))
        .collect();
    // Addresses are hexadecimal: 0f sorts between 07 and 4b. Longer domains come last.
    devices.sort_by(|a, b| (a.address.len(), &a.address).cmp(&(b.address.len(), &b.address)));
    problems.keep(&mut devices, DEVICE_LIMIT, folder.display(), "devices");
    database::name_all(roots, &mut devices);
    devices
}

fn device(roots: &Roots, address: &str, slots: &Slots) -> Option<PciDevice> {
    let folder = roots.sys("bus/pci/devices").join(address);
    let class = hex_digits(&folder.join("class"), 6);
    let is_bridge = class.as_deref().is_some_and(|class| class.starts_with("06"));
    if is_bridge || folder.join("physfn").exists() {
        return None;
    }
    let word = |name: &str| hex_digits(&folder.join(name), 4);
    // Vendor FFFF means an empty capture, or a device that fell off its bus.
    let vendor = word("vendor").filter(|id| id != "ffff");
    vendor.as_ref()?;
    let subsystem = |name: &str| word(name).filter(|id| id != "ffff" && id != "0000");
    // 255 and 63 are the kernel's unknown values.
    let count = |name: &str| number(&folder.join(name)).filter(|lanes| (1..=32).contains(lanes));
    let speed = |name: &str| text(&folder.join(name)).filter(|speed| !speed.starts_with("Unknown"));
    Some(PciDevice {
        address: address.to_owned(),
        class,
        vendor,
        device: word("device"),
        subsystem_vendor: subsystem("subsystem_vendor"),
        subsystem_device: subsystem("subsystem_device"),
        revision: hex_digits(&folder.join("revision"), 2),
        driver: link_name(&folder.join("driver")),
        slot: slots.of(address, &above(roots, address)),
        link_speed: speed("current_link_speed"),
        link_width: count("current_link_width"),
        link_width_max: count("max_link_width"),
        link_speed_max: speed("max_link_speed"),
        numa_node: number(&folder.join("numa_node")),
        name: None,
    })
}

/// "0x8086" as "8086": lower case, with exactly this many digits.
fn hex_digits(path: &Path, digits: usize) -> Option<String> {
    let text = attribute(path)?.to_lowercase();
    let text = text.strip_prefix("0x")?;
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// The PCI functions in a device path, from the root port to the device.
fn chain(path: &Path) -> Vec<String> {
    path.iter()
        .filter_map(|part| part.to_str())
        .filter(|part| is_address(part))
        .map(str::to_owned)
        .collect()
}

/// The last PCI function in a device path: the controller itself, below its bridges.
pub(super) fn address(path: &Path) -> Option<String> {
    chain(path).pop()
}

/// The PCI function that a link in sys leads to.
pub(super) fn of_link(roots: &Roots, link: &Path) -> Option<String> {
    address(&roots.device(link)?)
}

/// The functions above a device, root port first, and itself.
pub(super) fn above(roots: &Roots, address: &str) -> Vec<String> {
    let path = roots.device(&roots.sys("bus/pci/devices").join(address));
    path.map(|path| chain(&path)).unwrap_or_default()
}

/// "0000:00:1f.2"; a domain may have more digits (VMD has 10000).
pub(super) fn is_address(text: &str) -> bool {
    let hex = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut parts = text.split([':', '.']);
    let fields = [parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some(domain), Some(bus), Some(device), Some(function)] = fields else {
        return false;
    };
    parts.next().is_none()
        && text.matches(':').count() == 2
        && hex(domain, 4, 8)
        && hex(bus, 2, 2)
        && hex(device, 2, 2)
        && hex(function, 1, 1)
}

/// "8086:10d3" of a device.
pub(super) fn id_of(device: &PciDevice) -> Option<String> {
    Some(format!("{}:{}", device.vendor.as_ref()?, device.device.as_ref()?))
}

/// "8086:10d3" of the PCI function in this device path.
pub(super) fn id(roots: &Roots, path: &Path) -> Option<String> {
    let function = path.ancestors().find(|p| is_address(file_name(p)))?;
    let read = |name: &str| hex_digits(&roots.sys(function).join(name), 4);
    Some(format!("{}:{}", read("vendor")?, read("device")?))
}
