//! The addresses a network has for machines, for IPv4 and IPv6.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use inventory_api::Mac;

use crate::network::address::Address;
use crate::network::settings::PoolRange;

/// The most addresses in a network's pools (a /16): leases are kept in memory.
pub(crate) const MAX_POOL: usize = 65_536;

/// Checked addresses of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses<A: Address = std::net::Ipv4Addr> {
    pool: Vec<A>,
    in_pool: HashSet<A>,
    reservations: BTreeMap<Mac, A>,
    reserved: BTreeSet<A>,
    unknown_share: u8,
}

/// Addresses from the configuration.
pub(crate) struct Written<'a, A> {
    pub(crate) pools: &'a [PoolRange<A>],
    pub(crate) exclude: &'a [PoolRange<A>],
    pub(crate) reservations: &'a BTreeMap<Mac, A>,
    pub(crate) unknown_share: u8,
    /// Addresses of this server and of routers, which no machine may have.
    pub(crate) ours: &'a [A],
}

impl<A: Address> Addresses<A> {
    /// `inside`: checks that a machine can have an address; the first argument names it. `between`: all
    /// addresses of a range.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn new<I: Iterator<Item = A>>(
        written: &Written<'_, A>,
        inside: impl Fn(&str, A) -> Result<(), String>,
        between: impl Fn(A, A) -> I,
    ) -> Result<Addresses<A>, String> {
        check_ranges(["pool", "pool address"], written.pools, &inside)?;
        check_ranges(["excluded range", "excluded address"], written.exclude, &inside)?;
        let all = written
            .pools
            .iter()
            .flat_map(|range| between(range.first, range.last));
        let mut pool: Vec<A> = all.take(MAX_POOL + 1).collect();
        if pool.len() > MAX_POOL {
            return Err(format!(
                "the pools have more than {MAX_POOL} addresses, which is too many leases to keep in memory: use a smaller range"
            ));
        }
        let mut reserved = BTreeSet::new();
        for (mac, address) in written.reservations {
            if mac.is_junk() {
                return Err(format!(
                    "reservation for {mac}: not the address of a network card"
                ));
            }
            inside("reservation", *address)?;
            if written.ours.contains(address) || !reserved.insert(*address) {
                return Err(format!("address {address} reserved for {mac} is already taken"));
            }
        }
        let excluded = |address: A| written.exclude.iter().any(|range| range.contains(address));
        pool.retain(|a| !reserved.contains(a) && !written.ours.contains(a) && !excluded(*a));
        Ok(Addresses {
            in_pool: pool.iter().copied().collect(),
            pool,
            reservations: written.reservations.clone(),
            reserved,
            unknown_share: written.unknown_share,
        })
    }

    /// Every address that machines without a reservation can get, in configuration order.
    pub fn pool(&self) -> &[A] {
        &self.pool
    }

    /// Whether there is no address for any machine.
    pub(crate) fn is_empty(&self) -> bool {
        self.pool.is_empty() && self.reserved.is_empty()
    }

    /// The number of addresses reserved in the configuration.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved.len()
    }

    /// Whether the configuration reserves an address.
    pub(crate) fn is_reserved(&self, address: A) -> bool {
        self.reserved.contains(&address)
    }

    /// The address that the configuration reserves for `mac`.
    pub fn reservation(&self, mac: Mac) -> Option<A> {
        self.reservations.get(&mac).copied()
    }

    /// Whether the configuration allows `mac` to have `address`: its own reservation, or an address of the
    /// pool.
    pub fn may_lease(&self, mac: Mac, address: A) -> bool {
        match self.reservation(mac) {
            Some(reserved) => reserved == address,
            None => self.in_pool.contains(&address),
        }
    }

    /// Percentage of the pool that machines not enrolled may hold together.
    pub fn unknown_share(&self) -> u8 {
        self.unknown_share
    }

    /// The most pool addresses that machines not enrolled may hold. `None`: all, because it is configured so
    /// or the pool is too small to share.
    pub fn strangers_most(&self) -> Option<usize> {
        let pool = self.pool.len();
        let most = (pool * usize::from(self.unknown_share)).div_ceil(100);
        (most < pool).then_some(most)
    }
}

/// `names`: what to call a range, and an address in it.
fn check_ranges<A: Address>(
    names: [&str; 2],
    ranges: &[PoolRange<A>],
    inside: &impl Fn(&str, A) -> Result<(), String>,
) -> Result<(), String> {
    let [range, address] = names;
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.first);
    let mut end = None;
    for PoolRange { first, last } in sorted {
        if last < first {
            return Err(format!("{range} {first}-{last} ends before it starts"));
        }
        inside(address, first)?;
        inside(address, last)?;
        if end.is_some_and(|end| first <= end) {
            return Err(format!("address {first} is in two {range}s"));
        }
        end = Some(last);
    }
    Ok(())
}
