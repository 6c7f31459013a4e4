//! The signed GRUB that machines with Secure Boot get by UEFI HTTP boot.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build::{read, sha256};
use crate::debian::{Apt, Mirror};
use crate::packages::unpacked;
use crate::{Error, Result};

/// The first release whose signed network GRUB has the module http; Debian 12's ends at its prompt
/// (netboot-measured.md, section 3).
const SUITE: &str = "trixie";
const PACKAGE: &str = "grub-efi-amd64-signed";

/// Name of the file that [`grub_for_http`] makes.
pub const GRUB_FOR_HTTP: &str = "grubnetx64-http.efi";

/// Fetches it into `out`, as it is in Debian's package: Debian's signature is in the file. Without the network a file that is
/// there stays.
///
/// # Errors
/// If the mirror cannot be reached and nothing is in the cache, or the package has no such file.
pub fn grub_for_http(out: &Path, cache: &Path) -> Result<PathBuf> {
    let apt = Apt::new(&cache.join("apt-trixie"), &Mirror::of_host(SUITE), "main")?;
    let candidate = match (apt.update(), apt.candidate(PACKAGE)) {
        (Ok(()), candidate) => candidate?,
        (Err(_), Ok(candidate)) => candidate,
        (Err(e), Err(_)) => return Err(e),
    };
    let debs = apt.download(&[candidate])?;
    let deb = debs
        .first()
        .ok_or_else(|| Error::Input(format!("apt-get download {PACKAGE}: nothing came")))?;
    let root = unpacked(cache, deb, &sha256(&read(deb)?))?;
    let bytes = read(&root.join("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"))?;
    let file = out.join(GRUB_FOR_HTTP);
    fs::create_dir_all(out).map_err(Error::io("make directory", out))?;
    fs::write(&file, bytes).map_err(Error::io("write", &file))?;
    Ok(file)
}
