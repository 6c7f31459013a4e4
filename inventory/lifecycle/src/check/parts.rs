//! Matches parts of the report with entries of the profile, the same way for modules, disks, ports and power
//! supplies.
//!
//! If places of the profile do not exist on the machine, they were renamed (a firmware update, another naming
//! in the profile): then parts match in order, and none of them has moved.

use std::collections::{HashMap, HashSet, VecDeque};

use super::difference::Differences;
use super::text::normal;

/// Maximum number of compared parts of one kind. The largest machines have a few hundred.
pub(super) const PART_LIMIT: usize = 4096;
/// Maximum number of compared entries without a place: a machine has a handful of different parts of one
/// kind.
pub(super) const GROUP_LIMIT: usize = 64;
/// Maximum number of misplaced parts of one kind among which moves are searched.
const MOVE_LIMIT: usize = 128;
/// Maximum number of compared parts of one kind if places were renamed.
const RENAMED_LIMIT: usize = 512;

/// A place for comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Kind of place: bay names are not path names.
    space: &'static str,
    name: String,
    /// Distinguishes places with the same name.
    detail: Option<String>,
}

impl Place {
    pub(super) fn new(space: &'static str, name: Option<&str>, detail: Option<&str>) -> Option<Place> {
        name.map(|name| Place {
            space,
            name: normal(name),
            detail: detail.map(normal),
        })
    }

    /// The name with numbers replaced: "bay #".
    fn shape(&self) -> (&'static str, String) {
        let mut shape = String::new();
        for c in self.name.chars() {
            match (c.is_ascii_digit(), shape.ends_with('#')) {
                (true, true) => {}
                (true, false) => shape.push('#'),
                (false, _) => shape.push(c),
            }
        }
        (self.space, shape)
    }

    /// Key of a place, with or without the detail that distinguishes places of one name.
    fn key(self, exact: bool) -> Place {
        Place {
            detail: self.detail.filter(|_| exact),
            ..self
        }
    }
}

/// A kind of part.
pub(super) trait Kind {
    /// Entry of a profile.
    type Want;
    /// Part of a report.
    type Have;
    /// Where the entry wants it; `None`: anywhere.
    fn place(&self, want: &Self::Want) -> Option<Place>;
    /// Where the part is.
    fn places(&self, have: &Self::Have) -> Vec<Place>;
    /// Number of parts that an entry without a place wants.
    fn count(&self, want: &Self::Want) -> u32;
    /// Whether the entry wants its place empty.
    fn wants_empty(&self, _: &Self::Want) -> bool {
        false
    }
    /// Whether there is a part, not an empty place.
    fn is_there(&self, _: &Self::Have) -> bool {
        true
    }
    /// Differences, most significant first; empty if it fits.
    fn differences(&self, want: &Self::Want, have: &Self::Have) -> Differences;
    /// Whether it is similar enough to be the part that is missing elsewhere.
    fn resembles(&self, want: &Self::Want, have: &Self::Have) -> bool {
        self.differences(want, have).0.is_empty()
    }
    /// Whether it is of the sort that the entry covers. Other sorts neither match nor differ.
    fn may_be(&self, _: &Self::Want, _: &Self::Have) -> bool {
        true
    }
    /// Whether firmware leaves places without a name (Supermicro calls every empty memory slot "NO DIMM"):
    /// then a part without a place may have moved.
    fn has_nameless_places(&self) -> bool {
        false
    }
    /// Whether the place can change without a part being moved (PCI addresses).
    fn shifts(&self, _: &Self::Want) -> bool {
        false
    }
    /// Whether the report lists every place, including empty ones.
    fn lists_places(&self) -> bool {
        false
    }
    /// Places of the machine without parts.
    fn other_places(&self) -> Vec<Place> {
        Vec::new()
    }
}

/// Results for entries and parts; numbers are positions in the two lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Fits { want: usize, have: usize },
    Differs { want: usize, have: usize },
    Missing { want: usize, lacking: u32 },
    Moved { want: usize, have: usize },
    Swapped { want: usize, have: usize, other: usize },
    Extra { have: usize },
}

const FITS: fn(usize, usize) -> Outcome = |want, have| Outcome::Fits { want, have };
const DIFFERS: fn(usize, usize) -> Outcome = |want, have| Outcome::Differs { want, have };
const MOVED: fn(usize, usize) -> Outcome = |want, have| Outcome::Moved { want, have };

/// Matches entries with parts. Linear in the parts except for misplaced ones, which are bounded.
pub(super) fn pair<K: Kind>(kind: &K, wants: &[K::Want], haves: &[K::Have]) -> Vec<Outcome> {
    let haves = &haves[..haves.len().min(PART_LIMIT)];
    let mut pairing = Pairing::new(kind, wants, haves);
    pairing.in_place();
    pairing.groups();
    pairing.renamed();
    pairing.shifted();
    pairing.swapped();
    pairing.moved();
    pairing.differing();
    pairing.lacking();
    pairing.extra();
    pairing.outcomes
}

struct Pairing<'a, K: Kind> {
    kind: &'a K,
    wants: &'a [K::Want],
    haves: &'a [K::Have],
    /// For entries with a place, the part or empty slot there.
    seats: Vec<Option<usize>>,
    /// Entries with a place and without a match yet.
    open: Vec<usize>,
    /// Entries whose place does not exist on the machine.
    renamed: Vec<bool>,
    /// Whether no place of the profile exists on the machine.
    all_renamed: bool,
    /// Entries without a place and the number of parts they still lack.
    short: Vec<(usize, u32)>,
    /// Parts without a match yet.
    free: Vec<bool>,
    /// Parts at the place of an open entry.
    seated: Vec<bool>,
    outcomes: Vec<Outcome>,
}

impl<'a, K: Kind> Pairing<'a, K> {
    fn new(kind: &'a K, wants: &'a [K::Want], haves: &'a [K::Have]) -> Pairing<'a, K> {
        let places: Vec<Option<Place>> = wants.iter().map(|w| kind.place(w)).collect();
        let mut seats = vec![None; wants.len()];
        let mut seated = vec![false; haves.len()];
        // Places with the same name: first those with the same detail, then in order.
        for exact in [true, false] {
            let mut named: HashMap<Place, VecDeque<usize>> = HashMap::new();
            for (at, have) in haves.iter().enumerate().filter(|(at, _)| !seated[*at]) {
                for place in kind.places(have) {
                    named.entry(place.key(exact)).or_default().push_back(at);
                }
            }
            for (seat, place) in seats.iter_mut().zip(&places) {
                let Some(place) = place.as_ref().filter(|_| seat.is_none()) else {
                    continue;
                };
                let Some(list) = named.get_mut(&place.clone().key(exact)) else {
                    continue;
                };
                while let Some(at) = list.pop_front() {
                    // Another name of its place may have matched it.
                    if !seated[at] {
                        seated[at] = true;
                        *seat = Some(at);
                        break;
                    }
                }
            }
        }
        let lost: Vec<&Place> = seats
            .iter()
            .zip(&places)
            .filter_map(|(seat, place)| place.as_ref().filter(|_| seat.is_none()))
            .collect();
        let there: Vec<Place> = haves
            .iter()
            .flat_map(|have| kind.places(have))
            .chain(kind.other_places())
            .collect();
        let all_renamed = are_renamed(kind.lists_places(), &places, &lost, &there);
        let renamed = seats
            .iter()
            .zip(&places)
            .map(|(seat, place)| seat.is_none() && place.is_some() && (all_renamed || kind.lists_places()))
            .collect();
        let (open, short): (Vec<usize>, Vec<usize>) = (0..wants.len()).partition(|at| places[*at].is_some());
        Pairing {
            kind,
            wants,
            haves,
            seats,
            open,
            renamed,
            all_renamed,
            short: short.into_iter().map(|at| (at, kind.count(&wants[at]))).collect(),
            free: haves.iter().map(|h| kind.is_there(h)).collect(),
            seated,
            outcomes: Vec::new(),
        }
    }

    fn differences(&self, want: usize, have: usize) -> Differences {
        self.kind.differences(&self.wants[want], &self.haves[have])
    }

    fn fits(&self, want: usize, have: usize) -> bool {
        self.differences(want, have).0.is_empty()
    }

    /// The part at an entry's place, if there is one without a match.
    fn part_at(&self, want: usize) -> Option<usize> {
        self.seats[want].filter(|have| self.free[*have])
    }

    fn record(&mut self, outcome: fn(usize, usize) -> Outcome, want: usize, have: usize) {
        self.free[have] = false;
        self.outcomes.push(outcome(want, have));
    }

    /// Searches a part for each open entry; `find` also gets the entry's number among the open ones.
    fn settle(
        &mut self,
        outcome: fn(usize, usize) -> Outcome,
        mut find: impl FnMut(&Self, usize, usize) -> Option<usize>,
    ) {
        for (n, want) in std::mem::take(&mut self.open).into_iter().enumerate() {
            match find(self, n, want) {
                Some(have) => self.record(outcome, want, have),
                None => self.open.push(want),
            }
        }
    }

    /// The first of these parts that has no match yet and satisfies the condition.
    fn first(&self, parts: &[usize], holds: impl Fn(usize) -> bool) -> Option<usize> {
        let mut free = parts.iter().copied().filter(|have| self.free[*have]);
        free.find(|have| holds(*have))
    }

    fn in_place(&mut self) {
        let (empty, open): (Vec<usize>, Vec<usize>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|want| self.kind.wants_empty(&self.wants[*want]));
        self.open = open;
        // A part there is beyond the profile or belongs elsewhere.
        for have in empty.into_iter().filter_map(|want| self.seats[want]) {
            self.seated[have] = false;
        }
        self.settle(FITS, |p, _, want| {
            p.part_at(want).filter(|have| p.fits(want, *have))
        });
    }

    /// Each group takes parts that fit, the most demanding group first, so that a less demanding one does not
    /// use up its parts.
    fn groups(&mut self) {
        let mut short = std::mem::take(&mut self.short);
        short.retain(|(want, _)| !self.kind.wants_empty(&self.wants[*want]));
        short.truncate(GROUP_LIMIT);
        let fitting: Vec<Vec<usize>> = short
            .iter()
            .map(|(want, _)| {
                let loose = |have: &usize| self.free[*have] && !self.seated[*have];
                (0..self.haves.len())
                    .filter(|have| loose(have) && self.fits(*want, *have))
                    .collect()
            })
            .collect();
        let mut order: Vec<usize> = (0..short.len()).collect();
        order.sort_by_key(|at| fitting[*at].len());
        for at in order {
            for have in &fitting[at] {
                if short[at].1 > 0 && self.free[*have] {
                    short[at].1 -= 1;
                    self.record(FITS, short[at].0, *have);
                }
            }
        }
        self.short = short.into_iter().filter(|(_, lacking)| *lacking > 0).collect();
    }

    fn loose_parts(&self, most: usize) -> Vec<usize> {
        let free = (0..self.haves.len()).filter(|have| self.free[*have]);
        free.take(most).collect()
    }

    /// Whether it fits, or at least is of the sort.
    fn suits(&self, want: usize, have: usize, exact: bool) -> bool {
        match exact {
            true => self.fits(want, have),
            false => self.kind.may_be(&self.wants[want], &self.haves[have]),
        }
    }

    /// Places that do not exist get the parts without a match, in order, fitting ones first.
    fn renamed(&mut self) {
        for (exact, outcome) in [(true, FITS), (false, DIFFERS)] {
            if !exact && !self.all_renamed {
                return;
            }
            let mut loose = self.loose_parts(PART_LIMIT);
            loose.retain(|have| !self.seated[*have]);
            loose.truncate(RENAMED_LIMIT);
            let mut looked = 0;
            self.settle(outcome, |p, _, want| {
                looked += usize::from(p.renamed[want]);
                let is_open = p.renamed[want] && looked <= RENAMED_LIMIT;
                p.first(&loose, |have| is_open && p.suits(want, have, exact))
            });
        }
    }

    /// If addresses shift, any part that fits is taken, then any that is left.
    fn shifted(&mut self) {
        for (exact, outcome) in [(true, MOVED), (false, DIFFERS)] {
            let loose = self.loose_parts(MOVE_LIMIT);
            if !exact {
                // A place whose entry found its part elsewhere is free.
                let held: HashSet<usize> = self.open.iter().filter_map(|want| self.seats[*want]).collect();
                loose
                    .iter()
                    .for_each(|have| self.seated[*have] = held.contains(have));
            }
            self.settle(outcome, |p, n, want| {
                if !p.kind.shifts(&p.wants[want]) {
                    return None;
                }
                let seat = p.part_at(want).filter(|_| !exact);
                let is_loose = |have: usize| n < MOVE_LIMIT && (exact || !p.seated[have]);
                seat.or_else(|| p.first(&loose, |have| is_loose(have) && p.suits(want, have, exact)))
            });
        }
    }

    fn swapped(&mut self) {
        let wrong: Vec<(usize, usize)> = self
            .open
            .iter()
            .filter_map(|want| self.part_at(*want).map(|have| (*want, have)))
            .take(MOVE_LIMIT)
            .collect();
        for (n, (want, have)) in wrong.iter().enumerate() {
            if !self.free[*have] {
                continue;
            }
            let partner = wrong[n + 1..].iter().find(|(other, there)| {
                self.free[*there] && self.fits(*want, *there) && self.fits(*other, *have)
            });
            if let Some(&(other, there)) = partner {
                self.free[*have] = false;
                self.open.retain(|at| at != want && *at != other);
                let (want, have) = (*want, there);
                self.free[have] = false;
                self.outcomes.push(Outcome::Swapped { want, have, other });
            }
        }
    }

    /// Moved: the place is empty, and the part is where none belongs.
    fn moved(&mut self) {
        for exact in [true, false] {
            let mut loose = self.loose_parts(MOVE_LIMIT);
            let nameless = exact && self.kind.has_nameless_places();
            loose.retain(|have| {
                !self.seated[*have] && (nameless || !self.kind.places(&self.haves[*have]).is_empty())
            });
            self.settle(MOVED, |p, n, want| {
                let is_empty = n < MOVE_LIMIT && p.part_at(want).is_none();
                let is_it = |have: usize| match exact {
                    true => p.fits(want, have),
                    false => p.kind.resembles(&p.wants[want], &p.haves[have]),
                };
                p.first(&loose, |have| is_empty && is_it(have))
            });
        }
    }

    fn differing(&mut self) {
        for want in std::mem::take(&mut self.open) {
            match self.part_at(want) {
                Some(have) => self.record(DIFFERS, want, have),
                None => self.outcomes.push(Outcome::Missing { want, lacking: 1 }),
            }
        }
    }

    /// A group that lacks parts takes what is left, most similar first, and reports the differences.
    fn lacking(&mut self) {
        for (want, mut lacking) in std::mem::take(&mut self.short) {
            let mut left: Vec<(usize, usize)> = self
                .loose_parts(MOVE_LIMIT)
                .into_iter()
                .filter(|have| self.kind.may_be(&self.wants[want], &self.haves[*have]))
                .map(|have| (self.differences(want, have).0.len(), have))
                .collect();
            left.sort_unstable();
            for (_, have) in left {
                if lacking > 0 {
                    lacking -= 1;
                    self.record(DIFFERS, want, have);
                }
            }
            if lacking > 0 {
                self.outcomes.push(Outcome::Missing { want, lacking });
            }
        }
    }

    fn extra(&mut self) {
        let extra = (0..self.haves.len()).filter(|have| self.free[*have]);
        self.outcomes.extend(extra.map(|have| Outcome::Extra { have }));
    }
}

/// Whether all names of places changed. If the report does not list empty places, a missing one may be an
/// empty place with the same naming.
fn are_renamed(lists_places: bool, places: &[Option<Place>], lost: &[&Place], there: &[Place]) -> bool {
    let placed = places.iter().flatten().count();
    let existing: HashSet<(&str, &str)> = there.iter().map(|p| (p.space, p.name.as_str())).collect();
    let names: HashSet<(&str, &str)> = lost.iter().map(|p| (p.space, p.name.as_str())).collect();
    let shapes: HashSet<(&str, String)> = there.iter().map(Place::shape).collect();
    placed > 0
        && lost.len() == placed
        && !there.is_empty()
        && names.is_disjoint(&existing)
        && (lists_places || names.len() > 1 || !lost.iter().any(|p| shapes.contains(&p.shape())))
}
