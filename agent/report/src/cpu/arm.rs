//! Names of 64-bit ARM cores, because /proc/cpuinfo has only numbers. Server cores by implementer and part of
//! MIDR_EL1, from the makers' reference manuals and lscpu.

const CORES: &[(u8, u16, &str)] = &[
    (0x41, 0xd03, "Arm Cortex-A53"),
    (0x41, 0xd04, "Arm Cortex-A35"),
    (0x41, 0xd05, "Arm Cortex-A55"),
    (0x41, 0xd07, "Arm Cortex-A57"),
    (0x41, 0xd08, "Arm Cortex-A72"),
    (0x41, 0xd09, "Arm Cortex-A73"),
    (0x41, 0xd0a, "Arm Cortex-A75"),
    (0x41, 0xd0b, "Arm Cortex-A76"),
    (0x41, 0xd0c, "Arm Neoverse-N1"),
    (0x41, 0xd0d, "Arm Cortex-A77"),
    (0x41, 0xd40, "Arm Neoverse-V1"),
    (0x41, 0xd41, "Arm Cortex-A78"),
    (0x41, 0xd42, "Arm Cortex-A78AE"),
    (0x41, 0xd44, "Arm Cortex-X1"),
    (0x41, 0xd46, "Arm Cortex-A510"),
    (0x41, 0xd47, "Arm Cortex-A710"),
    (0x41, 0xd48, "Arm Cortex-X2"),
    (0x41, 0xd49, "Arm Neoverse-N2"),
    (0x41, 0xd4a, "Arm Neoverse-E1"),
    (0x41, 0xd4b, "Arm Cortex-A78C"),
    (0x41, 0xd4d, "Arm Cortex-A715"),
    (0x41, 0xd4e, "Arm Cortex-X3"),
    (0x41, 0xd4f, "Arm Neoverse-V2"),
    (0x41, 0xd80, "Arm Cortex-A520"),
    (0x41, 0xd81, "Arm Cortex-A720"),
    (0x41, 0xd82, "Arm Cortex-X4"),
    (0x41, 0xd83, "Arm Neoverse-V3AE"),
    (0x41, 0xd84, "Arm Neoverse-V3"),
    (0x41, 0xd85, "Arm Cortex-X925"),
    (0x41, 0xd87, "Arm Cortex-A725"),
    (0x41, 0xd8e, "Arm Neoverse-N3"),
    (0x42, 0x516, "Broadcom ThunderX2"),
    (0x43, 0x0a0, "Cavium ThunderX"),
    (0x43, 0x0a1, "Cavium ThunderX 88XX"),
    (0x43, 0x0a2, "Cavium ThunderX 81XX"),
    (0x43, 0x0a3, "Cavium ThunderX 83XX"),
    (0x43, 0x0af, "Cavium ThunderX2 99xx"),
    (0x43, 0x0b8, "Marvell ThunderX3 T110"),
    (0x46, 0x001, "Fujitsu A64FX"),
    (0x46, 0x003, "Fujitsu MONAKA"),
    (0x48, 0xd01, "HiSilicon TaiShan v110 (Kunpeng 920)"),
    (0x48, 0xd02, "HiSilicon TaiShan v120"),
    (0x4e, 0x003, "NVIDIA Denver 2"),
    (0x4e, 0x004, "NVIDIA Carmel"),
    (0x4e, 0x010, "NVIDIA Olympus"),
    (0x50, 0x000, "APM X-Gene"),
    (0x51, 0x001, "Qualcomm Oryon"),
    (0x51, 0xc00, "Qualcomm Falkor"),
    (0x51, 0xc01, "Qualcomm Saphira"),
    (0x6d, 0xd49, "Microsoft Azure Cobalt 100"),
    (0x70, 0x660, "Phytium FTC660"),
    (0x70, 0x661, "Phytium FTC661"),
    (0x70, 0x662, "Phytium FTC662"),
    (0x70, 0x663, "Phytium FTC663"),
    (0x70, 0x664, "Phytium FTC664"),
    (0x70, 0x862, "Phytium FTC862"),
    (0xc0, 0xac3, "Ampere-1"),
    (0xc0, 0xac4, "Ampere-1a"),
    (0xc0, 0xac5, "Ampere-1b"),
];

/// The name for "CPU implementer" and "CPU part" of /proc/cpuinfo, both as `0x` and hexadecimal digits.
pub(super) fn core_name(implementer: &str, part: &str) -> Option<&'static str> {
    let hex = |text: &str| u16::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let (implementer, part) = (hex(implementer)?, hex(part)?);
    let known = CORES
        .iter()
        .find(|(i, p, _)| (u16::from(*i), *p) == (implementer, part));
    known.map(|(_, _, name)| *name)
}

/// Whether a model is one of these names.
pub(crate) fn is_core_name(model: &str) -> bool {
    CORES.iter().any(|(_, _, name)| *name == model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_by_their_numbers() {
        for (implementer, part, expected) in [
            ("0x41", "0xd0c", Some("Arm Neoverse-N1")),
            ("0x41", "0xd4f", Some("Arm Neoverse-V2")),
            ("0x48", "0xd01", Some("HiSilicon TaiShan v110 (Kunpeng 920)")),
            ("0xc0", "0xac3", Some("Ampere-1")),
            ("0x41", "0xfff", None),
            ("41", "d0c", None),
            ("", "", None),
        ] {
            assert_eq!(core_name(implementer, part), expected, "{implementer} {part}");
        }
        assert!(is_core_name("Arm Cortex-A72") && !is_core_name("Ampere(R) Altra(R) Processor"));
    }
}
