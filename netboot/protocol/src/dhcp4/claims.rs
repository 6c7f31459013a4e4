//! Hosts that claim addresses we are about to offer, and how far we believe them.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use inventory_api::{Mac, UnixMs};

use crate::network::lease::DECLINE_SECONDS;

/// Addresses that one MAC can quarantine by answering for them, within [`DECLINE_SECONDS`]. A host with more
/// addresses than that in a pool is a router that answers for others (proxy ARP), or wants to stop us from
/// handing out addresses.
pub const PER_MAC: usize = 4;

/// Whether an answer is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// The address is in use.
    InUse,
    /// This MAC has claimed too many.
    TooMany,
    /// All claims together would take too much of the pool: a quarter.
    TooManyInAll,
}

/// Claims of the last hour in one network.
#[derive(Debug, Default)]
pub struct Claims {
    claims: HashMap<Ipv4Addr, (Option<Mac>, UnixMs)>,
    /// When older claims were last removed.
    pruned: UnixMs,
}

impl Claims {
    /// A host answers for `address`: by ARP with a MAC, to a ping without. `pool`: the number of addresses in
    /// the pools.
    pub fn claimed(&mut self, mac: Option<Mac>, address: Ipv4Addr, pool: usize, now: UnixMs) -> Belief {
        if now.since(self.pruned) >= 1000 || now < self.pruned {
            self.claims
                .retain(|_, (_, at)| now < at.plus_seconds(DECLINE_SECONDS));
            self.pruned = now;
        }
        self.claims.remove(&address);
        let of_it = self
            .claims
            .values()
            .filter(|(who, _)| mac.is_some() && *who == mac)
            .count();
        if of_it >= PER_MAC {
            return Belief::TooMany;
        }
        if self.claims.len() >= PER_MAC.max(pool / 4) {
            return Belief::TooManyInAll;
        }
        self.claims.insert(address, (mac, now));
        Belief::InUse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn ip(n: u32) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0000 + n)
    }

    fn mac(n: u32) -> Option<Mac> {
        let [a, b, c, d] = n.to_be_bytes();
        Some(Mac([2, 0, a, b, c, d]))
    }

    #[test]
    fn a_host_that_answers_for_everything_is_believed_four_times_an_hour() {
        let mut claims = Claims::default();
        let mut believed = |who: u32, from: u32, now| {
            (from..from + 36)
                .filter(|n| claims.claimed(mac(who), ip(*n), 1000, now) == Belief::InUse)
                .count()
        };
        assert_eq!(believed(1, 0, NOW), 4);
        assert_eq!(believed(1, 100, NOW.plus_seconds(3599)), 0);
        assert_eq!(believed(2, 200, NOW), 4, "others are");
        assert_eq!(believed(1, 300, NOW.plus_seconds(3600)), 4, "an hour later");
    }

    #[test]
    fn made_up_macs_can_quarantine_a_quarter_of_the_pool_at_most() {
        for (pool, most) in [(0, 4), (10, 4), (100, 25), (4000, 1000)] {
            let mut claims = Claims::default();
            for n in 0..5000 {
                claims.claimed(mac(n), ip(n), pool, NOW);
                claims.claimed(None, ip(n), pool, NOW);
            }
            assert_eq!(claims.claims.len(), most, "{pool}");
            assert_eq!(
                claims.claimed(mac(9999), ip(9999), pool, NOW),
                Belief::TooManyInAll
            );
            assert_eq!(
                claims.claimed(mac(0), ip(0), pool, NOW),
                Belief::InUse,
                "again, the same"
            );
        }
    }
}
