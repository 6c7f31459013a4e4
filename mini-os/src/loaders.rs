//! Loaders that are too old in Debian 12 for some machines; newer ones are placed beside the mini-os.

use std::fs;
use std::path::Path;

use crate::debian::Apt;
use crate::packages::unpacked;
use crate::{Arch, Error, Result};

/// The first release whose signed network GRUB has the http module (Debian 12's stops at its prompt) and
/// whose iPXE takes over the firmware's lease and its instructions from `autoexec.ipxe` (measured,
/// sections 0 and 3).
const SUITE: &str = "trixie";

/// Name of the signed GRUB for UEFI HTTP boot.
pub const GRUB_FOR_HTTP: &str = "grubnetx64-http.efi";

/// Package, file in the package, name here.
const FILES: [[&str; 3]; 4] = [
    [
        "grub-efi-amd64-signed",
        "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        GRUB_FOR_HTTP,
    ],
    ["ipxe", "usr/lib/ipxe/snponly.efi", "snponly.efi"],
    ["ipxe", "usr/lib/ipxe/ipxe.efi", "ipxe.efi"],
    ["ipxe", "usr/lib/ipxe/ipxe-arm64.efi", "ipxe-arm64.efi"],
];

/// Whether `out` has all of them.
pub fn has_loaders(out: &Path) -> bool {
    FILES.iter().all(|[_, _, name]| out.join(name).is_file())
}

/// Fetches them into `out` unchanged, because the signatures are part of the files.
///
/// # Errors
/// The mirror cannot be reached and the cache has nothing, or a package lacks a file.
pub fn fetch_loaders(out: &Path, cache: &Path) -> Result<()> {
    let mut apt = Apt::new(&cache.join("apt-trixie"), SUITE, "main", Arch::Amd64)?;
    fs::create_dir_all(out).map_err(Error::io("make directory", out))?;
    for [package, path, name] in FILES {
        let candidate = apt.candidate(package)?;
        for deb in apt.download(&[candidate])? {
            let (root, _) = unpacked(cache, &deb)?;
            let (from, to) = (root.join(path), out.join(name));
            fs::copy(&from, &to).map_err(Error::io("copy", &from))?;
        }
    }
    Ok(())
}
