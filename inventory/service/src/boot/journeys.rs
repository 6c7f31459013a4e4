//! The boot events of each MAC, in memory. The bounds keep a stranger's noise from evicting a machine:
//! eviction goes by rank, not by how much a MAC sends.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use inventory_api::boot::{BootEvent, BootEventKind};
use inventory_api::{Mac, MachineId, UnixMs};

use crate::lock::lock;

/// Events kept per MAC.
const EVENTS: usize = 200;
/// Journeys kept of MACs of strangers.
const STRANGERS: usize = 4096;
/// Journeys kept of MACs of known machines.
const KNOWN: usize = 16_384;

/// The trust in a MAC; the lowest is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It only sent requests, or was only named: anybody can do that with any MAC.
    Noise,
    /// It fetched something.
    Boots,
    /// It belongs to a known machine.
    Known,
}

struct Journey {
    rank: Rank,
    last: UnixMs,
    events: VecDeque<BootEvent>,
}

/// What was heard from each MAC.
#[derive(Default)]
pub(crate) struct Journeys {
    kept: Mutex<Kept>,
    arm64_asked: AtomicBool,
}

impl Journeys {
    /// Keeps an event and returns its machine, if recorded. `known`: the MAC belongs to a known machine.
    pub(crate) fn heard(&self, event: BootEvent, known: bool) -> Option<MachineId> {
        if matches!(&event.what, BootEventKind::Dhcp { client, .. } if client.starts_with("uefi-arm64")) {
            self.arm64_asked.store(true, Ordering::Relaxed);
        }
        lock(&self.kept).heard(event, known)
    }

    /// Whether a 64-bit ARM machine has sent a DHCP message since the start.
    pub(crate) fn arm64_asked(&self) -> bool {
        self.arm64_asked.load(Ordering::Relaxed)
    }

    /// Removes a forgotten machine as the owner of its MACs.
    pub(crate) fn forget(&self, id: &MachineId) {
        lock(&self.kept).owners.retain(|_, owner| owner != id);
    }

    /// Records the machine of a MAC, if that MAC was heard.
    pub(crate) fn owned(&self, mac: Mac, id: &MachineId) {
        let mut kept = lock(&self.kept);
        if kept.by_mac.contains_key(&mac) {
            kept.owners.insert(mac, id.clone());
        }
    }

    /// Other NICs that were heard, last heard first: `siblings`, and MACs at most 4 away from `mac`.
    pub(crate) fn near(&self, mac: Mac, siblings: &[Mac]) -> Vec<(Mac, UnixMs)> {
        let number = |mac: Mac| mac.0.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let is_near = |other: &Mac| {
            *other != mac && (siblings.contains(other) || number(*other).abs_diff(number(mac)) <= 4)
        };
        let kept = lock(&self.kept);
        let near = kept.by_mac.iter().filter(|(other, _)| is_near(other));
        let mut all: Vec<(Mac, UnixMs)> = near.map(|(other, journey)| (*other, journey.last)).collect();
        all.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        all
    }

    /// The events of a MAC, oldest first.
    pub(crate) fn of(&self, mac: Mac) -> Vec<BootEvent> {
        lock(&self.kept).of(mac)
    }
}

#[derive(Default)]
struct Kept {
    by_mac: HashMap<Mac, Journey>,
    order: BTreeSet<(Rank, UnixMs, Mac)>,
    known: usize,
    owners: HashMap<Mac, MachineId>,
}

impl Kept {
    fn heard(&mut self, event: BootEvent, known: bool) -> Option<MachineId> {
        let (mac, at) = (event.mac, event.at);
        let mut journey = self.take(mac).unwrap_or(Journey {
            rank: Rank::Noise,
            last: at,
            events: VecDeque::new(),
        });
        journey.rank = match known {
            true => Rank::Known,
            // `Rank::Known` here means that its machine was forgotten since.
            false if journey.rank == Rank::Known || fetched(&event.what) => Rank::Boots,
            false => journey.rank,
        };
        journey.last = at;
        match journey.events.back_mut().filter(|last| again(last, &event)) {
            Some(last) => last.at = at,
            None => {
                if journey.events.len() >= EVENTS {
                    make_room(&mut journey.events);
                }
                journey.events.push_back(event);
            }
        }
        self.put(mac, journey);
        if self.known > KNOWN {
            self.evict(Rank::Known);
        }
        if self.by_mac.len() - self.known > STRANGERS {
            self.evict(Rank::Noise);
        }
        self.owners.get(&mac).cloned()
    }

    fn of(&self, mac: Mac) -> Vec<BootEvent> {
        let journey = self.by_mac.get(&mac);
        journey
            .map(|journey| journey.events.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Evicts the MAC heard longest ago within this rank or, if that is empty, the next higher one.
    fn evict(&mut self, from: Rank) {
        let first = self.order.range((from, UnixMs(i64::MIN), Mac([0; 6]))..).next();
        if let Some((_, _, mac)) = first.copied() {
            self.take(mac);
            self.owners.remove(&mac);
        }
    }

    fn take(&mut self, mac: Mac) -> Option<Journey> {
        let journey = self.by_mac.remove(&mac)?;
        self.order.remove(&(journey.rank, journey.last, mac));
        self.known -= usize::from(journey.rank == Rank::Known);
        Some(journey)
    }

    fn put(&mut self, mac: Mac, journey: Journey) {
        self.order.insert((journey.rank, journey.last, mac));
        self.known += usize::from(journey.rank == Rank::Known);
        self.by_mac.insert(mac, journey);
    }
}

/// Repeated tries of an agent share one entry.
fn again(last: &BootEvent, event: &BootEvent) -> bool {
    let tries = matches!(
        event.what,
        BootEventKind::Agent { .. } | BootEventKind::Connection { .. }
    );
    tries && last.what == event.what && last.ip == event.ip
}

/// Only the holder of the MAC's leased address can fetch something in its name.
fn fetched(what: &BootEventKind) -> bool {
    match what {
        BootEventKind::Script { .. } | BootEventKind::Chosen { .. } => true,
        BootEventKind::Tftp { complete, .. } => *complete,
        BootEventKind::Http { .. } | BootEventKind::Agent { .. } => !refused(what),
        BootEventKind::Dhcp { .. } | BootEventKind::Connection { .. } => false,
    }
}

fn refused(what: &BootEventKind) -> bool {
    matches!(what, BootEventKind::Http { status, .. } | BootEventKind::Agent { status, .. } if *status >= 400)
}

/// Removes the oldest event of the most frequent kind, so a flood of one kind evicts no other. Refused
/// requests are a kind of their own, since somebody else may have sent them.
fn make_room(events: &mut VecDeque<BootEvent>) {
    let kind = |event: &BootEvent| -> (Discriminant<BootEventKind>, bool) {
        (discriminant(&event.what), refused(&event.what))
    };
    let mut counts: HashMap<_, (usize, usize)> = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        counts.entry(kind(event)).or_insert((0, at)).0 += 1;
    }
    // On a tie, the kind with the oldest event.
    let most = counts
        .values()
        .max_by_key(|(count, first)| (*count, usize::MAX - *first));
    if let Some((_, first)) = most {
        events.remove(*first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u32) -> Mac {
        let [a, b, c, d] = n.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    fn event(n: u32, at: i64, what: BootEventKind) -> BootEvent {
        BootEvent {
            at: UnixMs(at),
            mac: mac(n),
            ip: None,
            network: None,
            what,
        }
    }

    fn http(status: u16) -> BootEventKind {
        BootEventKind::Http {
            path: "/".into(),
            bytes: 0,
            status,
            head: false,
            partial: false,
        }
    }

    fn dhcp() -> BootEventKind {
        BootEventKind::Dhcp {
            message: "discover".into(),
            client: "bios".into(),
            answer: "offer".into(),
            boot_file: None,
            facts: Default::default(),
        }
    }

    #[test]
    fn journeys_are_bounded() {
        let mut journeys = Kept::default();
        for at in 0..1000 {
            journeys.heard(event(0, at, http(200)), true);
        }
        let kept = journeys.of(mac(0));
        assert_eq!(
            (kept.len(), kept.last().map(|e| e.at)),
            (EVENTS, Some(UnixMs(999)))
        );
        for n in 0..50_000 {
            journeys.heard(event(n, i64::from(n), dhcp()), n % 2 == 0);
        }
        assert_eq!(
            (journeys.known, journeys.by_mac.len()),
            (KNOWN, KNOWN + STRANGERS)
        );
        assert_eq!(journeys.order.len(), journeys.by_mac.len());
    }

    #[test]
    fn strangers_evict_strangers_and_first_those_that_only_ask() {
        let mut journeys = Kept::default();
        journeys.heard(event(1, 0, dhcp()), true);
        journeys.heard(event(2, 0, dhcp()), false);
        journeys.heard(event(2, 1, http(200)), false);
        journeys.heard(event(3, 2, dhcp()), false);
        for n in 0..20_000 {
            let what = if n % 2 == 0 { dhcp() } else { http(403) };
            journeys.heard(event(1000 + n, 10 + i64::from(n), what), false);
        }
        let left = [1, 2, 3].map(|n| journeys.of(mac(n)).len());
        assert_eq!(
            left,
            [1, 2, 0],
            "a known machine, one that boots, one that only asked"
        );
        // Enrolled, forgotten, and enrolled again.
        for known in [true, false, true] {
            journeys.heard(event(2, 100_000, dhcp()), known);
            assert_eq!(journeys.known, 1 + usize::from(known));
        }
    }

    #[test]
    fn what_is_refused_in_a_machines_name_pushes_out_nothing_else() {
        for flood in [http(403), dhcp()] {
            let mut journeys = Kept::default();
            for at in 0..30 {
                journeys.heard(event(1, at, http(200)), true);
            }
            let target = inventory_api::boot::BootTarget::LocalDisk;
            journeys.heard(event(1, 31, BootEventKind::Script { target }), true);
            for at in 0..5000 {
                journeys.heard(event(1, 100 + at, flood.clone()), true);
            }
            for at in 0..50 {
                journeys.heard(event(1, 9000 + at, http(200)), true);
            }
            let kept = journeys.of(mac(1));
            let real = kept.iter().filter(|event| event.what != flood).count();
            assert_eq!((kept.len(), real), (EVENTS, 81));
        }
    }
}
