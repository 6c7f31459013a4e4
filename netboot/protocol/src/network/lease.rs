//! Leases of one network, and the choice of an address. Pure: the journal is somebody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};

use inventory_api::{Mac, UnixMs};

use crate::codes::Unanswered;
use crate::network::addresses::{Addresses, MAX_POOL};

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
const MOST: usize = 2 * MAX_POOL;

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

/// A change of the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange<A = Ipv4Addr> {
    /// Takes this in.
    Insert(Lease<A>),
    /// Takes in an acknowledged lease, with the mark of the client identifier that took it.
    Bind(Lease<A>, Option<u32>),
    /// Forgets an offer that was not taken.
    Forget(A),
}

/// An address that can be leased: IPv4 or IPv6.
pub trait Address: Copy + Ord + Hash + Debug + Display + Into<IpAddr> {}

impl<A: Copy + Ord + Hash + Debug + Display + Into<IpAddr>> Address for A {}

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

/// The leases of one network: at most one for each address and each machine (a declined address has no machine).
/// Ended leases stay until the address is needed, so that a machine keeps its address.
#[derive(Clone, Debug)]
pub struct Leases<A = Ipv4Addr> {
    by_ip: HashMap<A, Lease<A>>,
    by_mac: HashMap<Mac, A>,
    /// When an address can be had by another machine, earliest first.
    free_from: BTreeSet<(UnixMs, A)>,
    /// Those of `free_from` that machines have which nobody enrolled, or that are out of use because one of them said so (DECLINE).
    strangers: BTreeSet<(UnixMs, A)>,
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
            strangers: BTreeSet::new(),
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

    /// Every lease, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Lease<A>> {
        self.by_ip.values()
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

    /// How many addresses machines that nobody enrolled hold now, or have said that somebody else uses them. Else one of them could
    /// take a whole pool out of use, address by address.
    pub fn strangers(&self, now: UnixMs) -> usize {
        self.strangers.iter().filter(|(until, _)| now < *until).count()
    }

    /// Whether these are `most` or more: asked of each message of a flood, it looks at no more of those that have ended than there
    /// are beyond that.
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

/// The address for `mac`: its reservation, the one it had, the one it asks for, one never used (from a place in the
/// pool that its MAC decides, so that even an empty journal tends to give the same), or the one free for longest. A machine
/// that is not `known` gets none that an enrolled machine had in the last day, and one of the pool only as long as there are fewer
/// like it than their share: a flood of made-up MACs leaves something for the machines that are known.
///
/// # Errors
/// [`Unanswered::KeptForKnown`] or [`Unanswered::Exhausted`].
pub fn choose_address<A: Address>(
    addresses: &Addresses<A>,
    leases: &Leases<A>,
    mac: Mac,
    known: bool,
    wish: Option<A>,
    now: UnixMs,
) -> Result<A, Unanswered> {
    let reserved = addresses.reservation(mac).or(leases.reservation(mac));
    let had = leases.of(mac);
    if !known
        && !had.is_some_and(|lease| lease.holds(now))
        && reserved.is_none()
        && let Some(most) = addresses.strangers_most()
        && leases.strangers_have(most, now)
    {
        return Err(Unanswered::KeptForKnown);
    }
    // A machine that is only switched off finds its address again, whoever floods the network meanwhile.
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
    // A reserved address that is declined or still held: nothing else may be given to this machine.
    if pool.is_empty() || reserved.is_some() {
        return Err(Unanswered::Exhausted);
    }
    let start = match pool.len() {
        // Here the same address would be chance, and people look for the first ones in their order.
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

/// Seconds by which a machine renews and rebinds earlier than others: machines that booted together do not come back together.
/// Up to 1/16 of the lease, and not at all for one that is short.
pub(crate) fn earlier(seconds: u32, mac: Mac) -> u32 {
    if seconds < SPREAD_FROM {
        return 0;
    }
    seconds / 16 * (fnv(&mac.0) % 16) / 16
}

/// FNV-1a: spreads MACs evenly, and tells damaged lines.
pub fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests;
