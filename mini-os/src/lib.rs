//! The operating system that lives in memory: Debian's kernel, the drivers a server may need, and the agent as its first
//! process, in an initramfs this crate writes itself. The same inputs give the same bytes.
//!
//! What is in it, for those who read it (the agent's `init`):
//! - `/init`: the agent.
//! - `/lib/modules/REL/`: modules as `.ko.zst`, each compressed for itself (measured: fastest start, least memory);
//!   the kernel cannot decompress them, `init` does. `modules.dep`, `modules.alias`, `modules.softdep` and
//!   `modules.builtin` name only what is there, with the `.ko.zst` names.
//! - `/lib/firmware/`: the firmware files these modules ask for.

mod archive;
mod build;
pub mod debian;
mod error;
mod process;

pub use archive::{Tree, site_archive};
pub use build::{Manifest, Request, Variant, build, is_current};
pub use error::{Error, Result};
pub use process::run;
