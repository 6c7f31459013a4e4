//! Terms of type 9, System Slots, and of on-board devices (10, 41).

/// 7.10.1, Slot type, from 3.
const TYPES: &[&str] = &[
    "ISA",
    "MCA",
    "EISA",
    "PCI",
    "PC Card (PCMCIA)",
    "VLB",
    "Proprietary",
    "Processor Card",
    "Proprietary Memory Card",
    "I/O Riser Card",
    "NuBus",
    "PCI-66",
    "AGP",
    "AGP 2x",
    "AGP 4x",
    "PCI-X",
    "AGP 8x",
    "M.2 Socket 1-DP",
    "M.2 Socket 1-SD",
    "M.2 Socket 2",
    "M.2 Socket 3",
    "MXM Type I",
    "MXM Type II",
    "MXM Type III",
    "MXM Type III-HE",
    "MXM Type IV",
    "MXM 3.0 Type A",
    "MXM 3.0 Type B",
    "PCI Express 2 SFF-8639 (U.2)",
    "PCI Express 3 SFF-8639 (U.2)",
    "PCI Express Mini 52-pin with bottom-side keep-outs",
    "PCI Express Mini 52-pin without bottom-side keep-outs",
    "PCI Express Mini 76-pin",
    "PCI Express 4 SFF-8639 (U.2)",
    "PCI Express 5 SFF-8639 (U.2)",
    "OCP NIC 3.0 Small Form Factor (SFF)",
    "OCP NIC 3.0 Large Form Factor (LFF)",
    "OCP NIC Prior to 3.0",
];

/// 7.10.1 from 0xa0.
const TYPES_A0: &[&str] = &[
    "PC-98/C20",
    "PC-98/C24",
    "PC-98/E",
    "PC-98/Local Bus",
    "PC-98/Card",
    "PCI Express",
    "PCI Express x1",
    "PCI Express x2",
    "PCI Express x4",
    "PCI Express x8",
    "PCI Express x16",
    "PCI Express 2",
    "PCI Express 2 x1",
    "PCI Express 2 x2",
    "PCI Express 2 x4",
    "PCI Express 2 x8",
    "PCI Express 2 x16",
    "PCI Express 3",
    "PCI Express 3 x1",
    "PCI Express 3 x2",
    "PCI Express 3 x4",
    "PCI Express 3 x8",
    "PCI Express 3 x16",
    "",
    "PCI Express 4",
    "PCI Express 4 x1",
    "PCI Express 4 x2",
    "PCI Express 4 x4",
    "PCI Express 4 x8",
    "PCI Express 4 x16",
    "PCI Express 5",
    "PCI Express 5 x1",
    "PCI Express 5 x2",
    "PCI Express 5 x4",
    "PCI Express 5 x8",
    "PCI Express 5 x16",
    "PCI Express 6+",
    "EDSFF E1",
    "EDSFF E3",
];

/// 7.10.1.
pub(crate) fn slot(code: u8) -> Option<&'static str> {
    match code {
        0x30 => Some("CXL Flexbus 1.0"),
        0xa0.. => super::term(TYPES_A0, 0xa0, code),
        _ => super::known(TYPES, code),
    }
}

/// 7.10.2, Slot data bus width.
pub(crate) fn width(code: u8) -> Option<&'static str> {
    super::known(
        &[
            "8 bit", "16 bit", "32 bit", "64 bit", "128 bit", "x1", "x2", "x4", "x8", "x12", "x16", "x32",
        ],
        code,
    )
}

/// 7.11.1 and 7.42.2, Onboard device types; bit 7 has another meaning.
pub(crate) fn onboard(code: u8) -> Option<&'static str> {
    super::known(
        &[
            "Video",
            "SCSI Controller",
            "Ethernet",
            "Token Ring",
            "Sound",
            "PATA Controller",
            "SATA Controller",
            "SAS Controller",
            "Wireless LAN",
            "Bluetooth",
            "WWAN",
            "eMMC",
            "NVMe Controller",
            "UFS Controller",
        ],
        code & 0x7f,
    )
}
