//! The device tree, which some firmware provides instead of SMBIOS tables: ARM boards, OpenPOWER, RISC-V
//! (Devicetree Specification 0.4, chapters 2.3 and 3).

use std::path::PathBuf;

use inventory_api::report::{AssetReport, SystemFacts};

use super::parse::big_endian;
use super::roots::{Roots, bytes, names};
use super::{Problems, clean};

/// Longest property read.
const LIMIT: u64 = 4096;
/// Maximum number of memory nodes; a large OpenPOWER machine has a few dozen.
const MEMORY_NODES: usize = 1024;

fn root(roots: &Roots) -> Option<PathBuf> {
    let mut places = [roots.sys("firmware/devicetree/base"), roots.proc("device-tree")].into_iter();
    places.find(|place| place.join("model").exists() || place.join("compatible").exists())
}

/// Whether this machine has one.
pub(super) fn is_there(roots: &Roots) -> bool {
    root(roots).is_some()
}

/// Maker, model, serial number and memory size. Facts from SMBIOS take precedence.
pub(super) fn collect(roots: &Roots, _: &mut Problems, report: &mut AssetReport) {
    let Some(root) = root(roots) else { return };
    let property = |path: &str| bytes(&root.join(path), LIMIT);
    // A list of zero-terminated strings.
    let texts = |path: &str| -> Vec<String> {
        let bytes = property(path).unwrap_or_default();
        let texts = bytes.split(|b| *b == 0).map(String::from_utf8_lossy);
        texts.filter_map(|text| clean::serial(&text)).collect()
    };
    let first = |path: &str| texts(path).into_iter().next();
    let compatible = texts("compatible");
    let system = SystemFacts {
        // "raspberrypi,4-model-b": the maker is before the comma (2.3.1).
        manufacturer: first("vendor").or_else(|| Some(compatible.first()?.split_once(',')?.0.to_owned())),
        product: first("model").or_else(|| compatible.first().cloned()),
        // OpenPOWER and IBM call the serial number system-id.
        serial: first("serial-number").or_else(|| first("system-id")),
        version: None,
        uuid: None,
        sku: first("part-number"),
        family: compatible.last().filter(|_| compatible.len() > 1).cloned(),
    };
    report.system = (system != SystemFacts::default()).then_some(system);
    let cells = |path: &str, default: usize| {
        let number = property(path).and_then(|bytes| Some(big_endian(bytes.get(..4)?) as usize));
        number.filter(|cells| (1..=4).contains(cells)).unwrap_or(default)
    };
    let (address, size) = (cells("#address-cells", 2), cells("#size-cells", 1));
    report.memory.installed_bytes = names(&root)
        .iter()
        .filter(|node| *node == "memory" || node.starts_with("memory@"))
        .take(MEMORY_NODES)
        .filter_map(|node| sizes(&property(&format!("{node}/reg"))?, address, size))
        .reduce(u64::saturating_add)
        .filter(|bytes| *bytes > 0);
}

/// The sum of the sizes in a `reg` property: pairs of address and size, each with the given number of 32-bit
/// cells.
fn sizes(reg: &[u8], address: usize, size: usize) -> Option<u64> {
    let entries = reg.chunks_exact(4 * (address + size));
    entries
        .map(|entry| big_endian(&entry[4 * address..]))
        .reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> AssetReport {
        let dir = tempfile::tempdir().unwrap();
        for (file, bytes) in files {
            let path = dir.path().join("proc/device-tree").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        super::super::collect(&Roots::under(dir.path()))
    }

    #[test]
    fn a_board_with_its_serial_number_and_memory() {
        let report = tree(&[
            ("model", b"Raspberry Pi 4 Model B Rev 1.4\0"),
            ("compatible", b"raspberrypi,4-model-b\0brcm,bcm2711\0"),
            ("serial-number", b"10000000a1b2c3d4\0"),
            ("#address-cells", &[0, 0, 0, 2]),
            ("#size-cells", &[0, 0, 0, 1]),
            (
                "memory@0/reg",
                &[
                    0, 0, 0, 0, 0, 0, 0, 0, 0x3b, 0x40, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0xbc, 0, 0, 0,
                ],
            ),
        ]);
        let expected = SystemFacts {
            manufacturer: Some("raspberrypi".to_owned()),
            product: Some("Raspberry Pi 4 Model B Rev 1.4".to_owned()),
            serial: Some("10000000a1b2c3d4".to_owned()),
            family: Some("brcm,bcm2711".to_owned()),
            ..SystemFacts::default()
        };
        assert_eq!(report.system, Some(expected));
        assert_eq!(report.memory.installed_bytes, Some(0x3b40_0000 + 0xbc00_0000));
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }

    #[test]
    fn an_openpower_server_and_a_tree_of_nonsense() {
        let report = tree(&[
            ("model", b"8335-GTH\0"),
            ("vendor", b"IBM\0"),
            ("system-id", b"7804F2A\0"),
            ("compatible", b"ibm,powernv\0ibm,witherspoon\0"),
            ("#size-cells", &[0, 0, 0, 2]),
            (
                "memory@0/reg",
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0],
            ),
            (
                "memory@100/reg",
                &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0],
            ),
        ]);
        let system = report.system.unwrap();
        assert_eq!(
            (system.manufacturer.as_deref(), system.serial.as_deref()),
            (Some("IBM"), Some("7804F2A"))
        );
        assert_eq!(report.memory.installed_bytes, Some(128 << 30));
        let odd = tree(&[
            ("model", b"\0\0\xff"),
            ("#address-cells", &[0xff; 4]),
            ("#size-cells", b"x"),
            ("memory/reg", &[0xff; 31]),
        ]);
        assert_eq!(odd.system, None);
        assert!(odd.problems.is_empty(), "{:?}", odd.problems);
    }
}
