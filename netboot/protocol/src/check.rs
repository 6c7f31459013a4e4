//! What makes settings a network that can be served, and what is wrong with those that do not.

use std::net::Ipv4Addr;

use inventory_api::Mac;
use ipnet::Ipv4Net;

use crate::custom::is_domain;
use crate::network::{MAX_POOL, Network};
use crate::options::LONGEST;
use crate::settings::{NetworkSettings, PoolRange};

/// The most routers, name servers or time servers.
const MOST_SERVERS: usize = 8;

/// Why settings do not make a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The name cannot stand in paths and logs.
    #[error("network name {0:?}: use 1 to 64 of a-z, 0-9 and '-'")]
    Name(String),
    /// A kernel argument that cannot stand in a boot script.
    #[error("network {name}: kernel_args: {source}")]
    KernelArgs {
        /// Network.
        name: String,
        /// Which, and why.
        source: crate::script::ScriptError,
    },
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
    #[error("network {name}: {what} = {seconds} has to be between 10 and 2592000 seconds (30 days)")]
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
    /// Too many addresses of one kind.
    #[error("network {name}: {what} has {count} addresses, the most is {MOST_SERVERS}")]
    TooMany {
        /// Network.
        name: String,
        /// Field.
        what: &'static str,
        /// As configured.
        count: usize,
    },
    /// An address stands twice in a list.
    #[error("network {name}: {what} {address} stands there twice")]
    Twice {
        /// Network.
        name: String,
        /// Which address.
        what: &'static str,
        /// As configured.
        address: Ipv4Addr,
    },
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
    /// What does not fit into a message.
    #[error("network {name}: {what} has more than the {LONGEST} bytes that can be sent; take some out")]
    TooLong {
        /// Network.
        name: String,
        /// Field.
        what: &'static str,
    },
    /// A class whose members cannot be told.
    #[error("network {name}, class {class}: {why}")]
    Class {
        /// Network.
        name: String,
        /// The class, as configured.
        class: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// DHCPv6 as it is configured cannot be served.
    #[error("network {name}: [network.v6] {why}")]
    V6 {
        /// Network.
        name: String,
        /// What is wrong, and what to do.
        why: String,
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

pub(crate) fn check_inside(
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
pub(crate) fn check_addresses(settings: &NetworkSettings, subnet: Ipv4Net) -> Result<(), NetworkError> {
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
    for route in &settings.routes {
        inside("via", route.via)?;
    }
    if let Some(next) = settings.next_server {
        host("next_server", next)?;
    }
    for (what, one, all) in [
        ("router", "router", &settings.routers),
        ("dns", "name server", &settings.dns),
        ("ntp", "time server", &settings.ntp),
    ] {
        if all.len() > MOST_SERVERS {
            return Err(NetworkError::TooMany {
                name: name(),
                what,
                count: all.len(),
            });
        }
        for (at, &address) in all.iter().enumerate() {
            host(one, address)?;
            if all[..at].contains(&address) {
                return Err(NetworkError::Twice {
                    name: name(),
                    what: one,
                    address,
                });
            }
        }
    }
    for router in &settings.routers {
        inside("router", *router)?;
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

pub(crate) fn check_numbers(settings: &NetworkSettings) -> Result<(), NetworkError> {
    let name = || settings.name.clone();
    crate::script::check_kernel_args(&settings.kernel_args)
        .map_err(|source| NetworkError::KernelArgs { name: name(), source })?;
    for (what, seconds) in [
        ("lease_seconds", settings.lease_seconds),
        ("lease_seconds_boot", settings.lease_seconds_boot),
    ] {
        if !(10..=2_592_000).contains(&seconds) {
            return Err(NetworkError::LeaseTime {
                name: name(),
                what,
                seconds,
            });
        }
    }
    for (what, value, least, most) in [
        ("look_seconds", settings.look_seconds, 0, 60),
        ("decline_seconds", settings.decline_seconds, 1, 2_592_000),
        ("unknown_share", u32::from(settings.unknown_share), 1, 100),
        // RFC 8925, 3.4: MIN_V6ONLY_WAIT.
        (
            "ipv6_only_seconds",
            settings.ipv6_only_seconds.unwrap_or(1800),
            300,
            u32::MAX,
        ),
        // RFC 2132, 5.1: at least 68.
        ("mtu", u32::from(settings.mtu.unwrap_or(1500)), 68, 65_535),
        // 512 bytes is a block without the option (RFC 1350), 65464 the largest with it (RFC 2348).
        (
            "tftp_blksize_max",
            u32::from(settings.tftp_blksize_max.unwrap_or(1468)),
            512,
            65_464,
        ),
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

pub(crate) fn check_ranges(
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

/// The one among `networks` that cannot stand beside `new`, and what they share. Each is found by an address, so no subnet may
/// lie in another.
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
