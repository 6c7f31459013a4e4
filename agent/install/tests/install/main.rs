//! Installing as the session does it: on files, and on a loop device if this machine allows it.

mod bench;
mod device;
mod execute;
mod faults;
mod signatures;
mod verify;
mod wipe;
