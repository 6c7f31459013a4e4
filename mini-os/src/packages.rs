//! The Debian packages of a mini-os: fetched, checked by apt, unpacked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{Apt, extract};
use crate::files::{read, sha256};
use crate::{Arch, Error, Result, Variant, run, select};

/// The release whose kernel the mini-os runs.
const SUITE: &str = "bookworm";

/// Unpacked packages.
pub(crate) struct Packages {
    /// Kernel release, e.g. "6.1.0-56-amd64".
    pub release: String,
    /// The kernel file.
    pub kernel: PathBuf,
    /// Directory with `kernel/`, `modules.dep` and so on.
    pub modules: PathBuf,
    /// Directories with firmware; the first that has a file wins.
    pub firmware: Vec<PathBuf>,
    /// File name of each package and its SHA-256.
    pub inputs: BTreeMap<String, String>,
}

/// Fetches the packages of `variant` and unpacks them in `cache`.
///
/// # Errors
/// The mirror cannot be reached and the cache does not have the packages, a signature is wrong, or the
/// packages do not look as expected.
pub(crate) fn fetch(cache: &Path, variant: Variant, arch: Arch) -> Result<Packages> {
    // This package depends on the newest kernel of the suite.
    let kernel_meta = format!("linux-image-{}", arch.debian());
    let directory = match arch {
        Arch::Amd64 => cache.join("apt"),
        Arch::Arm64 => cache.join("apt-arm64"),
    };
    let mut apt = Apt::new(&directory, SUITE, "main non-free-firmware", arch)?;
    let meta = apt.candidate(&kernel_meta)?;
    let kernel = meta
        .depends
        .iter()
        .find(|d| d.starts_with("linux-image-"))
        .ok_or_else(|| {
            Error::Input(format!(
                "{kernel_meta} {}: depends on no linux-image-*",
                meta.version
            ))
        })?;
    let mut wanted = vec![apt.candidate(kernel)?];
    for package in select::firmware_packages(variant) {
        wanted.push(apt.candidate(package)?);
    }
    let debs = apt.download(&wanted)?;

    let mut inputs = BTreeMap::new();
    let mut roots = Vec::new();
    for deb in &debs {
        let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (root, digest) = unpacked(cache, deb)?;
        roots.push(root);
        inputs.insert(name, digest);
    }
    let (kernel_root, firmware_roots) = roots
        .split_first()
        .ok_or_else(|| Error::Input("no packages".to_owned()))?;
    let release = kernel.trim_start_matches("linux-image-").to_owned();
    let modules = kernel_root.join("lib/modules").join(&release);
    index(kernel_root, &modules, &release)?;
    Ok(Packages {
        kernel: kernel_root.join(format!("boot/vmlinuz-{release}")),
        modules,
        firmware: firmware_roots.iter().map(|r| r.join("lib/firmware")).collect(),
        release,
        inputs,
    })
}

/// Unpacks once; returns the directory and the package's digest, after which it is named.
pub(crate) fn unpacked(cache: &Path, deb: &Path) -> Result<(PathBuf, String)> {
    let digest = sha256(&read(deb)?);
    let target = cache.join("unpacked").join(&digest);
    if target.is_dir() {
        return Ok((target, digest));
    }
    let temporary = cache
        .join("unpacked")
        .join(format!(".{digest}.{}", std::process::id()));
    extract(deb, &temporary)?;
    match fs::rename(&temporary, &target) {
        // Another build was faster.
        Err(_) if target.is_dir() => {
            fs::remove_dir_all(&temporary).map_err(Error::io("remove", &temporary))?
        }
        result => result.map_err(Error::io("rename to", &target))?,
    }
    Ok((target, digest))
}

/// Debian makes the module index when it installs the package; the package does not contain it.
fn index(root: &Path, modules: &Path, release: &str) -> Result<()> {
    if !modules.is_dir() {
        let modules = modules.display();
        return Err(Error::Input(format!("the kernel package has no {modules}")));
    }
    // depmod renames each file into place, and an interrupted run leaves only some of them: the marker says
    // that all are there.
    let mark = modules.join(".indexed");
    if mark.is_file() {
        return Ok(());
    }
    run(Command::new("depmod").arg("-b").arg(root).arg(release))?;
    fs::write(&mark, b"").map_err(Error::io("write", &mark))
}
