//! The loaders, and which kinds of firmware each is for.

use serde::{Deserialize, Serialize};

use crate::boot::architecture::ClientKind;

/// The file that shim loads, from where it was loaded itself.
pub const GRUB: &str = "grubx64.efi";

/// The first program that a machine's firmware loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// iPXE for BIOS, using the ROM's network driver (UNDI).
    Undionly,
    /// iPXE for BIOS with its own drivers.
    IpxeBios,
    /// iPXE for UEFI, using the firmware's network driver (SNP).
    Snponly,
    /// iPXE for UEFI with its own drivers.
    IpxeEfi,
    /// iPXE for 64-bit ARM UEFI.
    IpxeArm64,
    /// Signed shim and GRUB: they start under Secure Boot with Microsoft's keys.
    Signed,
    /// An iPXE signed by Microsoft, with iPXE's own shim, supplied by the operator.
    SignedIpxe,
}

impl Loader {
    /// All loaders.
    pub const ALL: [Loader; 7] = [
        Loader::Undionly,
        Loader::IpxeBios,
        Loader::Snponly,
        Loader::IpxeEfi,
        Loader::IpxeArm64,
        Loader::Signed,
        Loader::SignedIpxe,
    ];

    /// The file name that firmware is given.
    pub fn file(self) -> &'static str {
        match self {
            Loader::Undionly => "undionly.kpxe",
            Loader::IpxeBios => "ipxe.pxe",
            Loader::Snponly => "snponly.efi",
            Loader::IpxeEfi => "ipxe.efi",
            Loader::IpxeArm64 => "ipxe-arm64.efi",
            Loader::Signed => "shimx64.efi",
            Loader::SignedIpxe => "ipxe-shimx64.efi",
        }
    }

    /// The loaders for the same kinds of firmware, in the order they are tried.
    pub(super) fn siblings(self) -> &'static [Loader] {
        let kinds = [ClientKind::Bios, ClientKind::UefiX64, ClientKind::UefiArm64];
        let mut lists = kinds.into_iter().map(Loader::list);
        lists.find(|list| list.contains(&self)).unwrap_or_default()
    }

    /// Whether firmware with Microsoft's keys starts it.
    pub(super) fn is_signed(self) -> bool {
        matches!(self, Loader::Signed | Loader::SignedIpxe)
    }

    /// The loaders for a kind of firmware, in the order they are tried.
    pub fn list(kind: ClientKind) -> &'static [Loader] {
        match kind {
            ClientKind::Bios | ClientKind::Ipxe { efi: false, .. } => &[Loader::Undionly, Loader::IpxeBios],
            ClientKind::UefiX64 | ClientKind::UefiX64Http | ClientKind::Ipxe { efi: true, .. } => {
                // Secure Boot is a more likely cause than a firmware network driver that iPXE cannot use, and
                // firmware without another boot entry does not come back by itself to show which it was.
                &[
                    Loader::Snponly,
                    Loader::SignedIpxe,
                    Loader::Signed,
                    Loader::IpxeEfi,
                ]
            }
            ClientKind::UefiArm64 | ClientKind::UefiArm64Http => &[Loader::IpxeArm64],
            _ => &[],
        }
    }
}
