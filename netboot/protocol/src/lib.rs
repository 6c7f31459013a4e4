//! Network boot as pure decisions: who is asking, what to answer. No socket, clock or randomness: time is an
//! argument.
//!
//! A DHCP message goes through [`classify`], [`select_network`], [`decide`], [`encode`] and [`destination`]; the boot
//! script is [`mini_os_script`] or [`local_disk_script`]. TFTP is in [`tftp`], heads of HTTP in [`http1`].

pub mod addresses;
pub mod architecture;
pub mod boot;
pub mod check;
pub mod claims;
pub mod class;
pub mod client;
pub mod codes;
pub mod custom;
pub mod encode;
pub mod experience;
pub mod foreign;
mod fqdn;
pub mod frame;
pub mod http1;
pub mod lease;
pub mod lines;
pub mod loader;
pub mod menu;
pub mod network;
pub mod options;
pub mod outsider;
pub mod packet;
pub mod proxy;
pub mod range;
pub mod rate;
pub mod reply;
pub mod reserve;
pub mod script;
pub mod sender;
pub mod settings;
pub mod shares;
pub mod stranger;
pub mod tftp;
pub mod v6;
mod written;

pub use addresses::Addresses;
pub use boot::{BootFile, BootUrls, boot_file};
pub use check::{NetworkError, clash};
pub use class::{ClassMatch, ClassSettings};
pub use client::{ClientKind, MessageKind, PxeClient, classify};
pub use codes::Unanswered;
pub use encode::{ReplyContent, ReplyKind, encode};
pub use experience::{Experience, NicModel};
pub use foreign::{Gate, Watch};
pub use lease::{Address, Lease, LeaseState, Leases, choose_address};
pub use loader::{Failure, Loader, Trial};
pub use menu::Menu;
pub use network::Network;
pub use outsider::outsider;
pub use proxy::BOOT_SERVER_PORT;
pub use rate::Rates;
pub use reply::{
    Decision, Destination, LeaseChange, Probe, decide, destination, given_up, needs_probe, probe_of,
    quarantine, refused_elsewhere, select_network, would_answer,
};
pub use reserve::ReserveError;
pub use script::{
    AUTOEXEC, GRUB_CONFIG, ScriptError, Trusted, UNIFIED, autoexec_script, grub_local_disk_script,
    grub_mini_os_script, local_disk_script, mini_os_script,
};
pub use settings::{CustomOption, Mode, NetworkSettings, OnForeignServer, PoolRange, Route, V6Settings};
pub use stranger::Stranger;
