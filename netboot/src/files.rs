//! Boot files by name: loaders from memory, the mini-os from its files.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use inventory_api::boot::Choice;
pub(crate) use netboot_protocol::GRUB;
use netboot_protocol::menu::MEMORY_TEST;
use netboot_protocol::{Loader, Trusted, UNIFIED};

use crate::content::Content;

/// Kernel and initramfs of the mini-os for 64-bit ARM. It may be built at any time.
const ARM64: [&str; 2] = ["arm64/kernel", "arm64/initramfs"];

pub(crate) struct Files {
    loaders: BTreeMap<String, Bytes>,
    /// Replacements for the same name over HTTP.
    http: BTreeMap<String, Bytes>,
    rescue: bool,
    paths: BTreeMap<&'static str, PathBuf>,
}

impl Files {
    pub(crate) fn new(config: &crate::Config) -> Files {
        let mut loaders = config.boot_files.clone();
        loaders.insert("site".to_owned(), config.site_archive.clone());
        let mut paths = BTreeMap::from([
            ("kernel", config.kernel.clone()),
            ("initramfs", config.initramfs.clone()),
            (ARM64[0], config.arm64.join("kernel")),
            (ARM64[1], config.arm64.join("initramfs")),
        ]);
        paths.extend(config.unified.clone().map(|path| (UNIFIED, path)));
        Files {
            loaders,
            http: config.http_boot_files.clone(),
            rescue: config.rescue,
            paths,
        }
    }

    /// Whether all files of a loader are available. The signed chain needs GRUB, and over HTTP a GRUB that
    /// can load by HTTP. The ARM loader is useless without an ARM mini-os: such machines are given no loader,
    /// and `slipway explain` says what to do.
    pub(crate) fn has(&self, loader: Loader, by_http: bool) -> bool {
        self.loaders.contains_key(loader.file())
            && match (loader, by_http) {
                (Loader::Signed, true) => self.http.contains_key(GRUB),
                (Loader::Signed, false) => self.loaders.contains_key(GRUB),
                (Loader::IpxeArm64, _) => ARM64
                    .iter()
                    .all(|name| self.paths.get(name).is_some_and(|path| path.is_file())),
                _ => true,
            }
    }

    /// What iPXE can offer a machine with Secure Boot.
    pub(crate) fn trusted(&self) -> Trusted {
        Trusted {
            unified: self.paths.contains_key(UNIFIED),
            shim: self.has(Loader::SignedIpxe, true) && self.loaders.contains_key(Loader::Signed.file()),
        }
    }

    /// Whether the files for a boot menu choice are available.
    pub(crate) fn can(&self, choice: Choice) -> bool {
        match choice {
            Choice::LocalDisk | Choice::MiniOs => true,
            Choice::Rescue => self.rescue,
            Choice::MemoryTest => MEMORY_TEST.iter().all(|name| self.loaders.contains_key(*name)),
        }
    }

    /// A file by the last part of its name. The inner error: it cannot be opened.
    pub(crate) async fn open(&self, name: &str, by_http: bool) -> Option<io::Result<Content>> {
        // Built on demand: a missing file is a 404 here, not a server error.
        let there = |path: &&PathBuf| !ARM64.contains(&name) || path.is_file();
        if let Some(path) = self.paths.get(name).filter(there) {
            return Some(Content::open(path).await);
        }
        let instead = self.http.get(name).filter(|_| by_http);
        let bytes = instead.or_else(|| self.loaders.get(name))?;
        Some(Ok(Content::Memory(bytes.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transfer_keeps_its_file_and_the_next_gets_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("kernel");
        std::fs::write(&kernel, b"one").unwrap();
        let mut config = crate::Config::new(Vec::new(), folder.path().join("leases"));
        config.kernel = kernel.clone();
        config
            .boot_files
            .insert("grubx64.efi".into(), Bytes::from_static(b"tftp"));
        config
            .http_boot_files
            .insert("grubx64.efi".into(), Bytes::from_static(b"http"));
        let files = Files::new(&config);
        let text = async |files: &Files, name: &str| {
            let content = files.open(name, false).await?.ok()?;
            let mut reader = content.reader();
            Some(reader.part(0..content.len()).unwrap().to_vec())
        };
        let first = files.open("kernel", false).await.unwrap().unwrap();
        let new = folder.path().join("kernel.new");
        std::fs::write(&new, b"another").unwrap();
        std::fs::rename(&new, &kernel).unwrap();
        assert_eq!(first.reader().part(0..first.len()).unwrap(), b"one");
        assert_eq!(text(&files, "kernel").await.unwrap(), b"another");
        assert!(text(&files, "initramfs").await.is_none(), "there is no such file");
        assert_eq!(text(&files, "grubx64.efi").await.unwrap(), b"tftp");
        let http = files.open("grubx64.efi", true).await;
        assert!(matches!(http, Some(Ok(Content::Memory(bytes))) if bytes[..] == b"http"[..]));
        assert!(files.open("passwd", true).await.is_none());
        assert!(files.open("arm64/kernel", true).await.is_none(), "not made");
        config.arm64 = folder.path().to_owned();
        let loader = Loader::IpxeArm64;
        config
            .boot_files
            .insert(loader.file().into(), Bytes::from_static(b"loader"));
        let files = Files::new(&config);
        assert_eq!(text(&files, "arm64/kernel").await.unwrap(), b"another");
        assert!(
            !files.has(loader, false) && !files.has(loader, true),
            "there is no initramfs"
        );
        std::fs::write(folder.path().join("initramfs"), b"i").unwrap();
        assert!(files.has(loader, false), "made without a restart");
    }
}
