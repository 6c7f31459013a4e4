//! Where the collectors read: the running system, or a folder with a captured machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{clean, parse};

/// A sysfs attribute is at most a page; 64 KiB also covers long flag lists and odd captures.
const ATTRIBUTE_LIMIT: u64 = 64 * 1024;

/// Maximum number of entries per folder; no machine has more disks or NICs.
const FOLDER_LIMIT: usize = 4096;

/// The roots of sys, proc and dev. Collectors take them as an argument, so that tests and simulated machines
/// can pass a captured machine.
#[derive(Clone, Debug)]
pub struct Roots {
    base: PathBuf,
    live: bool,
}

impl Roots {
    /// The running system.
    pub fn live() -> Roots {
        Roots {
            base: PathBuf::from("/"),
            live: true,
        }
    }

    /// A captured machine: `dir/sys`, `dir/proc`, `dir/dev`, any of which may be absent. Ioctls are not used.
    pub fn under(dir: impl Into<PathBuf>) -> Roots {
        Roots {
            base: dir.into(),
            live: false,
        }
    }

    /// Whether these are the roots of the running system, where device files can be queried.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// A path below the base.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }

    /// A path under sys.
    pub fn sys(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join("sys").join(path)
    }

    /// A path under proc.
    pub fn proc(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join("proc").join(path)
    }

    /// A path under dev.
    pub fn dev(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join("dev").join(path)
    }

    /// The real path of a link in sys, without the root, e.g. `devices/pci0000:00/...`. None if there is no
    /// such link or it leads out of this machine's sys.
    pub fn device(&self, link: &Path) -> Option<PathBuf> {
        let sys = self.base.join("sys").canonicalize().ok()?;
        Some(link.canonicalize().ok()?.strip_prefix(sys).ok()?.to_owned())
    }
}

/// Reads a file up to `limit` bytes; the second value says whether it was truncated.
///
/// A pipe or device in place of a file is an error and never blocks.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<(Vec<u8>, bool)> {
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    let cut = bytes.len() as u64 > limit;
    bytes.truncate(limit as usize);
    Ok((bytes, cut))
}

/// As [`read_bounded`], truncated silently. None: absent or unreadable.
pub fn bytes(path: &Path, limit: u64) -> Option<Vec<u8>> {
    read_bounded(path, limit).ok().map(|(bytes, _)| bytes)
}

/// The text of one small attribute, trimmed (invalid UTF-8 replaced). None: absent or unreadable, which in
/// sysfs usually means that the device does not have it.
pub fn attribute(path: &Path) -> Option<String> {
    let bytes = bytes(path, ATTRIBUTE_LIMIT)?;
    // Some captures pad each attribute with zeros.
    let text = String::from_utf8_lossy(parse::until_zero(&bytes));
    Some(text.trim().to_owned())
}

/// An attribute as a fact: [`clean::text`].
pub fn text(path: &Path) -> Option<String> {
    clean::text(&attribute(path)?)
}

/// An attribute as a name or number from the maker: [`clean::serial`].
pub fn serial(path: &Path) -> Option<String> {
    clean::serial(&attribute(path)?)
}

/// A number. None too if the type cannot hold it.
pub fn number<T: FromStr>(path: &Path) -> Option<T> {
    attribute(path)?.parse().ok()
}

/// An attribute that is 0 or 1.
pub fn flag(path: &Path) -> Option<bool> {
    match attribute(path)?.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// The last component of a link's target, e.g. the driver's name. The target need not exist.
pub fn link_name(path: &Path) -> Option<String> {
    clean::text(file_name(&std::fs::read_link(path).ok()?))
}

/// The last component; empty if it is not UTF-8.
pub fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// "cpu12" for "cpu": the word and a number.
pub fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word)
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// As [`read_names`]; empty if the folder cannot be read.
pub fn names(folder: &Path) -> Vec<String> {
    read_names(folder).unwrap_or_default()
}

/// The names in a folder, in natural order: `sda`, `sdb`, `sdaa`; `nvme2n1` before `nvme10n1`.
///
/// # Errors
/// The folder cannot be read; an absent one is an empty list.
pub fn read_names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names: Vec<String> = entries
        .take(FOLDER_LIMIT)
        .filter_map(|entry| entry.ok().map(|e| e.file_name()))
        .filter_map(|name| name.into_string().ok())
        // The kernel allows anything but slash and space in an interface name.
        .filter(|name| !name.chars().any(char::is_control))
        .collect();
    names.sort_by_cached_key(|name| order_key(name));
    Ok(names)
}

/// Splits at digits: words compare alphabetically, numbers by value, and disk letters (sdz before sdaa) by
/// length first, which the crate `natord` does not do.
fn order_key(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut prefixes = ["xvd", "sd", "vd", "hd"].into_iter();
    let counted = prefixes.find_map(|prefix| Some((prefix, name.strip_prefix(prefix)?)));
    parts.extend(counted.map(|(prefix, _)| (0, prefix.to_owned())));
    let rest = counted.map_or(name, |(_, rest)| rest);
    let same = |a: &u8, b: &u8| a.is_ascii_digit() == b.is_ascii_digit();
    for run in rest.as_bytes().chunk_by(same) {
        let run = String::from_utf8_lossy(run);
        match run.starts_with(|c: char| c.is_ascii_digit()) {
            true => {
                let value = run.trim_start_matches('0');
                parts.push((value.len(), value.to_owned()));
            }
            false => parts.push((if counted.is_some() { run.len() } else { 0 }, run.into_owned())),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_people_count() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["sdaa", "sdb", "nvme10n1", "nvme2n1", "sda"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(names(dir.path()), ["nvme2n1", "nvme10n1", "sda", "sdb", "sdaa"]);
    }

    #[test]
    fn an_endless_file_is_cut_and_a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let huge = dir.path().join("serial");
        File::create(&huge).unwrap().set_len(1 << 30).unwrap();
        let (bytes, cut) = read_bounded(&huge, 10).unwrap();
        assert_eq!((bytes.len(), cut), (10, true));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(attribute(&pipe), None);
        assert!(read_bounded(Path::new("/dev/zero"), 10).is_err());
    }

    #[test]
    fn a_link_out_of_the_captured_machine_is_no_device() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sys/devices/pci0000:00")).unwrap();
        let roots = Roots::under(dir.path());
        std::os::unix::fs::symlink("/etc", roots.sys("out")).unwrap();
        std::os::unix::fs::symlink("devices/pci0000:00", roots.sys("in")).unwrap();
        assert_eq!(roots.device(&roots.sys("out")), None);
        assert_eq!(
            roots.device(&roots.sys("in")),
            Some(PathBuf::from("devices/pci0000:00"))
        );
    }
}
