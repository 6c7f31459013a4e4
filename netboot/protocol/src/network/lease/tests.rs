use super::*;
use crate::network::Network;
use crate::network::settings::{Mode, NetworkSettings, PoolRange};
use proptest::prelude::*;

const NOW: UnixMs = UnixMs(1_000_000);

fn network(addresses: u8) -> Network {
    let mut settings =
        NetworkSettings::new("lab", Ipv4Addr::new(10, 0, 0, 1), "10.0.0.0/24".parse().unwrap());
    settings.mode = Mode::Server;
    settings.pools = vec![PoolRange {
        first: Ipv4Addr::new(10, 0, 0, 10),
        last: Ipv4Addr::new(10, 0, 0, 9 + addresses),
    }];
    settings
        .reservations
        .insert(mac(200), Ipv4Addr::new(10, 0, 0, 10));
    Network::new(settings).unwrap()
}

fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

fn lease(n: u8, last: u8, seconds: u64, state: LeaseState) -> Lease {
    Lease {
        mac: mac(n),
        ip: Ipv4Addr::new(10, 0, 0, last),
        expires: NOW.plus_seconds(seconds),
        state,
    }
}

#[test]
fn previous_address_request_reservation_and_reuse() {
    let network = network(3);
    let mut leases = Leases::default();
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(200), true, None, NOW),
        Ok(Ipv4Addr::new(10, 0, 0, 10))
    );
    let wished = Ipv4Addr::new(10, 0, 0, 12);
    let wish = Some(wished);
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(1), true, wish, NOW),
        Ok(wished)
    );
    leases.insert(lease(1, 11, 100, LeaseState::Bound));
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(1), true, wish, NOW),
        Ok(Ipv4Addr::new(10, 0, 0, 11)),
        "sticky"
    );
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(2), true, None, NOW),
        Ok(Ipv4Addr::new(10, 0, 0, 12))
    );
    leases.insert(lease(2, 12, 50, LeaseState::Bound));
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(3), true, None, NOW),
        Err(Unanswered::Exhausted)
    );
    let later = NOW.plus_seconds(60);
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(3), true, None, later),
        Ok(Ipv4Addr::new(10, 0, 0, 12))
    );
    leases.insert(lease(1, 11, 100, LeaseState::Released));
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(3), true, None, NOW),
        Ok(Ipv4Addr::new(10, 0, 0, 11))
    );
}

#[test]
fn a_declined_address_goes_to_nobody() {
    let network = network(3);
    let mut leases = Leases::default();
    leases.insert(lease(1, 11, 100, LeaseState::Declined));
    leases.insert(lease(200, 10, 100, LeaseState::Declined));
    assert_eq!(
        choose_address(network.addresses(), &leases, mac(1), true, None, NOW),
        Ok(Ipv4Addr::new(10, 0, 0, 12))
    );
    assert!(choose_address(network.addresses(), &leases, mac(200), true, None, NOW).is_err());
}

proptest! {
    /// Whatever happens, no two machines hold one address, and the indexes agree.
    #[test]
    fn no_address_is_leased_twice(steps in proptest::collection::vec((0u8..12, 0u8..4, 0i64..200), 1..200)) {
        let network = network(6);
        let mut leases = Leases::default();
        let mut now = NOW;
        for (who, what, wait) in steps {
            now = UnixMs(now.0 + wait * 1000);
            match what {
                0 | 1 => {
                    if let Ok(ip) = choose_address(network.addresses(), &leases, mac(who), true, None, now) {
                        prop_assert!(network.addresses().may_lease(mac(who), ip));
                        if let Some(other) = leases.at(ip) {
                            prop_assert!(!other.holds(now) || other.mac == mac(who));
                        }
                        let state = if what == 0 { LeaseState::Offered } else { LeaseState::Bound };
                        leases.insert(Lease { mac: mac(who), ip, expires: now.plus_seconds(100), state });
                    } else {
                        prop_assert!(leases.by_ip.values().filter(|l| l.holds(now)).count() >= 5);
                    }
                }
                _ => if let Some(old) = leases.of(mac(who)) {
                    let state = if what == 2 { LeaseState::Released } else { LeaseState::Declined };
                    leases.insert(Lease { state, ..old });
                }
            }
            leases.set_known(mac(who), who % 3 == 0);
            prop_assert!(leases.strangers.is_subset(&leases.free_from));
            for most in 0..8 {
                prop_assert_eq!(leases.strangers_have(most, now), leases.strangers(now) >= most);
            }
            prop_assert_eq!(leases.by_ip.len(), leases.free_from.len());
            prop_assert!(leases.by_mac.iter().all(|(m, ip)| leases.by_ip[ip].mac == *m));
            prop_assert!(leases.by_ip.len() <= 6);
        }
    }
}
