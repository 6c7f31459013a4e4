//! Provisioning networks as they stand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::id::{Mac, UnixMs};

/// What Slipway does in a network now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkState {
    /// It listens and answers nothing.
    Observing,
    /// It gives boot data beside another DHCP server.
    Proxying,
    /// It looks whether another DHCP server is there before it gives out addresses.
    Looking,
    /// It gives out addresses and boot data.
    Serving,
    /// Another DHCP server is there: it gives out no address.
    Refusing,
    /// A state that is newer than this program.
    #[serde(other)]
    Unknown,
}

/// What a DHCP server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gives {
    /// Addresses.
    Addresses,
    /// Boot data only (proxyDHCP).
    BootData,
    /// Something that is newer than this program.
    #[serde(other)]
    Unknown,
}

/// A DHCP server that is not this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherServer {
    /// Its address: by its own word, of one by IPv6 that of the packet.
    pub address: IpAddr,
    /// Link address its messages come from.
    pub mac: Mac,
    /// What it gives.
    pub gives: Gives,
    /// First heard.
    pub first_seen: UnixMs,
    /// Last heard.
    pub last_seen: UnixMs,
}

/// Something that happened in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkEvent {
    /// When.
    pub at: UnixMs,
    /// Stable short code: "foreign-server", "foreign-server-gone", "address-in-use", "declined", "pool-exhausted",
    /// "kept-for-known", "unknown-relay".
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// An address that is kept for a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The machine's NIC.
    pub mac: Mac,
    /// Its address.
    pub address: Ipv4Addr,
    /// It stands in the configuration, and can be changed only there.
    pub configured: bool,
}

/// An address that nobody is given, since somebody was found to use it who did not get it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Who uses it, or who declined it.
    pub mac: Mac,
    /// Until when it is out of use.
    pub until: UnixMs,
}

/// DHCP messages that were heard in a network and not answered, for one reason, since the server's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceCount {
    /// Stable short code, see docs/networks.md.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The last one.
    pub last: UnixMs,
}

/// `PUT /v1/networks/NAME/reservations/MAC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveAddress {
    /// The address to keep for the machine.
    pub address: Ipv4Addr,
}

/// A provisioning network as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// Name.
    pub name: String,
    /// Slipway's address there.
    pub server: Ipv4Addr,
    /// The machines' subnet.
    pub subnet: String,
    /// As configured: "observe", "proxy", "server".
    pub mode: String,
    /// What it does now.
    pub state: NetworkState,
    /// Whether it can hear other DHCP servers there; not behind relays.
    pub watched: bool,
    /// Addresses to give out.
    pub pool: u64,
    /// Addresses that are offered or in use now.
    pub held: u64,
    /// Addresses in use now.
    pub bound: u64,
    /// Addresses out of use, since somebody else was found to use them.
    pub quarantined: u64,
    /// They by name, the one that comes back first first; bounded.
    #[serde(default)]
    pub quarantined_addresses: Vec<QuarantinedAddress>,
    /// Addresses that machines hold, or have declined, which nobody enrolled.
    #[serde(default)]
    pub strangers: u64,
    /// The most of them; absent: as many as there are.
    #[serde(default)]
    pub strangers_most: Option<u64>,
    /// Addresses that are kept for machines.
    pub reservations: Vec<Reservation>,
    /// Other DHCP servers that were heard in the last minutes.
    pub servers: Vec<OtherServer>,
    /// What was not answered and why, by reason.
    #[serde(default)]
    pub silences: Vec<SilenceCount>,
    /// What happened, oldest first; bounded.
    pub events: Vec<NetworkEvent>,
    /// DHCPv6 there, where it is configured. What was not answered, and what happened, is counted with the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<NetworkV6Status>,
}

/// DHCPv6 of a network as it stands; the fields as in [`NetworkStatus`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkV6Status {
    /// Slipway's address there.
    pub server: Ipv6Addr,
    /// The machines' prefix.
    pub prefix: String,
    /// As configured: "observe", "server".
    pub mode: String,
    /// What it does now.
    pub state: NetworkState,
    /// Whether it can hear other DHCPv6 servers there.
    pub watched: bool,
    /// Addresses to give out.
    pub pool: u64,
    /// Addresses that are offered or in use now.
    pub held: u64,
    /// Addresses in use now.
    pub bound: u64,
    /// Addresses out of use, since machines said that somebody else uses them.
    pub quarantined: u64,
    /// Other DHCPv6 servers that were heard in the last minutes.
    pub servers: Vec<OtherServer>,
}
