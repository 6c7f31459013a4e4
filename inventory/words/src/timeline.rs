//! The stages from power-on to deployed, derived from history, boot events, plan and the running step.
//!
//! A stage is done if its own fact or that of a later stage is known: old packets are dropped and progress
//! may be lost, but the order of the stages is fixed.

use std::cmp::Ordering;

use inventory_api::UnixMs;
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use inventory_api::check::Verdict;
use inventory_api::machine::{HistoryEntry, MachineDetail, MachineState, Phase};
use inventory_api::plan::Step;

use crate::diagnosis::is_fetched;
use crate::text::plan::step_title;
use crate::text::{disk_size, duration};

/// Status of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It has ended.
    Done,
    /// It is running or is awaited.
    Active,
    /// It failed.
    Failed,
    /// It has not begun.
    Pending,
}

impl Mark {
    /// Name for CSS and screen readers.
    pub fn key(&self) -> &'static str {
        match self {
            Mark::Done => "done",
            Mark::Active => "active",
            Mark::Failed => "failed",
            Mark::Pending => "pending",
        }
    }

    /// Icon.
    pub fn icon(&self) -> &'static str {
        match self {
            Mark::Done => "check",
            Mark::Active => "loader-2",
            Mark::Failed => "x",
            Mark::Pending => "circle-dashed",
        }
    }
}

/// One stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Title.
    pub title: &'static str,
    /// Status.
    pub mark: Mark,
    /// When it ended, if known.
    pub at: Option<UnixMs>,
    /// How long it took or has been running; empty: unknown.
    pub elapsed: String,
    /// When it began, in milliseconds since 1970; only while it runs.
    pub running_since: Option<i64>,
    /// More about it, or empty.
    pub detail: String,
    /// Progress, while it runs.
    pub percent: Option<u8>,
    /// Steps of the plan, while the install stage runs or after it failed.
    pub steps: Vec<SubStep>,
}

/// One step of the plan.
#[derive(Clone, Debug)]
pub struct SubStep {
    /// Title.
    pub title: String,
    /// Status.
    pub mark: Mark,
    /// Bytes done and to do, or empty.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Dhcp,
    BootFile,
    MiniOs,
    Report,
    Verdict,
    Install,
    Reboot,
    LocalBoot,
    CheckedIn,
    Verified,
    Wipe,
}

/// All stages, in order.
const ALL: [(Kind, &str); 11] = [
    (Kind::Dhcp, "DHCP"),
    (Kind::BootFile, "Boot file"),
    (Kind::MiniOs, "Mini-os"),
    (Kind::Report, "Report"),
    (Kind::Verdict, "Verdict"),
    (Kind::Install, "Install"),
    (Kind::Reboot, "Reboot"),
    (Kind::LocalBoot, "Boot from disk"),
    (Kind::CheckedIn, "Agent checked in"),
    (Kind::Verified, "Verified"),
    (Kind::Wipe, "Wipe"),
];

/// From the verb to the wiped disk, or from power-on to deployed.
fn stages_of(release: bool) -> Vec<(Kind, &'static str)> {
    let belongs = |kind: Kind| match release {
        true => kind <= Kind::MiniOs || kind == Kind::Wipe,
        false => kind != Kind::Wipe,
    };
    ALL.into_iter().filter(|(kind, _)| belongs(*kind)).collect()
}

/// A first boot begins before the machine is enrolled: packets up to this much older than the first history
/// entry belong to it.
const BEFORE_ENROLMENT_MS: i64 = 10 * 60 * 1000;

/// The part of the history that belongs to the current or last run. A run begins with the enrolment, with a
/// requested commissioning or release, or with a deployment that does not follow a commissioning.
fn run_of(history: &[HistoryEntry]) -> &[HistoryEntry] {
    let begins = |i: usize| {
        use MachineState::{
            Commissioning, Deployed, Deploying, Failed, New, Quarantined, Releasing, Retired,
        };
        let ((now, _), (before, _)) = (history[i].reached(), history[i - 1].reached());
        match now {
            _ if now == before => false,
            Commissioning => before != New,
            Releasing => true,
            Deploying => matches!(before, Deployed | Failed | Quarantined | Retired),
            _ => false,
        }
    };
    let start = (1..history.len()).rev().find(|&i| begins(i)).unwrap_or(0);
    &history[start..]
}

/// What is known about a run, by stage.
#[derive(Default)]
struct Facts {
    done: [Option<UnixMs>; ALL.len()],
    detail: [String; ALL.len()],
}

impl Facts {
    fn read(d: &MachineDetail, run: &[HistoryEntry], boots: &[BootEvent]) -> Facts {
        let mut facts = Facts::default();
        let first = run.first();
        let slack = match first {
            Some(entry) if entry.seq > 1 => 0,
            _ => BEFORE_ENROLMENT_MS,
        };
        let start = first.map_or(i64::MIN, |e| e.at.0.saturating_sub(slack));

        // The names are those of `lifecycle::Event`.
        for e in run {
            let (state, phase) = e.reached();
            let kinds: &[Kind] = match e.event.as_str() {
                "script-given" if phase == Some(Phase::AwaitLocalBoot) => &[Kind::Reboot, Kind::LocalBoot],
                "script-given" => &[Kind::BootFile],
                "claimed" => &[Kind::MiniOs],
                "reported" => &[Kind::Report],
                "install-done" => &[Kind::Install],
                "resident-reported" => &[Kind::CheckedIn],
                "verified" if state == MachineState::Deployed => &[Kind::Verified],
                "wipe-done" => &[Kind::Wipe],
                _ => &[],
            };
            for kind in kinds {
                facts.note(*kind, e.at, "");
            }
        }
        let installed = facts.at(Kind::Install);
        for b in boots.iter().filter(|b| b.at.0 >= start) {
            facts.heard(b, installed.is_some_and(|at| b.at >= at));
        }
        if let Some(at) = facts.at(Kind::Report) {
            let text = match d.check.as_ref().map(|c| c.verdict) {
                Some(Verdict::Pass) => "hardware as expected",
                Some(Verdict::Warn) => "hardware as expected, with a remark",
                Some(Verdict::Fail) => "hardware not as expected",
                None => "no expectation to check against",
            };
            facts.note(Kind::Verdict, at, text);
            if let Some(ms) = d.report.as_ref().map(|r| r.collect_ms).filter(|ms| *ms > 0) {
                facts.note(Kind::Report, at, &format!("collected in {}", duration(ms)));
            }
        }
        facts
    }

    fn at(&self, kind: Kind) -> Option<UnixMs> {
        self.done[kind as usize]
    }

    /// Keeps the first time and the first non-empty detail.
    fn note(&mut self, kind: Kind, at: UnixMs, detail: &str) {
        self.done[kind as usize].get_or_insert(at);
        if self.detail[kind as usize].is_empty() {
            self.detail[kind as usize] = detail.to_owned();
        }
    }

    fn heard(&mut self, b: &BootEvent, after_install: bool) {
        let fetched = !after_install && is_fetched(b);
        let (kind, detail) = match &b.what {
            BootEventKind::Dhcp { answer, .. } if !answer.gives() => return,
            BootEventKind::Dhcp { .. } if after_install => {
                (Kind::Reboot, "the machine asked the network again".to_owned())
            }
            BootEventKind::Dhcp { client, .. } => (Kind::Dhcp, format!("answered to {client}")),
            BootEventKind::Script { target } => match (target, after_install) {
                (BootTarget::MiniOs { .. }, false) => (Kind::BootFile, "boot script".to_owned()),
                (BootTarget::LocalDisk, true) => (Kind::LocalBoot, "told to boot its disk".to_owned()),
                _ => return,
            },
            BootEventKind::Tftp { file, bytes, .. } if fetched => {
                (Kind::BootFile, format!("{file}, {} over TFTP", disk_size(*bytes)))
            }
            BootEventKind::Http { path, .. }
                if fetched && (path.ends_with(".efi") || path.ends_with(".ipxe")) =>
            {
                (Kind::BootFile, format!("{path} over HTTP"))
            }
            BootEventKind::Http { path, bytes, .. } if fetched && path.contains("initramfs") => {
                let detail = format!("initramfs, {} over HTTP", disk_size(*bytes));
                self.detail[Kind::MiniOs as usize] = detail;
                return;
            }
            _ => return,
        };
        self.note(kind, b.at, &detail);
    }
}

/// The stage of a lifecycle phase; `None`: the phase has no stage of its own. `told`: the machine was told to
/// boot its disk.
fn stage_of(phase: &Phase, told: bool) -> Option<Kind> {
    Some(match phase {
        Phase::AwaitBoot => Kind::Dhcp,
        Phase::Booting => Kind::MiniOs,
        Phase::Claimed => Kind::Report,
        Phase::Installing => Kind::Install,
        Phase::AwaitLocalBoot if told => Kind::CheckedIn,
        Phase::AwaitLocalBoot => Kind::Reboot,
        Phase::Verifying => Kind::Verified,
        Phase::Wiping => Kind::Wipe,
        Phase::Commissioning | Phase::Deploying | Phase::Releasing | Phase::Unknown(_) => return None,
    })
}

/// Index of the stage that is running, has failed or comes next; `stages.len()` if all are done.
fn current(d: &MachineDetail, run: &[HistoryEntry], facts: &Facts, stages: &[(Kind, &str)]) -> usize {
    let status = &d.machine.status;
    let place = |kind: Kind| {
        stages
            .iter()
            .position(|(k, _)| *k == kind)
            .unwrap_or(stages.len())
    };
    let last = stages.iter().rposition(|(kind, _)| facts.at(*kind).is_some());
    let reached = last.map_or(0, |i| i + 1);
    let told = facts.at(Kind::LocalBoot).is_some();
    match status.state {
        MachineState::Deployed => stages.len(),
        MachineState::Ready => place(Kind::Install),
        MachineState::Failed | MachineState::Quarantined => {
            if status.reason.as_deref() == Some("check-failed") {
                return place(Kind::Verdict);
            }
            let last = run.iter().rev().find_map(|e| stage_of(&e.reached().1?, told));
            last.map_or(reached, place)
        }
        _ => match status.phase.as_ref().and_then(|p| stage_of(p, told)) {
            // The machine waits in the mini-os or is to boot again: the verdict stays valid.
            Some(Kind::Dhcp) if place(Kind::Install) < stages.len() && facts.at(Kind::Verdict).is_some() => {
                place(Kind::Install)
            }
            Some(kind) => place(kind),
            None => reached,
        },
    }
}

/// The mark of step `i` if step `current` has the mark `now`.
fn mark(i: usize, current: usize, now: Mark) -> Mark {
    match i.cmp(&current) {
        Ordering::Less => Mark::Done,
        Ordering::Equal => now,
        Ordering::Greater => Mark::Pending,
    }
}

/// The stages of the current or last run.
pub fn timeline(d: &MachineDetail, history: &[HistoryEntry], boots: &[BootEvent], now: UnixMs) -> Vec<Stage> {
    let run = run_of(history);
    let status = &d.machine.status;
    let begun = run.first().map(|e| e.reached().0);
    let release = [begun.as_ref(), Some(&status.state)].contains(&Some(&MachineState::Releasing));
    let stages = stages_of(release);
    let facts = Facts::read(d, run, boots);
    let current = match release && facts.at(Kind::Wipe).is_some() {
        true => stages.len(),
        false => current(d, run, &facts, &stages),
    };
    let at_current = match status.state {
        MachineState::Failed | MachineState::Quarantined => Mark::Failed,
        _ if status.state.is_transient() => Mark::Active,
        _ => Mark::Pending,
    };

    let mut previous: Option<UnixMs> = None;
    let mut out = Vec::new();
    for (i, (kind, title)) in stages.into_iter().enumerate() {
        let at = facts.at(kind);
        let mark = match mark(i, current, at_current) {
            // It was checked and failed.
            Mark::Done if kind == Kind::Verdict && waits_with_fault(d) => Mark::Failed,
            mark => mark,
        };
        let mut stage = Stage {
            title,
            mark,
            at: at.filter(|_| mark == Mark::Done),
            elapsed: String::new(),
            running_since: None,
            detail: String::new(),
            percent: None,
            steps: Vec::new(),
        };
        match mark {
            Mark::Done => {
                stage.detail.clone_from(&facts.detail[kind as usize]);
                let ms = at.zip(previous).map_or(0, |(at, before)| at.since(before));
                if ms > 0 {
                    stage.elapsed = duration(ms);
                }
                previous = at.max(previous);
            }
            Mark::Active => {
                let since = previous.unwrap_or(status.since);
                stage.running_since = Some(since.0);
                stage.elapsed = duration(now.since(since));
                stage.detail.clone_from(&status.sentence);
            }
            Mark::Failed => stage.detail.clone_from(&status.sentence),
            Mark::Pending => {}
        }
        if kind == Kind::Install {
            install(&mut stage, d);
        }
        out.push(stage);
    }
    out
}

/// Whether it is ready although its check failed.
fn waits_with_fault(d: &MachineDetail) -> bool {
    d.machine.status.state == MachineState::Ready
        && d.check.as_ref().is_some_and(|c| c.verdict == Verdict::Fail)
}

/// Fills in the steps, percent and detail of the install stage.
fn install(stage: &mut Stage, d: &MachineDetail) {
    let Some(plan) = &d.plan else { return };
    let image = format!("{} {}", plan.image, plan.image_version);
    if stage.mark == Mark::Done {
        stage.detail = format!("{image}, {} steps", plan.steps.len());
    }
    let Some(running) = &d.machine.status.step else {
        return;
    };
    if stage.mark != Mark::Active && stage.mark != Mark::Failed {
        return;
    }
    if stage.mark == Mark::Active {
        stage.percent = Some(running.percent.min(100));
        // The top of the page shows the sentence already.
        let disk = plan.disk.model.as_deref().or(plan.disk.serial.as_deref());
        stage.detail = format!("{image} on {}", disk.unwrap_or("the disk"));
    }
    let index = running.index as usize;
    let (done, total) = (disk_size(running.done_bytes), disk_size(running.total_bytes));
    let step = |(i, step): (usize, &Step)| SubStep {
        title: step_title(step.name()).to_owned(),
        mark: mark(i, index, stage.mark),
        note: match i == index && running.total_bytes > 0 {
            true => format!("{done} of {total}"),
            false => String::new(),
        },
    };
    stage.steps = plan.steps.iter().enumerate().map(step).collect();
}

/// Time from the end of the first dated stage to the last, or to now while a stage runs. `None`: no stage has
/// a time.
pub fn total_ms(stages: &[Stage], now: UnixMs) -> Option<u64> {
    let first = stages.iter().find_map(|s| s.at)?;
    let end = match stages.iter().any(|s| s.mark == Mark::Active) {
        true => now,
        false => stages.iter().filter_map(|s| s.at).max()?,
    };
    Some(end.since(first))
}
