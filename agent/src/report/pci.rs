//! PCI addresses in device paths, and the ids beside them.

use std::path::Path;

use super::roots::{Roots, attribute};

/// The last PCI function in a device path: the controller itself, below its bridges.
pub(super) fn address(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    parts
        .into_iter()
        .rfind(|part| is_address(part))
        .map(str::to_owned)
}

/// "0000:00:1f.2"; a domain may have more digits (VMD has 10000).
fn is_address(text: &str) -> bool {
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

/// "8086:10d3" of the PCI function in this device path.
pub(super) fn id(roots: &Roots, path: &Path) -> Option<String> {
    let function = path
        .ancestors()
        .find(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(is_address))?;
    let read = |name: &str| {
        let text = attribute(&roots.sys(function).join(name))?;
        let digits = text.trim().strip_prefix("0x")?.to_lowercase();
        (digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
    };
    Some(format!("{}:{}", read("vendor")?, read("device")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_below_the_bridges() {
        let of = |path: &str| address(Path::new(path));
        let nvme = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1";
        assert_eq!(of(nvme).as_deref(), Some("0000:02:00.0"));
        let vmd =
            "devices/pci0000:64/0000:64:05.5/pci10000:00/10000:00:02.0/10000:01:00.0/nvme/nvme0/nvme0n1";
        assert_eq!(of(vmd).as_deref(), Some("10000:01:00.0"));
        assert_eq!(
            of("devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda"),
            None
        );
    }
}
