//! Leases of one network, and the choice of an address. Pure: the journal is somebody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};

use inventory_api::{Mac, UnixMs};

use crate::network::Network;
use crate::reply::LeaseChange;

/// Seconds an offered address waits for its REQUEST. EDK2 collects offers for 4 s, and retries up to 32 s.
pub const OFFER_SECONDS: u64 = 60;
/// Seconds a declined address is kept out of use.
pub const DECLINE_SECONDS: u64 = 3600;

/// Leases shorter than this, in seconds, are renewed at half of their time to the second.
const SPREAD_FROM: u32 = 3600;
/// Seconds that an ended lease of an enrolled machine is kept from machines that nobody enrolled.
pub const KEPT_SECONDS: u64 = 86_400;
/// A pool of so many addresses is given out in its order.
const SMALL: usize = 16;
/// The most leases of one network: a full pool, and as many reservations or addresses of other servers.
const MOST: usize = 2 * crate::network::MAX_POOL as usize;

/// What became of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Offered, not yet requested; never written to the journal.
    Offered,
    /// Acknowledged.
    Bound,
    /// Given back. The machine gets it again as long as nobody else needs it.
    Released,
    /// Somebody else uses it (DECLINE): nobody gets it until `expires`.
    Declined,
    /// Another DHCP server gave it, as the machine said; never written to the journal.
    Seen,
    /// Kept for its machine, beside whatever lease there is of it; with `expires` 0 no longer.
    Reserved,
}

impl LeaseState {
    /// Lower-case name, as in the journal.
    pub fn name(self) -> &'static str {
        match self {
            LeaseState::Offered => "offered",
            LeaseState::Bound => "bound",
            LeaseState::Released => "released",
            LeaseState::Declined => "declined",
            LeaseState::Seen => "seen",
            LeaseState::Reserved => "reserved",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<LeaseState> {
        [
            LeaseState::Offered,
            LeaseState::Bound,
            LeaseState::Released,
            LeaseState::Declined,
            LeaseState::Seen,
            LeaseState::Reserved,
        ]
        .into_iter()
        .find(|state| state.name() == name)
    }
}

/// One address and the machine it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease<A = Ipv4Addr> {
    /// Machine.
    pub mac: Mac,
    /// Address.
    pub ip: A,
    /// Until when it holds.
    pub expires: UnixMs,
    /// What became of it.
    pub state: LeaseState,
}

/// An address that can be leased: IPv4 or IPv6.
pub trait Address: Copy + Ord + Hash + Debug + Into<IpAddr> {}

impl<A: Copy + Ord + Hash + Debug + Into<IpAddr>> Address for A {}

/// What the choice of an address has to know of a network.
pub trait AddressPool<A> {
    /// Every address that machines without a reservation can get.
    fn pool(&self) -> &[A];
    /// How many addresses are reserved in the configuration.
    fn reserved(&self) -> usize;
    /// The address that the configuration reserves for `mac`.
    fn reservation(&self, mac: Mac) -> Option<A>;
    /// Whether the configuration allows `mac` to have `address`.
    fn may_lease(&self, mac: Mac, address: A) -> bool;
    /// Percent of the pool that machines nobody enrolled may hold.
    fn unknown_share(&self) -> u8;
}

impl AddressPool<Ipv4Addr> for Network {
    fn pool(&self) -> &[Ipv4Addr] {
        Network::pool(self)
    }

    fn reserved(&self) -> usize {
        self.settings().reservations.len()
    }

    fn reservation(&self, mac: Mac) -> Option<Ipv4Addr> {
        Network::reservation(self, mac)
    }

    fn may_lease(&self, mac: Mac, address: Ipv4Addr) -> bool {
        Network::may_lease(self, mac, address)
    }

    fn unknown_share(&self) -> u8 {
        self.settings().unknown_share
    }
}

impl<A> Lease<A> {
    /// Whether nobody else may have the address now.
    pub fn holds(&self, now: UnixMs) -> bool {
        self.state != LeaseState::Released && now < self.expires
    }

    /// The same lease with its address in another type.
    pub fn with_ip<B>(&self, ip: B) -> Lease<B> {
        Lease {
            mac: self.mac,
            ip,
            expires: self.expires,
            state: self.state,
        }
    }

    /// Whether the machine uses the address now.
    pub fn is_bound(&self, now: UnixMs) -> bool {
        matches!(self.state, LeaseState::Bound | LeaseState::Seen) && now < self.expires
    }
}

/// No address is left; a value, since it is a normal state of a small pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {pool} addresses of the pools are in use")]
pub struct Exhausted {
    /// Addresses in the pools.
    pub pool: usize,
}

/// The leases of one network: at most one for each address and each machine (a declined address has no machine).
/// Ended leases stay until the address is needed, so that a machine keeps its address.
#[derive(Clone, Debug)]
pub struct Leases<A = Ipv4Addr> {
    by_ip: HashMap<A, Lease<A>>,
    by_mac: HashMap<Mac, A>,
    /// When an address can be had by another machine, earliest first.
    free_from: BTreeSet<(UnixMs, A)>,
    /// Machines with a lease that nobody enrolled.
    strangers: HashSet<Mac>,
    /// Addresses out of use because one of them said so (DECLINE).
    spoiled: HashSet<A>,
    /// The client identifier that took a machine's lease, by its mark. Not in the journal: after a restart it is not known.
    marks: HashMap<Mac, u32>,
    /// Addresses that a person reserved beside those of the configuration, both ways.
    reserved: BTreeMap<Mac, A>,
    reserved_for: HashMap<A, Mac>,
}

impl<A> Default for Leases<A> {
    fn default() -> Leases<A> {
        Leases {
            by_ip: HashMap::new(),
            by_mac: HashMap::new(),
            free_from: BTreeSet::new(),
            strangers: HashSet::new(),
            spoiled: HashSet::new(),
            marks: HashMap::new(),
            reserved: BTreeMap::new(),
            reserved_for: HashMap::new(),
        }
    }
}

impl<A: Address> Leases<A> {
    /// The machine's lease, ended ones too.
    pub fn of(&self, mac: Mac) -> Option<Lease<A>> {
        self.by_ip.get(self.by_mac.get(&mac)?).copied()
    }

    /// The lease of an address, ended ones too.
    pub fn at(&self, ip: A) -> Option<Lease<A>> {
        self.by_ip.get(&ip).copied()
    }

    /// The address that a person reserved for a machine.
    pub fn reservation(&self, mac: Mac) -> Option<A> {
        self.reserved.get(&mac).copied()
    }

    /// The machine that a person reserved an address for.
    pub fn reserved_for(&self, ip: A) -> Option<Mac> {
        self.reserved_for.get(&ip).copied()
    }

    /// Every reservation that a person made, by MAC.
    pub fn reservations(&self) -> &BTreeMap<Mac, A> {
        &self.reserved
    }

    /// Whether `mac` may have `ip`, as the configuration and the reservations say.
    pub fn may_lease(&self, network: &impl AddressPool<A>, mac: Mac, ip: A) -> bool {
        match self.reservation(mac) {
            Some(reserved) if network.reservation(mac).is_none() => reserved == ip,
            _ => network.may_lease(mac, ip) && self.reserved_for(ip).is_none(),
        }
    }

    /// The machine that uses `ip` now.
    pub fn holder(&self, ip: A, now: UnixMs) -> Option<Mac> {
        self.at(ip)
            .filter(|lease| lease.is_bound(now))
            .map(|lease| lease.mac)
    }

    /// Every lease, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Lease<A>> {
        self.by_ip.values()
    }

    /// Every lease, by address.
    pub fn all(&self) -> BTreeMap<A, Lease<A>> {
        self.by_ip.iter().map(|(&ip, &lease)| (ip, lease)).collect()
    }

    /// Takes a lease in, in place of what its address and its machine had before.
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
        let spoiled = lease.state == LeaseState::Declined && self.strangers.contains(&lease.mac);
        self.remove(lease.ip);
        if spoiled {
            self.spoiled.insert(lease.ip);
        }
        if lease.state != LeaseState::Declined {
            if let Some(old) = self.by_mac.get(&lease.mac).copied() {
                self.remove(old);
            }
            self.by_mac.insert(lease.mac, lease.ip);
        }
        self.by_ip.insert(lease.ip, lease);
        self.free_from.insert((free_from(&lease), lease.ip));
        // What others give out is not bounded by a pool of ours.
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

    /// Whether a client with this identifier can be the one that took the machine's lease.
    pub fn took(&self, mac: Mac, mark: Option<u32>) -> bool {
        self.marks.get(&mac).is_none_or(|taken| Some(*taken) == mark)
    }

    /// Says whether the machine is enrolled; one that nobody spoke of is.
    pub fn set_known(&mut self, mac: Mac, known: bool) {
        if known || !self.by_mac.contains_key(&mac) {
            self.strangers.remove(&mac);
        } else {
            self.strangers.insert(mac);
        }
    }

    /// How many addresses machines that nobody enrolled hold now, or have said that somebody else uses them; exact from
    /// `enough` on. Else one of them could take a whole pool out of use, address by address.
    pub fn strangers(&self, now: UnixMs, enough: usize) -> usize {
        let most = self.strangers.len() + self.spoiled.len();
        if most < enough {
            return most;
        }
        let holds = |lease: Option<Lease<A>>| lease.is_some_and(|lease| lease.holds(now));
        let held = self.strangers.iter().filter(|mac| holds(self.of(**mac)));
        let spoiled = self.spoiled.iter().filter(|ip| holds(self.at(**ip)));
        held.count() + spoiled.count()
    }

    /// Forgets an address.
    pub fn remove(&mut self, ip: A) {
        if let Some(old) = self.by_ip.remove(&ip) {
            self.free_from.remove(&(free_from(&old), ip));
            self.spoiled.remove(&ip);
            if self.by_mac.get(&old.mac) == Some(&ip) {
                self.by_mac.remove(&old.mac);
                self.strangers.remove(&old.mac);
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

/// The address for `mac`: its reservation, the one it had, the one it asks for, one never used (from a place in the
/// pool that its MAC decides, so that even an empty journal tends to give the same), or the one free for longest. A machine
/// that is not `known` gets none that an enrolled machine had in the last day.
pub fn choose_address<A: Address>(
    network: &impl AddressPool<A>,
    leases: &Leases<A>,
    mac: Mac,
    known: bool,
    wish: Option<A>,
    now: UnixMs,
) -> Result<A, Exhausted> {
    // A machine that is only switched off finds its address again, whoever floods the network meanwhile.
    let kept = |lease: &Lease<A>| {
        !known
            && lease.state == LeaseState::Bound
            && !leases.strangers.contains(&lease.mac)
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
        leases.may_lease(network, mac, ip) && free
    };
    let had = leases.of(mac).map(|lease| lease.ip);
    let reserved = network.reservation(mac).or(leases.reservation(mac));
    if let Some(ip) = [reserved, had, wish].into_iter().flatten().find(|&ip| usable(ip)) {
        return Ok(ip);
    }
    let pool = network.pool();
    let exhausted = Exhausted { pool: pool.len() };
    // A reserved address that is declined or still held: nothing else may be given to this machine.
    if pool.is_empty() || reserved.is_some() {
        return Err(exhausted);
    }
    let start = match pool.len() {
        // Here the same address would be chance, and people look for the first ones in their order.
        ..=SMALL => 0,
        len => spread(mac) as usize % len,
    };
    let never_used = (0..pool.len()).map(|i| pool[(start + i) % pool.len()]);
    if leases.by_ip.len() < pool.len() + network.reserved()
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
        .ok_or(exhausted)
}

/// Whether a machine that has no address yet may take one of the pool: strangers only their share of it, so that a
/// flood of made-up MACs leaves something for the machines that are known.
pub fn is_admitted<A: Address>(
    network: &impl AddressPool<A>,
    leases: &Leases<A>,
    mac: Mac,
    known: bool,
    now: UnixMs,
) -> bool {
    let has = leases.of(mac).is_some_and(|lease| lease.holds(now));
    let reserved = network.reservation(mac).or(leases.reservation(mac));
    if known || has || reserved.is_some() {
        return true;
    }
    strangers_most(network).is_none_or(|most| leases.strangers(now, most) < most)
}

/// The most addresses of the pools that machines may hold which nobody enrolled. `None`: all, since that is what is
/// configured, or the pool is too small to be shared.
pub fn strangers_most<A>(network: &impl AddressPool<A>) -> Option<usize> {
    let pool = network.pool().len();
    let most = (pool * usize::from(network.unknown_share())).div_ceil(100);
    (most < pool).then_some(most)
}

/// A number that spreads MACs evenly.
pub(crate) fn spread(mac: Mac) -> u32 {
    fnv(&mac.0)
}

/// Seconds by which a machine renews and rebinds earlier than others: machines that booted together do not come back together.
/// Up to 1/16 of the lease, and not at all for one that is short.
pub(crate) fn earlier(seconds: u32, mac: Mac) -> u32 {
    if seconds < SPREAD_FROM {
        return 0;
    }
    seconds / 16 * (spread(mac) % 16) / 16
}

/// FNV-1a.
pub(crate) fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests;
