//! Loads drivers for the devices that are present.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::modules::{Index, name_of};
use crate::console::Console;
use crate::plain::plain;

/// Largest module, decompressed, in bytes. The largest of Debian's is under 10 MiB.
const MODULE_LIMIT: u64 = 64 << 20;
/// Maximum depth below /sys/devices.
const DEPTH: usize = 32;
/// Maximum number of folders visited per round.
const FOLDERS: usize = 200_000;

/// Always loaded because no device asks for them. "iso8859-1" is FAT's default character set; ipmi_devintf
/// creates the BMC's device file, drivetemp the temperature sensors of SATA disks.
pub const ALWAYS: &[&str] = &[
    "ext4",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    "efivarfs",
    "af_packet",
    "ipmi_si",
    "ipmi_devintf",
    "drivetemp",
];

/// Loaded together with another module. The first card of an MMC host may appear after the last round.
const TOGETHER: &[(&str, &str)] = &[("mmc_core", "mmc_block")];

/// Loads modules, each once.
pub struct ColdPlug {
    index: Index,
    directory: PathBuf,
    loaded: HashSet<String>,
    seen: HashSet<String>,
    /// Devices without a `modalias` file, whose `uevent` was read.
    asked: HashSet<PathBuf>,
    failures: u32,
}

impl ColdPlug {
    /// For the modules of the running kernel in `/lib/modules/RELEASE`.
    ///
    /// # Errors
    /// There is no `modules.dep`.
    pub fn open(release: &str) -> io::Result<ColdPlug> {
        let directory = PathBuf::from("/lib/modules").join(release);
        let read = |name: &str| fs::read_to_string(directory.join(name));
        let index = Index::parse(
            &read("modules.dep")?,
            // Absent when no module in the archive has any.
            &read("modules.alias").unwrap_or_default(),
            &read("modules.softdep").unwrap_or_default(),
        );
        Ok(ColdPlug {
            index,
            directory,
            loaded: HashSet::new(),
            seen: HashSet::new(),
            asked: HashSet::new(),
            failures: 0,
        })
    }

    pub fn known(&self) -> usize {
        self.index.len()
    }

    /// Number of modules loaded so far.
    pub fn count(&self) -> usize {
        self.loaded.len()
    }

    /// Loads a module and its dependencies by name. A failure is reported and skipped.
    pub fn load(&mut self, name: &str, console: &dyn Console) {
        let mut order = self.index.order(name, &mut self.loaded);
        for (bus, driver) in TOGETHER {
            if self.loaded.contains(*bus) && !self.loaded.contains(*driver) {
                order.extend(self.index.order(driver, &mut self.loaded));
            }
        }
        for path in order {
            if let Err(why) = insert(&self.directory.join(&path)) {
                self.failures += 1;
                // A broken archive could cause hundreds of failures.
                if self.failures <= 8 {
                    console.line(&format!("drivers: {}: {why}", plain(&name_of(&path))));
                }
            }
        }
    }

    /// Walks the devices once and loads modules for those not seen before. True if there were any.
    pub fn round(&mut self, console: &dyn Console) -> bool {
        let mut found = Vec::new();
        let mut budget = FOLDERS;
        walk(
            Path::new("/sys/devices"),
            0,
            &mut budget,
            &mut self.asked,
            &mut found,
        );
        let mut new = false;
        for modalias in found {
            if !self.seen.insert(modalias.clone()) {
                continue;
            }
            let names: Vec<String> = self
                .index
                .serving(&modalias)
                .into_iter()
                .map(str::to_owned)
                .collect();
            for name in names {
                if !self.loaded.contains(&name) {
                    new = true;
                    self.load(&name, console);
                }
            }
        }
        new
    }
}

/// The aliases of all devices below `folder`: from `modalias`, or from `uevent` where a device has no such
/// file (cards of an MMC host, "mmc:block"), each read once. Symbolic links are not followed because they
/// form cycles.
fn walk(
    folder: &Path,
    depth: usize,
    budget: &mut usize,
    asked: &mut HashSet<PathBuf>,
    found: &mut Vec<String>,
) {
    if depth > DEPTH || *budget == 0 {
        return;
    }
    *budget -= 1;
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let (mut modalias, mut uevent) = (false, false);
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, budget, asked, found);
        } else if kind.is_file() {
            modalias |= entry.file_name() == "modalias";
            uevent |= entry.file_name() == "uevent";
        }
    }
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let text = if modalias {
        read("modalias")
    } else if uevent && asked.insert(folder.to_owned()) {
        let text = read("uevent");
        text.lines()
            .find_map(|line| line.strip_prefix("MODALIAS="))
            .unwrap_or_default()
            .to_owned()
    } else {
        return;
    };
    if !text.trim().is_empty() {
        found.push(text.trim().to_owned());
    }
}

/// Hands one module to the kernel. An already loaded one is fine.
fn insert(path: &Path) -> Result<(), String> {
    let image = read_module(path).map_err(|e| format!("{}: {e}", path.display()))?;
    match nix::kmod::init_module(&image, c"") {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        // The driver found no device of its kind.
        Err(Errno::ENODEV) => Ok(()),
        Err(e) => Err(format!("not loaded: {}", e.desc())),
    }
}

/// A module's image; `.ko.zst` is decompressed, because the kernel cannot (Debian has no MODULE_DECOMPRESS).
fn read_module(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let mut image = Vec::new();
    if path.extension().is_some_and(|e| e == "zst") {
        zstd::Decoder::new(file)?
            .take(MODULE_LIMIT)
            .read_to_end(&mut image)?;
    } else {
        file.take(MODULE_LIMIT).read_to_end(&mut image)?;
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_its_alias_only_in_uevent_is_found_once() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("pci0000:00/0000:00:05.0");
        let card = host.join("mmc_host/mmc0/mmc0:4567");
        fs::create_dir_all(&card).unwrap();
        for (path, text) in [
            (host.join("modalias"), "pci:v00001B36d00000007sv*\n"),
            (host.join("uevent"), "DRIVER=sdhci-pci\nMODALIAS=pci:other\n"),
            (
                card.join("uevent"),
                "DRIVER=mmcblk\nMMC_TYPE=SD\nMMC_NAME=QEMU!\nMODALIAS=mmc:block\n",
            ),
            (card.join("../uevent"), "\n"),
        ] {
            fs::write(path, text).unwrap();
        }
        let mut asked = HashSet::new();
        let mut round = || {
            let mut found = Vec::new();
            walk(dir.path(), 0, &mut 100, &mut asked, &mut found);
            found.sort();
            found
        };
        assert_eq!(round(), ["mmc:block", "pci:v00001B36d00000007sv*"]);
        assert_eq!(round(), ["pci:v00001B36d00000007sv*"]);
    }

    #[test]
    fn the_block_driver_comes_with_the_bus() {
        let index = Index::parse(
            "kernel/sdhci-pci.ko: kernel/mmc_core.ko\nkernel/mmc_core.ko:\nkernel/mmc_block.ko: kernel/mmc_core.ko\n",
            "",
            "",
        );
        struct Quiet;
        impl Console for Quiet {
            fn line(&self, _: &str) {}
        }
        let mut drivers = ColdPlug {
            index,
            directory: PathBuf::from("/nowhere"),
            loaded: HashSet::new(),
            seen: HashSet::new(),
            asked: HashSet::new(),
            failures: 0,
        };
        drivers.load("sdhci-pci", &Quiet);
        assert!(drivers.loaded.contains("mmc_block"), "{:?}", drivers.loaded);
    }
}
