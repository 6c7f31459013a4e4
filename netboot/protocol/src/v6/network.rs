//! DHCPv6 of a network, checked.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use inventory_api::Mac;
use ipnet::Ipv6Net;

use crate::check::NetworkError;
use crate::lease::AddressPool;
use crate::network::MAX_POOL;
use crate::settings::{Mode, NetworkSettings, V6Settings};

/// A checked `[network.v6]`, with what it shares with its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    name: String,
    settings: V6Settings,
    lease_seconds: u32,
    lease_seconds_boot: u32,
    decline_seconds: u32,
    unknown_share: u8,
    domain: Option<String>,
    reserved: BTreeSet<Ipv6Addr>,
    pool: Vec<Ipv6Addr>,
}

impl Network {
    /// Checks the settings; `None`: no DHCPv6 there.
    pub(crate) fn of(all: &NetworkSettings) -> Result<Option<Network>, NetworkError> {
        let Some(settings) = all.v6.clone() else {
            return Ok(None);
        };
        let checked = check(&settings).map_err(|why| NetworkError::V6 {
            name: all.name.clone(),
            why,
        })?;
        let (reserved, pool) = checked;
        Ok(Some(Network {
            name: all.name.clone(),
            settings: V6Settings {
                prefix: settings.prefix.trunc(),
                ..settings
            },
            lease_seconds: all.lease_seconds,
            lease_seconds_boot: all.lease_seconds_boot,
            decline_seconds: all.decline_seconds,
            unknown_share: all.unknown_share,
            domain: all.domain.clone(),
            reserved,
            pool,
        }))
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings it was made from, with the prefix's host bits cleared.
    pub fn settings(&self) -> &V6Settings {
        &self.settings
    }

    /// Our address.
    pub fn server(&self) -> Ipv6Addr {
        self.settings.server
    }

    /// The machines' prefix.
    pub fn prefix(&self) -> Ipv6Net {
        self.settings.prefix
    }

    /// How we serve it.
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Whether machines reach us without a relay: our address has their prefix.
    pub fn is_local(&self) -> bool {
        self.settings.prefix.contains(&self.settings.server)
    }

    /// Whether `address` can be a machine's: it has the prefix, and is neither ours nor the routers' (RFC 4291, 2.6.1).
    pub fn may_be_host(&self, address: Ipv6Addr) -> bool {
        let prefix = self.settings.prefix;
        prefix.contains(&address) && address != prefix.network() && address != self.settings.server
    }

    /// Seconds of a lease, for who boots and for who does not.
    pub(crate) fn decline_seconds(&self) -> u32 {
        self.decline_seconds
    }

    pub(crate) fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    pub(crate) fn lease_seconds(&self, boots: bool) -> u32 {
        if boots {
            self.lease_seconds_boot
        } else {
            self.lease_seconds
        }
    }
}

impl AddressPool<Ipv6Addr> for Network {
    fn pool(&self) -> &[Ipv6Addr] {
        &self.pool
    }

    fn reserved(&self) -> usize {
        self.reserved.len()
    }

    fn reservation(&self, mac: Mac) -> Option<Ipv6Addr> {
        self.settings.reservations.get(&mac).copied()
    }

    fn may_lease(&self, mac: Mac, address: Ipv6Addr) -> bool {
        match self.reservation(mac) {
            Some(reserved) => reserved == address,
            None => {
                let in_pool = self.settings.pools.iter().any(|range| range.contains(address));
                in_pool && !self.reserved.contains(&address) && self.may_be_host(address)
            }
        }
    }

    fn unknown_share(&self) -> u8 {
        self.unknown_share
    }
}

/// Longest boot parameters together, in bytes: with everything else in one packet of 1280 bytes, which every link takes.
const MAX_PARAMETERS: usize = 512;

type Addresses = (BTreeSet<Ipv6Addr>, Vec<Ipv6Addr>);

/// The reserved addresses and those of the pools, or what is wrong and what to do.
fn check(settings: &V6Settings) -> Result<Addresses, String> {
    let V6Settings { server, mode, .. } = settings;
    let prefix = settings.prefix.trunc();
    if *mode == Mode::Proxy {
        return Err("mode = \"proxy\": DHCPv6 has no proxies, use \"observe\" or \"server\"".to_owned());
    }
    if !(32..=120).contains(&prefix.prefix_len()) {
        return Err(format!("prefix {prefix} has to be between /32 and /120"));
    }
    let unicast = |what: &str, address: &Ipv6Addr| {
        if address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local() {
            return Err(format!(
                "{what} {address} is no address that others can reach: use one of the network"
            ));
        }
        Ok(())
    };
    unicast("server", server)?;
    settings
        .dns
        .iter()
        .try_for_each(|dns| unicast("name server", dns))?;
    if settings.dns.len() > 8 {
        return Err("dns has more than 8 name servers".to_owned());
    }
    let parameters = &settings.boot_parameters;
    if parameters.iter().any(String::is_empty)
        || parameters.iter().map(String::len).sum::<usize>() > MAX_PARAMETERS
    {
        return Err(format!(
            "boot_parameters: none may be empty, and all together are at most {MAX_PARAMETERS} bytes"
        ));
    }
    let inside = |what: &str, address: Ipv6Addr| {
        if prefix.contains(&address) && address != prefix.network() {
            return Ok(());
        }
        Err(format!("{what} {address} is not a host of {prefix}"))
    };
    let mut reserved = BTreeSet::new();
    for (mac, address) in &settings.reservations {
        if mac.is_junk() {
            return Err(format!(
                "reservation for {mac}: not the address of a network card"
            ));
        }
        inside("reservation", *address)?;
        if address == server || !reserved.insert(*address) {
            return Err(format!("address {address} reserved for {mac} is taken already"));
        }
    }
    let (mut pool, mut count) = (BTreeSet::new(), 0u128);
    for range in &settings.pools {
        let (first, last) = (u128::from(range.first), u128::from(range.last));
        inside("pool address", range.first)?;
        inside("pool address", range.last)?;
        if last < first {
            return Err(format!(
                "pool {}-{} ends before it starts",
                range.first, range.last
            ));
        }
        count = count.saturating_add(last - first).saturating_add(1);
        if count > u128::from(MAX_POOL) {
            return Err(format!(
                "the pools have more than {MAX_POOL} addresses; leases are kept in memory: take a smaller range"
            ));
        }
        pool.extend((first..=last).map(Ipv6Addr::from));
    }
    if (pool.len() as u128) < count {
        return Err("two pools share addresses".to_owned());
    }
    if *mode == Mode::Server && pool.is_empty() && reserved.is_empty() {
        return Err(
            "mode = \"server\" needs `pools` or `reservations`, else no machine could get an address"
                .to_owned(),
        );
    }
    let pool = pool
        .into_iter()
        .filter(|a| a != server && !reserved.contains(a))
        .collect();
    Ok((reserved, pool))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::settings::PoolRange;

    pub(crate) fn settings() -> NetworkSettings {
        let mut all = NetworkSettings::new("lab", [10, 0, 0, 1].into(), "10.0.0.0/24".parse().unwrap());
        all.v6 = Some(V6Settings {
            server: "fd00:7::1".parse().unwrap(),
            prefix: "fd00:7::/64".parse().unwrap(),
            mode: Mode::Server,
            pools: vec![PoolRange {
                first: "fd00:7::100".parse().unwrap(),
                last: "fd00:7::103".parse().unwrap(),
            }],
            reservations: Default::default(),
            dns: vec!["fd00:7::53".parse().unwrap()],
            boot_parameters: Vec::new(),
        });
        all
    }

    pub(crate) fn network(change: impl FnOnce(&mut V6Settings)) -> Network {
        let mut all = settings();
        change(all.v6.as_mut().unwrap());
        Network::of(&all).unwrap().unwrap()
    }

    #[test]
    fn each_mistake_is_named() {
        type Change = fn(&mut V6Settings);
        let cases: [(Change, &str); 14] = [
            (|s| s.boot_parameters = vec![String::new()], "none may be empty"),
            (|s| s.boot_parameters = vec!["x".repeat(513)], "at most 512 bytes"),
            (|s| s.mode = Mode::Proxy, "DHCPv6 has no proxies"),
            (
                |s| s.prefix = "fd00:7::/124".parse().unwrap(),
                "between /32 and /120",
            ),
            (
                |s| s.server = "fe80::1".parse().unwrap(),
                "server fe80::1 is no address",
            ),
            (|s| s.dns = vec!["::".parse().unwrap()], "name server ::"),
            (
                |s| s.pools[0].last = "fd00:8::1".parse().unwrap(),
                "pool address fd00:8::1",
            ),
            (
                |s| s.pools[0].last = "fd00:7::ff".parse().unwrap(),
                "ends before it starts",
            ),
            (
                |s| s.pools[0].last = "fd00:7::ffff:ffff:ffff:ffff".parse().unwrap(),
                "more than 65536",
            ),
            (|s| s.pools.push(s.pools[0]), "two pools share"),
            (|s| s.pools.clear(), "needs `pools` or `reservations`"),
            (
                |s| s.pools[0].first = "fd00:7::".parse().unwrap(),
                "pool address fd00:7::",
            ),
            (
                |s| {
                    s.reservations.insert(Mac([2, 0, 0, 0, 0, 1]), s.server);
                },
                "is taken already",
            ),
            (
                |s| {
                    s.reservations
                        .insert(Mac([0xff; 6]), "fd00:7::9".parse().unwrap());
                },
                "not the address of a network card",
            ),
        ];
        for (change, expected) in cases {
            let mut all = settings();
            change(all.v6.as_mut().unwrap());
            let error = crate::Network::new(all).unwrap_err().to_string();
            assert!(error.contains("network lab: [network.v6] "), "{error:?}");
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
    }

    #[test]
    fn the_pool_is_what_machines_may_have() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let fixed: Ipv6Addr = "fd00:7::101".parse().unwrap();
        let network = network(|s| {
            s.server = "fd00:7::103".parse().unwrap();
            s.reservations.insert(mac, fixed);
        });
        let pool: Vec<String> = network.pool().iter().map(Ipv6Addr::to_string).collect();
        assert_eq!(pool, ["fd00:7::100", "fd00:7::102"]);
        assert!(network.may_lease(mac, fixed) && !network.may_lease(mac, network.pool()[0]));
        let other = Mac([2, 0, 0, 0, 0, 2]);
        assert!(!network.may_lease(other, fixed) && network.may_lease(other, network.pool()[0]));
        assert!(!network.may_lease(other, network.server()));
    }
}
