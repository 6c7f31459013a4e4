//! Firmware files: only those that the chosen modules request, each as `.xz`, which Debian's kernel
//! decompresses itself (CONFIG_FW_LOADER_COMPRESS_XZ; it accepts CRC32 checks only).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::archive::Tree;
use crate::{Error, Result, run};

/// Adds the files of `asked_for` that exist below one of `roots` (a package's `lib/firmware`), and the
/// targets of symbolic links among them. Returns the number of files. Missing files are skipped: most modules
/// also name firmware of cards that were never released.
///
/// # Errors
/// A file cannot be read, or xz fails.
pub(crate) fn add(tree: &mut Tree, roots: &[PathBuf], asked_for: &BTreeSet<String>) -> Result<usize> {
    let mut open: Vec<PathBuf> = asked_for
        .iter()
        .filter_map(|name| plain(Path::new(name)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut files = 0;
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(path) = roots
            .iter()
            .map(|r| r.join(&name))
            .find(|p| p.symlink_metadata().is_ok())
        else {
            continue;
        };
        let inside = format!("lib/firmware/{}.xz", name.display());
        let found = path.symlink_metadata().map_err(Error::io("read", &path))?;
        let kind = found.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(Error::io("read link", &path))?;
            tree.symlink(&inside, &format!("{}.xz", target.display()));
            open.extend(plain(&name.parent().unwrap_or(Path::new("")).join(target)));
        } else if kind.is_file() {
            tree.file(&inside, 0o644, xz(&path)?);
            files += 1;
        }
    }
    Ok(files)
}

/// The path without `.` and `..`; `None` if it leaves the firmware directory.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

fn xz(path: &Path) -> Result<Vec<u8>> {
    // One thread: several would split the file into blocks, and the bytes would depend on their number.
    let mut command = Command::new("xz");
    command.args([
        "--format=xz",
        "--check=crc32",
        "--lzma2=preset=9e,dict=2MiB",
        "--threads=1",
        "--stdout",
    ]);
    run(command.arg(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requested_firmware_and_its_link_targets_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("lib/firmware");
        fs::create_dir_all(root.join("intel/ddp")).unwrap();
        fs::write(root.join("intel/ddp/ice-1.3.pkg"), [7; 5000]).unwrap();
        std::os::unix::fs::symlink("ddp/ice-1.3.pkg", root.join("intel/ice.pkg")).unwrap();
        std::os::unix::fs::symlink("../../../../../etc/shadow", root.join("intel/evil")).unwrap();
        fs::write(root.join("other.fw"), [1]).unwrap();
        let asked = [
            "intel/ice.pkg",
            "intel/evil",
            "never/was.fw",
            "../../etc/passwd",
            "/etc/passwd",
        ];
        let mut tree = Tree::default();
        let files = add(
            &mut tree,
            &[root],
            &asked.iter().map(|s| (*s).to_owned()).collect(),
        )
        .unwrap();
        assert_eq!(files, 1);
        assert!(tree.contains("lib/firmware/intel/ddp/ice-1.3.pkg.xz"));
        assert!(tree.contains("lib/firmware/intel/ice.pkg.xz"));
        assert!(!tree.contains("lib/firmware/other.fw.xz"));
        assert!(!tree.contains("etc/shadow") && !tree.contains("etc/passwd.xz"));
    }
}
