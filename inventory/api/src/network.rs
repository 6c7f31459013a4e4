//! Provisioning networks and their state.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::id::{Guid, Mac, UnixMs};

/// What Slipway does in a network now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkState {
    /// It listens and answers nothing.
    Observing,
    /// It gives boot data next to another DHCP server.
    Proxying,
    /// It looks for other DHCP servers before it gives out addresses.
    Looking,
    /// It gives out addresses and boot data.
    Serving,
    /// Another DHCP server answers there: it gives out no addresses.
    Refusing,
    /// Sent by a newer server.
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
    /// Sent by a newer server.
    #[serde(other)]
    Unknown,
}

/// Another DHCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherServer {
    /// Its address: the server identifier, for DHCPv6 the sender of the packet.
    pub address: IpAddr,
    /// Link-layer address of its messages.
    pub mac: Mac,
    /// What it gives.
    pub gives: Gives,
    /// The boot file it offers to PXE clients, if any; at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_file: Option<String>,
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
    /// Stable short code: "foreign-server", "foreign-server-gone", "address-in-use", "declined",
    /// "pool-exhausted", "kept-for-known", "unknown-relay", "answers-for-all".
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// An address reserved for a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The machine's NIC.
    pub mac: Mac,
    /// Its address.
    pub address: Ipv4Addr,
    /// It comes from the configuration and can be changed only there.
    pub configured: bool,
}

/// A quarantined address: a client that did not get it here was found to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// The client that uses it, or that declined it.
    pub mac: Mac,
    /// When the quarantine ends.
    pub until: UnixMs,
}

/// DHCP messages that were not answered for one reason, since the server started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceCount {
    /// Stable short code of the reason, see docs/networks.md.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The last one.
    pub last: UnixMs,
    /// Senders of messages whose form fits no machine, newest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<Sender>,
}

/// The sender of a DHCP message whose form fits no machine, as far as the message tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sender {
    /// When it was heard last.
    pub last: UnixMs,
    /// Hardware type: 1 Ethernet, 32 InfiniBand (IANA "Hardware Types").
    pub hardware_type: u8,
    /// Length of the hardware address according to the message, in bytes.
    pub hardware_len: u8,
    /// Hardware address, lower-case hexadecimal with colons; at most 16 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Client identifier (option 61), lower-case hexadecimal; at most 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// GUID of an InfiniBand port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<Guid>,
    /// Vendor class (option 60), printable; at most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The relay it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
}

/// A client that asks for addresses and does not netboot: an operating system, a switch, a BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// Its NIC.
    pub mac: Mac,
    /// What kind of client it is, if known.
    pub who: String,
    /// Its address, if we gave it one.
    pub address: Option<IpAddr>,
    /// When it was heard last.
    pub last: UnixMs,
}

/// `PUT /v1/networks/NAME/reservations/MAC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveAddress {
    /// The address to reserve.
    pub address: Ipv4Addr,
}

/// Something that keeps machines from booting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What is missing, and what to do.
    pub sentence: String,
    /// "x86-64" or "arm64" if only these machines are affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

/// A provisioning network and its state.
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
    /// Size of the pool.
    pub pool: u64,
    /// Addresses offered or in use.
    pub held: u64,
    /// Addresses in use.
    pub bound: u64,
    /// Quarantined addresses: another client was found to use them.
    pub quarantined: u64,
    /// Quarantined addresses, soonest to expire first; bounded.
    #[serde(default)]
    pub quarantined_addresses: Vec<QuarantinedAddress>,
    /// Addresses held or declined by machines that are not enrolled.
    #[serde(default)]
    pub strangers: u64,
    /// Their limit; absent: none.
    pub strangers_most: Option<u64>,
    /// Reserved addresses.
    pub reservations: Vec<Reservation>,
    /// Other DHCP servers that were heard in the last minutes.
    pub servers: Vec<OtherServer>,
    /// Unanswered messages, by reason.
    #[serde(default)]
    pub silences: Vec<SilenceCount>,
    /// What happened, oldest first; bounded.
    pub events: Vec<NetworkEvent>,
    /// When the last DHCP message was heard there.
    pub heard_at: Option<UnixMs>,
    /// Clients that are not enrolled and do not netboot, newest first; bounded.
    #[serde(default)]
    pub visitors: Vec<Visitor>,
    /// What keeps machines from booting there.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// DHCPv6, if configured. Its unanswered messages and events are counted above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<NetworkV6Status>,
}

/// State of DHCPv6 in a network; fields as in [`NetworkStatus`].
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
    /// Size of the pool.
    pub pool: u64,
    /// Addresses offered or in use.
    pub held: u64,
    /// Addresses in use.
    pub bound: u64,
    /// Quarantined addresses: machines declined them.
    pub quarantined: u64,
    /// Other DHCPv6 servers that were heard in the last minutes.
    pub servers: Vec<OtherServer>,
}
