//! Images: what can be installed.

use serde::{Deserialize, Serialize};

use crate::id::{Sha256Digest, UnixMs};

/// The manifest beside an image; `manifest.json` in the image's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageManifest {
    /// Name: a-z, 0-9, '-'.
    pub name: String,
    /// Version: a-z, 0-9, '-', '.'; newest is the greatest `built_at`.
    pub version: String,
    /// Operating system in words, e.g. "Debian GNU/Linux 12 (bookworm)".
    pub os: String,
    /// "x86_64".
    pub architecture: String,
    /// File name of the zstd-compressed ext4 image beside the manifest.
    pub file: String,
    /// Digest of that file.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub compressed_bytes: u64,
    /// Digest of the decompressed file system image.
    pub content_sha256: Sha256Digest,
    /// Size of the decompressed file system image: the minimum size of the root partition.
    pub content_bytes: u64,
    /// What is needed to boot it.
    pub boot: BootFiles,
    /// When it was built or imported.
    pub built_at: UnixMs,
    /// Contains no secret: may be served to anyone on the provisioning network.
    pub public: bool,
    /// Digest of the recipe it was built from.
    pub recipe_sha256: Option<Sha256Digest>,
}

/// Boot files of an image: paths inside its root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFiles {
    /// Kernel release.
    pub kernel_release: String,
    /// Kernel, e.g. "/vmlinuz".
    pub kernel: String,
    /// Initial RAM disk, e.g. "/initrd.img".
    pub initrd: String,
    /// Firmware modes it can boot in.
    pub firmware: Vec<crate::report::FirmwareMode>,
}
