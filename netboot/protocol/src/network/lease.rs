//! Leases of one network, and the choice of an address. The journal is elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::str::FromStr;

use inventory_api::{Mac, UnixMs};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use crate::codes::Unanswered;
use crate::hash::fnv;
use crate::network::address::Address;
use crate::network::addresses::{Addresses, MAX_POOL};

/// Seconds an offer waits for its REQUEST. EDK2 collects offers for 4 s, and retries for up to 32 s.
pub const OFFER_SECONDS: u64 = 60;
/// Default quarantine of a declined address, in seconds.
pub(crate) const DECLINE_SECONDS: u64 = 3600;

/// Shorter leases, in seconds, are renewed at exactly half of their time.
const SPREAD_FROM: u32 = 3600;
/// Seconds that an expired lease of an enrolled machine is kept from machines that are not enrolled.
const KEPT_SECONDS: u64 = 86_400;
/// Pools up to this size are handed out in order.
const SMALL: usize = 16;
/// The most leases of one network: a full pool, and as many reservations or other servers' addresses.
const MOST: usize = 2 * MAX_POOL;

/// The state of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// Offered, not yet requested; never journalled.
    Offered,
    /// Acknowledged.
    Bound,
    /// Given back. The machine gets it again unless another one needed it.
    Released,
    /// Another host uses it (DECLINE): quarantined until `expires`.
    Declined,
    /// Given by another DHCP server, according to the machine; never journalled.
    Seen,
    /// Reserved for its machine, in addition to a lease; ended if `expires` is 0.
    Reserved,
}

impl Display for LeaseState {
    /// As in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for LeaseState {
    type Err = serde::de::value::Error;

    fn from_str(name: &str) -> Result<LeaseState, Self::Err> {
        LeaseState::deserialize(name.into_deserializer())
    }
}

/// An address and the machine it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease<A = Ipv4Addr> {
    /// The machine.
    pub mac: Mac,
    /// The address.
    pub ip: A,
    /// When the lease ends.
    pub expires: UnixMs,
    /// The state of the address.
    pub state: LeaseState,
}

/// A change of the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange<A = Ipv4Addr> {
    /// Stores a lease.
    Insert(Lease<A>),
    /// Stores an acknowledged lease, with the hash of the client identifier that took it.
    Bind(Lease<A>, Option<u32>),
    /// Forgets an offer that was not accepted.
    Forget(A),
}

impl<A> Lease<A> {
    /// A lease of `ip` until `expires`.
    pub fn new(mac: Mac, ip: A, state: LeaseState, expires: UnixMs) -> Lease<A> {
        Lease {
            mac,
            ip,
            expires,
            state,
        }
    }

    /// Puts the address into another state.
    pub(crate) fn change_to(self, state: LeaseState, expires: UnixMs) -> LeaseChange<A> {
        LeaseChange::Insert(Lease::new(self.mac, self.ip, state, expires))
    }

    /// Whether the address is unavailable to others now.
    pub fn holds(&self, now: UnixMs) -> bool {
        self.state != LeaseState::Released && now < self.expires
    }

    /// The same lease with another address type.
    pub fn with_ip<B>(&self, ip: B) -> Lease<B> {
        Lease::new(self.mac, ip, self.state, self.expires)
    }

    /// Whether the machine uses the address now.
    pub fn is_bound(&self, now: UnixMs) -> bool {
        matches!(self.state, LeaseState::Bound | LeaseState::Seen) && now < self.expires
    }
}

/// The leases of one network: at most one per address and per machine (a declined address belongs to no
/// machine). Expired leases stay until the address is needed, so that machines keep their addresses.
#[derive(Clone, Debug)]
pub struct Leases<A = Ipv4Addr> {
    by_ip: HashMap<A, Lease<A>>,
    by_mac: HashMap<Mac, A>,
    /// When each address becomes available to other machines, earliest first.
    free_from: BTreeSet<(UnixMs, A)>,
    /// Entries of `free_from` that belong to machines not enrolled, or that such a machine declined.
    strangers: BTreeSet<(UnixMs, A)>,
    /// Hash of the client identifier that took a machine's lease. Not journalled, so unknown after a restart.
    marks: HashMap<Mac, u32>,
    /// Reservations made at run time, in both directions.
    reserved: BTreeMap<Mac, A>,
    reserved_for: HashMap<A, Mac>,
}

impl<A> Default for Leases<A> {
    fn default() -> Leases<A> {
        Leases {
            by_ip: HashMap::new(),
            by_mac: HashMap::new(),
            free_from: BTreeSet::new(),
            strangers: BTreeSet::new(),
            marks: HashMap::new(),
            reserved: BTreeMap::new(),
            reserved_for: HashMap::new(),
        }
    }
}

impl<A: Address> Leases<A> {
    /// The machine's lease, even if expired.
    pub fn of(&self, mac: Mac) -> Option<Lease<A>> {
        self.by_ip.get(self.by_mac.get(&mac)?).copied()
    }

    /// The lease of an address, even if expired.
    pub fn at(&self, ip: A) -> Option<Lease<A>> {
        self.by_ip.get(&ip).copied()
    }

    /// The address reserved for a machine at run time.
    pub fn reservation(&self, mac: Mac) -> Option<A> {
        self.reserved.get(&mac).copied()
    }

    /// The address reserved for a machine, in the configuration or at run time.
    pub fn reserved(&self, addresses: &Addresses<A>, mac: Mac) -> Option<A> {
        addresses.reservation(mac).or(self.reservation(mac))
    }

    /// The machine an address is reserved for at run time.
    pub(crate) fn reserved_for(&self, ip: A) -> Option<Mac> {
        self.reserved_for.get(&ip).copied()
    }

    /// All reservations made at run time, by MAC.
    pub fn reservations(&self) -> &BTreeMap<Mac, A> {
        &self.reserved
    }

    /// Whether configuration and reservations allow `mac` to have `ip`.
    pub fn may_lease(&self, addresses: &Addresses<A>, mac: Mac, ip: A) -> bool {
        match self.reservation(mac) {
            Some(reserved) if addresses.reservation(mac).is_none() => reserved == ip,
            _ => addresses.may_lease(mac, ip) && self.reserved_for(ip).is_none(),
        }
    }

    /// The machine that uses `ip` now.
    pub fn holder(&self, ip: A, now: UnixMs) -> Option<Mac> {
        self.at(ip)
            .filter(|lease| lease.is_bound(now))
            .map(|lease| lease.mac)
    }

    /// All leases, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Lease<A>> {
        self.by_ip.values()
    }

    /// Stores a lease, replacing earlier ones of its address and machine.
    pub fn insert(&mut self, lease: Lease<A>) {
        if lease.state == LeaseState::Reserved {
            if let Some(old) = self.reserved.remove(&lease.mac) {
                self.reserved_for.remove(&old);
            }
            if lease.expires > UnixMs(0) {
                self.reserved.insert(lease.mac, lease.ip);
                self.reserved_for.insert(lease.ip, lease.mac);
            }
            return;
        }
        let stranger = self.of(lease.mac).is_some_and(|had| self.is_strangers(&had));
        self.remove(lease.ip);
        if lease.state == LeaseState::Declined && stranger {
            self.strangers.insert((free_from(&lease), lease.ip));
        }
        if lease.state != LeaseState::Declined {
            if let Some(old) = self.by_mac.get(&lease.mac).copied() {
                self.remove(old);
            }
            self.by_mac.insert(lease.mac, lease.ip);
        }
        self.by_ip.insert(lease.ip, lease);
        self.free_from.insert((free_from(&lease), lease.ip));
        // Other servers' addresses are not bounded by our pool.
        while self.by_ip.len() > MOST {
            let Some((_, first)) = self.free_from.first().copied() else {
                return;
            };
            self.remove(first);
        }
    }

    /// Makes a change that was decided.
    pub fn apply(&mut self, change: LeaseChange<A>) {
        match change {
            LeaseChange::Insert(lease) => self.insert(lease),
            LeaseChange::Forget(ip) => self.remove(ip),
            LeaseChange::Bind(lease, mark) => {
                self.insert(lease);
                self.marks.remove(&lease.mac);
                self.marks.extend(mark.map(|mark| (lease.mac, mark)));
            }
        }
    }

    /// Whether a client with this identifier may have taken the machine's lease.
    pub fn took(&self, mac: Mac, mark: Option<u32>) -> bool {
        self.marks.get(&mac).is_none_or(|taken| Some(*taken) == mark)
    }

    /// Sets whether the machine is enrolled; assumed until said otherwise.
    pub fn set_known(&mut self, mac: Mac, known: bool) {
        let Some(lease) = self.of(mac) else { return };
        let place = (free_from(&lease), lease.ip);
        if known {
            self.strangers.remove(&place);
        } else {
            self.strangers.insert(place);
        }
    }

    fn is_strangers(&self, lease: &Lease<A>) -> bool {
        self.strangers.contains(&(free_from(lease), lease.ip))
    }

    /// Addresses that machines not enrolled hold now, or have declined: otherwise one of them could
    /// quarantine a whole pool, address by address.
    pub fn strangers(&self, now: UnixMs) -> usize {
        self.strangers.iter().filter(|(until, _)| now < *until).count()
    }

    /// Whether there are `most` or more of these. Called for each message of a flood, so it counts only as
    /// far as needed.
    fn strangers_have(&self, most: usize, now: UnixMs) -> bool {
        let Some(beyond) = self.strangers.len().checked_sub(most) else {
            return false;
        };
        let ended = self.strangers.iter().take_while(|(until, _)| *until <= now);
        ended.take(beyond + 1).count() <= beyond
    }

    /// Forgets an address.
    pub fn remove(&mut self, ip: A) {
        if let Some(old) = self.by_ip.remove(&ip) {
            self.free_from.remove(&(free_from(&old), ip));
            self.strangers.remove(&(free_from(&old), ip));
            if self.by_mac.get(&old.mac) == Some(&ip) {
                self.by_mac.remove(&old.mac);
                self.marks.remove(&old.mac);
            }
        }
    }
}

fn free_from<A>(lease: &Lease<A>) -> UnixMs {
    if lease.state == LeaseState::Released {
        UnixMs(0)
    } else {
        lease.expires
    }
}

/// The address for `mac`: its reservation, its last address, the one it asks for, one never used, or the one
/// free for longest. The search for an unused one starts at a place in the pool derived from the MAC, so that
/// even an empty journal tends to give the same address. A machine that is not `known` gets none that an
/// enrolled machine had in the last day, and only as long as machines like it hold less than their share of
/// the pool: a flood of made-up MACs leaves addresses for known machines.
///
/// # Errors
/// [`Unanswered::KeptForKnown`] or [`Unanswered::Exhausted`].
pub(crate) fn choose_address<A: Address>(
    addresses: &Addresses<A>,
    leases: &Leases<A>,
    mac: Mac,
    known: bool,
    wish: Option<A>,
    now: UnixMs,
) -> Result<A, Unanswered> {
    let reserved = leases.reserved(addresses, mac);
    let had = leases.of(mac);
    if !known
        && !had.is_some_and(|lease| lease.holds(now))
        && reserved.is_none()
        && let Some(most) = addresses.strangers_most()
        && leases.strangers_have(most, now)
    {
        return Err(Unanswered::KeptForKnown);
    }
    // A machine that was only switched off finds its address again, even if the network is flooded meanwhile.
    let kept = |lease: &Lease<A>| {
        !known
            && lease.state == LeaseState::Bound
            && !leases.is_strangers(lease)
            && now < lease.expires.plus_seconds(KEPT_SECONDS)
    };
    let usable = |ip: A| {
        let free = leases.at(ip).is_none_or(|lease| {
            if lease.mac == mac {
                lease.state != LeaseState::Declined || !lease.holds(now)
            } else {
                !lease.holds(now) && !kept(&lease)
            }
        });
        leases.may_lease(addresses, mac, ip) && free
    };
    let had = had.map(|lease| lease.ip);
    if let Some(ip) = [reserved, had, wish].into_iter().flatten().find(|&ip| usable(ip)) {
        return Ok(ip);
    }
    let pool = addresses.pool();
    // The reserved address is declined or still held: this machine must not get any other.
    if pool.is_empty() || reserved.is_some() {
        return Err(Unanswered::Exhausted);
    }
    let start = match pool.len() {
        // A hash would often collide here, and people expect the first addresses in order.
        ..=SMALL => 0,
        len => fnv(&mac.0) as usize % len,
    };
    let never_used = (0..pool.len()).map(|i| pool[(start + i) % pool.len()]);
    if leases.by_ip.len() < pool.len() + addresses.reserved()
        && let Some(ip) = never_used
            .into_iter()
            .find(|&ip| leases.at(ip).is_none() && leases.reserved_for(ip).is_none())
    {
        return Ok(ip);
    }
    leases
        .free_from
        .iter()
        .take_while(|(at, _)| *at <= now)
        .map(|(_, ip)| *ip)
        .find(|&ip| usable(ip))
        .ok_or(Unanswered::Exhausted)
}

/// Seconds by which a machine renews and rebinds earlier than others, so that machines booted together do not
/// renew together. Up to 1/16 of the lease; zero for a short lease.
pub(crate) fn earlier(seconds: u32, mac: Mac) -> u32 {
    if seconds < SPREAD_FROM {
        return 0;
    }
    seconds / 16 * (fnv(&mac.0) % 16) / 16
}

#[cfg(test)]
mod tests;
