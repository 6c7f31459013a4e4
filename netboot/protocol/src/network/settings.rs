//! A network as a person writes it in the configuration. [`crate::Network::new`] checks it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use inventory_api::Mac;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::de::value::MapDeserializer;
use serde::{Deserialize, Serialize};

use crate::boot::architecture::ClientKind;
use crate::dhcp4::class::ClassSettings;
use crate::network::written::{one_or_many, unique};

/// How Slipway serves a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It sends nothing, and tells which DHCP servers it hears and what it would have answered.
    #[default]
    Observe,
    /// Another server gives the addresses, Slipway only the boot data (proxyDHCP, PXE 2.1 section 2.2).
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
    /// Gives out no address any more until the other one is gone; machines that have one may keep it.
    #[default]
    Refuse,
    /// Says so and goes on.
    Warn,
}

/// First and last address of a range, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRange<A = Ipv4Addr> {
    /// First address.
    pub first: A,
    /// Last address.
    pub last: A,
}

impl<A: Copy + Ord> PoolRange<A> {
    /// Whether it has this address.
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

/// An option that Slipway has no field for. Exactly one of the values.
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

/// A network as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Name, for logs and pages: 1 to 64 of a-z, 0-9 and '-'.
    pub name: String,
    /// Our own address there. When it lies outside `subnet` the network is served through a relay only.
    pub server: Ipv4Addr,
    /// The machines' subnet.
    pub subnet: Ipv4Net,
    /// How we serve it.
    #[serde(default)]
    pub mode: Mode,
    /// What server mode does beside another DHCP server.
    #[serde(default)]
    pub on_foreign_server: OnForeignServer,
    /// Seconds server mode looks for another DHCP server before it gives out its first address; 0: it answers at once
    /// and looks meanwhile.
    #[serde(default = "default_look")]
    pub look_seconds: u32,
    /// Ask by ARP whether anybody uses an address before it is offered for the first time.
    #[serde(default = "yes")]
    pub probe_addresses: bool,
    /// Serve only who comes from here by the relay's address: some relays select a link (82.5), and some clients a subnet (118),
    /// that is not theirs.
    #[serde(default)]
    pub ignore_subnet_selection: bool,
    /// Addresses to give out.
    #[serde(default)]
    pub pools: Vec<PoolRange>,
    /// Addresses within the pools that are not given out.
    #[serde(default)]
    pub exclude: Vec<PoolRange>,
    /// Fixed addresses.
    #[serde(default, deserialize_with = "unique")]
    pub reservations: BTreeMap<Mac, Ipv4Addr>,
    /// Percent of the pool, 1 to 100, that machines nobody enrolled yet may hold together.
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
    /// Domains to search (option 119).
    #[serde(default)]
    pub search: Vec<String>,
    /// Time servers (option 42).
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// MTU in bytes (option 26).
    pub mtu: Option<u16>,
    /// Static routes (option 121). Who reads them ignores option 3, so the default route is sent with them.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Other options.
    #[serde(default)]
    pub options: Vec<CustomOption>,
    /// Where loaders are fetched by TFTP (`siaddr`, options 66 and 43) when not from us, and what clients that do not boot
    /// are told too. That server has to have our loaders.
    pub next_server: Option<Ipv4Addr>,
    /// Seconds a client that can do without IPv4 leaves it switched off (option 108, RFC 8925). Only who asks for it is
    /// told.
    pub ipv6_only_seconds: Option<u32>,
    /// What clients of a kind get instead of, or beside, what all get. The first that matches and sets something counts.
    #[serde(default, rename = "class", skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassSettings>,
    /// Seconds of a lease of an operating system (the mini-os too).
    #[serde(default = "default_lease")]
    pub lease_seconds: u32,
    /// Seconds of a lease of firmware and iPXE.
    #[serde(default = "default_boot_lease")]
    pub lease_seconds_boot: u32,
    /// Seconds an address is kept out of use that a machine declined.
    #[serde(default = "default_decline")]
    pub decline_seconds: u32,
    /// Answer IPv6 Router Solicitations with an empty advertisement: stock iPXE waits 13 s for one otherwise. Not in
    /// observe mode.
    #[serde(default = "yes")]
    pub router_advertisements: bool,
    /// Send TFTP from the port that was asked, 69. RFC 1350 gives each transfer a port of its own, which some boot ROMs, and
    /// firewalls and address translation that do not know TFTP, let nothing come from (pin/tftp#125).
    #[serde(default)]
    pub tftp_single_port: bool,
    /// Largest TFTP block in bytes; `None`: what the path's MTU carries in one packet. Old UEFI in QEMU needs 1024
    /// (crowbar#1078).
    pub tftp_blksize_max: Option<u16>,
    /// Kernel arguments of the mini-os on this network, in the place of those of the same name in `[mini_os]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args: Vec<String>,
    /// DHCPv6; without it Slipway sends nothing by IPv6 but what `router_advertisements` says.
    pub v6: Option<V6Settings>,
}

/// DHCPv6 in a network, as a person writes it: `[network.v6]`. Router advertisements, and so the default route, are the
/// network's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V6Settings {
    /// Our own address there, for DHCPv6, TFTP and HTTP; not a link-local one. When it lies outside `prefix` the network is
    /// served through a relay only.
    pub server: Ipv6Addr,
    /// The machines' prefix.
    pub prefix: Ipv6Net,
    /// `observe` or `server`: DHCPv6 has no proxies.
    #[serde(default)]
    pub mode: Mode,
    /// Addresses to give out.
    #[serde(default)]
    pub pools: Vec<PoolRange<Ipv6Addr>>,
    /// Fixed addresses.
    #[serde(default, deserialize_with = "unique")]
    pub reservations: BTreeMap<Mac, Ipv6Addr>,
    /// Name servers (option 23).
    #[serde(default)]
    pub dns: Vec<Ipv6Addr>,
    /// What a loader is told beside its URL (option 60, RFC 5970, 3.2), for loaders of a site's own. Nothing when nothing is said:
    /// EDK2's PXE takes the first for the loader's length in blocks of 512 bytes and gives up at another text
    /// (`PxeBcDhcp6BootInfo`); a signed loader comes out too long.
    #[serde(default)]
    pub boot_parameters: Vec<String>,
}

/// An operating system keeps its address for this long.
fn default_lease() -> u32 {
    3600
}

/// Firmware and iPXE: long enough for a slow boot, short enough that a machine that was only switched on once does not hold an
/// address for long.
fn default_boot_lease() -> u32 {
    600
}

fn default_decline() -> u32 {
    3600
}

/// dnsmasq pings an address for 3 s before it offers it (measured: netboot-measured.md 2.3, rule 5).
fn default_look() -> u32 {
    4
}

fn default_share() -> u8 {
    80
}

fn yes() -> bool {
    true
}

impl NetworkSettings {
    /// Seconds of a lease, unless the client's class has others.
    pub(crate) fn lease_seconds(&self, kind: ClientKind) -> u32 {
        if kind.boots() {
            self.lease_seconds_boot
        } else {
            self.lease_seconds
        }
    }

    /// Settings as of a configuration with these fields only: it observes.
    ///
    /// # Panics
    /// Never: these are the fields that a configuration has to have.
    pub fn new(name: &str, server: Ipv4Addr, subnet: Ipv4Net) -> NetworkSettings {
        let (server, subnet) = (server.to_string(), subnet.to_string());
        let fields = [("name", name), ("server", &server), ("subnet", &subnet)];
        let read = MapDeserializer::<_, serde::de::value::Error>::new(fields.into_iter());
        NetworkSettings::deserialize(read).expect("a network needs no more than these fields")
    }
}
