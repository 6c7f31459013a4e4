//! The operating system that runs in memory: Debian's kernel, the drivers a server may need, and the agent as
//! its first process, in an initramfs that this crate writes itself. Equal inputs give equal bytes.
//!
//! Contents, for the agent's `init`, which reads them:
//! - `/init`: the agent.
//! - `/lib/modules/REL/`: modules as `.ko.zst`, each compressed separately (measured: fastest start, least
//!   memory). Debian's kernel cannot decompress them, `init` does. `modules.dep`, `modules.alias` and
//!   `modules.softdep` list only the modules that are there, under their `.ko.zst` names; `modules.builtin`
//!   is the kernel's.
//! - `/lib/firmware/*.xz`: the firmware files that these modules request; the kernel finds and decompresses
//!   them itself.

mod archive;
mod build;
pub mod debian;
mod elf;
mod error;
mod files;
mod firmware;
mod loaders;
mod modinfo;
mod modules;
mod packages;
mod process;
mod select;
mod signed;
mod target;

pub use archive::site_archive;
pub use build::{Manifest, Request, build, is_current};
pub use elf::is_static;
pub use error::{Error, Result};
pub use files::remove_if_there;
pub use loaders::{GRUB_FOR_HTTP, fetch_loaders, has_loaders};
pub use process::run;
pub use signed::{SIGNED_DIR, SignedFiles, Signing, UNIFIED, sign, signed_files};
pub use target::{Arch, Variant};
