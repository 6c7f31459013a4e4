//! Provisioning networks as they stand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::id::{Guid, Mac, UnixMs};

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
    /// The boot file it names to machines that ask by PXE, if it does; at most 128 characters.
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
    /// Stable short code: "foreign-server", "foreign-server-gone", "address-in-use", "declined", "pool-exhausted",
    /// "kept-for-known", "unknown-relay", "answers-for-all".
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
    /// Who sent them, of messages that are no machine's by their form, the last first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<Sender>,
}

/// Who sent a DHCP message that nobody answers by its form, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sender {
    /// When it was heard last.
    pub last: UnixMs,
    /// Hardware type: 1 Ethernet, 32 InfiniBand (IANA "Hardware Types").
    pub hardware_type: u8,
    /// Length of the hardware address as the message says it, in bytes.
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
    /// The relay that it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
}

/// Who asks for addresses in a network and does not boot from it: an operating system, a switch, a BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// Its NIC.
    pub mac: Mac,
    /// What it is, as far as it tells.
    pub who: String,
    /// Its address, if it has one of ours.
    pub address: Option<IpAddr>,
    /// When it was heard last.
    pub last: UnixMs,
}

/// `PUT /v1/networks/NAME/reservations/MAC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveAddress {
    /// The address to keep for the machine.
    pub address: Ipv4Addr,
}

/// Something that keeps machines from booting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What is missing, and what to do.
    pub sentence: String,
    /// "x86-64" or "arm64" if it concerns these machines only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
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
    /// When the last DHCP message of anybody was heard there.
    #[serde(default)]
    pub heard_at: Option<UnixMs>,
    /// Who asks there and does not boot, the last first; bounded. Machines that are enrolled are not among them.
    #[serde(default)]
    pub visitors: Vec<Visitor>,
    /// What keeps machines from booting there.
    #[serde(default)]
    pub missing: Vec<Missing>,
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
