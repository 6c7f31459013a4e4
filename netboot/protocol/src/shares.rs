//! Who gets one of a limited number of slots for connections and transfers. Having many addresses does not
//! help to take them all.
//!
//! Half of the slots are reserved for lease holders and better. When none is free, one is revoked: from the
//! lowest standing, there from the address with most slots, and there the one idle for longest.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// How much a peer is trusted, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is known of it.
    Stranger,
    /// Its address is leased from us.
    Lease,
    /// It is a known machine, or has shown a valid certificate or session.
    Known,
}

/// Numbers of slots.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub slots: usize,
    /// Per IPv4 address or IPv6 /64; loopback is not limited.
    pub per_address: usize,
}

/// A slot idle for this long, in ms, may go to a peer of the same standing.
const QUIET_MS: u64 = 10_000;

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This address has its share.
    Address,
    /// All are taken by peers with a better claim.
    Slots,
}

/// A slot that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its number.
    pub slot: u64,
    /// The slot revoked for it: its connection must be closed.
    pub instead_of: Option<u64>,
}

struct Taken {
    group: IpAddr,
    standing: Standing,
    /// When it was last active, in ms of a monotonic clock.
    active: u64,
}

/// The slots in use. Times are milliseconds of a monotonic clock.
pub struct Shares {
    limits: Limits,
    next: u64,
    taken: HashMap<u64, Taken>,
    /// Slots by address, loopback included.
    groups: HashMap<IpAddr, usize>,
    strangers: usize,
}

impl Shares {
    /// All slots free.
    pub fn new(limits: Limits) -> Shares {
        Shares {
            limits,
            next: 0,
            taken: HashMap::new(),
            groups: HashMap::new(),
            strangers: 0,
        }
    }

    /// A slot for one more connection of `address`.
    ///
    /// # Errors
    /// The address has its share, or all slots belong to peers with a better claim.
    pub fn take(&mut self, address: IpAddr, standing: Standing, now: u64) -> Result<Granted, Full> {
        let group = group_of(address);
        let has = self.groups.get(&group).copied().unwrap_or(0);
        if has >= self.limits.per_address && !group.is_loopback() {
            return Err(Full::Address);
        }
        let strangers_full =
            standing == Standing::Stranger && self.strangers >= self.limits.slots.div_ceil(2);
        let instead_of = if strangers_full || self.taken.len() >= self.limits.slots {
            let victim = self.weakest(standing, has, now).ok_or(Full::Slots)?;
            self.release(victim);
            Some(victim)
        } else {
            None
        };
        let slot = self.next;
        self.next += 1;
        self.taken.insert(
            slot,
            Taken {
                group,
                standing,
                active: now,
            },
        );
        *self.groups.entry(group).or_default() += 1;
        self.strangers += usize::from(standing == Standing::Stranger);
        Ok(Granted { slot, instead_of })
    }

    /// Progress: a request arrived whole, or bytes were taken.
    pub fn touch(&mut self, slot: u64, now: u64) {
        if let Some(taken) = self.taken.get_mut(&slot) {
            taken.active = now;
        }
    }

    /// The peer has proved more since it got its slot.
    pub fn raise(&mut self, slot: u64, standing: Standing) {
        if let Some(taken) = self.taken.get_mut(&slot)
            && taken.standing < standing
        {
            self.strangers -= usize::from(taken.standing == Standing::Stranger);
            taken.standing = standing;
        }
    }

    /// Gives a slot back; one that was already revoked or returned is ignored.
    pub fn release(&mut self, slot: u64) {
        let Some(taken) = self.taken.remove(&slot) else {
            return;
        };
        self.strangers -= usize::from(taken.standing == Standing::Stranger);
        if let Some(count) = self.groups.get_mut(&taken.group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&taken.group);
            }
        }
    }

    /// Whether no slot is taken.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// The slot to revoke for a peer of this standing whose address has `has` slots.
    fn weakest(&self, standing: Standing, has: usize, now: u64) -> Option<u64> {
        let slots_of = |taken: &Taken| self.groups.get(&taken.group).copied().unwrap_or(0);
        let (&slot, taken) = self
            .taken
            .iter()
            .filter(|(_, taken)| taken.standing <= standing)
            .min_by_key(|(slot, taken)| {
                let most_first = usize::MAX - slots_of(taken);
                (taken.standing, most_first, taken.active, **slot)
            })?;
        let weaker = taken.standing < standing || slots_of(taken) > has + 1;
        if weaker {
            return Some(slot);
        }
        // Of the same standing: only idle ones.
        self.taken
            .iter()
            .filter(|(_, t)| t.standing == standing && t.active.saturating_add(QUIET_MS) <= now)
            .min_by_key(|(slot, t)| (t.active, **slot))
            .map(|(&slot, _)| slot)
    }
}

/// A host with one IPv6 address of a network can have all of its /64.
fn group_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) if v6.is_loopback() => v6.into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        slots: 64,
        per_address: 8,
    };

    fn v4(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    /// Opens as many as possible, from as many addresses as it likes.
    fn attack(shares: &mut Shares, standing: Standing, addresses: u32, now: u64) -> Vec<u64> {
        (0..addresses * 8)
            .filter_map(|n| shares.take(v4(1000 + n % addresses), standing, now).ok())
            .map(|entered| entered.slot)
            .collect()
    }

    #[test]
    fn strangers_with_many_addresses_cannot_lock_out_lease_holders() {
        for addresses in [4, 8, 9, 64, 1000] {
            let mut shares = Shares::new(LIMITS);
            attack(&mut shares, Standing::Stranger, addresses, 0);
            assert!(shares.taken.len() <= 32, "half is reserved");
            for n in 0..32 {
                let entered = shares.take(v4(n), Standing::Lease, 1).expect("a slot");
                assert_eq!(entered.instead_of, None);
            }
            for n in 0..8 {
                let entered = shares.take(v4(n), Standing::Known, 1).expect("a slot");
                assert!(entered.instead_of.is_some(), "a stranger's");
            }
        }
    }

    #[test]
    fn a_stranger_with_many_leases_cannot_lock_out_other_lease_holders() {
        let mut shares = Shares::new(LIMITS);
        attack(&mut shares, Standing::Lease, 17, 0);
        assert_eq!(shares.taken.len(), 64);
        let victim = shares.take(v4(1), Standing::Lease, 1).expect("a slot");
        assert!(
            victim.instead_of.is_some(),
            "it takes one from an address with many"
        );
        // This slot is not revoked again, however many others come.
        shares.touch(victim.slot, 1);
        for n in 0..1000 {
            let again = shares.take(v4(1000 + n % 17), Standing::Lease, 2);
            assert_ne!(
                again.map(|entered| entered.instead_of),
                Ok(Some(victim.slot)),
                "{n}"
            );
        }
    }

    #[test]
    fn a_download_continues_and_an_idle_slot_is_revoked() {
        let mut shares = Shares::new(LIMITS);
        let slots: Vec<u64> = (0..64)
            .map(|n| shares.take(v4(n), Standing::Lease, 0).unwrap().slot)
            .collect();
        assert_eq!(
            shares.take(v4(99), Standing::Lease, QUIET_MS - 1),
            Err(Full::Slots)
        );
        for slot in &slots[1..] {
            shares.touch(*slot, QUIET_MS - 1);
        }
        let entered = shares.take(v4(99), Standing::Lease, QUIET_MS).unwrap();
        assert_eq!(entered.instead_of, Some(slots[0]));
        assert_eq!(shares.take(v4(100), Standing::Lease, QUIET_MS), Err(Full::Slots));
        assert_eq!(
            shares.take(v4(100), Standing::Stranger, QUIET_MS * 9),
            Err(Full::Slots),
            "a stranger cannot take one"
        );
        shares.raise(slots[5], Standing::Known);
        let entered = shares.take(v4(101), Standing::Known, QUIET_MS).unwrap();
        assert_ne!(entered.instead_of, Some(slots[5]));
    }

    #[test]
    fn limits_count_v4_addresses_and_v6_prefixes() {
        let mut shares = Shares::new(LIMITS);
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        for n in 0..8 {
            shares
                .take(of(&format!("fd00::{n}:1")), Standing::Known, 0)
                .unwrap();
        }
        assert_eq!(
            shares.take(of("fd00::ffff"), Standing::Known, 0),
            Err(Full::Address)
        );
        assert!(shares.take(of("fd00:0:0:1::1"), Standing::Known, 0).is_ok());
        for n in 0..8 {
            shares
                .take(of(&format!("::ffff:10.0.0.{}", 1 + n / 8)), Standing::Known, 0)
                .unwrap();
        }
        assert_eq!(
            shares.take(of("10.0.0.1"), Standing::Known, 0),
            Err(Full::Address)
        );
        for loopback in ["127.0.0.1", "::1"] {
            for _ in 0..9 {
                assert!(shares.take(of(loopback), Standing::Known, 0).is_ok());
            }
        }
    }

    proptest! {
        /// Counts stay right and limits hold, whoever comes and goes.
        #[test]
        fn counts_stay_right(steps in proptest::collection::vec((0u32..20, 0u8..5, 0u64..4000), 1..400)) {
            let (mut shares, mut mine, mut now) = (Shares::new(LIMITS), Vec::new(), 0);
            for (who, what, later) in steps {
                now += later;
                let standing = [Standing::Stranger, Standing::Lease, Standing::Known][usize::from(what) % 3];
                match (what, mine.pop()) {
                    (0..3, last) => {
                        mine.extend(last);
                        if let Ok(entered) = shares.take(v4(who), standing, now) {
                            mine.retain(|slot| Some(*slot) != entered.instead_of);
                            mine.push(entered.slot);
                        }
                    }
                    (3, Some(last)) => shares.release(last),
                    (_, Some(last)) => { shares.raise(last, standing); mine.push(last); }
                    (_, None) => {}
                }
                prop_assert_eq!(shares.taken.len(), mine.len());
                prop_assert!(shares.taken.len() <= 64);
                let strangers = shares.taken.values().filter(|t| t.standing == Standing::Stranger).count();
                prop_assert_eq!(shares.strangers, strangers);
                prop_assert_eq!(shares.groups.values().sum::<usize>(), shares.taken.len());
            }
        }
    }
}
