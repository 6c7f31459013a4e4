//! The initramfs as bytes: newc entries in a fixed order with fixed metadata, so that equal files give an
//! equal archive.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cpio::newc::{self, Builder};

const DIRECTORY: u32 = 0o040000;
const REGULAR: u32 = 0o100000;
const SYMLINK: u32 = 0o120000;
const CHARACTER: u32 = 0o020000;

/// An entry. The owner is always root and the time always 0.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File { mode: u32, bytes: Vec<u8> },
    Symlink(String),
    Character { mode: u32, major: u32, minor: u32 },
}

/// A tree of files that becomes a newc archive. Parents are added automatically.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    // Sorted by path, so that a parent comes before its children.
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Adds a directory (0755) and its parents. `path` is like "etc/slipway".
    pub(crate) fn directory(&mut self, path: &str) {
        self.put(path, Node::Directory);
    }

    /// Adds a file with permission bits `mode`.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        let mode = mode & 0o7777;
        self.put(path, Node::File { mode, bytes });
    }

    /// Adds a symbolic link to `target`.
    pub(crate) fn symlink(&mut self, path: &str, target: &str) {
        self.put(path, Node::Symlink(target.to_owned()));
    }

    pub(crate) fn character_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        let mode = mode & 0o7777;
        self.put(path, Node::Character { mode, major, minor });
    }

    #[cfg(test)]
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            self.nodes.entry(path[..at].to_owned()).or_insert(Node::Directory);
        }
        // Adding a directory must not replace what is already there.
        if node == Node::Directory {
            self.nodes.entry(path.to_owned()).or_insert(node);
        } else {
            self.nodes.insert(path.to_owned(), node);
        }
    }

    /// Writes the archive and its trailer.
    ///
    /// # Errors
    /// `out` fails, or a file has 4 GiB or more, which the format cannot hold.
    pub(crate) fn write<W: Write>(&self, mut out: W) -> io::Result<W> {
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            // Equal inode numbers with more than one link are a hard link to the kernel, so each entry gets
            // its own.
            let entry = Builder::new(path)
                .ino(number as u32 + 1)
                .uid(0)
                .gid(0)
                .mtime(0)
                .nlink(1);
            let (entry, bytes) = match node {
                Node::Directory => (entry.mode(DIRECTORY | 0o755).nlink(2), &[][..]),
                Node::File { mode, bytes } => (entry.mode(REGULAR | mode), &bytes[..]),
                Node::Symlink(target) => (entry.mode(SYMLINK | 0o777), target.as_bytes()),
                Node::Character { mode, major, minor } => {
                    let entry = entry.mode(CHARACTER | mode).rdev_major(*major).rdev_minor(*minor);
                    (entry, &[][..])
                }
            };
            let size = u32::try_from(bytes.len())
                .map_err(|_| io::Error::other(format!("{path}: too large for a newc archive")))?;
            let mut writer = entry.write(out, size);
            writer.write_all(bytes)?;
            out = writer.finish()?;
        }
        newc::trailer(out)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // This fails only for a file of 4 GiB, and such a tree would not fit in memory twice anyway.
        self.write(Vec::new())
            .expect("files of an initramfs are below 4 GiB")
    }
}

/// The second archive of a boot: `/etc/slipway/ca.pem`, this server's certificate authority. It is a separate
/// archive, so that the big one has the same bytes at every site.
pub fn site_archive(ca_pem: &[u8]) -> Vec<u8> {
    let mut tree = Tree::default();
    tree.file("etc/slipway/ca.pem", 0o644, ca_pem.to_vec());
    tree.to_bytes()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.character_device("dev/console", 0o600, 5, 1);
        tree.file("init", 0o755, b"#!agent".to_vec());
        tree.file("lib/modules/6.1/kernel/a.ko.zst", 0o644, vec![1; 4097]);
        tree.symlink("lib/firmware/ice.pkg", "ice-1.3.pkg");
        tree.directory("proc");
        tree.directory("lib");
        tree
    }

    /// The entries of an archive: (name, mode, content, inode).
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
    fn an_archive_reads_back_with_parents_first() {
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
        let mut other = Tree::default();
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
}
