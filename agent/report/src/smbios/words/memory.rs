//! Terms of types 16 and 17, memory arrays and devices.

/// 7.17.1, Location.
pub(crate) fn location(code: u8) -> Option<&'static str> {
    const FROM_A0: &[&str] = &[
        "PC-98/C20 Add-on Card",
        "PC-98/C24 Add-on Card",
        "PC-98/E Add-on Card",
        "PC-98/Local Bus Add-on Card",
        "CXL Add-on Card",
    ];
    const FROM_3: &[&str] = &[
        "System Board Or Motherboard",
        "ISA Add-on Card",
        "EISA Add-on Card",
        "PCI Add-on Card",
        "MCA Add-on Card",
        "PCMCIA Add-on Card",
        "Proprietary Add-on Card",
        "NuBus",
    ];
    match code {
        0xa0.. => super::term(FROM_A0, 0xa0, code),
        _ => super::known(FROM_3, code),
    }
}

/// 7.18.1, Form factor.
pub(crate) fn form(code: u8) -> Option<&'static str> {
    super::known(
        &[
            "SIMM",
            "SIP",
            "Chip",
            "DIP",
            "ZIP",
            "Proprietary Card",
            "DIMM",
            "TSOP",
            "Row Of Chips",
            "RIMM",
            "SODIMM",
            "SRIMM",
            "FB-DIMM",
            "Die",
            "CAMM",
            "CUDIMM",
            "CSODIMM",
        ],
        code,
    )
}

/// 7.18.2, Type, from 3.
const KINDS: &[&str] = &[
    "DRAM",
    "EDRAM",
    "VRAM",
    "SRAM",
    "RAM",
    "ROM",
    "Flash",
    "EEPROM",
    "FEPROM",
    "EPROM",
    "CDRAM",
    "3DRAM",
    "SDRAM",
    "SGRAM",
    "RDRAM",
    "DDR",
    "DDR2",
    "DDR2 FB-DIMM",
    "",
    "",
    "",
    "DDR3",
    "FBD2",
    "DDR4",
    "LPDDR",
    "LPDDR2",
    "LPDDR3",
    "LPDDR4",
    "Logical non-volatile device",
    "HBM",
    "HBM2",
    "DDR5",
    "LPDDR5",
    "HBM3",
    "MRDIMM",
];

/// 7.18.2.
pub(crate) fn kind(code: u8) -> Option<&'static str> {
    super::known(KINDS, code)
}

/// 7.18.3, Type detail: one term per bit, from bit 1.
const DETAILS: [&str; 15] = [
    "Other",
    "Unknown",
    "Fast-paged",
    "Static Column",
    "Pseudo-static",
    "RAMBus",
    "Synchronous",
    "CMOS",
    "EDO",
    "Window DRAM",
    "Cache DRAM",
    "Non-Volatile",
    "Registered (Buffered)",
    "Unbuffered (Unregistered)",
    "LRDIMM",
];

/// 7.18.3; None if only Other or Unknown is set.
pub(crate) fn detail(bits: u16) -> Option<String> {
    const OTHER_OR_UNKNOWN: u16 = 0b110;
    if bits & 0xfffe & !OTHER_OR_UNKNOWN == 0 {
        return None;
    }
    let words = (1..16_u16).zip(DETAILS).filter(|(bit, _)| bits & (1 << bit) != 0);
    Some(words.map(|(_, word)| word).collect::<Vec<_>>().join(" "))
}

/// 7.18.6, Memory technology.
pub(crate) fn technology(code: u8) -> Option<&'static str> {
    super::known(
        &[
            "DRAM",
            "NVDIMM-N",
            "NVDIMM-F",
            "NVDIMM-P",
            "Intel Optane DC persistent memory",
            "MRDIMM",
        ],
        code,
    )
}
