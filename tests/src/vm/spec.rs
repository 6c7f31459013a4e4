//! The parts of a virtual server.

use anyhow::{Result, bail};

use crate::hardware::{self, Rack};

/// The firmware of a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS; its network card has iPXE in its option ROM.
    Bios,
    /// OVMF with EDK2's own PXE client (without the card's ROM).
    Uefi,
    /// OVMF with UEFI HTTP boot.
    UefiHttp,
    /// OVMF with EDK2's PXE client, over IPv6 only.
    UefiV6,
    /// OVMF without PXE: HTTP boot over IPv4, then IPv6. It always tries IPv4 first.
    UefiHttpV6,
    /// AAVMF, for 64-bit ARM, by PXE.
    Arm64,
    /// OVMF with Microsoft's keys and Secure Boot, PXE first.
    SecureBoot,
    /// The same with UEFI HTTP boot.
    SecureBootHttp,
    /// OVMF with only a site's own keys ([`crate::snakeoil`]) and Secure Boot, by PXE.
    SecureBootOwn,
}

impl Firmware {
    pub fn is_uefi(self) -> bool {
        self != Firmware::Bios
    }

    pub(super) fn is_secure(self) -> bool {
        matches!(
            self,
            Firmware::SecureBoot | Firmware::SecureBootHttp | Firmware::SecureBootOwn
        )
    }

    /// The QEMU program for its processor.
    pub(super) fn program(self) -> &'static str {
        match self {
            Firmware::Arm64 => "qemu-system-aarch64",
            _ => "qemu-system-x86_64",
        }
    }

    /// Whether its PXE client uses IPv4, and IPv6.
    pub(super) fn pxe(self) -> [bool; 2] {
        match self {
            Firmware::UefiHttp | Firmware::SecureBootHttp | Firmware::UefiHttpV6 => [false, false],
            Firmware::UefiV6 => [false, true],
            _ => [true, false],
        }
    }

    /// Its code and its variables as delivered.
    pub(super) fn files(self) -> [&'static str; 2] {
        match self {
            Firmware::SecureBootOwn => [
                "/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd",
            ],
            Firmware::Arm64 => ["/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"],
            _ if self.is_secure() => [
                "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            ],
            _ => [
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.fd",
            ],
        }
    }
}

impl std::str::FromStr for Firmware {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Firmware> {
        match text {
            "bios" => Ok(Firmware::Bios),
            "uefi" => Ok(Firmware::Uefi),
            _ => bail!("{text:?} is no firmware: FIRMWARE=bios or FIRMWARE=uefi"),
        }
    }
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
            Firmware::UefiHttp => "uefi-http",
            Firmware::UefiV6 => "uefi-v6",
            Firmware::Arm64 => "arm64",
            Firmware::UefiHttpV6 => "uefi-http-v6",
            Firmware::SecureBoot => "secure-boot",
            Firmware::SecureBootHttp => "secure-boot-http",
            Firmware::SecureBootOwn => "secure-boot-own-keys",
        })
    }
}

/// The network card that it boots from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nic {
    /// virtio. UEFI runs without its option ROM: OVMF has a driver, and EDK2's own PXE client is used.
    #[default]
    Virtio,
    /// Intel 82574L. OVMF has no driver for it: on UEFI its option ROM (iPXE) boots by itself.
    E1000e,
}

#[derive(Clone, Debug)]
pub struct VmSpec {
    /// For file names and SMBIOS serial numbers.
    pub name: String,
    pub firmware: Firmware,
    pub memory_mib: u32,
    /// Number of memory modules.
    pub dimms: u32,
    pub nic: Nic,
    pub mac: String,
    pub disk_serial: String,
    pub disk_bytes: u64,
    /// UEFI: tries the network before the disk at each start, as the agent leaves an installed machine. BIOS
    /// always does.
    pub network_first: bool,
    /// More hardware, which then determines memory and modules.
    pub rack: Option<Rack>,
}

impl VmSpec {
    /// A server with a disk of 6 GiB and 1 GiB of memory.
    pub fn new(name: &str, firmware: Firmware) -> VmSpec {
        let last = name
            .bytes()
            .fold(0u8, |sum, b| sum.wrapping_mul(31).wrapping_add(b));
        VmSpec {
            name: name.to_owned(),
            firmware,
            memory_mib: 1024,
            dimms: 1,
            nic: Nic::default(),
            mac: format!("52:54:00:77:00:{last:02x}"),
            disk_serial: format!("DISK-{}", name.to_uppercase()),
            disk_bytes: 6 << 30,
            network_first: false,
            rack: None,
        }
    }

    /// A server with the hardware of a real one.
    pub fn rack(name: &str, firmware: Firmware, rack: Rack) -> VmSpec {
        VmSpec {
            memory_mib: rack.memory_mib(),
            dimms: hardware::SLOTS,
            rack: Some(rack),
            ..VmSpec::new(name, firmware)
        }
    }

    /// The module in a slot, in MiB; 0 if the slot is empty.
    pub(super) fn module_mib(&self, index: u32) -> u32 {
        match &self.rack {
            Some(rack) if rack.empty.contains(&index) => 0,
            Some(_) => hardware::MODULE_MIB,
            None => self.memory_mib / self.dimms,
        }
    }

    /// The system serial number in its SMBIOS tables.
    pub fn system_serial(&self) -> String {
        format!("SN-{}", self.name.to_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_has_its_own_identity() {
        let (a, b) = (VmSpec::new("a", Firmware::Bios), VmSpec::new("b", Firmware::Bios));
        assert_ne!(a.mac, b.mac);
        assert_ne!(a.disk_serial, b.disk_serial);
        assert_ne!(a.system_serial(), b.system_serial());
    }
}
