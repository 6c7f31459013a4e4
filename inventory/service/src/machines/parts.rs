//! The history of parts, as reports show it.

use std::collections::{BTreeMap, BTreeSet};

use inventory_api::check::{CheckResult, Finding, Severity, Verdict};
use inventory_api::parts::{DuplicatePart, PartEvent, PartEventKind, PartLife};
use inventory_api::report::AssetReport;
use inventory_api::task::Task;
use inventory_api::{MachineId, UnixMs};
use lifecycle::parts::{Change as PartChange, at_once, diff, not_looked_at, parts};

use crate::pages::Listed;
use crate::problem::{Result, unknown};
use crate::{Actor, Service, Turn};
use store::StoreError;

/// Most shared parts of one machine that are checked and shown.
const MAX_SHARED: u32 = 200;

fn part_event(id: &MachineId, what: PartEventKind, place: &str, nonce: &str, now: UnixMs) -> PartEvent {
    PartEvent {
        at: now,
        machine: id.clone(),
        what,
        place: place.to_owned(),
        from_place: None,
        from_machine: None,
        report: nonce.to_owned(),
    }
}

impl Turn {
    /// Records the parts of a report. Other machines that report the same parts are asked for a new report,
    /// or announced as changed.
    pub(crate) async fn put_parts(
        &mut self,
        id: &MachineId,
        report: &AssetReport,
        nonce: &str,
    ) -> Result<(), StoreError> {
        let now = self.now;
        let held = self.held_parts(id).await?;
        let have = parts(report);
        let blind = not_looked_at(report);
        let changes = diff(&held, &have, &blind);
        let event = |what, place: &str| part_event(id, what, place, nonce, now);
        for one in &changes {
            let (key, event) = match one {
                PartChange::Removed(held) => {
                    self.drop_part(id, &held.key).await?;
                    (&held.key, event(PartEventKind::Removed, &held.place))
                }
                PartChange::Moved { part, from } => {
                    self.put_part(id, part, now).await?;
                    let moved = PartEvent {
                        from_place: Some((*from).to_owned()),
                        ..event(PartEventKind::Moved, &part.place)
                    };
                    (&part.key, moved)
                }
                PartChange::Arrived(part) => {
                    let what = match self.was_in(&part.key, id).await? {
                        true => PartEventKind::Returned,
                        false => PartEventKind::Installed,
                    };
                    let last = self.last_part_event(&part.key).await?;
                    self.put_part(id, part, now).await?;
                    let arrived = PartEvent {
                        from_machine: last.map(|l| l.machine).filter(|m| m != id),
                        ..event(what, &part.place)
                    };
                    (&part.key, arrived)
                }
            };
            self.add_part_event(key, &event).await?;
        }
        // Parts that the collectors could not check do not count as seen.
        if blind.is_empty() {
            self.parts_seen(id, now).await?;
        } else {
            for part in &have {
                self.part_still_in(&part.key, id, now).await?;
            }
        }
        self.put_shared_parts(id, nonce).await?;
        if !changes.is_empty() {
            self.trim_part_events(id).await?;
        }
        Ok(())
    }

    /// Handles parts that another machine reports too: moved, or in both at once.
    async fn put_shared_parts(&mut self, id: &MachineId, nonce: &str) -> Result<(), StoreError> {
        let now = self.now;
        let (mut ask, mut duplicates) = (BTreeSet::new(), BTreeSet::new());
        for (key, kind, here, mut other, alarmed) in self.shared_parts(id, MAX_SHARED).await? {
            let runs = self.core.memory.sessions.get(&other.machine).runs(now);
            if runs && !kind.hot_pluggable() {
                // It reported the part and has run ever since, so a part that needs the power off is still in
                // it.
                self.part_still_in(&key, &other.machine, now).await?;
                other.stretch.until = other.stretch.until.max(now);
            }
            if !at_once(here, other.stretch) {
                if runs {
                    ask.insert(other.machine);
                }
                continue;
            }
            if !alarmed {
                let duplicate = PartEvent {
                    from_machine: Some(other.machine.clone()),
                    ..part_event(id, PartEventKind::Duplicate, &other.place, nonce, now)
                };
                self.add_part_event(&key, &duplicate).await?;
                self.part_alarmed(&key, id, &other.machine).await?;
                tracing::warn!(machine = %id, other = %other.machine, part = ?key,
                    "one part is reported by two machines at once");
            }
            duplicates.insert(other.machine);
        }
        for machine in &ask {
            self.ask(machine, &Task::Recheck {}, &Actor::Parts).await?;
        }
        for machine in &duplicates {
            self.changed(machine);
        }
        Ok(())
    }
}

impl Service {
    /// The serial numbers of the machines that these parts were in, for display.
    pub async fn names_in(&self, parts: &[PartLife]) -> Result<BTreeMap<MachineId, String>> {
        let events = parts.iter().flat_map(|p| &p.events);
        let told = events.flat_map(|e| std::iter::once(&e.machine).chain(&e.from_machine));
        let seen = parts.iter().flat_map(|p| &p.seen_in).map(|s| &s.machine);
        let ids: BTreeSet<&MachineId> = told.chain(seen).collect();
        let mut names = BTreeMap::new();
        for id in ids {
            let row = self.core.store.machine(id).await?;
            if let Some(serial) = row.and_then(|r| r.names.serial) {
                names.insert(id.clone(), serial);
            }
        }
        Ok(names)
    }

    /// The parts with this serial number (for a NIC also the MAC), with their history.
    pub async fn parts(&self, serial: &str) -> Result<Vec<PartLife>> {
        let lives = self.parts_of_key(serial).await?;
        if lives.is_empty() {
            let hint = "no report has shown this serial number or MAC";
            return Err(unknown("part", serial, hint));
        }
        Ok(lives)
    }

    /// The same, empty if there are none.
    pub(crate) async fn parts_of_key(&self, key: &str) -> Result<Vec<PartLife>> {
        let mac = key.parse::<inventory_api::Mac>();
        let serial = mac.map_or_else(|_| key.to_owned(), |mac| mac.to_string());
        let mut lives = self.core.store.parts_of_serial(&serial).await?;
        lives.sort_by_cached_key(Listed::key);
        Ok(lives)
    }

    /// The parts of a machine that another machine reports at the same time.
    pub(crate) async fn duplicate_parts(&self, id: &MachineId) -> Result<Vec<DuplicatePart>> {
        Ok(self.core.store.duplicates(id, MAX_SHARED).await?)
    }
}

/// The check for display, where duplicate parts are findings too. They only warn and stop no machine, because
/// some makers reuse serial numbers.
pub(crate) fn with_duplicates(
    check: Option<CheckResult>,
    duplicates: &[DuplicatePart],
) -> Option<CheckResult> {
    if duplicates.is_empty() {
        return check;
    }
    let mut check = check.unwrap_or(CheckResult {
        verdict: Verdict::Pass,
        findings: Vec::new(),
    });
    check.verdict = check.verdict.max(Verdict::Warn);
    check.findings.extend(duplicates.iter().map(|d| Finding {
        code: "part-duplicate".to_owned(),
        place: d.place.clone(),
        expected: "a serial number of its own".to_owned(),
        found: format!("{} {} also in machine {}", d.kind, d.serial, d.other),
        severity: Severity::Warning,
        sentence: format!(
            "{}: the {} with serial number {} is also reported by machine {} ({}). Look at the labels of both: one is not what it says.",
            d.place,
            d.kind,
            d.serial,
            d.other,
            d.other_place
        ),
    }));
    check.findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    Some(check)
}
