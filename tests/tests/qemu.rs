//! Level qemu: virtual servers with real firmware boot from the network, are installed, boot their disk and
//! check in.

#[path = "qemu/arm64.rs"]
mod arm64;
#[path = "qemu/checked.rs"]
mod checked;
#[path = "qemu/console.rs"]
mod console;
#[path = "qemu/first_boot.rs"]
mod first_boot;
#[path = "qemu/installed.rs"]
mod installed;
#[path = "qemu/lossy.rs"]
mod lossy;
#[path = "qemu/paths.rs"]
mod paths;
#[path = "qemu/reach.rs"]
mod reach;
#[path = "qemu/rescue.rs"]
mod rescue;
#[path = "qemu/secure.rs"]
mod secure;
#[path = "qemu/size.rs"]
mod size;
#[path = "qemu/undi.rs"]
mod undi;
#[path = "qemu/v6.rs"]
mod v6;
