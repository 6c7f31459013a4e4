//! Installing as the session does it: on files, and where this machine allows it on a loop device.

mod bench;
mod device;
mod execute;
mod faults;
mod signatures;
mod verify;
mod wipe;
