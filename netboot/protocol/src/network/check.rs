//! Checks a network's settings.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::boot::script::check_kernel_args;
use crate::names::is_domain;
use crate::network::settings::NetworkSettings;

/// The most routers, name servers or time servers.
const MOST_SERVERS: usize = 8;

/// What is wrong with a network's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network {place}: {why}")]
pub struct NetworkError {
    /// The network's name, and the class's if the mistake is in one.
    place: String,
    /// What is wrong, and what to do.
    why: String,
}

impl NetworkError {
    /// Makes errors for a network or class.
    pub(crate) fn at(place: String) -> impl Fn(String) -> NetworkError {
        move |why| NetworkError {
            place: place.clone(),
            why,
        }
    }
}

pub(crate) fn check_inside(subnet: Ipv4Net, what: &str, address: Ipv4Addr) -> Result<(), String> {
    if subnet.contains(&address) && address != subnet.network() && address != subnet.broadcast() {
        return Ok(());
    }
    Err(format!("{what} {address} is not a host of {subnet}"))
}

/// Checks addresses and names that are sent.
///
/// # Errors
/// What is wrong with one.
pub(crate) fn check_addresses(settings: &NetworkSettings, subnet: Ipv4Net) -> Result<(), String> {
    let host = |what: &str, address: Ipv4Addr| {
        if address.is_unspecified() || address.is_broadcast() || address.is_multicast() {
            return Err(format!("{what} {address} is not a host address"));
        }
        Ok(())
    };
    let inside = |what, address| check_inside(subnet, what, address);
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
            let count = all.len();
            return Err(format!(
                "{what} has {count} addresses; at most {MOST_SERVERS} are allowed"
            ));
        }
        for (at, &address) in all.iter().enumerate() {
            host(one, address)?;
            if all[..at].contains(&address) {
                return Err(format!("{one} {address} is listed twice"));
            }
        }
    }
    for router in &settings.routers {
        inside("router", *router)?;
    }
    let mut domains = settings.domain.iter().chain(&settings.search);
    match domains.find(|domain| !is_domain(domain)) {
        Some(domain) => {
            let domain: String = domain.chars().take(80).collect();
            Err(format!("domain {domain:?} is not a domain name"))
        }
        None => Ok(()),
    }
}

/// # Errors
/// What is wrong with a number or with the kernel arguments.
pub(crate) fn check_numbers(settings: &NetworkSettings) -> Result<(), String> {
    check_kernel_args(&settings.kernel_args).map_err(|why| format!("kernel_args: {why}"))?;
    for (what, seconds) in [
        ("lease_seconds", settings.lease_seconds),
        ("lease_seconds_boot", settings.lease_seconds_boot),
    ] {
        if !(10..=2_592_000).contains(&seconds) {
            return Err(format!(
                "{what} = {seconds} must be between 10 and 2592000 seconds (30 days)"
            ));
        }
    }
    let (unknown_share, mtu) = (settings.unknown_share.into(), settings.mtu.unwrap_or(1500).into());
    let ipv6_only = settings.ipv6_only_seconds.unwrap_or(300);
    let blksize = settings.tftp_blksize_max.unwrap_or(1468).into();
    for (what, value, least, most) in [
        ("look_seconds", settings.look_seconds, 0, 60),
        ("decline_seconds", settings.decline_seconds, 1, 2_592_000),
        ("unknown_share", unknown_share, 1, 100),
        // RFC 8925, 3.4: MIN_V6ONLY_WAIT.
        ("ipv6_only_seconds", ipv6_only, 300, u32::MAX),
        // RFC 2132, 5.1: at least 68.
        ("mtu", mtu, 68, 65_535),
        // 512 bytes is a block without the option (RFC 1350), 65464 the largest with it (RFC 2348).
        ("tftp_blksize_max", blksize, 512, 65_464),
    ] {
        if !(least..=most).contains(&value) {
            return Err(format!("{what} = {value} must be between {least} and {most}"));
        }
    }
    Ok(())
}
