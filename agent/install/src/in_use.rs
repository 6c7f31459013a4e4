//! Whether anything uses a disk: holders, mounts, swap.

use std::fs;
use std::path::{Path, PathBuf};

/// Describes what uses the disk `name` or one of its partitions. `root` contains `sys` and `proc`.
///
/// A disk whose sysfs directory cannot be read counts as in use: only a disk known to be free is written.
pub(super) fn user_of(root: &Path, name: &str) -> Option<String> {
    let block = root.join("sys/block").join(name);
    let mut parts = vec![block.clone()];
    match fs::read_dir(&block) {
        Ok(entries) => parts.extend(
            entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.join("partition").exists()),
        ),
        Err(e) => return Some(format!("{} cannot be read: {e}", block.display())),
    }
    let numbers: Vec<(String, String)> = parts
        .iter()
        .filter_map(|p| Some((number_of(p)?, label(p))))
        .collect();
    for part in &parts {
        if let Some(holder) = fs::read_dir(part.join("holders"))
            .ok()
            .and_then(|mut d| d.next()?.ok())
        {
            return Some(format!(
                "{} is held by {}",
                label(part),
                holder.file_name().to_string_lossy()
            ));
        }
    }
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    if let Some(found) = mounted(&mounts, &numbers) {
        return Some(found);
    }
    let swaps = fs::read_to_string(root.join("proc/swaps")).unwrap_or_default();
    swapped(&swaps, &parts)
}

fn label(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn number_of(part: &Path) -> Option<String> {
    Some(fs::read_to_string(part.join("dev")).ok()?.trim().to_owned())
}

/// The third field of a mountinfo line is the device number, the fifth the mount point (proc(5)).
fn mounted(mountinfo: &str, numbers: &[(String, String)]) -> Option<String> {
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(2);
        let (number, point) = (fields.next()?, fields.nth(1)?);
        let (_, name) = numbers.iter().find(|(n, _)| n == number)?;
        Some(format!("{name} is mounted on {point}"))
    })
}

fn swapped(swaps: &str, parts: &[PathBuf]) -> Option<String> {
    swaps.lines().skip(1).find_map(|line| {
        let device = label(Path::new(line.split_whitespace().next()?));
        parts
            .iter()
            .any(|p| label(p) == device)
            .then(|| format!("{device} is a swap area"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mounts_swap_and_holders() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path();
        let part = root.join("sys/block/nvme0n1/nvme0n1p2");
        fs::create_dir_all(part.join("holders")).expect("made");
        fs::write(part.join("partition"), "2\n").expect("written");
        fs::write(part.join("dev"), "259:2\n").expect("written");
        fs::create_dir_all(root.join("proc/self")).expect("made");
        let user = || user_of(root, "nvme0n1");
        assert_eq!(user(), None);
        let mounts =
            "22 1 0:5 / /proc rw - proc proc rw\n30 1 259:2 / /srv rw,relatime - ext4 /dev/root rw\n";
        fs::write(root.join("proc/self/mountinfo"), mounts).expect("written");
        assert_eq!(user().as_deref(), Some("nvme0n1p2 is mounted on /srv"));
        fs::write(root.join("proc/self/mountinfo"), "").expect("written");
        let swaps = "Filename Type Size Used Priority\n/dev/nvme0n1p2 partition 100 0 -2\n";
        fs::write(root.join("proc/swaps"), swaps).expect("written");
        assert_eq!(user().as_deref(), Some("nvme0n1p2 is a swap area"));
        fs::write(part.join("holders/dm-0"), "").expect("written");
        assert_eq!(user().as_deref(), Some("nvme0n1p2 is held by dm-0"));
        assert!(user_of(root, "sdz").is_some_and(|u| u.contains("cannot be read")));
    }
}
