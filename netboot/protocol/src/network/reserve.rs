//! Reservations made while the service runs.

use std::net::Ipv4Addr;

use inventory_api::{Mac, UnixMs};

use crate::network::Network;
use crate::network::lease::{Lease, LeaseChange, LeaseState, Leases};

/// Why a reservation cannot be made or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// Not a machine's address in this network.
    #[error("{ip} cannot be a machine's address in {subnet}, or it is the server's or the router's")]
    NotHost {
        /// Address.
        ip: Ipv4Addr,
        /// The network's subnet.
        subnet: ipnet::Ipv4Net,
    },
    /// No NIC can have this MAC.
    #[error("{0} is not the address of a network card")]
    JunkMac(Mac),
    /// The machine or the address is reserved in the configuration.
    #[error("{0} is reserved in the configuration: change it there")]
    Configured(String),
    /// It is reserved for another machine.
    #[error("{ip} is reserved for {by}: end that reservation first")]
    Taken {
        /// Address.
        ip: Ipv4Addr,
        /// Its machine.
        by: Mac,
    },
    /// Another machine uses it now.
    #[error("{by} uses {ip} now: choose another, or try again after its lease has ended")]
    InUse {
        /// Address.
        ip: Ipv4Addr,
        /// Its user.
        by: Mac,
    },
    /// There is no such reservation.
    #[error("no address is reserved for {0}")]
    None(Mac),
    /// The address is not quarantined.
    #[error("{0} is not quarantined")]
    NotQuarantined(Ipv4Addr),
}

/// Reserves `ip` for `mac`, replacing its earlier reservation.
pub fn reserve(
    network: &Network,
    leases: &Leases,
    mac: Mac,
    ip: Ipv4Addr,
    now: UnixMs,
) -> Result<LeaseChange, ReserveError> {
    if mac.is_junk() {
        return Err(ReserveError::JunkMac(mac));
    }
    if network.addresses().reservation(mac).is_some() {
        return Err(ReserveError::Configured(mac.to_string()));
    }
    if !network.may_be_host(ip) {
        let subnet = network.subnet();
        return Err(ReserveError::NotHost { ip, subnet });
    }
    if !network.may_reserve(ip) {
        return Err(ReserveError::Configured(ip.to_string()));
    }
    if let Some(by) = leases.reserved_for(ip).filter(|by| *by != mac) {
        return Err(ReserveError::Taken { ip, by });
    }
    if let Some(lease) = leases.at(ip).filter(|lease| lease.holds(now) && lease.mac != mac) {
        return Err(ReserveError::InUse { ip, by: lease.mac });
    }
    let reservation = Lease::new(mac, ip, LeaseState::Reserved, UnixMs(i64::MAX));
    Ok(LeaseChange::Insert(reservation))
}

/// Ends a machine's reservation. Its lease, if any, goes on.
pub fn unreserve(leases: &Leases, mac: Mac) -> Result<LeaseChange, ReserveError> {
    let ip = leases.reservation(mac).ok_or(ReserveError::None(mac))?;
    let ended = Lease::new(mac, ip, LeaseState::Reserved, UnixMs(0));
    Ok(LeaseChange::Insert(ended))
}

/// Ends the quarantine of an address. Its journal line stays, expired: a released lease would make it the
/// address of the machine that declined it.
pub fn end_quarantine(leases: &Leases, ip: Ipv4Addr, now: UnixMs) -> Result<LeaseChange, ReserveError> {
    let lease = leases
        .at(ip)
        .filter(|lease| lease.state == LeaseState::Declined && lease.holds(now))
        .ok_or(ReserveError::NotQuarantined(ip))?;
    Ok(lease.change_to(lease.state, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::lease::choose_address;
    use crate::network::settings::{Mode, NetworkSettings, PoolRange};

    const NOW: UnixMs = UnixMs(1_000_000);

    fn ip(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, n)
    }

    fn mac(n: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, n])
    }

    fn network() -> Network {
        let mut settings = NetworkSettings::new("lab", ip(1), "10.0.0.0/24".parse().unwrap());
        settings.mode = Mode::Server;
        settings.pools = vec![PoolRange {
            first: ip(10),
            last: ip(12),
        }];
        settings.reservations.insert(mac(200), ip(50));
        Network::new(settings).unwrap()
    }

    fn apply(leases: &mut Leases, change: Result<LeaseChange, ReserveError>) {
        leases.apply(change.unwrap());
    }

    #[test]
    fn a_reserved_address_is_only_its_machines_until_unreserved() {
        let (network, mut leases) = (network(), Leases::default());
        let choose =
            |leases: &Leases, n| choose_address(network.addresses(), leases, mac(n), true, None, NOW);
        let change = reserve(&network, &leases, mac(1), ip(11), NOW);
        apply(&mut leases, change);
        let change = reserve(&network, &leases, mac(2), ip(99), NOW);
        apply(&mut leases, change);
        assert_eq!(choose(&leases, 1), Ok(ip(11)));
        assert_eq!(choose(&leases, 2), Ok(ip(99)), "outside the pools too");
        for n in 3..5 {
            let other = choose(&leases, n).unwrap();
            assert!(other == ip(10) || other == ip(12));
            leases.insert(Lease {
                mac: mac(n),
                ip: other,
                expires: NOW.plus_seconds(9),
                state: LeaseState::Bound,
            });
        }
        assert!(choose(&leases, 5).is_err(), "11 is free but not for this machine");
        // A new address replaces the old one.
        let change = reserve(&network, &leases, mac(1), ip(98), NOW);
        apply(&mut leases, change);
        assert_eq!((choose(&leases, 1), choose(&leases, 5)), (Ok(ip(98)), Ok(ip(11))));
        let change = unreserve(&leases, mac(1));
        apply(&mut leases, change);
        assert_eq!(choose(&leases, 1), Ok(ip(11)));
        assert_eq!(unreserve(&leases, mac(1)), Err(ReserveError::None(mac(1))));
    }

    #[test]
    fn refusals() {
        let (network, mut leases) = (network(), Leases::default());
        let change = reserve(&network, &leases, mac(1), ip(11), NOW);
        apply(&mut leases, change);
        leases.insert(Lease {
            mac: mac(7),
            ip: ip(12),
            expires: NOW.plus_seconds(9),
            state: LeaseState::Bound,
        });
        for (who, what, expected) in [
            (mac(2), ip(1), "cannot be a machine's address"),
            (
                mac(2),
                Ipv4Addr::new(10, 0, 1, 9),
                "cannot be a machine's address",
            ),
            (mac(2), ip(50), "10.0.0.50 is reserved in the configuration"),
            (
                mac(200),
                ip(51),
                "02:00:00:00:00:c8 is reserved in the configuration",
            ),
            (mac(2), ip(11), "is reserved for 02:00:00:00:00:01"),
            (mac(2), ip(12), "02:00:00:00:00:07 uses 10.0.0.12 now"),
            (Mac([0xff; 6]), ip(13), "not the address of a network card"),
        ] {
            let error = reserve(&network, &leases, who, what, NOW)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
        assert!(reserve(&network, &leases, mac(7), ip(12), NOW).is_ok(), "its own");
    }

    #[test]
    fn a_person_can_end_a_quarantine() {
        let (network, mut leases) = (network(), Leases::default());
        for n in 10..=12 {
            apply(
                &mut leases,
                Ok(crate::dhcp4::reply::quarantine(mac(n), ip(n), NOW)),
            );
        }
        assert!(choose_address(network.addresses(), &leases, mac(1), true, None, NOW).is_err());
        let change = end_quarantine(&leases, ip(11), NOW);
        apply(&mut leases, change);
        assert_eq!(
            choose_address(network.addresses(), &leases, mac(1), true, None, NOW),
            Ok(ip(11))
        );
        assert_eq!(leases.of(mac(11)), None, "it belongs to nobody");
        for other in [ip(11), ip(50)] {
            let refused = end_quarantine(&leases, other, NOW);
            assert_eq!(refused, Err(ReserveError::NotQuarantined(other)));
        }
    }
}
