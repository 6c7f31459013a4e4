//! Client architectures (IANA's registry "Processor Architecture Types", RFC 5970 and the RFC 4578 errata),
//! and advice for those without a loader.

use inventory_api::Mac;

/// The kind of program that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// BIOS PXE ROM (architecture 0).
    Bios,
    /// 64-bit UEFI PXE: 7, and 9 in old firmware (the RFC 4578 errata swapped them).
    UefiX64,
    /// 64-bit UEFI HTTP boot (16).
    UefiX64Http,
    /// 64-bit ARM UEFI PXE (11).
    UefiArm64,
    /// 64-bit ARM UEFI HTTP boot (19).
    UefiArm64Http,
    /// Boot firmware without a loader.
    OtherFirmware(Unsupported),
    /// Any iPXE (or gPXE).
    Ipxe {
        /// It can fetch by HTTP (feature 19 of option 175; assumed for iPXE without option 175).
        http: bool,
        /// It runs on UEFI.
        efi: bool,
    },
    /// Our own second stage: user class "slipway".
    SlipwayStage {
        /// It is an iPXE that wants a script; otherwise it is the mini-os.
        ipxe: bool,
    },
    /// An operating system, or anything else that does not boot from us.
    Other,
}

impl ClientKind {
    /// Stable short code, as in `BootEventKind::Dhcp`.
    pub fn code(self) -> &'static str {
        match self {
            ClientKind::Bios => "bios",
            ClientKind::UefiX64 => "uefi-x64",
            ClientKind::UefiX64Http => "uefi-x64-http",
            ClientKind::UefiArm64 => "uefi-arm64",
            ClientKind::UefiArm64Http => "uefi-arm64-http",
            ClientKind::OtherFirmware(firmware) => firmware.code,
            ClientKind::Ipxe { .. } => "ipxe",
            ClientKind::SlipwayStage { .. } => "slipway",
            ClientKind::Other => "other",
        }
    }

    /// Whether replies to it can carry boot data.
    pub fn boots(self) -> bool {
        !matches!(self, ClientKind::Other | ClientKind::SlipwayStage { ipxe: false })
    }
}

/// Firmware that gets an address but no boot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Stable short code, as in `BootEventKind::Dhcp`.
    pub code: &'static str,
    /// Name for display.
    pub name: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// Architecture number, code and name of firmware without a loader.
const UNSUPPORTED: &[(u16, &str, &str)] = &[
    (1, "nec-pc98", "NEC PC-98"),
    (2, "itanium", "Itanium EFI"),
    (3, "alpha", "DEC Alpha"),
    (4, "arc-x86", "ARC x86"),
    (5, "lean-client", "Intel Lean Client"),
    (6, "uefi-ia32", "32-bit x86 UEFI"),
    (8, "xscale", "XScale EFI"),
    (10, "uefi-arm32", "32-bit ARM UEFI"),
    (12, "powerpc-of", "PowerPC Open Firmware"),
    (13, "powerpc-epapr", "PowerPC ePAPR"),
    (14, "power-opal", "OpenPOWER petitboot (OPAL)"),
    (15, "uefi-ia32", "32-bit x86 UEFI"),
    (17, "ebc-http", "EFI byte code (HTTP boot)"),
    (18, "uefi-arm32-http", "32-bit ARM UEFI (HTTP boot)"),
    (20, "bios-http", "BIOS HTTP boot"),
    (21, "uboot-arm32", "32-bit ARM U-Boot"),
    (22, "uboot-arm64", "64-bit ARM U-Boot"),
    (23, "uboot-arm32-http", "32-bit ARM U-Boot (HTTP boot)"),
    (24, "uboot-arm64-http", "64-bit ARM U-Boot (HTTP boot)"),
    (25, "uefi-riscv32", "32-bit RISC-V UEFI"),
    (26, "uefi-riscv32-http", "32-bit RISC-V UEFI (HTTP boot)"),
    (27, "uefi-riscv64", "64-bit RISC-V UEFI"),
    (28, "uefi-riscv64-http", "64-bit RISC-V UEFI (HTTP boot)"),
    (29, "uefi-riscv128", "128-bit RISC-V UEFI"),
    (30, "uefi-riscv128-http", "128-bit RISC-V UEFI (HTTP boot)"),
    (31, "s390x-basic", "s390x (IBM Z, basic)"),
    (32, "s390x", "s390x (IBM Z, extended)"),
    (33, "uefi-mips32", "32-bit MIPS UEFI"),
    (34, "uefi-mips64", "64-bit MIPS UEFI"),
    (35, "uefi-sunway32", "32-bit Sunway UEFI"),
    (36, "uefi-sunway64", "64-bit Sunway UEFI"),
    (37, "uefi-loongarch32", "32-bit LoongArch UEFI"),
    (38, "uefi-loongarch32-http", "32-bit LoongArch UEFI (HTTP boot)"),
    (39, "uefi-loongarch64", "64-bit LoongArch UEFI"),
    (40, "uefi-loongarch64-http", "64-bit LoongArch UEFI (HTTP boot)"),
    (RASPBERRY_PI, "raspberry-pi", "the Raspberry Pi's own boot loader"),
];
const RASPBERRY_PI: u16 = 41;
const UNKNOWN: (&str, &str) = ("other-firmware", "firmware of an unknown architecture");
/// Supported only by a server with a mini-os for ARM.
const ARM64: [(&str, &str); 2] = [
    ("uefi-arm64", "64-bit ARM UEFI on this server"),
    ("uefi-arm64-http", "64-bit ARM UEFI (HTTP boot) on this server"),
];

fn advice(code: &str) -> &'static str {
    match code {
        "uefi-ia32" => "set the firmware to 64-bit UEFI or to legacy BIOS boot",
        "ebc-http" => {
            "set the firmware to PXE instead of HTTP boot, or update it: x86-64 firmware should send 16"
        }
        "bios-http" => "set the firmware to PXE instead of HTTP boot",
        "uboot-arm64" | "uboot-arm64-http" => {
            "make U-Boot start an EFI program from the network (standard boot, method efi): it then identifies as 64-bit ARM UEFI"
        }
        "raspberry-pi" => {
            "put UEFI firmware (from the pftf project) on its SD card or USB stick: it then identifies as 64-bit ARM UEFI"
        }
        "other-firmware" => "it is not in IANA's table; report the number if it should be supported",
        "uefi-arm64" | "uefi-arm64-http" => {
            "the server has no mini-os or no ipxe-arm64.efi (Debian 13's package ipxe) for it: run `make mini-os ARCH=arm64`, \
             or `slipway mini-os build --arch arm64 --agent FILE`, which provide both; a server that started without the loader must \
             be restarted"
        }
        _ => "there is no mini-os for it; use x86-64 or 64-bit ARM machines",
    }
}

fn unsupported((code, name): (&'static str, &'static str)) -> Unsupported {
    Unsupported {
        code,
        name,
        advice: advice(code),
    }
}

/// Whether an architecture boots by HTTP.
fn is_http(architecture: u16) -> bool {
    matches!(architecture, 15..=20 | 23 | 24 | 26 | 28 | 30 | 38 | 40)
}

fn supported(architecture: u16) -> Option<ClientKind> {
    match architecture {
        0 => Some(ClientKind::Bios),
        // Old firmware says 9: RFC 4578 had 7 and 9 swapped.
        7 | 9 => Some(ClientKind::UefiX64),
        11 => Some(ClientKind::UefiArm64),
        16 => Some(ClientKind::UefiX64Http),
        19 => Some(ClientKind::UefiArm64Http),
        _ => None,
    }
}

/// The kind of firmware for a list of architectures: the first with a loader, else the first. `pxe`, `http`:
/// the vendor class it sent.
pub(crate) fn firmware(architectures: &[u16], pxe: bool, http: bool) -> ClientKind {
    let fits = |architecture: &u16| if is_http(*architecture) { http } else { pxe };
    let said = || architectures.iter().copied().filter(fits);
    let row = |said: u16| UNSUPPORTED.iter().find(|(number, ..)| *number == said);
    let bad = || {
        said()
            .find_map(row)
            .map_or(UNKNOWN, |(_, code, name)| (*code, *name))
    };
    said()
        .find_map(supported)
        .unwrap_or_else(|| ClientKind::OtherFirmware(unsupported(bad())))
}

/// The Raspberry Pi 4 and 5 claim to be a BIOS (architecture 0) and are recognised by their NIC. Source:
/// tinkerbell/smee, `dhcp/data`, and IEEE's registry of Raspberry Pi (Trading) Ltd. Their UEFI firmware sends
/// its real architecture.
pub(crate) fn raspberry_pi(mac: Mac) -> Option<ClientKind> {
    const PREFIXES: [[u8; 3]; 6] = [
        [0x28, 0xcd, 0xc1],
        [0x2c, 0xcf, 0x67],
        [0xb8, 0x27, 0xeb],
        [0xd8, 0x3a, 0xdd],
        [0xdc, 0xa6, 0x32],
        [0xe4, 0x5f, 0x01],
    ];
    let is_one = PREFIXES.iter().any(|prefix| mac.0.starts_with(prefix));
    is_one.then(|| firmware(&[RASPBERRY_PI], true, false))
}

/// The unsupported firmware with this client code in `BootEventKind::Dhcp`.
pub fn unsupported_client(client: &str) -> Option<Unsupported> {
    let code = client.strip_suffix("-v6").unwrap_or(client);
    let all = UNSUPPORTED.iter().map(|(_, code, name)| (*code, *name));
    let mut all = all.chain(ARM64).chain([UNKNOWN]);
    all.find(|known| known.0 == code).map(unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_a_loader_or_advice() {
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
                    assert!(advice.contains("--arch arm64"), "a server can support it");
                }
                _ => assert_eq!(unsupported_client(code), None),
            }
            let other_class = firmware(&[architecture], is_http(architecture), !is_http(architecture));
            assert_eq!(
                other_class,
                ClientKind::OtherFirmware(unsupported(UNKNOWN)),
                "{architecture} of the other class"
            );
        }
        assert_eq!(UNSUPPORTED.len(), cases.len() - 6, "six have a loader");
        for unknown in [42, 43, 65535] {
            assert_eq!(
                firmware(&[unknown], true, true),
                ClientKind::OtherFirmware(unsupported(UNKNOWN))
            );
        }
    }

    #[test]
    fn the_first_architecture_with_a_loader_wins() {
        assert_eq!(firmware(&[27, 7], true, false), ClientKind::UefiX64);
        assert_eq!(firmware(&[6, 99, 11], true, false), ClientKind::UefiArm64);
        assert_eq!(firmware(&[99, 22, 27], true, false).code(), "uboot-arm64");
    }
}
