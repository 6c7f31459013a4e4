//! Names of PCI classes and vendors for when there is no database, as in the mini-os, to keep it small.
//! Classes from the PCI Code and ID Assignment Specification 1.15, vendors from PCI-SIG; only those found in
//! servers.

/// Class and subclass, four hex digits.
const CLASSES: &[(&str, &str)] = &[
    ("0100", "SCSI controller"),
    ("0101", "IDE controller"),
    ("0104", "RAID controller"),
    ("0106", "SATA controller"),
    ("0107", "SAS controller"),
    ("0108", "NVMe controller"),
    ("0200", "Ethernet controller"),
    ("0207", "InfiniBand controller"),
    ("0208", "Fabric controller"),
    ("0280", "network controller"),
    ("0300", "VGA controller"),
    ("0302", "3D controller"),
    ("0380", "display controller"),
    ("0500", "RAM controller"),
    ("0502", "CXL memory device"),
    ("0580", "memory controller"),
    ("0700", "serial controller"),
    ("0780", "communication controller"),
    ("0800", "interrupt controller"),
    ("0801", "DMA controller"),
    ("0805", "SD host controller"),
    ("0806", "IOMMU"),
    ("0807", "event collector"),
    ("0880", "system peripheral"),
    ("0b40", "co-processor"),
    ("0c03", "USB controller"),
    ("0c04", "Fibre Channel adapter"),
    ("0c05", "SMBus"),
    ("0c06", "InfiniBand adapter"),
    ("0c07", "IPMI interface"),
    ("1000", "network encryption controller"),
    ("1080", "encryption controller"),
    ("1101", "performance counters"),
    ("1180", "signal processing controller"),
    ("1200", "processing accelerator"),
    ("1300", "non-essential instrumentation"),
];

const VENDORS: &[(&str, &str)] = &[
    ("1000", "Broadcom/LSI"),
    ("1002", "AMD"),
    ("1014", "IBM"),
    ("101e", "AMI"),
    ("1022", "AMD"),
    ("1028", "Dell"),
    ("102b", "Matrox"),
    ("103c", "HP"),
    ("1077", "QLogic"),
    ("10b5", "PLX"),
    ("10de", "NVIDIA"),
    ("10df", "Emulex"),
    ("10ec", "Realtek"),
    ("10ee", "AMD/Xilinx"),
    ("1137", "Cisco"),
    ("1166", "Broadcom/ServerWorks"),
    ("1172", "Altera"),
    ("11f8", "Microchip"),
    ("1344", "Micron"),
    ("1414", "Microsoft"),
    ("1425", "Chelsio"),
    ("144d", "Samsung"),
    ("14e4", "Broadcom"),
    ("1590", "HPE"),
    ("15ad", "VMware"),
    ("15b3", "Mellanox"),
    ("15b7", "SanDisk/WD"),
    ("15d9", "Supermicro"),
    ("177d", "Cavium"),
    ("17aa", "Lenovo"),
    ("17d3", "Areca"),
    ("1924", "Solarflare"),
    ("19a2", "Emulex"),
    ("19e5", "Huawei"),
    ("19ee", "Netronome"),
    ("1a03", "ASPEED"),
    ("1af4", "virtio"),
    ("1b21", "ASMedia"),
    ("1b36", "QEMU"),
    ("1b4b", "Marvell"),
    ("1b96", "Western Digital"),
    ("1bb1", "Seagate"),
    ("1c5c", "SK hynix"),
    ("1cb8", "Fusion-io"),
    ("1d0f", "Amazon"),
    ("1d94", "Hygon"),
    ("1dd8", "AMD Pensando"),
    ("1e0f", "KIOXIA"),
    ("2646", "Kingston"),
    ("8086", "Intel"),
    ("8088", "Wangxun"),
    ("9005", "Adaptec"),
    ("c0a9", "Crucial"),
    ("cabc", "Cambricon"),
];

fn word(table: &'static [(&str, &str)], key: &str) -> Option<&'static str> {
    table
        .binary_search_by(|(known, _)| (*known).cmp(key))
        .ok()
        .map(|at| table[at].1)
}

/// "Ethernet controller" for "020000". None for classes not found in servers.
pub(crate) fn class(class: &str) -> Option<&'static str> {
    word(CLASSES, class.get(..4)?)
}

/// "Intel" for "8086".
pub(crate) fn vendor(id: &str) -> Option<&'static str> {
    word(VENDORS, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order_and_found() {
        assert!(CLASSES.is_sorted() && VENDORS.is_sorted());
        assert_eq!(
            (class("020000"), class("010802"), class("ff0000")),
            (Some("Ethernet controller"), Some("NVMe controller"), None)
        );
        assert_eq!(
            (vendor("8086"), vendor("15b3"), vendor("0000")),
            (Some("Intel"), Some("Mellanox"), None)
        );
        assert_eq!((class("0"), class("ä1"), vendor("")), (None, None, None));
    }
}
