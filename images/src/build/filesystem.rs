//! The ext4 file system of an image.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::{Error, Result};

const BLOCK: u64 = 4096;
const MIB: u64 = 1 << 20;

/// The same in every image; the installer gives each machine its own UUID.
const UUID: &str = "8d1f5b1c-9d0e-4c5e-8f5a-5c1d8a0e0001";

/// Journal size: the default for so small a file system would stay small after it has grown to terabytes.
const JOURNAL_MIB: u64 = 64;

/// Makes `image` from the tree `root`, as small as possible with `slack_percent` free, and checks it.
pub(super) fn make(root: &Path, image: &Path, slack_percent: u32) -> Result<()> {
    let blocks = usage(root, &["--block-size=4096", "--apparent-size"])?;
    let inodes = usage(root, &["--inodes"])?;
    let bytes = size(blocks, inodes, slack_percent);
    let file = File::create(image).map_err(Error::io("make", image))?;
    file.set_len(bytes).map_err(Error::io("set the size of", image))?;
    drop(file);
    let mut command = Command::new("mke2fs");
    // metadata_csum_seed: the installer can change the UUID without recomputing checksums. resize: room in
    // the group descriptors to grow to any disk while mounted. Inode tables and journal are written now, so
    // that the kernel has nothing left to initialise while the installer works.
    command.args([
        "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "1", "-L", "root", "-U", UUID,
    ]);
    command.args([
        "-O",
        "64bit,metadata_csum,metadata_csum_seed,resize_inode,extent,dir_index,^orphan_file",
    ]);
    command.arg("-E").arg(format!(
        "hash_seed={UUID},resize=4294967295,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard"
    ));
    command.arg("-J").arg(format!("size={JOURNAL_MIB}"));
    mini_os::run(command.arg("-d").arg(root).arg(image))?;
    mini_os::run(Command::new("e2fsck").args(["-f", "-n"]).arg(image))?;
    Ok(())
}

/// Size in bytes for a content: its blocks, one block per file for rounding and directories, inode tables,
/// journal, reserved group descriptors, and `slack_percent` on top; a multiple of 16 MiB, and never too small
/// for the journal.
fn size(blocks: u64, inodes: u64, slack_percent: u32) -> u64 {
    let content = blocks * BLOCK + inodes * BLOCK / 2;
    let with_slack = content + content * u64::from(slack_percent) / 100;
    // 256 bytes of inode per 16 KiB, 1 % reserved for root; group descriptors: 4 MiB in the first group and
    // in its copies.
    let overhead = with_slack / 64 + with_slack / 100 + (JOURNAL_MIB + 32) * MIB;
    (with_slack + overhead)
        .next_multiple_of(16 * MIB)
        .max(4 * JOURNAL_MIB * MIB)
}

fn usage(root: &Path, options: &[&str]) -> Result<u64> {
    let output = mini_os::run(Command::new("du").arg("-s").args(options).arg(root))?;
    let text = String::from_utf8_lossy(&output);
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    let start: String = text.chars().take(80).collect();
    Ok(number.ok_or_else(|| mini_os::Error::Input(format!("du: expected a number, got {start:?}")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_a_checked_file_system_with_room() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for i in 0..300 {
            std::fs::write(root.join(format!("a/b/{i}")), vec![7; 5000]).unwrap();
        }
        let image = dir.path().join("i.ext4");
        match make(&root, &image, 20) {
            Err(e) if e.to_string().contains("cannot start") => println!("skipped: {e}"),
            result => {
                result.unwrap();
                let sb = crate::superblock::Superblock::read(&mut File::open(&image).unwrap()).unwrap();
                assert_eq!(sb.check(std::fs::metadata(&image).unwrap().len()), Ok(()));
                assert!(sb.bytes() > 300 * 5000);
            }
        }
    }
}
