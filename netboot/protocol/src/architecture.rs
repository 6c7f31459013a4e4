//! Client architectures (IANA's registry "Processor Architecture Types", RFC 5970 and the RFC 4578 errata), and what to do
//! about those that there is no loader for.

use inventory_api::Mac;

use crate::client::ClientKind;

/// Firmware that gets an address and no boot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Stable short code, as in `BootEventKind::Dhcp`.
    pub code: &'static str,
    /// For people.
    pub name: &'static str,
    /// What to do.
    pub advice: &'static str,
}

const NO_SERVER: &str = "no mini-os is made for it; enrol machines of x86-64 or 64-bit ARM";

const UEFI_IA32: Unsupported = Unsupported {
    code: "uefi-ia32",
    name: "32-bit x86 UEFI",
    advice: "set the firmware to 64-bit UEFI or to legacy BIOS boot",
};
const RASPBERRY_PI: Unsupported = Unsupported {
    code: "raspberry-pi",
    name: "the Raspberry Pi's own boot loader",
    advice: "put UEFI firmware (the project pftf) on its card or stick: it then asks as 64-bit ARM UEFI",
};
const UNKNOWN: Unsupported = Unsupported {
    code: "other-firmware",
    name: "firmware of an architecture that is not known here",
    advice: "it is not in IANA's table; report the number if a server should boot by it",
};

const EBC_HTTP: Unsupported = Unsupported {
    code: "ebc-http",
    name: "EFI byte code (HTTP boot)",
    advice: "set the firmware to PXE instead of HTTP boot, or update it: x86-64 firmware says 16",
};
const UBOOT_ARM64_HTTP: Unsupported = Unsupported {
    code: "uboot-arm64-http",
    name: "64-bit ARM U-Boot (HTTP boot)",
    advice: UBOOT_ADVICE,
};
const UBOOT_ADVICE: &str = "have U-Boot start an EFI program from the network (its standard boot, method efi): it then asks as 64-bit ARM UEFI";

/// What a server without a mini-os for ARM has none for.
const ARM64: [Unsupported; 2] = [
    Unsupported {
        code: "uefi-arm64",
        name: "64-bit ARM UEFI on this server",
        advice: ARM64_ADVICE,
    },
    Unsupported {
        code: "uefi-arm64-http",
        name: "64-bit ARM UEFI (HTTP boot) on this server",
        advice: ARM64_ADVICE,
    },
];
const ARM64_ADVICE: &str = "it has no mini-os or no ipxe-arm64.efi (Debian 13's package ipxe) for it: run `make mini-os ARCH=arm64`, \
     or `slipway mini-os build --arch arm64 --agent FILE`, which bring both; a server that had no loader when it started has to be \
     restarted";

/// Architecture number, transport (PXE's TFTP, or HTTP boot), and what there is for it.
const TABLE: &[(u16, Result<ClientKind, Unsupported>)] = &[
    (0, Ok(ClientKind::Bios)),
    (1, Err(unsupported("nec-pc98", "NEC PC-98"))),
    (2, Err(unsupported("itanium", "Itanium EFI"))),
    (3, Err(unsupported("alpha", "DEC Alpha"))),
    (4, Err(unsupported("arc-x86", "ARC x86"))),
    (5, Err(unsupported("lean-client", "Intel Lean Client"))),
    (6, Err(UEFI_IA32)),
    (7, Ok(ClientKind::UefiX64)),
    (8, Err(unsupported("xscale", "XScale EFI"))),
    // Old firmware: RFC 4578 had 7 and 9 the wrong way round.
    (9, Ok(ClientKind::UefiX64)),
    (10, Err(unsupported("uefi-arm32", "32-bit ARM UEFI"))),
    (11, Ok(ClientKind::UefiArm64)),
    (12, Err(unsupported("powerpc-of", "PowerPC Open Firmware"))),
    (13, Err(unsupported("powerpc-epapr", "PowerPC ePAPR"))),
    (14, Err(unsupported("power-opal", "OpenPOWER petitboot (OPAL)"))),
    (15, Err(UEFI_IA32)),
    (16, Ok(ClientKind::UefiX64Http)),
    (17, Err(EBC_HTTP)),
    (
        18,
        Err(unsupported("uefi-arm32-http", "32-bit ARM UEFI (HTTP boot)")),
    ),
    (19, Ok(ClientKind::UefiArm64Http)),
    (
        20,
        Err(Unsupported {
            code: "bios-http",
            name: "BIOS HTTP boot",
            advice: "set the firmware to PXE instead of HTTP boot",
        }),
    ),
    (21, Err(unsupported("uboot-arm32", "32-bit ARM U-Boot"))),
    (
        22,
        Err(Unsupported {
            code: "uboot-arm64",
            name: "64-bit ARM U-Boot",
            advice: UBOOT_ADVICE,
        }),
    ),
    (
        23,
        Err(unsupported("uboot-arm32-http", "32-bit ARM U-Boot (HTTP boot)")),
    ),
    (24, Err(UBOOT_ARM64_HTTP)),
    (25, Err(unsupported("uefi-riscv32", "32-bit RISC-V UEFI"))),
    (
        26,
        Err(unsupported("uefi-riscv32-http", "32-bit RISC-V UEFI (HTTP boot)")),
    ),
    (27, Err(unsupported("uefi-riscv64", "64-bit RISC-V UEFI"))),
    (
        28,
        Err(unsupported("uefi-riscv64-http", "64-bit RISC-V UEFI (HTTP boot)")),
    ),
    (29, Err(unsupported("uefi-riscv128", "128-bit RISC-V UEFI"))),
    (
        30,
        Err(unsupported(
            "uefi-riscv128-http",
            "128-bit RISC-V UEFI (HTTP boot)",
        )),
    ),
    (31, Err(unsupported("s390x-basic", "s390x (IBM Z, basic)"))),
    (32, Err(unsupported("s390x", "s390x (IBM Z, extended)"))),
    (33, Err(unsupported("uefi-mips32", "32-bit MIPS UEFI"))),
    (34, Err(unsupported("uefi-mips64", "64-bit MIPS UEFI"))),
    (35, Err(unsupported("uefi-sunway32", "32-bit Sunway UEFI"))),
    (36, Err(unsupported("uefi-sunway64", "64-bit Sunway UEFI"))),
    (37, Err(unsupported("uefi-loongarch32", "32-bit LoongArch UEFI"))),
    (
        38,
        Err(unsupported(
            "uefi-loongarch32-http",
            "32-bit LoongArch UEFI (HTTP boot)",
        )),
    ),
    (39, Err(unsupported("uefi-loongarch64", "64-bit LoongArch UEFI"))),
    (
        40,
        Err(unsupported(
            "uefi-loongarch64-http",
            "64-bit LoongArch UEFI (HTTP boot)",
        )),
    ),
    (41, Err(RASPBERRY_PI)),
];

const fn unsupported(code: &'static str, name: &'static str) -> Unsupported {
    Unsupported {
        code,
        name,
        advice: NO_SERVER,
    }
}

/// Whether these architectures boot by HTTP.
fn is_http(architecture: u16) -> bool {
    matches!(architecture, 15..=20 | 23 | 24 | 26 | 28 | 30 | 38 | 40)
}

/// The kind of firmware that says it is any of these: the first that there is a loader for, else the first. `pxe`, `http`:
/// the class it named.
pub(crate) fn firmware(architectures: &[u16], pxe: bool, http: bool) -> ClientKind {
    let of = |architecture: &u16| {
        let fits = if is_http(*architecture) { http } else { pxe };
        let row = TABLE.iter().find(|(number, _)| number == architecture)?;
        fits.then_some(row.1)
    };
    let known = || architectures.iter().filter_map(of);
    let good = known().find_map(Result::ok);
    let bad = || known().find_map(Result::err).unwrap_or(UNKNOWN);
    good.unwrap_or_else(|| ClientKind::OtherFirmware(bad()))
}

/// The Raspberry Pi 4 and 5 say that they are a BIOS (architecture 0): they are told by their NIC. Source:
/// tinkerbell/smee, `dhcp/data`, and IEEE's registry of Raspberry Pi (Trading) Ltd. Their UEFI firmware says what it is.
pub(crate) fn is_raspberry_pi(mac: Mac) -> bool {
    const PREFIXES: [[u8; 3]; 6] = [
        [0x28, 0xcd, 0xc1],
        [0x2c, 0xcf, 0x67],
        [0xb8, 0x27, 0xeb],
        [0xd8, 0x3a, 0xdd],
        [0xdc, 0xa6, 0x32],
        [0xe4, 0x5f, 0x01],
    ];
    PREFIXES.iter().any(|prefix| mac.0.starts_with(prefix))
}

/// The kind of the Raspberry Pi's own boot loader.
pub(crate) const PI: ClientKind = ClientKind::OtherFirmware(RASPBERRY_PI);

/// The firmware that a client of this name in `BootEventKind::Dhcp` is, when it was given no loader.
pub fn unsupported_client(client: &str) -> Option<Unsupported> {
    let code = client.strip_suffix("-v6").unwrap_or(client);
    let all = TABLE.iter().filter_map(|(_, there_is)| there_is.err());
    { all }
        .chain(ARM64)
        .chain([UNKNOWN])
        .find(|firmware| firmware.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_a_loader_or_an_advice() {
        let cases: [(u16, &str); 42] = [
            (0, "bios"),
            (1, "nec-pc98"),
            (2, "itanium"),
            (3, "alpha"),
            (4, "arc-x86"),
            (5, "lean-client"),
            (6, "uefi-ia32"),
            (7, "uefi-x64"),
            (8, "xscale"),
            (9, "uefi-x64"),
            (10, "uefi-arm32"),
            (11, "uefi-arm64"),
            (12, "powerpc-of"),
            (13, "powerpc-epapr"),
            (14, "power-opal"),
            (15, "uefi-ia32"),
            (16, "uefi-x64-http"),
            (17, "ebc-http"),
            (18, "uefi-arm32-http"),
            (19, "uefi-arm64-http"),
            (20, "bios-http"),
            (21, "uboot-arm32"),
            (22, "uboot-arm64"),
            (23, "uboot-arm32-http"),
            (24, "uboot-arm64-http"),
            (25, "uefi-riscv32"),
            (26, "uefi-riscv32-http"),
            (27, "uefi-riscv64"),
            (28, "uefi-riscv64-http"),
            (29, "uefi-riscv128"),
            (30, "uefi-riscv128-http"),
            (31, "s390x-basic"),
            (32, "s390x"),
            (33, "uefi-mips32"),
            (34, "uefi-mips64"),
            (35, "uefi-sunway32"),
            (36, "uefi-sunway64"),
            (37, "uefi-loongarch32"),
            (38, "uefi-loongarch32-http"),
            (39, "uefi-loongarch64"),
            (40, "uefi-loongarch64-http"),
            (41, "raspberry-pi"),
        ];
        for (architecture, code) in cases {
            let kind = firmware(&[architecture], true, true);
            assert_eq!(kind.code(), code, "{architecture}");
            match kind {
                ClientKind::OtherFirmware(firmware) => {
                    assert_eq!(
                        unsupported_client(&format!("{code}-v6")).map(|u| u.code),
                        Some(firmware.code)
                    );
                    assert!(crate::Loader::list(kind).is_empty());
                    assert!(!firmware.name.is_empty() && !firmware.advice.is_empty());
                }
                ClientKind::UefiArm64 | ClientKind::UefiArm64Http => {
                    let advice = unsupported_client(code).map_or("", |firmware| firmware.advice);
                    assert!(advice.contains("--arch arm64"), "a server can have it");
                }
                _ => assert_eq!(unsupported_client(code), None),
            }
            let other_class = firmware(&[architecture], is_http(architecture), !is_http(architecture));
            assert_eq!(
                other_class,
                ClientKind::OtherFirmware(UNKNOWN),
                "{architecture} of the other class"
            );
        }
        assert_eq!(TABLE.len(), cases.len());
        for unknown in [42, 43, 65535] {
            assert_eq!(
                firmware(&[unknown], true, true),
                ClientKind::OtherFirmware(UNKNOWN)
            );
        }
    }

    #[test]
    fn of_a_list_the_first_with_a_loader() {
        assert_eq!(firmware(&[27, 7], true, false), ClientKind::UefiX64);
        assert_eq!(firmware(&[6, 99, 11], true, false), ClientKind::UefiArm64);
        assert_eq!(firmware(&[99, 22, 27], true, false).code(), "uboot-arm64");
    }
}
