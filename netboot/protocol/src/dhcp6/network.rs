//! A network's checked DHCPv6 settings.

use std::net::Ipv6Addr;

use ipnet::{Ipv6AddrRange, Ipv6Net};

use crate::network::addresses::{Addresses, Written};
use crate::network::settings::{Mode, NetworkSettings, V6Settings};

/// A checked `[network.v6]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    all: NetworkSettings,
    settings: V6Settings,
    addresses: Addresses<Ipv6Addr>,
}

impl Network {
    /// Checks the settings; `None`: no DHCPv6 there.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) fn of(all: &NetworkSettings) -> Result<Option<Network>, String> {
        let Some(settings) = all.v6.clone() else {
            return Ok(None);
        };
        let addresses = check(&settings, all.unknown_share).map_err(|why| format!("[network.v6] {why}"))?;
        Ok(Some(Network {
            all: all.clone(),
            settings: V6Settings {
                prefix: settings.prefix.trunc(),
                ..settings
            },
            addresses,
        }))
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.all.name
    }

    /// Settings shared with IPv4.
    pub fn all(&self) -> &NetworkSettings {
        &self.all
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

    /// Its pools and configured reservations.
    pub fn addresses(&self) -> &Addresses<Ipv6Addr> {
        &self.addresses
    }

    /// How we serve it.
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Whether machines reach us without a relay: our address has their prefix.
    pub fn is_local(&self) -> bool {
        self.settings.prefix.contains(&self.settings.server)
    }

    /// Whether a machine may have `address`: it has the prefix, and is neither ours nor the routers' (RFC
    /// 4291, 2.6.1).
    pub fn may_be_host(&self, address: Ipv6Addr) -> bool {
        let prefix = self.settings.prefix;
        prefix.contains(&address) && address != prefix.network() && address != self.settings.server
    }
}

/// Longest boot parameters in total, in bytes: the packet must stay within 1280 bytes, which every link
/// carries.
const MAX_PARAMETERS: usize = 512;

/// The addresses for machines, or what is wrong and what to do.
fn check(settings: &V6Settings, unknown_share: u8) -> Result<Addresses<Ipv6Addr>, String> {
    let V6Settings { server, mode, .. } = settings;
    let prefix = settings.prefix.trunc();
    if *mode == Mode::Proxy {
        return Err("mode = \"proxy\": DHCPv6 has no proxies, use \"observe\" or \"server\"".to_owned());
    }
    if !(32..=120).contains(&prefix.prefix_len()) {
        return Err(format!("prefix {prefix} must be between /32 and /120"));
    }
    let unicast = |what: &str, address: &Ipv6Addr| {
        if address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local() {
            return Err(format!(
                "{what} {address} cannot be reached by others: use an address of the network"
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
            "boot_parameters: none may be empty, and together at most {MAX_PARAMETERS} bytes"
        ));
    }
    let inside = |what: &str, address: Ipv6Addr| {
        if prefix.contains(&address) && address != prefix.network() {
            return Ok(());
        }
        Err(format!("{what} {address} is not a host of {prefix}"))
    };
    let written = Written {
        pools: &settings.pools,
        exclude: &[],
        reservations: &settings.reservations,
        unknown_share,
        ours: &[*server],
    };
    let addresses = Addresses::new(&written, inside, Ipv6AddrRange::new)?;
    if *mode == Mode::Server && addresses.is_empty() {
        return Err(
            "mode = \"server\" needs `pools` or `reservations`: otherwise no machine could get an address"
                .to_owned(),
        );
    }
    Ok(addresses)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::settings::PoolRange;
    use inventory_api::Mac;

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
                "server fe80::1 cannot be reached",
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
            (|s| s.pools.push(s.pools[0]), "is in two pools"),
            (|s| s.pools.clear(), "needs `pools` or `reservations`"),
            (
                |s| s.pools[0].first = "fd00:7::".parse().unwrap(),
                "pool address fd00:7::",
            ),
            (
                |s| {
                    s.reservations.insert(Mac([2, 0, 0, 0, 0, 1]), s.server);
                },
                "is already taken",
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
        let pool: Vec<String> = network
            .addresses()
            .pool()
            .iter()
            .map(Ipv6Addr::to_string)
            .collect();
        assert_eq!(pool, ["fd00:7::100", "fd00:7::102"]);
        assert!(
            network.addresses().may_lease(mac, fixed)
                && !network.addresses().may_lease(mac, network.addresses().pool()[0])
        );
        let other = Mac([2, 0, 0, 0, 0, 2]);
        assert!(
            !network.addresses().may_lease(other, fixed)
                && network
                    .addresses()
                    .may_lease(other, network.addresses().pool()[0])
        );
        assert!(!network.addresses().may_lease(other, network.server()));
    }
}
