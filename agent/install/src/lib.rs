//! Installing and wiping: the only code that writes to a disk.
//!
//! [`verify`] decides whether a plan may run here: a pure function of the plan and the live disks.
//! [`execute`] does the steps on a [`Site`]: a machine's block devices, or files and directories in a
//! simulation. It talks to the server through a [`Link`].

mod area;
mod blocks;
mod boot_order;
mod disk;
mod erase;
mod error;
mod execute;
mod ext4;
mod fat;
mod fetch;
mod gpt;
mod image_writer;
mod in_use;
mod ioctl;
mod layout;
mod link;
mod mounts;
mod old_table;
mod root;
mod run;
mod settings;
mod site;
mod target;
mod verify;
mod write_path;

pub use erase::wipe;
pub use execute::execute;
pub use fetch::Patience;
pub use link::{ByteStream, Credentials, Ended, Failure, FetchError, Link};
#[doc(hidden)]
pub use old_table::fuzz_partitions;
pub use settings::accounts::{sudoers_path, sudoers_text};
pub use settings::agent::AgentConfig;
pub use settings::cron::{cron_path, cron_text};
pub use settings::databases::lines_of;
pub use settings::guard::{GUARD_MARK, GUARD_PATH, NFT};
pub use site::{LiveDisk, Site};
pub use target::{Located, Refused};
pub use verify::verify;
pub use write_path::write_path;
