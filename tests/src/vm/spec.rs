//! What a virtual server is made of.

use anyhow::{Result, bail};

use crate::hardware::{self, Rack};

/// Which firmware the virtual server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS; its network card has iPXE as option ROM.
    Bios,
    /// OVMF with EDK2's own PXE client (the card's ROM is taken out).
    Uefi,
    /// OVMF that boots by UEFI HTTP boot.
    UefiHttp,
    /// OVMF with EDK2's PXE client, by IPv6 only.
    UefiV6,
    /// OVMF without PXE: HTTP boot by IPv4 and then by IPv6. It cannot be kept from trying IPv4 first.
    UefiHttpV6,
    /// AAVMF: a machine of 64-bit ARM, by PXE.
    Arm64,
    /// OVMF with Microsoft's keys and Secure Boot on, by PXE first.
    SecureBoot,
    /// The same by UEFI HTTP boot.
    SecureBootHttp,
    /// OVMF with a site's own keys ([`crate::snakeoil`]) and no others, Secure Boot on, by PXE.
    SecureBootOwn,
}

impl Firmware {
    /// OVMF, not SeaBIOS.
    pub fn is_uefi(self) -> bool {
        self != Firmware::Bios
    }

    pub(super) fn is_secure(self) -> bool {
        matches!(
            self,
            Firmware::SecureBoot | Firmware::SecureBootHttp | Firmware::SecureBootOwn
        )
    }

    /// The QEMU that has its processor.
    pub(super) fn program(self) -> &'static str {
        match self {
            Firmware::Arm64 => "qemu-system-aarch64",
            _ => "qemu-system-x86_64",
        }
    }

    /// Whether its PXE client asks by IPv4, and by IPv6.
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

/// The network card that it boots by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nic {
    /// virtio. On UEFI its option ROM is taken out: OVMF has a driver, and EDK2's own PXE client is used.
    #[default]
    Virtio,
    /// Intel 82574L. OVMF has no driver for it: on UEFI its option ROM, which is iPXE, boots by itself.
    E1000e,
}

/// What a virtual server is made of.
#[derive(Clone, Debug)]
pub struct VmSpec {
    /// For file names and SMBIOS serial numbers.
    pub name: String,
    /// Firmware.
    pub firmware: Firmware,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of memory modules that it is in.
    pub dimms: u32,
    /// Its network card.
    pub nic: Nic,
    /// MAC of its network card.
    pub mac: String,
    /// Serial number of its disk.
    pub disk_serial: String,
    /// Size of its disk in bytes.
    pub disk_bytes: u64,
    /// UEFI: the network before the disk at each start, as the agent leaves the order on an installed machine. (BIOS has it so anyway.)
    pub network_first: bool,
    /// More hardware; it then decides over memory and modules.
    pub rack: Option<Rack>,
}

impl VmSpec {
    /// A server with a 6 GiB disk and 1 GiB of memory.
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

    /// The module in a slot, MiB; 0: none.
    pub(super) fn module_mib(&self, index: u32) -> u32 {
        match &self.rack {
            Some(rack) if rack.empty.contains(&index) => 0,
            Some(_) => hardware::MODULE_MIB,
            None => self.memory_mib / self.dimms,
        }
    }

    /// The system serial number that its SMBIOS tells.
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
