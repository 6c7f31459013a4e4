//! The transition function. Every state lists every event: no catch-all arm, so that a new event makes the compiler ask
//! what each state does with it.

use inventory_api::boot::BootTarget;
use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId, UnixMs};

use crate::event::{Action, AfterCheck, Event, IDENTITY_CONFLICT};
use crate::state::{
    BootPhase, Commissioning, DeployPhase, Deployed, Deploying, DiskState, Failed, Limits, Quarantined,
    Ready, Releasing, Stage, State,
};

/// What an event did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state afterwards.
    pub state: State,
    /// What to do after the commit.
    pub actions: Vec<Action>,
    /// Whether history shows it. Facts that change nothing are not shown, alarms always are.
    pub record: bool,
}

/// Why an event is not possible in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refused {
    /// Stable short code.
    pub code: &'static str,
    /// What was asked, why it cannot be, and what can be done.
    pub sentence: String,
}

type Outcome = Result<Transition, Refused>;

fn to(state: State) -> Outcome {
    Ok(Transition {
        state,
        actions: vec![Action::WakeAgent],
        record: true,
    })
}

fn to_with(state: State, actions: &[Action]) -> Outcome {
    let mut all = vec![Action::WakeAgent];
    all.extend_from_slice(actions);
    Ok(Transition {
        state,
        actions: all,
        record: true,
    })
}

fn stays(state: &State) -> Outcome {
    Ok(Transition {
        state: state.clone(),
        actions: vec![],
        record: false,
    })
}

fn noted(state: &State) -> Outcome {
    Ok(Transition {
        state: state.clone(),
        actions: vec![],
        record: true,
    })
}

fn refused(code: &'static str, sentence: impl Into<String>) -> Outcome {
    Err(Refused {
        code,
        sentence: sentence.into(),
    })
}

/// A verb that this state does not take.
fn no_verb(event: &Event, state: &str, instead: &str) -> Outcome {
    refused(
        "wrong-state",
        format!("cannot {} a machine that is {state}: {instead}", event.name()),
    )
}

/// A fact that this state does not expect: the sender is behind or ahead; it asks for its assignment again.
fn no_fact(event: &Event, state: &str) -> Outcome {
    refused(
        "unexpected",
        format!("a machine that is {state} expects no {}", event.name()),
    )
}

fn quarantine(code: &str, detail: &str, plan: Option<&PlanId>) -> Outcome {
    to_with(
        State::Quarantined(Quarantined {
            reason: code.to_owned(),
            detail: detail.to_owned(),
            plan: plan.cloned(),
        }),
        &[Action::RevokeIdentity, Action::DropTickets],
    )
}

/// The enrolment is another machine. Its certificate stays good until that machine claims: with it the agent is told to boot
/// again, and nothing else.
fn folded() -> Outcome {
    to_with(State::Retired, &[Action::DropTickets])
}

/// Something of Slipway's is on its disk, or is being written: it cannot just go.
fn not_folded(into: &MachineId, state: &str) -> Outcome {
    refused(
        "wrong-state",
        format!("cannot make {into} of a machine that is {state}: release or abort it first"),
    )
}

fn ready(verdict: Option<Verdict>, held: Option<String>) -> State {
    State::Ready(Ready { verdict, held })
}

fn commissioning(limits: &Limits, now: UnixMs, first: bool) -> State {
    State::Commissioning(Commissioning {
        phase: BootPhase::AwaitBoot,
        deadline: now.plus_seconds(limits.await_boot_seconds),
        first,
    })
}

fn deploying(plan: PlanId, phase: DeployPhase, limits: &Limits, now: UnixMs) -> State {
    let seconds = match phase {
        DeployPhase::AwaitBoot | DeployPhase::Booting | DeployPhase::Claimed => limits.await_boot_seconds,
        DeployPhase::Installing { .. } => limits.step_seconds,
        DeployPhase::AwaitLocalBoot { .. } => limits.local_boot_seconds,
        DeployPhase::Verifying => limits.verify_seconds,
    };
    let disk = match phase {
        DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => DiskState::Installed,
        DeployPhase::AwaitBoot
        | DeployPhase::Booting
        | DeployPhase::Claimed
        | DeployPhase::Installing { .. } => DiskState::Untouched,
    };
    State::Deploying(Deploying {
        plan,
        phase,
        attempt: 1,
        disk,
        before: disk,
        deadline: now.plus_seconds(seconds),
    })
}

fn releasing(plan: Option<PlanId>, limits: &Limits, now: UnixMs) -> State {
    State::Releasing(Releasing {
        phase: BootPhase::AwaitBoot,
        wiping: false,
        plan,
        deadline: now.plus_seconds(limits.await_boot_seconds),
    })
}

/// The next state. `now` is the server's clock. `Err` changes nothing.
pub fn transition(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Result<Transition, Refused> {
    match state {
        State::New => from_new(state, event, limits, now),
        State::Commissioning(c) => from_commissioning(state, c, event, limits, now),
        State::Ready(r) => from_ready(state, r, event, limits, now),
        State::Deploying(d) => from_deploying(state, d, event, limits, now),
        State::Deployed(d) => from_deployed(state, d, event, limits, now),
        State::Releasing(r) => from_releasing(state, r, event, limits, now),
        State::Failed(f) => from_failed(state, f, event, limits, now),
        State::Quarantined(q) => from_quarantined(state, q, event, limits, now),
        State::Retired => from_retired(state, event),
    }
}

fn from_new(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match event {
        Event::Commission => to(commissioning(limits, now, true)),
        Event::Retire => to_with(State::Retired, &RETIRED),
        Event::Deploy { .. } | Event::Release => no_verb(event, "new", "commission it first"),
        Event::Retry | Event::Abort => no_verb(event, "new", "nothing is going on; commission it"),
        Event::ScriptGiven { .. } | Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { .. } => folded(),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { code, detail } => quarantine(code, detail, None),
        Event::Claimed
        | Event::Reported { .. }
        | Event::ResidentReported
        | Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "new"),
    }
}

fn from_commissioning(
    state: &State,
    c: &Commissioning,
    event: &Event,
    limits: &Limits,
    now: UnixMs,
) -> Outcome {
    let fail = |reason: &str, detail: String| {
        to_with(
            State::Failed(Failed {
                during: Stage::Commissioning,
                reason: reason.to_owned(),
                detail,
                plan: None,
                disk: DiskState::Untouched,
            }),
            &[Action::DropTickets],
        )
    };
    match event {
        Event::Commission | Event::Deploy { .. } | Event::Release | Event::Retire | Event::Retry => {
            no_verb(event, "commissioning", "wait for its report, or abort")
        }
        Event::Abort => fail("aborted", "the commissioning was aborted".to_owned()),
        Event::ScriptGiven {
            target: BootTarget::MiniOs { .. },
        } => match boot_started(c.phase, c.deadline, limits, now) {
            Some((phase, deadline)) => to(State::Commissioning(Commissioning {
                phase,
                deadline,
                first: c.first,
            })),
            None => stays(state),
        },
        Event::ScriptGiven {
            target: BootTarget::LocalDisk | BootTarget::Ignore,
        } => stays(state),
        Event::Claimed => {
            let deadline = c.deadline.max(now.plus_seconds(limits.report_seconds));
            to(State::Commissioning(Commissioning {
                phase: BootPhase::Claimed,
                deadline,
                first: c.first,
            }))
        }
        Event::Reported {
            verdict: Some(Verdict::Fail),
            detail,
            ..
        } => fail("check-failed", detail.clone()),
        Event::Reported { verdict, after, .. } => match after {
            AfterCheck::Hold => to_with(ready(*verdict, None), &[Action::DropTickets]),
            AfterCheck::NotExpected { why } => {
                to_with(ready(*verdict, Some(why.clone())), &[Action::DropTickets])
            }
            AfterCheck::Deploy { plan } => {
                let phase = DeployPhase::Installing {
                    step: None,
                    name: None,
                };
                to_with(
                    deploying(plan.clone(), phase, limits, now),
                    &[Action::DropTickets],
                )
            }
            AfterCheck::CannotPlan { code, detail } => fail(code, detail.clone()),
        },
        Event::DeadlinePassed { deadline } if *deadline == c.deadline && now >= c.deadline => {
            let (reason, detail) = boot_timeout(c.phase);
            fail(reason, detail)
        }
        Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { .. } => folded(),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { code, detail } => quarantine(code, detail, None),
        Event::ResidentReported
        | Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "commissioning"),
    }
}

/// A boot script was given in this phase. The first one sets the boot deadline; later ones (the machine lost power, or its
/// loader asked twice) do not move it, so that a machine that reboots for ever still comes to an end.
fn boot_started(
    phase: BootPhase,
    deadline: UnixMs,
    limits: &Limits,
    now: UnixMs,
) -> Option<(BootPhase, UnixMs)> {
    match phase {
        BootPhase::AwaitBoot => Some((
            BootPhase::Booting,
            now.plus_seconds(limits.boot_seconds + limits.report_seconds),
        )),
        BootPhase::Booting => None,
        BootPhase::Claimed => Some((BootPhase::Booting, deadline)),
    }
}

fn boot_timeout(phase: BootPhase) -> (&'static str, String) {
    match phase {
        BootPhase::AwaitBoot => (
            "no-boot",
            "the machine did not ask the network to boot: is it powered on, cabled to the provisioning network, and set \
             to boot from it first?"
                .to_owned(),
        ),
        BootPhase::Booting => (
            "boot-timeout",
            "the boot script was given, but no agent claimed its ticket: look at the machine's console (too little \
             memory, or no driver for its NIC in the mini-os)"
                .to_owned(),
        ),
        BootPhase::Claimed => (
            "report-timeout",
            "the agent started, but its report never came: look at the machine's console".to_owned(),
        ),
    }
}

fn from_ready(state: &State, r: &Ready, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match event {
        Event::Commission => to(commissioning(limits, now, false)),
        Event::Deploy { plan } => to(deploying(plan.clone(), DeployPhase::AwaitBoot, limits, now)),
        Event::Release => no_verb(event, "ready", "Slipway has installed nothing on it"),
        Event::Retire => to_with(State::Retired, &RETIRED),
        Event::Retry | Event::Abort => {
            no_verb(event, "ready", "nothing is going on; deploy or commission it")
        }
        // A re-check of a waiting machine is harmless; only its verdict is news.
        Event::Reported { verdict, .. } => {
            let next = ready(*verdict, r.held.clone());
            if next == *state { stays(state) } else { to(next) }
        }
        Event::ScriptGiven { .. } | Event::Claimed | Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { .. } => folded(),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { code, detail } => quarantine(code, detail, None),
        Event::ResidentReported
        | Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "ready"),
    }
}

fn from_deploying(state: &State, d: &Deploying, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    let fail = |reason: &str, detail: String, disk: DiskState| {
        to_with(
            State::Failed(Failed {
                during: Stage::Deploying,
                reason: reason.to_owned(),
                detail,
                plan: Some(d.plan.clone()),
                disk,
            }),
            &[Action::DropTickets],
        )
    };
    let moved = |phase: DeployPhase, deadline: UnixMs| {
        to(State::Deploying(Deploying {
            phase,
            deadline,
            ..d.clone()
        }))
    };
    let boot_phase = match d.phase {
        DeployPhase::AwaitBoot => Some(BootPhase::AwaitBoot),
        DeployPhase::Booting => Some(BootPhase::Booting),
        DeployPhase::Claimed => Some(BootPhase::Claimed),
        DeployPhase::Installing { .. } | DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => None,
    };
    match event {
        Event::Commission | Event::Deploy { .. } | Event::Release | Event::Retire | Event::Retry => {
            no_verb(event, "deploying", "wait until it is deployed, or abort")
        }
        Event::Abort => fail("aborted", "the deployment was aborted".to_owned(), d.disk),
        Event::ScriptGiven {
            target: BootTarget::MiniOs { .. },
        } => match boot_phase.and_then(|p| boot_started(p, d.deadline, limits, now)) {
            Some((_, deadline)) => moved(DeployPhase::Booting, deadline),
            None => stays(state),
        },
        Event::ScriptGiven {
            target: BootTarget::LocalDisk,
        } => match d.phase {
            DeployPhase::AwaitLocalBoot { boots } if boots >= limits.local_boots => fail(
                "local-boot-loop",
                format!(
                    "the machine was told {boots} times to boot its disk and asked the network again: its firmware cannot \
                     boot the disk that was installed"
                ),
                d.disk,
            ),
            DeployPhase::AwaitLocalBoot { boots } => {
                moved(DeployPhase::AwaitLocalBoot { boots: boots + 1 }, d.deadline)
            }
            DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::Installing { .. }
            | DeployPhase::Verifying => stays(state),
        },
        Event::ScriptGiven {
            target: BootTarget::Ignore,
        } => stays(state),
        Event::Claimed => match d.phase {
            DeployPhase::AwaitBoot | DeployPhase::Booting | DeployPhase::Claimed => moved(
                DeployPhase::Claimed,
                d.deadline.max(now.plus_seconds(limits.report_seconds)),
            ),
            // The machine lost power while it was being installed: it starts again from the first step, a bounded number of
            // times.
            DeployPhase::Installing { .. } if d.attempt >= limits.attempts => fail(
                "too-many-attempts",
                format!(
                    "the installation was cut off {} times: does the machine keep its power?",
                    d.attempt
                ),
                d.disk,
            ),
            DeployPhase::Installing { .. } => to(State::Deploying(Deploying {
                phase: DeployPhase::Claimed,
                attempt: d.attempt + 1,
                before: d.disk,
                deadline: now.plus_seconds(limits.report_seconds),
                ..d.clone()
            })),
            DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => no_fact(event, "booting its disk"),
        },
        Event::Reported { verdict, detail, .. } => match d.phase {
            DeployPhase::AwaitBoot | DeployPhase::Booting | DeployPhase::Claimed => match verdict {
                Some(Verdict::Fail) => fail("check-failed", detail.clone(), d.disk),
                Some(Verdict::Pass | Verdict::Warn) | None => moved(
                    DeployPhase::Installing {
                        step: None,
                        name: None,
                    },
                    now.plus_seconds(limits.step_seconds),
                ),
            },
            DeployPhase::Installing { .. } | DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => {
                stays(state)
            }
        },
        Event::StepStarting { plan, index, name } => match &d.phase {
            DeployPhase::Installing { .. } if *plan == d.plan => to(State::Deploying(Deploying {
                phase: DeployPhase::Installing {
                    step: Some(*index),
                    name: Some(name.clone()),
                },
                disk: DiskState::Partial,
                deadline: now.plus_seconds(limits.step_seconds),
                ..d.clone()
            })),
            DeployPhase::Installing { .. }
            | DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::AwaitLocalBoot { .. }
            | DeployPhase::Verifying => no_fact(event, "not installing this plan"),
        },
        Event::StepFailed {
            plan,
            name,
            code,
            detail,
            wrote,
            ..
        } => match &d.phase {
            DeployPhase::Installing { .. } if *plan == d.plan => {
                // An earlier attempt may have written even if this one did not.
                let disk = if *wrote { DiskState::Partial } else { d.before };
                fail(code, format!("step {name}: {detail}"), disk)
            }
            DeployPhase::Installing { .. }
            | DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::AwaitLocalBoot { .. }
            | DeployPhase::Verifying => no_fact(event, "not installing this plan"),
        },
        Event::InstallDone { plan } => match &d.phase {
            DeployPhase::Installing { .. } if *plan == d.plan => to_with(
                State::Deploying(Deploying {
                    phase: DeployPhase::AwaitLocalBoot { boots: 0 },
                    disk: DiskState::Installed,
                    deadline: now.plus_seconds(limits.local_boot_seconds),
                    ..d.clone()
                }),
                &[Action::DropTickets],
            ),
            // Sent again because the answer was lost.
            DeployPhase::AwaitLocalBoot { .. } if *plan == d.plan => stays(state),
            DeployPhase::Installing { .. }
            | DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::AwaitLocalBoot { .. }
            | DeployPhase::Verifying => no_fact(event, "not installing this plan"),
        },
        Event::ResidentReported => match d.phase {
            DeployPhase::AwaitLocalBoot { .. } => {
                moved(DeployPhase::Verifying, now.plus_seconds(limits.verify_seconds))
            }
            DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::Installing { .. }
            | DeployPhase::Verifying => stays(state),
        },
        Event::Verified { plan, failing } => match d.phase {
            DeployPhase::Verifying if *plan == d.plan && failing.is_empty() => {
                to(State::Deployed(Deployed { plan: d.plan.clone() }))
            }
            DeployPhase::Verifying if *plan == d.plan => fail(
                "verification-failed",
                format!("not as asked: {}", failing.join("; ")),
                d.disk,
            ),
            DeployPhase::Verifying
            | DeployPhase::AwaitBoot
            | DeployPhase::Booting
            | DeployPhase::Claimed
            | DeployPhase::Installing { .. }
            | DeployPhase::AwaitLocalBoot { .. } => no_fact(event, "not verifying this plan"),
        },
        Event::DeadlinePassed { deadline } if *deadline == d.deadline && now >= d.deadline => {
            let (reason, detail) = match &d.phase {
                DeployPhase::AwaitBoot => boot_timeout(BootPhase::AwaitBoot),
                DeployPhase::Booting => boot_timeout(BootPhase::Booting),
                DeployPhase::Claimed => boot_timeout(BootPhase::Claimed),
                DeployPhase::Installing { name, .. } => (
                    "install-timeout",
                    format!(
                        "step {} did not end in time: the machine is silent or its disk hangs",
                        name.as_deref().unwrap_or("(first)")
                    ),
                ),
                DeployPhase::AwaitLocalBoot { .. } => (
                    "local-boot-timeout",
                    "the installed system did not come up: look at the machine's console and its boot order"
                        .to_owned(),
                ),
                DeployPhase::Verifying => (
                    "verify-timeout",
                    "the resident agent reported, but its verification never came: does a first-boot script hang?"
                        .to_owned(),
                ),
            };
            fail(reason, detail, d.disk)
        }
        Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { into, .. } => not_folded(into, "deploying"),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { code, detail } => quarantine(code, detail, Some(&d.plan)),
        Event::WipeDone { .. } | Event::WipeFailed { .. } => no_fact(event, "deploying"),
    }
}

fn from_deployed(state: &State, d: &Deployed, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match event {
        Event::Release => to(releasing(Some(d.plan.clone()), limits, now)),
        Event::Retire => to_with(State::Retired, &RETIRED),
        Event::Commission | Event::Deploy { .. } => no_verb(event, "deployed", "release it first"),
        Event::Retry | Event::Abort => no_verb(event, "deployed", "nothing is going on"),
        // Every boot of a deployed machine passes here; its daily report and a late copy of its verification too.
        Event::ScriptGiven { .. }
        | Event::Reported { .. }
        | Event::ResidentReported
        | Event::Verified { .. }
        | Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { into, .. } => not_folded(into, "deployed"),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        // A stranger on the provisioning network must not be able to take a machine out of service.
        Event::SecurityAlarm { .. } => noted(state),
        Event::Claimed
        | Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "deployed"),
    }
}

/// What follows when a machine is retired, and when it is released.
const RETIRED: [Action; 3] = [
    Action::RevokeIdentity,
    Action::DropTickets,
    Action::ForgetDeployment,
];
const RELEASED: [Action; 2] = [Action::DropTickets, Action::ForgetDeployment];

fn from_releasing(state: &State, r: &Releasing, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    let disk = if r.wiping {
        DiskState::Partial
    } else {
        DiskState::Installed
    };
    let fail = |reason: &str, detail: String| {
        to_with(
            State::Failed(Failed {
                during: Stage::Releasing,
                reason: reason.to_owned(),
                detail,
                plan: r.plan.clone(),
                disk,
            }),
            &[Action::DropTickets],
        )
    };
    match event {
        Event::Commission | Event::Deploy { .. } | Event::Release | Event::Retire | Event::Retry => {
            no_verb(event, "releasing", "wait until it is wiped, or abort")
        }
        Event::Abort => fail("aborted", "the release was aborted".to_owned()),
        Event::ScriptGiven {
            target: BootTarget::MiniOs { .. },
        } if !r.wiping => match boot_started(r.phase, r.deadline, limits, now) {
            Some((phase, deadline)) => to(State::Releasing(Releasing {
                phase,
                deadline,
                ..r.clone()
            })),
            None => stays(state),
        },
        Event::ScriptGiven { .. } => stays(state),
        Event::Claimed => {
            let deadline = r.deadline.max(now.plus_seconds(limits.report_seconds));
            to(State::Releasing(Releasing {
                phase: BootPhase::Claimed,
                deadline,
                ..r.clone()
            }))
        }
        // The agent in the mini-os is there: its next assignment is the wipe. Again after a cut: the wipe is idempotent.
        Event::Reported { .. } => match (r.wiping, &r.plan) {
            (false, Some(_)) => to(State::Releasing(Releasing {
                wiping: true,
                deadline: now.plus_seconds(limits.wipe_seconds),
                ..r.clone()
            })),
            (false, None) => to_with(ready(None, None), &RELEASED),
            (true, _) => stays(state),
        },
        Event::WipeDone { .. } if r.wiping => to_with(ready(None, None), &RELEASED),
        Event::WipeFailed { code, detail } if r.wiping => fail(code, detail.clone()),
        Event::WipeDone { .. } | Event::WipeFailed { .. } => no_fact(event, "not wiping"),
        Event::ResidentReported => stays(state),
        Event::DeadlinePassed { deadline } if *deadline == r.deadline && now >= r.deadline => {
            if r.wiping {
                fail(
                    "wipe-timeout",
                    "the wipe did not end in time: the machine is silent or its disk hangs".to_owned(),
                )
            } else {
                let (reason, detail) = boot_timeout(r.phase);
                fail(reason, detail)
            }
        }
        Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { into, .. } => not_folded(into, "releasing"),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { code, detail } => quarantine(code, detail, r.plan.as_ref()),
        Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. } => no_fact(event, "releasing"),
    }
}

fn from_failed(state: &State, f: &Failed, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match event {
        Event::Retry => match (f.during, &f.plan) {
            (Stage::Deploying, Some(plan)) => {
                let phase = match f.disk {
                    DiskState::Installed => DeployPhase::AwaitLocalBoot { boots: 0 },
                    DiskState::Untouched | DiskState::Partial => DeployPhase::AwaitBoot,
                };
                let State::Deploying(mut next) = deploying(plan.clone(), phase, limits, now) else {
                    return refused("internal", "deploying() made another state");
                };
                next.disk = f.disk;
                next.before = f.disk;
                to(State::Deploying(next))
            }
            (Stage::Deploying, None) | (Stage::Commissioning, _) => {
                to(commissioning(limits, now, f.plan.is_none()))
            }
            (Stage::Releasing, plan) => to(releasing(plan.clone(), limits, now)),
        },
        Event::Commission => to(commissioning(limits, now, false)),
        Event::Deploy { plan } => to(deploying(plan.clone(), DeployPhase::AwaitBoot, limits, now)),
        Event::Release => match f.disk {
            DiskState::Untouched => no_verb(
                event,
                "failed before anything was written",
                "retry, deploy or commission it",
            ),
            DiskState::Partial | DiskState::Installed => to(releasing(f.plan.clone(), limits, now)),
        },
        Event::Retire => to_with(State::Retired, &RETIRED),
        Event::Abort => no_verb(event, "failed", "nothing is going on; retry it"),
        Event::ScriptGiven { .. }
        | Event::Claimed
        | Event::Reported { .. }
        | Event::ResidentReported
        | Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { into, .. } => match f.disk {
            DiskState::Untouched => folded(),
            DiskState::Partial | DiskState::Installed => {
                not_folded(into, "failed with something on its disk")
            }
        },
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { code, detail } => match f.disk {
            DiskState::Installed => noted(state),
            DiskState::Untouched | DiskState::Partial => quarantine(code, detail, f.plan.as_ref()),
        },
        Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "failed"),
    }
}

fn from_quarantined(state: &State, q: &Quarantined, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match event {
        Event::Commission => to(commissioning(limits, now, false)),
        Event::Retire => to_with(State::Retired, &RETIRED),
        Event::Deploy { .. } | Event::Release | Event::Retry | Event::Abort => no_verb(
            event,
            "quarantined",
            "find out who else spoke for it, then commission or retire it",
        ),
        Event::ScriptGiven { .. } | Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { into, .. } => match &q.plan {
            None => folded(),
            Some(_) => not_folded(into, "quarantined with a deployment cut off"),
        },
        Event::ConflictResolved { open: 0, .. } if q.reason == IDENTITY_CONFLICT => {
            to(commissioning(limits, now, false))
        }
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { .. } => noted(state),
        Event::Claimed
        | Event::Reported { .. }
        | Event::ResidentReported
        | Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "quarantined"),
    }
}

fn from_retired(state: &State, event: &Event) -> Outcome {
    match event {
        Event::Commission
        | Event::Deploy { .. }
        | Event::Release
        | Event::Retire
        | Event::Retry
        | Event::Abort => no_verb(event, "retired", "it is out of service for good"),
        Event::ScriptGiven { .. } | Event::DeadlinePassed { .. } => stays(state),
        Event::Folded { .. } => no_fact(event, "retired"),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. }
        | Event::ConflictResolved { .. } => noted(state),
        Event::SecurityAlarm { .. } => noted(state),
        Event::Claimed
        | Event::Reported { .. }
        | Event::ResidentReported
        | Event::StepStarting { .. }
        | Event::InstallDone { .. }
        | Event::StepFailed { .. }
        | Event::Verified { .. }
        | Event::WipeDone { .. }
        | Event::WipeFailed { .. } => no_fact(event, "retired"),
    }
}
