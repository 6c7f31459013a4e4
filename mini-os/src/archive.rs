//! The initramfs as bytes: newc entries in a fixed order with fixed metadata, so that the same files give the same
//! archive.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cpio::newc::{self, Builder};

const DIRECTORY: u32 = 0o040000;
const REGULAR: u32 = 0o100000;
const SYMLINK: u32 = 0o120000;
const CHARACTER: u32 = 0o020000;

/// One thing in the archive. Owner is always root and the time always 0.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File { mode: u32, bytes: Vec<u8> },
    Symlink(String),
    Character { mode: u32, major: u32, minor: u32 },
}

/// A tree of files that becomes a newc archive. Parents come into being by themselves.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    // Sorted by path, so that a parent always stands before its children.
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Adds a directory (0755) and its parents. `path` is like "etc/slipway".
    pub fn directory(&mut self, path: &str) {
        self.put(path, Node::Directory);
    }

    /// Adds a file with permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.put(
            path,
            Node::File {
                mode: mode & 0o7777,
                bytes,
            },
        );
    }

    /// Adds a symbolic link to `target`.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.put(path, Node::Symlink(target.to_owned()));
    }

    /// Adds a character device.
    pub fn character_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        self.put(
            path,
            Node::Character {
                mode: mode & 0o7777,
                major,
                minor,
            },
        );
    }

    /// Is something there?
    pub fn contains(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Has it no entries?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            self.nodes.entry(path[..at].to_owned()).or_insert(Node::Directory);
        }
        // A directory said again must not push aside what stands there.
        if node == Node::Directory {
            self.nodes.entry(path.to_owned()).or_insert(node);
        } else {
            self.nodes.insert(path.to_owned(), node);
        }
    }

    /// Writes the archive with its trailer.
    ///
    /// # Errors
    /// What `out` says, or a file of 4 GiB and more (the format cannot hold it).
    pub fn write<W: Write>(&self, mut out: W) -> io::Result<W> {
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            // The kernel takes an inode number seen twice with more than one link for a hard link: each its own.
            let entry = Builder::new(path).ino(number as u32 + 1).uid(0).gid(0).mtime(0);
            let link;
            let (entry, bytes) = match node {
                Node::Directory => (entry.mode(DIRECTORY | 0o755).nlink(2), &[][..]),
                Node::File { mode, bytes } => (entry.mode(REGULAR | mode).nlink(1), &bytes[..]),
                Node::Symlink(target) => {
                    link = target.as_bytes();
                    (entry.mode(SYMLINK | 0o777).nlink(1), link)
                }
                Node::Character { mode, major, minor } => (
                    entry
                        .mode(CHARACTER | mode)
                        .nlink(1)
                        .rdev_major(*major)
                        .rdev_minor(*minor),
                    &[][..],
                ),
            };
            let size = u32::try_from(bytes.len()).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{path}: too large for a newc archive"),
                )
            })?;
            let mut writer = entry.write(out, size);
            writer.write_all(bytes)?;
            out = writer.finish()?;
        }
        newc::trailer(out)
    }

    /// The archive as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Only a file of 4 GiB could fail here, and such a tree does not fit in memory beside its archive anyway.
        self.write(Vec::new())
            .expect("files of an initramfs are below 4 GiB")
    }
}

/// The second archive of a boot: `/etc/slipway/ca.pem`, the certificate authority of this server. It stands beside the
/// big one so that the big one is the same bytes everywhere.
pub fn site_archive(ca_pem: &[u8]) -> Vec<u8> {
    let mut tree = Tree::new();
    tree.file("etc/slipway/ca.pem", 0o644, ca_pem.to_vec());
    tree.to_bytes()
}

/// Whether a program needs nothing but the kernel, as the rescue system's shell: a 64-bit ELF file without a program interpreter
/// (PT_INTERP).
///
/// # Errors
/// In words, why it does not run in the mini-os.
pub fn is_static(program: &[u8]) -> Result<(), String> {
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(len)?)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        usize::try_from(value).ok()
    };
    // ELF-64, little endian: e_phoff, e_phentsize, e_phnum; p_type is the first word of each entry.
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let (true, Some((start, size, count))) = (program.starts_with(b"\x7fELF\x02\x01"), headers()) else {
        return Err("it is no 64-bit program".to_owned());
    };
    const PT_INTERP: usize = 3;
    for index in 0..count {
        let at = size
            .checked_mul(index)
            .and_then(|offset| offset.checked_add(start));
        match at.and_then(|at| number(at, 4)) {
            Some(PT_INTERP) => return Err("it needs libraries: it has to be a static one".to_owned()),
            Some(_) => {}
            None => return Err("it is cut off".to_owned()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::new();
        tree.character_device("dev/console", 0o600, 5, 1);
        tree.file("init", 0o755, b"#!agent".to_vec());
        tree.file("lib/modules/6.1/kernel/a.ko.zst", 0o644, vec![1; 4097]);
        tree.symlink("lib/firmware/ice.pkg", "ice-1.3.pkg");
        tree.directory("proc");
        tree.directory("lib");
        tree
    }

    /// What the archive says of itself: (name, mode, size, inode).
    fn read_back(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>, u32)> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return entries;
            }
            let (name, mode, ino) = (
                reader.entry().name().to_owned(),
                reader.entry().mode(),
                reader.entry().ino(),
            );
            assert_eq!(
                (reader.entry().mtime(), reader.entry().uid(), reader.entry().gid()),
                (0, 0, 0)
            );
            let mut data = Vec::new();
            io::copy(&mut reader, &mut data).unwrap();
            entries.push((name, mode, data, ino));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn what_went_in_comes_out_with_parents_first() {
        let entries = read_back(&sample().to_bytes());
        let names: Vec<&str> = entries.iter().map(|e| e.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "dev",
                "dev/console",
                "init",
                "lib",
                "lib/firmware",
                "lib/firmware/ice.pkg",
                "lib/modules",
                "lib/modules/6.1",
                "lib/modules/6.1/kernel",
                "lib/modules/6.1/kernel/a.ko.zst",
                "proc"
            ]
        );
        assert_eq!(entries[2].1, 0o100755);
        assert_eq!(entries[2].2, b"#!agent");
        assert_eq!(entries[5].2, b"ice-1.3.pkg");
        assert_eq!(entries[9].2, vec![1; 4097]);
        let mut inodes: Vec<u32> = entries.iter().map(|e| e.3).collect();
        inodes.dedup();
        assert_eq!(inodes.len(), entries.len());
    }

    #[test]
    fn the_order_of_adding_does_not_show() {
        let mut other = Tree::new();
        other.directory("lib");
        other.directory("proc");
        other.symlink("/lib/firmware/ice.pkg", "ice-1.3.pkg");
        other.file("lib/modules/6.1/kernel/a.ko.zst", 0o644, vec![1; 4097]);
        other.file("/init", 0o755, b"#!agent".to_vec());
        other.character_device("dev/console", 0o600, 5, 1);
        assert_eq!(other.to_bytes(), sample().to_bytes());
    }

    #[test]
    fn the_cpio_program_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.cpio");
        std::fs::write(&file, sample().to_bytes()).unwrap();
        let listing = match Command::new("cpio")
            .args(["-itv", "--quiet", "-F"])
            .arg(&file)
            .stderr(Stdio::piped())
            .output()
        {
            Ok(output) => output,
            Err(e) => {
                println!("skipped: cpio cannot be started: {e}");
                return;
            }
        };
        assert!(
            listing.status.success(),
            "{}",
            String::from_utf8_lossy(&listing.stderr)
        );
        let text = String::from_utf8_lossy(&listing.stdout);
        let line = |name: &str| {
            text.lines()
                .find(|l| l.contains(name))
                .unwrap_or_else(|| panic!("{name}: {text}"))
        };
        assert!(line("dev/console").starts_with("crw-------"), "{text}");
        assert!(line("dev/console").contains("5,   1"), "{text}");
        assert!(line(" init").starts_with("-rwxr-xr-x"), "{text}");
        assert!(
            line("ice.pkg").contains("lib/firmware/ice.pkg -> ice-1.3.pkg"),
            "{text}"
        );
        assert!(line("a.ko.zst").contains(" 4097 "), "{text}");
    }

    #[test]
    fn the_site_archive_holds_the_authority() {
        let entries = read_back(&site_archive(b"-----BEGIN CERTIFICATE-----\n"));
        assert_eq!(entries.last().unwrap().0, "etc/slipway/ca.pem");
        assert_eq!(entries.last().unwrap().2, b"-----BEGIN CERTIFICATE-----\n");
        assert_eq!(site_archive(b"x").len() % 4, 0);
    }

    #[test]
    fn a_shell_must_need_nothing_but_the_kernel() {
        let program = |kinds: &[u32]| {
            let mut bytes = b"\x7fELF\x02\x01".to_vec();
            bytes.resize(64, 0);
            bytes[32] = 64;
            (bytes[54], bytes[56]) = (56, kinds.len() as u8);
            for kind in kinds {
                bytes.extend(kind.to_le_bytes());
                bytes.extend([0; 52]);
            }
            bytes
        };
        assert_eq!(is_static(&program(&[1, 1, 7])), Ok(()));
        let why = |bytes: &[u8]| is_static(bytes).unwrap_err();
        assert!(why(&program(&[1, 3])).contains("needs libraries"));
        assert!(why(b"#!/bin/sh").contains("no 64-bit program"));
        let mut cut = program(&[1, 1]);
        cut.truncate(100);
        assert!(why(&cut).contains("cut off"));
    }
}
