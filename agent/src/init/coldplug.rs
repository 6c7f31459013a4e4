//! Loading the drivers of the devices that are there.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::modules::{Index, name_of};
use crate::console::{Console, plain};

/// Largest module, decompressed, in bytes. The largest of Debian's is under 10 MiB.
const MODULE_LIMIT: u64 = 64 << 20;
/// Deepest folder below /sys/devices that is looked into.
const DEPTH: usize = 32;
/// Folders that are looked into at most, in one round.
const FOLDERS: usize = 200_000;

/// Always loaded: what no device asks for. "iso8859-1" is FAT's default character set; ipmi_devintf makes the BMC's
/// device file, drivetemp the temperature sensors of SATA disks.
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

/// Loads modules, each once.
pub struct ColdPlug {
    index: Index,
    directory: PathBuf,
    loaded: HashSet<String>,
    seen: HashSet<String>,
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
            // Absent when nothing in the archive has one.
            &read("modules.alias").unwrap_or_default(),
            &read("modules.softdep").unwrap_or_default(),
        );
        Ok(ColdPlug {
            index,
            directory,
            loaded: HashSet::new(),
            seen: HashSet::new(),
            failures: 0,
        })
    }

    /// Number of modules that can be loaded.
    pub fn known(&self) -> usize {
        self.index.len()
    }

    /// Number of modules loaded so far.
    pub fn count(&self) -> usize {
        self.loaded.len()
    }

    /// Loads a module by name with what it needs. A module that cannot be loaded is told, and the rest goes on.
    pub fn load(&mut self, name: &str, console: &dyn Console) {
        for path in self.index.order(name, &mut self.loaded) {
            if let Err(why) = insert(&self.directory.join(&path)) {
                self.failures += 1;
                // A broken archive could bring hundreds.
                if self.failures <= 8 {
                    console.line(&format!("drivers: {}: {why}", plain(&name_of(&path))));
                }
            }
        }
    }

    /// One walk over the devices; loads what serves those not seen before. True when there were new ones.
    pub fn round(&mut self, console: &dyn Console) -> bool {
        let mut found = Vec::new();
        let mut budget = FOLDERS;
        walk(Path::new("/sys/devices"), 0, &mut budget, &mut found);
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

/// The texts of all files `modalias` below `folder`. Symbolic links are not followed: they lead in circles.
fn walk(folder: &Path, depth: usize, budget: &mut usize, found: &mut Vec<String>) {
    if depth > DEPTH || *budget == 0 {
        return;
    }
    *budget -= 1;
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, budget, found);
        } else if kind.is_file()
            && entry.file_name() == "modalias"
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            let text = text.trim();
            if !text.is_empty() {
                found.push(text.to_owned());
            }
        }
    }
}

/// Gives one module to the kernel. One that is there already is fine.
fn insert(path: &Path) -> Result<(), String> {
    let image = read_module(path).map_err(|e| format!("{}: {e}", path.display()))?;
    match nix::kmod::init_module(&image, c"") {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        // The driver looked and found nothing of its own.
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
