//! A provisioning network: where we answer, and with which addresses.

pub(crate) mod address;
pub(crate) mod addresses;
pub(crate) mod check;
pub(crate) mod lease;
pub(crate) mod reserve;
pub(crate) mod settings;
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
mod tests;
