//! The stages from power-on to deployed, derived from history, boot events, plan and the running step.
//!
//! A stage is done if its own fact or that of a later stage is known: old packets are dropped and progress
//! may be lost, but the order of the stages is fixed.

use inventory_api::UnixMs;
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use inventory_api::check::Verdict;
use inventory_api::machine::{HistoryEntry, MachineDetail, MachineState, Phase};

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

/// All stages, in order.
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

const COUNT: usize = Kind::Wipe as usize + 1;

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Kind::Dhcp => "DHCP",
            Kind::BootFile => "Boot file",
            Kind::MiniOs => "Mini-os",
            Kind::Report => "Report",
            Kind::Verdict => "Verdict",
            Kind::Install => "Install",
            Kind::Reboot => "Reboot",
            Kind::LocalBoot => "Boot from disk",
            Kind::CheckedIn => "Agent checked in",
            Kind::Verified => "Verified",
            Kind::Wipe => "Wipe",
        }
    }
}

/// From power-on to deployed.
const DEPLOY: [Kind; 10] = [
    Kind::Dhcp,
    Kind::BootFile,
    Kind::MiniOs,
    Kind::Report,
    Kind::Verdict,
    Kind::Install,
    Kind::Reboot,
    Kind::LocalBoot,
    Kind::CheckedIn,
    Kind::Verified,
];

/// From the verb to the wiped disk.
const RELEASE: [Kind; 4] = [Kind::Dhcp, Kind::BootFile, Kind::MiniOs, Kind::Wipe];

/// A first boot begins before the machine is enrolled: packets up to this much older than the first history
/// entry belong to it.
const BEFORE_ENROLMENT_MS: i64 = 10 * 60 * 1000;

/// The part of the history that belongs to the current or last run. A run begins with the enrolment, with a
/// requested commissioning or release, or with a deployment that does not follow a commissioning.
fn run_of(history: &[HistoryEntry]) -> &[HistoryEntry] {
    let begins = |i: usize| {
        let (now, _) = history[i].reached();
        let (before, _) = history[i - 1].reached();
        now != before
            && match now {
                MachineState::Commissioning => before != MachineState::New,
                MachineState::Releasing => true,
                MachineState::Deploying => matches!(
                    before,
                    MachineState::Deployed
                        | MachineState::Failed
                        | MachineState::Quarantined
                        | MachineState::Retired
                ),
                _ => false,
            }
    };
    let start = (1..history.len()).rev().find(|&i| begins(i)).unwrap_or(0);
    &history[start..]
}

/// What is known about a run, by stage.
struct Facts {
    done: [Option<UnixMs>; COUNT],
    detail: [String; COUNT],
}

impl Facts {
    fn read(d: &MachineDetail, run: &[HistoryEntry], boots: &[BootEvent]) -> Facts {
        let mut facts = Facts {
            done: [None; COUNT],
            detail: Default::default(),
        };
        let first = run.first();
        let slack = if first.is_none_or(|e| e.seq <= 1) {
            BEFORE_ENROLMENT_MS
        } else {
            0
        };
        let start = first.map_or(i64::MIN, |e| e.at.0.saturating_sub(slack));

        // The names are those of `lifecycle::Event`.
        for e in run {
            let (state, phase) = e.reached();
            match e.event.as_str() {
                "script-given" if phase == Some(Phase::AwaitLocalBoot) => {
                    facts.note(Kind::Reboot, e.at, "");
                    facts.note(Kind::LocalBoot, e.at, "");
                }
                "script-given" => facts.note(Kind::BootFile, e.at, ""),
                "claimed" => facts.note(Kind::MiniOs, e.at, ""),
                "reported" => facts.note(Kind::Report, e.at, ""),
                "install-done" => facts.note(Kind::Install, e.at, ""),
                "resident-reported" => facts.note(Kind::CheckedIn, e.at, ""),
                "verified" if state == MachineState::Deployed => facts.note(Kind::Verified, e.at, ""),
                "wipe-done" => facts.note(Kind::Wipe, e.at, ""),
                _ => {}
            }
        }
        let installed = facts.at(Kind::Install);
        for b in boots.iter().filter(|b| b.at.0 >= start) {
            facts.heard(b, installed);
        }
        if let Some(at) = facts.at(Kind::Report) {
            let text = match d.check.as_ref().map(|c| c.verdict) {
                Some(Verdict::Pass) => "hardware as expected",
                Some(Verdict::Warn) => "hardware as expected, with a remark",
                Some(Verdict::Fail) => "hardware not as expected",
                None => "nothing was expected",
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

    fn heard(&mut self, b: &BootEvent, installed: Option<UnixMs>) {
        let after_install = installed.is_some_and(|at| b.at >= at);
        match &b.what {
            BootEventKind::Dhcp { client, answer, .. } if answer.gives() => {
                if after_install {
                    self.note(Kind::Reboot, b.at, "the machine asked the network again");
                } else {
                    self.note(Kind::Dhcp, b.at, &format!("answered to {client}"));
                }
            }
            BootEventKind::Tftp {
                file,
                bytes,
                complete: true,
                ..
            } if !after_install => {
                self.note(
                    Kind::BootFile,
                    b.at,
                    &format!("{file}, {} over TFTP", disk_size(*bytes)),
                );
            }
            BootEventKind::Http {
                path,
                bytes,
                status: 200..=299,
                head: false,
                partial: false,
            } if !after_install => {
                if path.ends_with(".efi") || path.ends_with(".ipxe") {
                    self.note(Kind::BootFile, b.at, &format!("{path} over HTTP"));
                } else if path.contains("initramfs") {
                    let detail = &mut self.detail[Kind::MiniOs as usize];
                    *detail = format!("initramfs, {} over HTTP", disk_size(*bytes));
                }
            }
            BootEventKind::Script {
                target: BootTarget::MiniOs { .. },
            } if !after_install => {
                self.note(Kind::BootFile, b.at, "boot script");
            }
            BootEventKind::Script {
                target: BootTarget::LocalDisk,
            } if after_install => {
                self.note(Kind::LocalBoot, b.at, "told to boot its disk");
            }
            _ => {}
        }
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
fn current(d: &MachineDetail, run: &[HistoryEntry], facts: &Facts, stages: &[Kind]) -> usize {
    let status = &d.machine.status;
    let place = |kind: Kind| stages.iter().position(|k| *k == kind).unwrap_or(stages.len());
    let reached = stages
        .iter()
        .rposition(|k| facts.at(*k).is_some())
        .map_or(0, |i| i + 1);
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
            Some(Kind::Dhcp) if stages == DEPLOY && facts.at(Kind::Verdict).is_some() => place(Kind::Install),
            Some(kind) => place(kind),
            None => reached,
        },
    }
}

/// The stages of the current or last run.
pub fn timeline(d: &MachineDetail, history: &[HistoryEntry], boots: &[BootEvent], now: UnixMs) -> Vec<Stage> {
    let run = run_of(history);
    let status = &d.machine.status;
    let release = run
        .first()
        .is_some_and(|e| e.reached().0 == MachineState::Releasing)
        || status.state == MachineState::Releasing;
    let stages: &[Kind] = if release { &RELEASE } else { &DEPLOY };
    let facts = Facts::read(d, run, boots);
    let over = release && facts.at(Kind::Wipe).is_some();
    let current = if over {
        stages.len()
    } else {
        current(d, run, &facts, stages)
    };
    let failed = matches!(status.state, MachineState::Failed | MachineState::Quarantined);
    let busy = status.state.is_transient();

    let mut previous: Option<UnixMs> = None;
    let mut out = Vec::new();
    for (i, kind) in stages.iter().copied().enumerate() {
        let at = facts.at(kind);
        let mark = match i.cmp(&current) {
            // It was checked and failed.
            std::cmp::Ordering::Less if kind == Kind::Verdict && waits_with_fault(d) => Mark::Failed,
            std::cmp::Ordering::Less => Mark::Done,
            std::cmp::Ordering::Greater => Mark::Pending,
            std::cmp::Ordering::Equal if failed => Mark::Failed,
            std::cmp::Ordering::Equal if busy => Mark::Active,
            std::cmp::Ordering::Equal => Mark::Pending,
        };
        let mut stage = Stage {
            title: kind.title(),
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
                stage.detail = facts.detail[kind as usize].clone();
                if let (Some(at), Some(before)) = (at, previous) {
                    let ms = at.since(before);
                    stage.elapsed = if ms == 0 { String::new() } else { duration(ms) };
                }
                previous = at.max(previous);
            }
            Mark::Active => {
                let since = previous.unwrap_or(status.since);
                stage.running_since = Some(since.0);
                stage.elapsed = duration(now.since(since));
                stage.detail = status.sentence.clone();
            }
            Mark::Failed => stage.detail = status.sentence.clone(),
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
    if stage.mark == Mark::Done {
        stage.detail = format!(
            "{} {}, {} steps",
            plan.image,
            plan.image_version,
            plan.steps.len()
        );
        return;
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
        stage.detail = format!(
            "{} {} on {}",
            plan.image,
            plan.image_version,
            disk.unwrap_or("the disk")
        );
    }
    let index = running.index as usize;
    for (i, step) in plan.steps.iter().enumerate() {
        let mark = match i.cmp(&index) {
            std::cmp::Ordering::Less => Mark::Done,
            std::cmp::Ordering::Equal => stage.mark,
            std::cmp::Ordering::Greater => Mark::Pending,
        };
        let note = if i == index && running.total_bytes > 0 {
            format!(
                "{} of {}",
                disk_size(running.done_bytes),
                disk_size(running.total_bytes)
            )
        } else {
            String::new()
        };
        stage.steps.push(SubStep {
            title: step_title(step.name()).to_owned(),
            mark,
            note,
        });
    }
}

/// Time from the end of the first dated stage to the last, or to now while a stage runs. `None`: no stage has
/// a time.
pub fn total_ms(stages: &[Stage], now: UnixMs) -> Option<u64> {
    let first = stages.iter().find_map(|s| s.at)?;
    let end = if stages.iter().any(|s| s.mark == Mark::Active) {
        now
    } else {
        stages.iter().filter_map(|s| s.at).max()?
    };
    Some(end.since(first))
}
