//! Level qemu: virtual servers with real firmware boot from the network, are installed, boot their disk and check in.

#[path = "qemu/checked.rs"]
mod checked;
#[path = "qemu/first_boot.rs"]
mod first_boot;
#[path = "qemu/installed.rs"]
mod installed;
#[path = "qemu/paths.rs"]
mod paths;
#[path = "qemu/undi.rs"]
mod undi;
