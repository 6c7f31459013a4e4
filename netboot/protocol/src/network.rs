//! A provisioning network: where we answer, with which addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use inventory_api::Mac;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Seconds a machine keeps its address when nothing else is configured.
pub const DEFAULT_LEASE_SECONDS: u32 = 3600;
/// Seconds firmware and iPXE keep theirs: long enough for a slow boot, short enough that a machine that was only
/// switched on once does not hold an address for long.
pub const DEFAULT_BOOT_LEASE_SECONDS: u32 = 600;
/// The most addresses that the pools of one network may have (a /16): leases are kept in memory.
pub const MAX_POOL: u64 = 65_536;

/// How Slipway serves a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Slipway is the DHCP server: addresses and boot data.
    #[default]
    Server,
}

/// First and last address of a pool, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address.
    pub last: Ipv4Addr,
}

/// A network as a person writes it; [`Network::new`] checks it.
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
    /// Addresses to give out.
    #[serde(default)]
    pub pools: Vec<PoolRange>,
    /// Fixed addresses.
    #[serde(default)]
    pub reservations: BTreeMap<Mac, Ipv4Addr>,
    /// Default gateway (option 3).
    #[serde(default)]
    pub router: Option<Ipv4Addr>,
    /// Name servers (option 6).
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Domain (option 15).
    #[serde(default)]
    pub domain: Option<String>,
    /// Seconds of a lease of an operating system (the mini-os too).
    #[serde(default = "default_lease")]
    pub lease_seconds: u32,
    /// Seconds of a lease of firmware and iPXE.
    #[serde(default = "default_boot_lease")]
    pub lease_seconds_boot: u32,
    /// Answer IPv6 Router Solicitations with an empty advertisement: stock iPXE waits 13 s for one otherwise.
    #[serde(default = "yes")]
    pub router_advertisements: bool,
}

fn default_lease() -> u32 {
    DEFAULT_LEASE_SECONDS
}

fn default_boot_lease() -> u32 {
    DEFAULT_BOOT_LEASE_SECONDS
}

fn yes() -> bool {
    true
}

impl NetworkSettings {
    /// Settings with every optional field at its default.
    pub fn new(name: &str, server: Ipv4Addr, subnet: Ipv4Net) -> NetworkSettings {
        NetworkSettings {
            name: name.to_owned(),
            server,
            subnet,
            mode: Mode::Server,
            pools: Vec::new(),
            reservations: BTreeMap::new(),
            router: None,
            dns: Vec::new(),
            domain: None,
            lease_seconds: DEFAULT_LEASE_SECONDS,
            lease_seconds_boot: DEFAULT_BOOT_LEASE_SECONDS,
            router_advertisements: true,
        }
    }
}

/// Why settings do not make a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The name cannot stand in paths and logs.
    #[error("network name {0:?}: use 1 to 64 of a-z, 0-9 and '-'")]
    Name(String),
    /// The subnet is too large or too small.
    #[error("network {name}: subnet {subnet} has to be between /8 and /30")]
    Subnet {
        /// Network.
        name: String,
        /// As configured.
        subnet: Ipv4Net,
    },
    /// An address is not a usable unicast address.
    #[error("network {name}: {what} {address} is not a host address")]
    NotHost {
        /// Network.
        name: String,
        /// Which address.
        what: &'static str,
        /// As configured.
        address: Ipv4Addr,
    },
    /// An address lies outside the subnet (or is its network or broadcast address).
    #[error("network {name}: {what} {address} is not a host of {subnet}")]
    Outside {
        /// Network.
        name: String,
        /// Which address.
        what: &'static str,
        /// As configured.
        address: Ipv4Addr,
        /// The network's subnet.
        subnet: Ipv4Net,
    },
    /// A pool's last address is before its first.
    #[error("network {name}: pool {first}-{last} ends before it starts")]
    Backwards {
        /// Network.
        name: String,
        /// First.
        first: Ipv4Addr,
        /// Last.
        last: Ipv4Addr,
    },
    /// Too many addresses.
    #[error("network {name}: the pools have {count} addresses, the most is {MAX_POOL}")]
    TooLarge {
        /// Network.
        name: String,
        /// Addresses in all pools.
        count: u64,
    },
    /// Two pools share an address.
    #[error("network {name}: address {address} is in two pools")]
    Overlap {
        /// Network.
        name: String,
        /// The first shared address.
        address: Ipv4Addr,
    },
    /// Two machines have the same reserved address, or it is our own.
    #[error("network {name}: address {address} reserved for {mac} is taken already")]
    Reserved {
        /// Network.
        name: String,
        /// Address.
        address: Ipv4Addr,
        /// Machine.
        mac: Mac,
    },
    /// A reservation's MAC is no NIC's address.
    #[error("network {name}: reservation for {mac}: not the address of a network card")]
    JunkMac {
        /// Network.
        name: String,
        /// Machine.
        mac: Mac,
    },
    /// Neither pool nor reservation.
    #[error("network {0}: has neither a pool nor a reservation, so no machine could get an address")]
    Empty(String),
    /// Lease times.
    #[error("network {name}: {what} = {seconds} has to be between 30 and 2592000 seconds")]
    LeaseTime {
        /// Network.
        name: String,
        /// Field.
        what: &'static str,
        /// As configured.
        seconds: u32,
    },
    /// The domain cannot be sent.
    #[error("network {name}: domain {domain:?} is not a domain name")]
    Domain {
        /// Network.
        name: String,
        /// As configured.
        domain: String,
    },
    /// Too many name servers.
    #[error("network {0}: at most 8 name servers")]
    Dns(String),
}

/// A checked network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    settings: NetworkSettings,
    reserved: BTreeSet<Ipv4Addr>,
    pool: Vec<Ipv4Addr>,
}

impl Network {
    /// Checks `settings`.
    pub fn new(settings: NetworkSettings) -> Result<Network, NetworkError> {
        let name = settings.name.clone();
        let good_name = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        if !good_name {
            return Err(NetworkError::Name(name.chars().take(80).collect()));
        }
        let subnet = settings.subnet.trunc();
        if !(8..=30).contains(&subnet.prefix_len()) {
            return Err(NetworkError::Subnet { name, subnet });
        }
        let not_host = |what, address: Ipv4Addr| {
            let bad = address.is_unspecified() || address.is_broadcast() || address.is_multicast();
            if bad {
                Err(NetworkError::NotHost {
                    name: name.clone(),
                    what,
                    address,
                })
            } else {
                Ok(())
            }
        };
        let inside = |what, address: Ipv4Addr| {
            let good =
                subnet.contains(&address) && address != subnet.network() && address != subnet.broadcast();
            if good {
                Ok(())
            } else {
                Err(NetworkError::Outside {
                    name: name.clone(),
                    what,
                    address,
                    subnet,
                })
            }
        };
        not_host("server", settings.server)?;
        if subnet.contains(&settings.server) {
            inside("server", settings.server)?;
        }
        if let Some(router) = settings.router {
            inside("router", router)?;
        }
        if settings.dns.len() > 8 {
            return Err(NetworkError::Dns(name));
        }
        for dns in &settings.dns {
            not_host("name server", *dns)?;
        }
        if let Some(domain) = &settings.domain {
            let good = (1..=200).contains(&domain.len())
                && domain.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label
                            .bytes()
                            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
                });
            if !good {
                return Err(NetworkError::Domain {
                    name,
                    domain: domain.chars().take(80).collect(),
                });
            }
        }
        for (what, seconds) in [
            ("lease_seconds", settings.lease_seconds),
            ("lease_seconds_boot", settings.lease_seconds_boot),
        ] {
            if !(30..=2_592_000).contains(&seconds) {
                return Err(NetworkError::LeaseTime { name, what, seconds });
            }
        }
        check_pools(&name, &settings.pools, &inside)?;
        let mut reserved = BTreeSet::new();
        for (&mac, &address) in &settings.reservations {
            if mac.is_junk() {
                return Err(NetworkError::JunkMac { name, mac });
            }
            inside("reservation", address)?;
            if address == settings.server || Some(address) == settings.router || !reserved.insert(address) {
                return Err(NetworkError::Reserved { name, address, mac });
            }
        }
        if settings.pools.is_empty() && reserved.is_empty() {
            return Err(NetworkError::Empty(name));
        }
        let ours = [Some(settings.server), settings.router];
        let pool = settings
            .pools
            .iter()
            .flat_map(|range| u32::from(range.first)..=u32::from(range.last))
            .map(Ipv4Addr::from)
            .filter(|address| !reserved.contains(address) && !ours.contains(&Some(*address)))
            .collect();
        Ok(Network {
            settings: NetworkSettings { subnet, ..settings },
            reserved,
            pool,
        })
    }

    /// The settings it was made from, with the subnet's host bits cleared.
    pub fn settings(&self) -> &NetworkSettings {
        &self.settings
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Our address.
    pub fn server(&self) -> Ipv4Addr {
        self.settings.server
    }

    /// The machines' subnet.
    pub fn subnet(&self) -> Ipv4Net {
        self.settings.subnet
    }

    /// Whether machines reach us without a relay: our address lies in their subnet.
    pub fn is_local(&self) -> bool {
        self.settings.subnet.contains(&self.settings.server)
    }

    /// The address reserved for `mac`.
    pub fn reservation(&self, mac: Mac) -> Option<Ipv4Addr> {
        self.settings.reservations.get(&mac).copied()
    }

    /// Whether `address` may be leased to `mac`: its own reservation, or a pool address nobody else reserved.
    pub fn may_lease(&self, mac: Mac, address: Ipv4Addr) -> bool {
        match self.reservation(mac) {
            Some(reserved) => reserved == address,
            None => self.in_pool(address) && !self.reserved.contains(&address) && !self.is_ours(address),
        }
    }

    /// Every address that machines without a reservation can get, in order of the configuration.
    pub fn pool(&self) -> &[Ipv4Addr] {
        &self.pool
    }

    fn in_pool(&self, address: Ipv4Addr) -> bool {
        self.settings
            .pools
            .iter()
            .any(|range| (range.first..=range.last).contains(&address))
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        address == self.settings.server || Some(address) == self.settings.router
    }
}

fn check_pools(
    name: &str,
    pools: &[PoolRange],
    inside: &dyn Fn(&'static str, Ipv4Addr) -> Result<(), NetworkError>,
) -> Result<(), NetworkError> {
    let mut count = 0u64;
    let mut sorted = pools.to_vec();
    sorted.sort_by_key(|range| range.first);
    let mut end: Option<Ipv4Addr> = None;
    for PoolRange { first, last } in sorted {
        if last < first {
            return Err(NetworkError::Backwards {
                name: name.to_owned(),
                first,
                last,
            });
        }
        inside("pool address", first)?;
        inside("pool address", last)?;
        if end.is_some_and(|end| first <= end) {
            return Err(NetworkError::Overlap {
                name: name.to_owned(),
                address: first,
            });
        }
        end = Some(last);
        count += u64::from(u32::from(last) - u32::from(first)) + 1;
    }
    if count > MAX_POOL {
        return Err(NetworkError::TooLarge {
            name: name.to_owned(),
            count,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> NetworkSettings {
        let mut settings =
            NetworkSettings::new("lab", Ipv4Addr::new(10, 0, 0, 1), "10.0.0.0/24".parse().unwrap());
        settings.pools = vec![PoolRange {
            first: Ipv4Addr::new(10, 0, 0, 100),
            last: Ipv4Addr::new(10, 0, 0, 109),
        }];
        settings
    }

    #[test]
    fn good_settings_pass_and_host_bits_are_cleared() {
        let mut good = settings();
        good.subnet = "10.0.0.7/24".parse().unwrap();
        let network = Network::new(good).unwrap();
        assert_eq!(network.subnet().to_string(), "10.0.0.0/24");
        assert_eq!(network.pool().len(), 10);
        assert!(network.is_local());
    }

    #[test]
    fn each_mistake_is_named() {
        type Change = fn(&mut NetworkSettings);
        let ip = Ipv4Addr::new;
        let cases: [(Change, &str); 14] = [
            (|s| s.name = "Lab 1".into(), "network name \"Lab 1\""),
            (
                |s| s.subnet = "10.0.0.0/31".parse().unwrap(),
                "between /8 and /30",
            ),
            (|s| s.server = Ipv4Addr::UNSPECIFIED, "server 0.0.0.0"),
            (
                |s| s.server = Ipv4Addr::new(10, 0, 0, 255),
                "server 10.0.0.255 is not a host",
            ),
            (|s| s.router = Some(Ipv4Addr::new(10, 0, 1, 1)), "router 10.0.1.1"),
            (
                |s| s.dns = vec![Ipv4Addr::BROADCAST],
                "name server 255.255.255.255",
            ),
            (|s| s.domain = Some("a b".into()), "domain \"a b\""),
            (|s| s.lease_seconds = 1, "lease_seconds = 1"),
            (
                |s| s.pools[0].last = Ipv4Addr::new(10, 0, 0, 99),
                "ends before it starts",
            ),
            (
                |s| s.pools[0].last = Ipv4Addr::new(10, 0, 1, 9),
                "pool address 10.0.1.9",
            ),
            (|s| s.pools.push(s.pools[0]), "in two pools"),
            (|s| s.pools.clear(), "neither a pool nor a reservation"),
            (
                |s| {
                    s.reservations.insert(Mac([2, 0, 0, 0, 0, 1]), s.server);
                },
                "reserved for 02:00:00:00:00:01 is taken",
            ),
            (
                |s| {
                    s.reservations.insert(Mac([0xff; 6]), Ipv4Addr::new(10, 0, 0, 9));
                },
                "not the address of a network card",
            ),
        ];
        for (change, expected) in cases {
            let mut bad = settings();
            change(&mut bad);
            let error = Network::new(bad).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
        let mut wide = settings();
        wide.subnet = "10.0.0.0/8".parse().unwrap();
        wide.pools[0].last = ip(10, 9, 0, 0);
        assert!(
            Network::new(wide)
                .unwrap_err()
                .to_string()
                .contains("the most is 65536")
        );
    }

    #[test]
    fn a_reserved_address_is_for_its_machine_only() {
        let mut with = settings();
        let (mac, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        with.reservations.insert(mac, Ipv4Addr::new(10, 0, 0, 103));
        let network = Network::new(with).unwrap();
        assert!(network.may_lease(mac, Ipv4Addr::new(10, 0, 0, 103)));
        assert!(!network.may_lease(mac, Ipv4Addr::new(10, 0, 0, 104)));
        assert!(!network.may_lease(other, Ipv4Addr::new(10, 0, 0, 103)));
        assert!(network.may_lease(other, Ipv4Addr::new(10, 0, 0, 104)));
        assert!(network.pool().iter().all(|a| *a != Ipv4Addr::new(10, 0, 0, 103)));
    }
}
