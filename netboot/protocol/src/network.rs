//! A provisioning network: where we answer, and with which addresses.

pub(crate) mod address;
pub mod addresses;
pub mod check;
pub mod lease;
pub mod reserve;
pub mod settings;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::{Ipv4AddrRange, Ipv4Net};

use crate::dhcp4::class::{Class, merged};
use crate::dhcp4::client::PxeClient;
use crate::dhcp4::code::IPV6_ONLY;
use crate::dhcp4::options::{Options, fixed_options};
use crate::network::addresses::{Addresses, Written};
use crate::network::check::{NetworkError, check_addresses, check_inside, check_numbers};
use crate::network::settings::{Mode, NetworkSettings};

/// A checked network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    settings: NetworkSettings,
    addresses: Addresses,
    options: Options,
    classes: Vec<Class>,
    v6: Option<crate::dhcp6::Network>,
}

impl Network {
    /// Checks `settings`.
    pub fn new(settings: NetworkSettings) -> Result<Network, NetworkError> {
        let name = &settings.name;
        let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(good) {
            let name: String = name.chars().take(80).collect();
            let why = "use 1 to 64 of a-z, 0-9 and '-'".to_owned();
            return Err(NetworkError::at(format!("name {name:?}"))(why));
        }
        let wrong = NetworkError::at(name.clone());
        let subnet = settings.subnet.trunc();
        if !(8..=30).contains(&subnet.prefix_len()) {
            return Err(wrong(format!("subnet {subnet} must be between /8 and /30")));
        }
        check_addresses(&settings, subnet).map_err(&wrong)?;
        check_numbers(&settings).map_err(&wrong)?;
        let written = Written {
            pools: &settings.pools,
            exclude: &settings.exclude,
            reservations: &settings.reservations,
            unknown_share: settings.unknown_share,
            ours: &[&[settings.server][..], &settings.routers].concat(),
        };
        let inside = |what: &str, address| check_inside(subnet, what, address);
        let addresses = Addresses::new(&written, inside, Ipv4AddrRange::new).map_err(&wrong)?;
        if settings.mode == Mode::Server && settings.pools.is_empty() && settings.reservations.is_empty() {
            let why =
                "mode = \"server\" needs a pool or a reservation: otherwise no machine could get an address";
            return Err(wrong(why.to_owned()));
        }
        let options = fixed_options(&settings, false).map_err(&wrong)?;
        let classes = classes(&settings, subnet, &options)?;
        let v6 = crate::dhcp6::Network::of(&settings).map_err(&wrong)?;
        Ok(Network {
            settings: NetworkSettings { subnet, ..settings },
            addresses,
            options,
            classes,
            v6,
        })
    }

    /// The settings it was made from, with the subnet's host bits cleared.
    pub fn settings(&self) -> &NetworkSettings {
        &self.settings
    }

    /// Its name.
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

    /// Its DHCPv6, if configured.
    pub fn v6(&self) -> Option<&crate::dhcp6::Network> {
        self.v6.as_ref()
    }

    /// A client's options by code: from the first of its classes that sets one, else from the network.
    pub(crate) fn options<'a>(&'a self, client: &PxeClient) -> BTreeMap<u8, &'a [u8]> {
        let classes = self.classes_of(client).flat_map(|class| &class.options);
        let mut options = BTreeMap::new();
        for (code, value) in classes.chain(&self.options) {
            options.entry(*code).or_insert(&value[..]);
        }
        if !client.wants(IPV6_ONLY) {
            options.remove(&IPV6_ONLY);
        }
        options
    }

    pub(crate) fn lease_seconds(&self, client: &PxeClient) -> u32 {
        let of_class = self.classes_of(client).find_map(|class| class.lease_seconds);
        of_class.unwrap_or(self.settings.lease_seconds(client.kind))
    }

    /// The server for the client's files, if it is not us.
    pub(crate) fn next_server(&self, client: &PxeClient) -> Option<Ipv4Addr> {
        let of_class = self.classes_of(client).find_map(|class| class.next_server);
        of_class.or(self.settings.next_server)
    }

    fn classes_of<'a, 'c>(&'a self, client: &'c PxeClient) -> impl Iterator<Item = &'a Class> + use<'a, 'c> {
        self.classes.iter().filter(|class| class.has(client))
    }

    /// Whether machines reach us without a relay: our address is in their subnet.
    pub fn is_local(&self) -> bool {
        self.settings.subnet.contains(&self.settings.server)
    }

    /// Its pools and configured reservations.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether a machine may have `address`: a host of the subnet that is not ours.
    pub fn may_be_host(&self, address: Ipv4Addr) -> bool {
        let hosts = self.settings.subnet;
        hosts.contains(&address)
            && address != hosts.network()
            && address != hosts.broadcast()
            && !self.is_ours(address)
    }

    /// Whether `address` may be reserved at run time: a host of the subnet that is neither ours nor reserved
    /// in the configuration.
    pub fn may_reserve(&self, address: Ipv4Addr) -> bool {
        self.may_be_host(address) && !self.addresses.is_reserved(address)
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        address == self.settings.server || self.settings.routers.contains(&address)
    }
}

fn classes(
    settings: &NetworkSettings,
    subnet: Ipv4Net,
    network: &Options,
) -> Result<Vec<Class>, NetworkError> {
    let mut checked = Vec::new();
    for (at, class) in settings.classes.iter().enumerate() {
        let wrong = NetworkError::at(format!("{}, class {}", settings.name, class.name.escape_debug()));
        if !(1..=64).contains(&class.name.len()) {
            return Err(wrong("`name` must have 1 to 64 characters".to_owned()));
        }
        let before = &settings.classes[..at];
        if before.iter().any(|other| other.name == class.name) {
            return Err(wrong("the name is used twice".to_owned()));
        }
        let all = merged(settings, class);
        check_addresses(&all, subnet).map_err(&wrong)?;
        check_numbers(&all).map_err(&wrong)?;
        let options = fixed_options(&all, true).map_err(&wrong)?;
        checked.push(Class::new(class, options, network).map_err(wrong)?);
    }
    Ok(checked)
}

/// The one of `networks` that conflicts with `new`, and why. Networks are found by address, so subnets must
/// not overlap.
pub fn clash<'a>(networks: &'a [Network], new: &Network) -> Option<(&'a Network, &'static str)> {
    networks.iter().find_map(|old| {
        let (a, b) = (old.subnet(), new.subnet());
        let why = if old.name() == new.name() {
            "have the same name"
        } else if a.contains(&b) || b.contains(&a) {
            "have overlapping subnets"
        } else if let (Some(a), Some(b)) = (old.v6(), new.v6())
            && (a.prefix().contains(&b.prefix()) || b.prefix().contains(&a.prefix()))
        {
            "have overlapping IPv6 prefixes"
        } else {
            return None;
        };
        Some((old, why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::settings::PoolRange;
    use inventory_api::Mac;

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

    fn class(name: &str, vendor: Option<&str>) -> crate::ClassSettings {
        let mut class = crate::ClassSettings {
            name: name.to_owned(),
            ..Default::default()
        };
        class.matches.vendor_class = vendor.map(str::to_owned);
        class
    }

    #[test]
    fn excluded_addresses_go_to_nobody_and_an_observer_needs_no_pool() {
        let ip = |n| Ipv4Addr::new(10, 0, 0, n);
        let mut with = settings();
        with.exclude = vec![PoolRange {
            first: ip(102),
            last: ip(107),
        }];
        let network = Network::new(with).unwrap();
        assert_eq!(network.addresses().pool(), [100, 101, 108, 109].map(ip));
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        assert!(!network.addresses().may_lease(mac, ip(105)) && network.addresses().may_lease(mac, ip(108)));
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
        assert_eq!(network.addresses().pool().len(), 10);
        assert!(network.is_local());
    }

    #[test]
    fn each_mistake_is_named() {
        type Change = fn(&mut NetworkSettings);
        let ip = Ipv4Addr::new;
        let cases: [(Change, &str); 35] = [
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
            (
                |s| s.routers = vec![Ipv4Addr::new(10, 0, 0, 254), Ipv4Addr::new(10, 0, 1, 1)],
                "router 10.0.1.1",
            ),
            (
                |s| s.routers = vec![Ipv4Addr::new(10, 0, 0, 254); 2],
                "router 10.0.0.254 is listed twice",
            ),
            (
                |s| s.dns = (1..10).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect(),
                "dns has 9 addresses; at most 8 are allowed",
            ),
            (
                |s| s.next_server = Some(Ipv4Addr::UNSPECIFIED),
                "next_server 0.0.0.0 is not a host",
            ),
            (
                |s| s.ipv6_only_seconds = Some(60),
                "ipv6_only_seconds = 60 must be between 300",
            ),
            (|s| s.decline_seconds = 0, "decline_seconds = 0"),
            (
                |s| s.classes = vec![class("phones", None)],
                "class phones: `match` is empty: give at least one of vendor_class",
            ),
            (
                |s| s.classes = vec![class("", Some("x"))],
                "`name` must have 1 to 64",
            ),
            (
                |s| s.classes = vec![class("a", Some("x")), class("a", Some("y"))],
                "class a: the name is used twice",
            ),
            (
                |s| s.classes = vec![class("a", Some("0x123"))],
                "class a: vendor_class = \"0x123\" is not hexadecimal",
            ),
            (
                |s| {
                    s.classes = vec![class("a", Some("x"))];
                    s.classes[0].matches.mac = Some("nine".into());
                },
                "mac = \"nine\" is neither a MAC address nor",
            ),
            (
                |s| {
                    s.classes = vec![class("a", Some("x"))];
                    s.classes[0].routers = vec![Ipv4Addr::new(10, 9, 0, 1)];
                },
                "network lab, class a: router 10.9.0.1 is not a host of 10.0.0.0/24",
            ),
            (
                |s| {
                    s.classes = vec![class("a", Some("x"))];
                    s.classes[0].lease_seconds = Some(9);
                },
                "network lab, class a: lease_seconds = 9",
            ),
            (
                |s| {
                    s.classes = vec![class("a", Some("x"))];
                    s.classes[0].options = vec![crate::network::settings::CustomOption {
                        code: 53,
                        ..Default::default()
                    }];
                },
                "network lab, class a: option 53 cannot be set by hand",
            ),
            (
                |s| s.dns = vec![Ipv4Addr::BROADCAST],
                "name server 255.255.255.255",
            ),
            (|s| s.domain = Some("a b".into()), "domain \"a b\""),
            (|s| s.lease_seconds = 1, "lease_seconds = 1"),
            (
                |s| s.unknown_share = 0,
                "unknown_share = 0 must be between 1 and 100",
            ),
            (|s| s.mtu = Some(60), "mtu = 60"),
            (
                |s| s.tftp_blksize_max = Some(500),
                "tftp_blksize_max = 500 must be between 512 and 65464",
            ),
            (
                |s| s.search = vec!["a".repeat(60); 17],
                "search is longer than 1024 bytes",
            ),
            (|s| s.search = vec!["a..b".into()], "domain \"a..b\""),
            (
                |s| {
                    s.routes = vec![crate::network::settings::Route {
                        to: "10.9.0.0/16".parse().unwrap(),
                        via: Ipv4Addr::new(10, 9, 0, 1),
                    }];
                },
                "via 10.9.0.1 is not a host",
            ),
            (
                |s| {
                    s.options = vec![crate::network::settings::CustomOption {
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
                "reserved for 02:00:00:00:00:01 is already taken",
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
                .contains("more than 65536")
        );
    }

    #[test]
    fn a_reserved_address_is_for_its_machine_only() {
        let mut with = settings();
        let (mac, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        with.reservations.insert(mac, Ipv4Addr::new(10, 0, 0, 103));
        let network = Network::new(with).unwrap();
        assert!(network.addresses().may_lease(mac, Ipv4Addr::new(10, 0, 0, 103)));
        assert!(!network.addresses().may_lease(mac, Ipv4Addr::new(10, 0, 0, 104)));
        assert!(!network.addresses().may_lease(other, Ipv4Addr::new(10, 0, 0, 103)));
        assert!(network.addresses().may_lease(other, Ipv4Addr::new(10, 0, 0, 104)));
        assert!(
            network
                .addresses()
                .pool()
                .iter()
                .all(|a| *a != Ipv4Addr::new(10, 0, 0, 103))
        );
    }
}
