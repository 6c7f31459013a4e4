//! The loaders, and which kinds of firmware each is for.

use serde::{Deserialize, Serialize};

use crate::boot::architecture::ClientKind;

/// A first program for a machine's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// iPXE for BIOS that keeps to the ROM's own network driver (UNDI).
    Undionly,
    /// iPXE for BIOS with drivers of its own.
    IpxeBios,
    /// iPXE for UEFI that keeps to the firmware's network driver (SNP).
    Snponly,
    /// iPXE for UEFI with drivers of its own.
    IpxeEfi,
    /// iPXE for 64-bit ARM UEFI.
    IpxeArm64,
    /// shim and GRUB, signed: they start under Secure Boot with Microsoft's keys.
    Signed,
    /// An iPXE signed by Microsoft, behind iPXE's own shim, which the operator has supplied.
    SignedIpxe,
}

impl Loader {
    /// All.
    pub const ALL: [Loader; 7] = [
        Loader::Undionly,
        Loader::IpxeBios,
        Loader::Snponly,
        Loader::IpxeEfi,
        Loader::IpxeArm64,
        Loader::Signed,
        Loader::SignedIpxe,
    ];

    /// Name of the file that the firmware is told to load.
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

    /// The loaders for the same kinds of firmware, in the order in which they are tried.
    pub(super) fn siblings(self) -> &'static [Loader] {
        let kinds = [ClientKind::Bios, ClientKind::UefiX64, ClientKind::UefiArm64];
        let mut lists = kinds.into_iter().map(Loader::list);
        lists.find(|list| list.contains(&self)).unwrap_or_default()
    }

    /// Whether firmware with Microsoft's keys starts it.
    pub(super) fn is_signed(self) -> bool {
        matches!(self, Loader::Signed | Loader::SignedIpxe)
    }

    /// The loaders for a kind of firmware, in the order in which they are tried.
    pub fn list(kind: ClientKind) -> &'static [Loader] {
        match kind {
            ClientKind::Bios | ClientKind::Ipxe { efi: false, .. } => &[Loader::Undionly, Loader::IpxeBios],
            ClientKind::UefiX64 | ClientKind::UefiX64Http | ClientKind::Ipxe { efi: true, .. } => {
                // Secure Boot is a likelier reason than a network driver of the firmware that iPXE cannot use, and firmware with
                // no other boot entry does not come back by itself to show which it was.
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
