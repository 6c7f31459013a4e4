//! The operating system that lives in memory: Debian's kernel, the drivers a server may need, and the agent as its first
//! process, in an initramfs this crate writes itself. The same inputs give the same bytes.
//!
//! What is in it, for those who read it (the agent's `init`):
//! - `/init`: the agent.
//! - `/lib/modules/REL/`: modules as `.ko.zst`, each compressed for itself (measured: fastest start, least memory);
//!   the kernel cannot decompress them, `init` does. `modules.dep`, `modules.alias` and `modules.softdep` name only
//!   what is there, with the `.ko.zst` names; `modules.builtin` is the kernel's.
//! - `/lib/firmware/*.xz`: the firmware files these modules ask for; the kernel finds and unpacks them by itself.

mod archive;
mod build;
pub mod debian;
mod elf;
mod error;
mod firmware;
mod loaders;
mod modinfo;
mod modules;
mod packages;
mod process;
mod select;
mod signed;

pub use archive::{Tree, site_archive};
pub use build::{Arch, Manifest, Request, Variant, build, is_current};
pub use elf::is_static;
pub use error::{Error, Result};
pub use loaders::{GRUB_FOR_HTTP, fetch_loaders, has_loaders};
pub use modinfo::modinfo;
pub use modules::{Dependencies, lines_about, name_of};
pub use process::run;
pub use signed::{SIGNED_DIR, Signed, SignedFiles, Signing, UNIFIED, sign, signed_files};
