//! The leases of all networks: in memory for decisions, in the journal before an ACK.

pub(crate) mod journal;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::{Mac, UnixMs};
use netboot_protocol::shares::Standing;
use netboot_protocol::{Address, Addresses, Lease, LeaseChange, LeaseState, Leases, Network, Unanswered};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::log;
use journal::{Journal, Record};

/// Changes queued for the disk. Beyond that, DHCP messages are dropped, as a full socket buffer would.
const QUEUE: usize = 4096;

/// Addresses of a network in use, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) held: u64,
    pub(crate) bound: u64,
    pub(crate) quarantined: u64,
    pub(crate) strangers: u64,
}

/// The leases, for finding the machine that holds an address.
#[derive(Clone)]
pub struct LeaseTable<A = Ipv4Addr>(Arc<Mutex<BTreeMap<String, Leases<A>>>>);

impl<A> Default for LeaseTable<A> {
    fn default() -> LeaseTable<A> {
        LeaseTable(Arc::default())
    }
}

impl<A: Address> LeaseTable<A> {
    /// The machine that holds an acknowledged lease of `ip` on a network.
    pub fn holder(&self, network: &str, ip: A, now: UnixMs) -> Option<Mac> {
        self.0.lock().get(network)?.holder(ip, now)
    }

    /// The machine that holds `ip`, and the name of its network.
    pub fn holder_anywhere(&self, ip: A, now: UnixMs) -> Option<(String, Mac)> {
        self.0
            .lock()
            .iter()
            .find_map(|(name, leases)| Some((name.clone(), leases.holder(ip, now)?)))
    }

    /// How much we trust a machine in a network: enrolled (`known`), a reservation, or an acknowledged lease.
    pub(crate) fn standing(
        &self,
        network: Option<(&str, &Addresses<A>)>,
        mac: Mac,
        known: bool,
        now: UnixMs,
    ) -> Standing {
        let Some((name, addresses)) = network else {
            return Standing::Stranger;
        };
        if known || addresses.reservation(mac).is_some() {
            return Standing::Known;
        }
        self.look(name, |leases| match leases.of(mac) {
            _ if leases.reservation(mac).is_some() => Standing::Known,
            Some(lease) if lease.is_bound(now) => Standing::Lease,
            Some(_) | None => Standing::Stranger,
        })
    }

    /// The machine's acknowledged lease on a network.
    pub fn address_of(&self, network: &str, mac: Mac, now: UnixMs) -> Option<A> {
        let lease = self.look(network, |leases| leases.of(mac))?;
        lease.is_bound(now).then_some(lease.ip)
    }

    /// Addresses in use in a network now.
    pub(crate) fn counts(&self, network: &str, now: UnixMs) -> Counts {
        self.look(network, |leases| {
            let mut counts = Counts {
                strangers: leases.strangers(now) as u64,
                ..Counts::default()
            };
            for lease in leases.iter().filter(|lease| lease.holds(now)) {
                match lease.state {
                    LeaseState::Declined => counts.quarantined += 1,
                    LeaseState::Bound | LeaseState::Seen => {
                        (counts.held, counts.bound) = (counts.held + 1, counts.bound + 1)
                    }
                    LeaseState::Offered | LeaseState::Released | LeaseState::Reserved => counts.held += 1,
                }
            }
            counts
        })
    }

    /// Quarantined addresses of a network, soonest to expire first, at most `most`.
    pub(crate) fn quarantined(&self, network: &str, now: UnixMs, most: usize) -> Vec<Lease<A>> {
        let out = |lease: &&Lease<A>| lease.state == LeaseState::Declined && lease.holds(now);
        let mut all: Vec<Lease<A>> =
            self.look(network, |leases| leases.iter().filter(out).copied().collect());
        all.sort_by_key(|lease| (lease.expires, lease.ip));
        all.truncate(most);
        all
    }

    /// The number of leases, including ended ones.
    fn count(&self) -> usize {
        let networks = self.0.lock();
        networks.values().map(|leases| leases.iter().count()).sum()
    }

    /// Looks at a network's leases.
    pub(crate) fn look<T>(&self, network: &str, look: impl FnOnce(&Leases<A>) -> T) -> T {
        match self.0.lock().get(network) {
            Some(leases) => look(leases),
            None => look(&Leases::default()),
        }
    }

    /// Reads a network's leases and applies the change `decide` returns, atomically. Changes that must be
    /// durable enter `queue` in the order they are made; the returned [`Durable`] completes when the change
    /// is on disk. `known`: the machine is enrolled.
    pub(crate) fn update<T>(
        &self,
        network: &str,
        queue: &JournalQueue,
        known: bool,
        decide: impl FnOnce(&Leases<A>) -> (T, Option<LeaseChange<A>>),
    ) -> (T, Durable) {
        let mut networks = self.0.lock();
        let leases = networks.entry(network.to_owned()).or_default();
        let (result, change) = decide(leases);
        if let Some(change) = change {
            leases.apply(change);
        }
        let durable = match change {
            Some(LeaseChange::Insert(lease) | LeaseChange::Bind(lease, _)) => {
                leases.set_known(lease.mac, known);
                // An offer lost in a crash costs nothing, and other servers' leases are theirs to remember.
                (!matches!(lease.state, LeaseState::Offered | LeaseState::Seen)).then(|| {
                    queue.push(Record {
                        network: network.to_owned(),
                        lease: lease.with_ip(lease.ip.into()),
                    })
                })
            }
            Some(LeaseChange::Forget(_)) | None => None,
        };
        (result, Durable(durable))
    }

    /// Reservations made at run time in a network.
    pub(crate) fn reservations(&self, network: &str) -> BTreeMap<Mac, A> {
        self.look(network, |leases| leases.reservations().clone())
    }

    /// Sets for every lease whether its machine is enrolled: the journal does not say.
    pub(crate) fn mark_known(&self, known: impl Fn(Mac) -> bool) {
        for leases in self.0.lock().values_mut() {
            let macs: Vec<Mac> = leases.iter().map(|lease| lease.mac).collect();
            for mac in macs {
                leases.set_known(mac, known(mac));
            }
        }
    }

    /// Restores a journalled lease if the configuration still allows it. `may_reserve`: this address may be
    /// reserved at run time.
    fn restore(&self, name: String, addresses: &Addresses<A>, lease: Lease<A>, may_reserve: bool) {
        let mut books = self.0.lock();
        let leases = books.entry(name).or_default();
        let allowed = match lease.state {
            LeaseState::Reserved => may_reserve,
            _ => leases.may_lease(addresses, lease.mac, lease.ip),
        };
        if allowed {
            leases.insert(lease);
        }
    }
}

/// The IPv4 and IPv6 leases, and their common journal.
type Opened = (LeaseTable, LeaseTable<Ipv6Addr>, Journal);

/// Reads the journal and returns the leases of the configured networks, without those the configuration no
/// longer allows.
pub(crate) fn open(path: &Path, networks: &[Network]) -> std::io::Result<Opened> {
    let of = |name: &str| networks.iter().find(|network| network.name() == name);
    let (journal, replayed) = Journal::open(path, |record| {
        of(&record.network).is_some_and(|network| match record.lease.ip {
            IpAddr::V4(ip) => network.may_be_host(ip),
            IpAddr::V6(ip) => network.v6().is_some_and(|v6| v6.may_be_host(ip)),
        })
    })?;
    if replayed.damaged > 0 {
        tracing::warn!(lines = replayed.damaged, path = %path.display(), "skipped damaged lines in the lease journal");
    }
    let (leases, leases6) = (LeaseTable::default(), LeaseTable::default());
    // The journal has one line per address. If a machine has two addresses, the later lease wins. Restore
    // reservations first: they decide which leases are allowed.
    let mut records = replayed.records;
    records.sort_by_key(|record| (record.lease.state != LeaseState::Reserved, record.lease.expires));
    for Record { network: name, lease } in records {
        let Some(network) = of(&name) else { continue };
        match (lease.ip, network.v6()) {
            (IpAddr::V4(ip), _) => {
                let addresses = network.addresses();
                let may_reserve = network.may_reserve(ip) && addresses.reservation(lease.mac).is_none();
                leases.restore(name, addresses, lease.with_ip(ip), may_reserve);
            }
            (IpAddr::V6(ip), Some(v6)) => leases6.restore(name, v6.addresses(), lease.with_ip(ip), false),
            (IpAddr::V6(_), None) => {}
        }
    }
    let (v4, v6) = (leases.count(), leases6.count());
    tracing::info!(leases = v4, leases_v6 = v6, "lease journal read");
    Ok((leases, leases6, journal))
}

/// A record on its way to the disk, and the channel that reports its outcome.
pub(crate) type Pending = (Record, oneshot::Sender<bool>);

/// Where records go to become durable.
#[derive(Clone)]
pub(crate) struct JournalQueue(pub(crate) mpsc::Sender<Pending>);

impl JournalQueue {
    pub(crate) fn new() -> (JournalQueue, mpsc::Receiver<Pending>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (JournalQueue(sender), receiver)
    }

    /// For holders that must not keep the writer alive.
    pub(crate) fn weak(&self) -> mpsc::WeakSender<Pending> {
        self.0.downgrade()
    }

    fn push(&self, record: Record) -> oneshot::Receiver<bool> {
        let (done, wait) = oneshot::channel();
        if self.0.try_send((record, done)).is_err() {
            log::paced!(warn; "journal", "slow", false; "the lease journal is too slow: DHCP message dropped");
        }
        wait
    }
}

/// A change on its way to the disk, if there is one.
pub(crate) struct Durable(Option<oneshot::Receiver<bool>>);

impl Durable {
    /// Waits until the change is durable.
    ///
    /// # Errors
    /// [`Unanswered::JournalFailed`]: it is not, and the ACK must not be sent.
    pub(crate) async fn wait(self) -> Result<(), Unanswered> {
        let written = match self.0 {
            Some(done) => done.await.unwrap_or(false),
            None => true,
        };
        written.then_some(()).ok_or(Unanswered::JournalFailed)
    }
}

/// Minimum time between syncs. On a fast disk every ACK would otherwise get its own sync, which costs more
/// than the rest of the exchange. A single machine never waits for it.
const SYNC_PAUSE: Duration = Duration::from_millis(2);
/// After this many answers, pause for a millisecond.
const AT_ONCE: usize = 32;

/// Writes queued records, one sync for all that arrived meanwhile. Ends when every sender is gone.
pub(crate) fn write_loop(mut journal: Journal, mut queue: mpsc::Receiver<Pending>) {
    let mut batch = Vec::new();
    let mut synced = Instant::now();
    while queue.blocking_recv_many(&mut batch, QUEUE) > 0 {
        let pause = SYNC_PAUSE.saturating_sub(synced.elapsed());
        if !pause.is_zero() {
            std::thread::sleep(pause);
            while batch.len() < QUEUE
                && let Ok(more) = queue.try_recv()
            {
                batch.push(more);
            }
        }
        let (records, waiting): (Vec<Record>, Vec<_>) = batch.drain(..).unzip();
        let result = journal.append(&records);
        synced = Instant::now();
        if let Err(error) = &result {
            log::paced!(error; "journal", "write", false; %error, "cannot write the lease journal: no ACKs are sent until it works again");
        }
        for (n, done) in waiting.into_iter().enumerate() {
            // Answers held up by a slow sync must not leave in one burst: it would overflow buffers on the
            // way.
            if n % AT_ONCE == AT_ONCE - 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = done.send(result.is_ok());
        }
        if journal.has_grown()
            && let Err(error) = journal.compact()
        {
            tracing::error!(%error, "cannot compact the lease journal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netboot_protocol::NetworkSettings;

    /// `unknown_share` counts what is known at each message: a renewal enrols nobody, and a machine that is
    /// forgotten counts again.
    #[test]
    fn a_renewal_enrols_nobody() {
        let leases: LeaseTable = LeaseTable::default();
        let (queue, _records) = JournalQueue::new();
        let (at, mac) = (UnixMs(1_000_000), Mac([2, 0, 0, 0, 0, 9]));
        for (seconds, known, strangers) in [
            (0, false, 1),
            (100, false, 1),
            (200, true, 0),
            (300, true, 0),
            (400, false, 1),
        ] {
            let now = at.plus_seconds(seconds);
            let lease = Lease {
                mac,
                ip: Ipv4Addr::new(10, 0, 0, 9),
                expires: now.plus_seconds(3600),
                state: LeaseState::Bound,
            };
            let _ = leases.update("lab", &queue, known, |_| ((), Some(LeaseChange::Insert(lease))));
            assert_eq!(
                leases.counts("lab", now).strangers,
                strangers,
                "after {seconds} s"
            );
        }
        let settings = NetworkSettings::new("lab", [10, 0, 0, 1].into(), "10.0.0.0/24".parse().unwrap());
        let network = Network::new(settings).unwrap();
        let standing = |known| leases.standing(Some(("lab", network.addresses())), mac, known, at);
        assert_eq!(
            (standing(false), standing(true)),
            (Standing::Lease, Standing::Known)
        );
    }
}
