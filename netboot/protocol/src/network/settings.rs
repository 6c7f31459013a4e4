//! A network as written in the configuration. [`crate::Network::new`] checks it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use inventory_api::Mac;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::de::value::MapDeserializer;
use serde::{Deserialize, Serialize};

use crate::boot::architecture::ClientKind;
use crate::network::written::{one_or_many, unique};

/// How Slipway serves a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Sends nothing; reports which DHCP servers it hears and what it would have answered.
    #[default]
    Observe,
    /// Another server hands out the addresses, Slipway only the boot data (proxyDHCP, PXE 2.1 section 2.2).
    Proxy,
    /// Slipway is the DHCP server: addresses and boot data.
    Server,
}

impl fmt::Display for Mode {
    /// As in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What server mode does when it hears another DHCP server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnForeignServer {
    /// Hands out no more addresses until the other one is gone; machines that have one may keep it.
    #[default]
    Refuse,
    /// Reports it and continues.
    Warn,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRange<A = Ipv4Addr> {
    /// First address.
    pub first: A,
    /// Last address, inclusive.
    pub last: A,
}

impl<A: Copy + Ord> PoolRange<A> {
    /// Whether an address is in the range.
    pub fn contains(&self, address: A) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

/// A static route (option 121).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Destination.
    pub to: Ipv4Net,
    /// Router, an address of the network.
    pub via: Ipv4Addr,
}

/// An option without a setting of its own. Exactly one of the values must be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomOption {
    /// Its code.
    pub code: u8,
    /// Value as text, sent without a NUL.
    pub text: Option<String>,
    /// Value as a list of addresses.
    pub addresses: Option<Vec<Ipv4Addr>>,
    /// Value in hexadecimal.
    pub hex: Option<String>,
}

/// A network as written in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Name, for logs and pages: 1 to 64 of a-z, 0-9 and '-'.
    pub name: String,
    /// Our own address there. If it is outside `subnet`, the network is served only through a relay.
    pub server: Ipv4Addr,
    /// The machines' subnet.
    pub subnet: Ipv4Net,
    /// How we serve it.
    #[serde(default)]
    pub mode: Mode,
    /// What server mode does beside another DHCP server.
    #[serde(default)]
    pub on_foreign_server: OnForeignServer,
    /// Seconds for which server mode looks for another DHCP server before it hands out its first address; 0:
    /// answer at once and look meanwhile. The default leaves time for dnsmasq, which pings an address for 3 s
    /// before it offers it (measured).
    #[serde(default = "value::<4>")]
    pub look_seconds: u32,
    /// Probe an address before it is first offered.
    #[serde(default = "yes")]
    pub probe_addresses: bool,
    /// Select the network only by the relay's address: some relays select a link (82.5), and some clients a
    /// subnet (118), that is not theirs.
    #[serde(default)]
    pub ignore_subnet_selection: bool,
    /// Addresses to hand out.
    #[serde(default)]
    pub pools: Vec<PoolRange>,
    /// Addresses of the pools that are not handed out.
    #[serde(default)]
    pub exclude: Vec<PoolRange>,
    /// Fixed addresses.
    #[serde(default, deserialize_with = "unique")]
    pub reservations: BTreeMap<Mac, Ipv4Addr>,
    /// Percentage of the pool, 1 to 100, that machines not enrolled may hold together.
    #[serde(default = "default_share")]
    pub unknown_share: u8,
    /// Default gateways (option 3), the preferred one first. In the file one address or a list.
    #[serde(default, rename = "router", deserialize_with = "one_or_many")]
    pub routers: Vec<Ipv4Addr>,
    /// Name servers (option 6).
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Domain (option 15).
    pub domain: Option<String>,
    /// Search domains (option 119).
    #[serde(default)]
    pub search: Vec<String>,
    /// Time servers (option 42).
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// MTU in bytes (option 26).
    pub mtu: Option<u16>,
    /// Static routes (option 121). Clients that read them ignore option 3, so the default route is included.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Other options.
    #[serde(default)]
    pub options: Vec<CustomOption>,
    /// The TFTP server for loaders (`siaddr`, options 66 and 43) if it is not us; sent to clients that do not
    /// netboot too. That server must have our loaders.
    pub next_server: Option<Ipv4Addr>,
    /// Seconds for which a client that can do without IPv4 disables it (option 108, RFC 8925). Sent only on
    /// request.
    pub ipv6_only_seconds: Option<u32>,
    /// Settings for clients of a kind, replacing or extending the network's. The first class that matches and
    /// has a setting wins.
    #[serde(default, rename = "class", skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassSettings>,
    /// Lease time of operating systems and the mini-os, in seconds.
    #[serde(default = "value::<3600>")]
    pub lease_seconds: u32,
    /// Lease time of firmware and iPXE, in seconds. By default long enough for a slow boot, and short enough
    /// that a machine switched on once does not hold an address for long.
    #[serde(default = "value::<600>")]
    pub lease_seconds_boot: u32,
    /// Quarantine of a declined address, in seconds.
    #[serde(default = "value::<3600>")]
    pub decline_seconds: u32,
    /// Answer IPv6 Router Solicitations with an empty advertisement: stock iPXE otherwise waits 13 s for one.
    /// Not in observe mode.
    #[serde(default = "yes")]
    pub router_advertisements: bool,
    /// Send TFTP from the server's port, 69. RFC 1350 gives each transfer its own port, which is blocked by
    /// some boot ROMs and by firewalls and address translators without TFTP support (pin/tftp#125).
    #[serde(default)]
    pub tftp_single_port: bool,
    /// Largest TFTP block in bytes; `None`: what fits into one packet of the path's MTU. Old UEFI in QEMU
    /// needs 1024 (crowbar#1078).
    pub tftp_blksize_max: Option<u16>,
    /// Kernel arguments of the mini-os on this network, replacing those of the same name in `[mini_os]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args: Vec<String>,
    /// DHCPv6; without it Slipway sends nothing over IPv6 except for `router_advertisements`.
    pub v6: Option<V6Settings>,
}

/// A class in the configuration, `[[network.class]]`. Settings left out are the network's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassSettings {
    /// Name, for messages.
    pub name: String,
    /// Which clients belong to the class.
    #[serde(rename = "match")]
    pub matches: ClassMatch,
    /// Default gateways (option 3). In the file one address or a list.
    #[serde(
        rename = "router",
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub routers: Vec<Ipv4Addr>,
    /// Name servers (option 6).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Domain (option 15).
    pub domain: Option<String>,
    /// Search domains (option 119).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Time servers (option 42).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Ipv4Addr>,
    /// MTU in bytes (option 26).
    pub mtu: Option<u16>,
    /// Static routes (option 121).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Other options, in addition to the network's. Here 43, 60, 66 and 67 are allowed too: they go to
    /// clients that Slipway has no boot file for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<CustomOption>,
    /// Like [`NetworkSettings::next_server`].
    pub next_server: Option<Ipv4Addr>,
    /// Like [`NetworkSettings::ipv6_only_seconds`].
    pub ipv6_only_seconds: Option<u32>,
    /// Lease time in seconds, for firmware too.
    pub lease_seconds: Option<u32>,
}

/// All given conditions must hold. Text is compared case-insensitively, and `*` matches any bytes; a value
/// starting with `0x` is hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassMatch {
    /// Option 60.
    pub vendor_class: Option<String>,
    /// Option 77: the whole of it, or one of its classes (RFC 3004).
    pub user_class: Option<String>,
    /// The relay's circuit id (option 82.1).
    pub circuit_id: Option<String>,
    /// The relay's remote id (option 82.2).
    pub remote_id: Option<String>,
    /// The client's MAC, or its first digits and `*`.
    pub mac: Option<String>,
}

/// DHCPv6 of a network in the configuration: `[network.v6]`. Router advertisements, and so the default route,
/// are the network's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V6Settings {
    /// Our own address there, for DHCPv6, TFTP and HTTP; not link-local. If it is outside `prefix`, the
    /// network is served only through a relay.
    pub server: Ipv6Addr,
    /// The machines' prefix.
    pub prefix: Ipv6Net,
    /// `observe` or `server`: DHCPv6 has no proxies.
    #[serde(default)]
    pub mode: Mode,
    /// Addresses to hand out.
    #[serde(default)]
    pub pools: Vec<PoolRange<Ipv6Addr>>,
    /// Fixed addresses.
    #[serde(default, deserialize_with = "unique")]
    pub reservations: BTreeMap<Mac, Ipv6Addr>,
    /// Name servers (option 23).
    #[serde(default)]
    pub dns: Vec<Ipv6Addr>,
    /// Parameters sent to a loader besides its URL (option 60, RFC 5970, 3.2), for a site's own loaders.
    /// Empty by default: EDK2's PXE takes the first for the loader's length in blocks of 512 bytes and gives
    /// up on other text (`PxeBcDhcp6BootInfo`); a signed loader would come out too long.
    #[serde(default)]
    pub boot_parameters: Vec<String>,
}

fn value<const N: u32>() -> u32 {
    N
}

fn default_share() -> u8 {
    80
}

fn yes() -> bool {
    true
}

impl NetworkSettings {
    /// Lease time in seconds, unless the client's class has its own.
    pub(crate) fn lease_seconds(&self, kind: ClientKind) -> u32 {
        if kind.boots() {
            self.lease_seconds_boot
        } else {
            self.lease_seconds
        }
    }

    /// Settings with only the required fields: the network is observed.
    ///
    /// # Panics
    /// Never: a configuration with these fields is valid.
    pub fn new(name: &str, server: Ipv4Addr, subnet: Ipv4Net) -> NetworkSettings {
        let (server, subnet) = (server.to_string(), subnet.to_string());
        let fields = [("name", name), ("server", &server), ("subnet", &subnet)];
        let read = MapDeserializer::<_, serde::de::value::Error>::new(fields.into_iter());
        NetworkSettings::deserialize(read).expect("these are all required fields")
    }
}
