//! Network boot as pure decisions: who is asking, what to answer. No socket, clock or randomness: time is an
//! argument.
//!
//! A DHCPv4 message goes through [`classify`], [`select_network`], [`decide`], [`encode`] and
//! [`destination`]; DHCPv6 is in [`dhcp6`]. The boot script is [`mini_os_script`] or [`local_disk_script`].
//! TFTP is in [`tftp`], HTTP/1 in [`http`].

mod boot;
mod codes;
mod decision;
pub mod dhcp4;
pub mod dhcp6;
mod fqdn;
mod hash;
pub mod http;
pub mod lines;
mod message;
mod names;
mod network;
pub mod rate;
pub mod sender;
pub mod shares;
mod stranger;
pub mod tftp;

pub use boot::architecture::{ClientKind, unsupported_client};
pub use boot::experience::{Experience, NicModel, Tally};
pub use boot::loader::{GRUB, Loader};
pub use boot::menu::{self, Menu};
pub use boot::script::{
    AUTOEXEC, GRUB_CONFIG, ScriptError, Trusted, UNIFIED, autoexec_script, check_kernel_args,
    grub_local_disk_script, grub_mini_os_script, local_disk_script, mini_os_script, narrowed,
};
pub use boot::trial::{Failure, Trial};
pub use boot::{BootFile, BootUrls};
pub use codes::Unanswered;
pub use dhcp4::Decision;
pub use dhcp4::boot_file::boot_file;
pub use dhcp4::client::{MessageKind, PxeClient, classify};
pub use dhcp4::encode::{ReplyContent, encode};
pub use dhcp4::foreign::{ForeignServers, Gate};
pub use dhcp4::frame;
pub use dhcp4::outsider::{INFINIBAND, outsider};
pub use dhcp4::proxy::BOOT_SERVER_PORT;
pub use dhcp4::reply::{
    Destination, Probe, decide, destination, given_up, needs_probe, probe_of, quarantine, refused_elsewhere,
    select_network, would_answer,
};
pub use hash::fnv;
pub use names::is_host_name;
pub use network::address::Address;
pub use network::addresses::Addresses;
pub use network::check::NetworkError;
pub use network::lease::{Lease, LeaseChange, LeaseState, Leases, OFFER_SECONDS};
pub use network::reserve::{ReserveError, end_quarantine, reserve, unreserve};
pub use network::settings::{
    ClassMatch, ClassSettings, CustomOption, Mode, NetworkSettings, OnForeignServer, PoolRange, Route,
    V6Settings,
};
pub use network::{Network, clash};
pub use rate::Rates;
pub use stranger::{Asker, Stranger};
