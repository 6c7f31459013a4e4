//! A provisioning network: where we answer, with which addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use inventory_api::Mac;
use ipnet::Ipv4Net;

use crate::custom::{classless_routes, custom_option, is_domain, search_list};
use crate::settings::{Mode, NetworkSettings, PoolRange};

/// The most addresses that the pools of one network may have (a /16): leases are kept in memory.
pub const MAX_POOL: u64 = 65_536;

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
    /// A range's last address is before its first.
    #[error("network {name}: {what} {first}-{last} ends before it starts")]
    Backwards {
        /// Network.
        name: String,
        /// Pool or exclusion.
        what: &'static str,
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
    /// Neither pool nor reservation in server mode.
    #[error(
        "network {0}: mode = \"server\" needs a pool or a reservation, else no machine could get an address"
    )]
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
    /// Too many name servers or time servers.
    #[error("network {0}: at most 8 name servers and 8 time servers")]
    Dns(String),
    /// A number outside of its bounds.
    #[error("network {name}: {what} = {value} has to be between {least} and {most}")]
    Number {
        /// Network.
        name: String,
        /// Field.
        what: &'static str,
        /// As configured.
        value: u32,
        /// The least allowed.
        least: u32,
        /// The most allowed.
        most: u32,
    },
    /// What does not fit into one option.
    #[error("network {name}: {what} has more than the 255 bytes that can be sent; take some out")]
    TooLong {
        /// Network.
        name: String,
        /// Field.
        what: &'static str,
    },
    /// An option that cannot be sent.
    #[error("network {name}: option {code} {why}")]
    Option {
        /// Network.
        name: String,
        /// Its code.
        code: u8,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// A checked network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    settings: NetworkSettings,
    reserved: BTreeSet<Ipv4Addr>,
    pool: Vec<Ipv4Addr>,
    /// Options 119, 121 and those added by hand, as they are sent.
    options: Vec<(u8, Vec<u8>)>,
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
        let inside = |what, address: Ipv4Addr| check_inside(&name, subnet, what, address);
        check_addresses(&settings, subnet)?;
        check_numbers(&settings)?;
        check_ranges(&name, "pool", &settings.pools, &inside)?;
        check_ranges(&name, "exclude", &settings.exclude, &inside)?;
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
        if settings.mode == Mode::Server && settings.pools.is_empty() && reserved.is_empty() {
            return Err(NetworkError::Empty(name));
        }
        let options = own_options(&settings)?;
        let ours = [Some(settings.server), settings.router];
        let excluded = |address: &Ipv4Addr| settings.exclude.iter().any(|range| range.contains(*address));
        let pool = settings
            .pools
            .iter()
            .flat_map(|range| u32::from(range.first)..=u32::from(range.last))
            .map(Ipv4Addr::from)
            .filter(|address| !reserved.contains(address) && !ours.contains(&Some(*address)))
            .filter(|address| !excluded(address))
            .collect();
        Ok(Network {
            settings: NetworkSettings { subnet, ..settings },
            reserved,
            pool,
            options,
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

    /// How we serve it.
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Options 119, 121 and those added by hand: code and bytes.
    pub fn own_options(&self) -> &[(u8, Vec<u8>)] {
        &self.options
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

    /// Whether `address` can be a machine's: a host of the subnet that is not ours.
    pub fn may_be_host(&self, address: Ipv4Addr) -> bool {
        let hosts = self.settings.subnet;
        hosts.contains(&address)
            && address != hosts.network()
            && address != hosts.broadcast()
            && !self.is_ours(address)
    }

    /// Whether a person may reserve `address` here: a host of the subnet that is neither ours nor reserved in the
    /// configuration.
    pub fn may_reserve(&self, address: Ipv4Addr) -> bool {
        self.may_be_host(address) && !self.reserved.contains(&address)
    }

    /// Every address that machines without a reservation can get, in order of the configuration.
    pub fn pool(&self) -> &[Ipv4Addr] {
        &self.pool
    }

    fn in_pool(&self, address: Ipv4Addr) -> bool {
        self.settings.pools.iter().any(|range| range.contains(address))
            && !self.settings.exclude.iter().any(|range| range.contains(address))
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        address == self.settings.server || Some(address) == self.settings.router
    }
}

fn check_inside(
    name: &str,
    subnet: Ipv4Net,
    what: &'static str,
    address: Ipv4Addr,
) -> Result<(), NetworkError> {
    if subnet.contains(&address) && address != subnet.network() && address != subnet.broadcast() {
        return Ok(());
    }
    Err(NetworkError::Outside {
        name: name.to_owned(),
        what,
        address,
        subnet,
    })
}

/// Addresses and names that are sent.
fn check_addresses(settings: &NetworkSettings, subnet: Ipv4Net) -> Result<(), NetworkError> {
    let name = || settings.name.clone();
    let host = |what, address: Ipv4Addr| {
        if address.is_unspecified() || address.is_broadcast() || address.is_multicast() {
            return Err(NetworkError::NotHost {
                name: name(),
                what,
                address,
            });
        }
        Ok(())
    };
    let inside = |what, address| check_inside(&settings.name, subnet, what, address);
    host("server", settings.server)?;
    if subnet.contains(&settings.server) {
        inside("server", settings.server)?;
    }
    if let Some(router) = settings.router {
        inside("router", router)?;
    }
    for route in &settings.routes {
        inside("via", route.via)?;
    }
    if settings.dns.len() > 8 || settings.ntp.len() > 8 {
        return Err(NetworkError::Dns(name()));
    }
    for dns in &settings.dns {
        host("name server", *dns)?;
    }
    for ntp in &settings.ntp {
        host("time server", *ntp)?;
    }
    match settings
        .domain
        .iter()
        .chain(&settings.search)
        .find(|domain| !is_domain(domain))
    {
        Some(domain) => Err(NetworkError::Domain {
            name: name(),
            domain: domain.chars().take(80).collect(),
        }),
        None => Ok(()),
    }
}

fn check_numbers(settings: &NetworkSettings) -> Result<(), NetworkError> {
    let name = || settings.name.clone();
    for (what, seconds) in [
        ("lease_seconds", settings.lease_seconds),
        ("lease_seconds_boot", settings.lease_seconds_boot),
    ] {
        if !(30..=2_592_000).contains(&seconds) {
            return Err(NetworkError::LeaseTime {
                name: name(),
                what,
                seconds,
            });
        }
    }
    for (what, value, least, most) in [
        ("look_seconds", settings.look_seconds, 0, 60),
        ("unknown_share", u32::from(settings.unknown_share), 1, 100),
        // RFC 2132, 5.1: at least 68.
        ("mtu", u32::from(settings.mtu.unwrap_or(1500)), 68, 65_535),
    ] {
        if !(least..=most).contains(&value) {
            return Err(NetworkError::Number {
                name: name(),
                what,
                value,
                least,
                most,
            });
        }
    }
    Ok(())
}

fn own_options(settings: &NetworkSettings) -> Result<Vec<(u8, Vec<u8>)>, NetworkError> {
    let name = || settings.name.clone();
    let too_long = |what| NetworkError::TooLong { name: name(), what };
    let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
    if !settings.search.is_empty() {
        options.push((119, search_list(&settings.search).ok_or(too_long("search"))?));
    }
    if !settings.routes.is_empty() {
        let routes = classless_routes(&settings.routes, settings.router).ok_or(too_long("routes"))?;
        options.push((121, routes));
    }
    for option in &settings.options {
        let wrong = |why: String| NetworkError::Option {
            name: name(),
            code: option.code,
            why,
        };
        let (code, bytes) = custom_option(option).map_err(wrong)?;
        if options.iter().any(|(other, _)| *other == code) {
            return Err(wrong("stands there twice".to_owned()));
        }
        options.push((code, bytes));
    }
    Ok(options)
}

fn check_ranges(
    name: &str,
    what: &'static str,
    ranges: &[PoolRange],
    inside: &dyn Fn(&'static str, Ipv4Addr) -> Result<(), NetworkError>,
) -> Result<(), NetworkError> {
    let address = if what == "pool" {
        "pool address"
    } else {
        "excluded address"
    };
    let mut count = 0u64;
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.first);
    let mut end: Option<Ipv4Addr> = None;
    for PoolRange { first, last } in sorted {
        if last < first {
            return Err(NetworkError::Backwards {
                name: name.to_owned(),
                what,
                first,
                last,
            });
        }
        inside(address, first)?;
        inside(address, last)?;
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
        settings.mode = Mode::Server;
        settings.pools = vec![PoolRange {
            first: Ipv4Addr::new(10, 0, 0, 100),
            last: Ipv4Addr::new(10, 0, 0, 109),
        }];
        settings
    }

    #[test]
    fn excluded_addresses_are_nobodys_and_an_observer_needs_no_pool() {
        let ip = |n| Ipv4Addr::new(10, 0, 0, n);
        let mut with = settings();
        with.exclude = vec![PoolRange {
            first: ip(102),
            last: ip(107),
        }];
        let network = Network::new(with).unwrap();
        assert_eq!(network.pool(), [100, 101, 108, 109].map(ip));
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        assert!(!network.may_lease(mac, ip(105)) && network.may_lease(mac, ip(108)));
        assert!(network.may_reserve(ip(105)) && network.may_reserve(ip(9)));
        assert!(!network.may_reserve(ip(1)) && !network.may_reserve(ip(255)) && !network.may_reserve(ip(0)));
        for mode in [Mode::Observe, Mode::Proxy] {
            let mut bare = settings();
            (bare.mode, bare.pools) = (mode, Vec::new());
            assert!(Network::new(bare).is_ok());
        }
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
        let cases: [(Change, &str); 21] = [
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
                |s| s.unknown_share = 0,
                "unknown_share = 0 has to be between 1 and 100",
            ),
            (|s| s.mtu = Some(60), "mtu = 60"),
            (
                |s| s.search = vec!["a".repeat(60); 9],
                "search has more than the 255 bytes",
            ),
            (|s| s.search = vec!["a..b".into()], "domain \"a..b\""),
            (
                |s| {
                    s.routes = vec![crate::settings::Route {
                        to: "10.9.0.0/16".parse().unwrap(),
                        via: Ipv4Addr::new(10, 9, 0, 1),
                    }];
                },
                "via 10.9.0.1 is not a host",
            ),
            (
                |s| {
                    s.options = vec![crate::settings::CustomOption {
                        code: 53,
                        ..Default::default()
                    }]
                },
                "option 53 cannot be set by hand",
            ),
            (
                |s| {
                    s.exclude = vec![PoolRange {
                        first: Ipv4Addr::new(10, 0, 1, 1),
                        last: Ipv4Addr::new(10, 0, 1, 2),
                    }]
                },
                "excluded address 10.0.1.1",
            ),
            (
                |s| s.pools[0].last = Ipv4Addr::new(10, 0, 0, 99),
                "ends before it starts",
            ),
            (
                |s| s.pools[0].last = Ipv4Addr::new(10, 0, 1, 9),
                "pool address 10.0.1.9",
            ),
            (|s| s.pools.push(s.pools[0]), "in two pools"),
            (|s| s.pools.clear(), "needs a pool or a reservation"),
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
