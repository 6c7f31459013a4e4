//! Installing and wiping: the only code that writes to a disk.
//!
//! [`verify`] decides whether a plan may run here: a pure function of the plan and the live disks. `execute` does the
//! steps on a [`Site`], which is a machine's block device in life and a file with two directories in a simulation. It
//! asks and tells the server through a [`Link`].

mod in_use;
mod layout;
mod link;
mod site;
mod verify;

pub use link::{ByteStream, Ended, Failure, FetchError, Identity, Link};
pub use site::{LiveDisk, Site};
pub use verify::{Located, Refused, verify};

// Coming next, for the session:
//   pub async fn execute<L: Link>(plan: &InstallPlan, identity: &Identity, site: &Site, link: &L) -> Result<Ended, Failure>
//   pub async fn wipe(disks: &[DiskTarget], site: &Site) -> Result<(), Failure>
