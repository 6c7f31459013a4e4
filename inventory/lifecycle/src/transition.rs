//! The transition function, one function per event. No catch-all arms: an event lists every state, so that the compiler points at a
//! new event or state. Facts that every state only notes share one arm.

use inventory_api::boot::BootTarget;
use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId, UnixMs};

use crate::event::{Action, AfterCheck, Event, IDENTITY_CONFLICT};
use crate::state::{
    BootPhase, Commissioning, DeployPhase, Deployed, Deploying, DiskState, Failed, Limits, Quarantined,
    Ready, Releasing, Stage, State, Transient,
};
use crate::status::state_name;

/// What an event did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state afterwards.
    pub state: State,
    /// What follows, in the order in which it has to happen.
    pub actions: Vec<Action>,
    /// Whether it goes to the history. Facts that change nothing do not, alarms always do.
    pub record: bool,
}

/// Why an event is not possible in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refused {
    /// Stable short code.
    pub code: &'static str,
    /// What was asked, why it is not possible, and what to do.
    pub sentence: String,
}

type Outcome = Result<Transition, Refused>;

fn to(state: State) -> Outcome {
    to_with(state, &[])
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
    unchanged(state, false)
}

fn noted(state: &State) -> Outcome {
    unchanged(state, true)
}

fn unchanged(state: &State, record: bool) -> Outcome {
    Ok(Transition {
        state: state.clone(),
        actions: vec![],
        record,
    })
}

fn refused(code: &'static str, sentence: impl Into<String>) -> Outcome {
    Err(Refused {
        code,
        sentence: sentence.into(),
    })
}

/// Refuses a verb that this state does not accept, and says what to do instead.
fn no_verb(event: &Event, state: &State) -> Outcome {
    let idle = matches!(event, Event::Retry | Event::Abort);
    let instead = match state {
        State::New if idle => "nothing is in progress; commission it",
        State::New => "commission it first",
        State::Commissioning(_) => "wait for its report, or abort",
        State::Ready(_) if idle => "nothing is in progress; deploy or commission it",
        State::Ready(_) => "Slipway has installed nothing on it",
        State::Deploying(_) => "wait until it is deployed, or abort",
        State::Deployed(_) if idle => "nothing is in progress",
        State::Deployed(_) => "release it first",
        State::Releasing(_) => "wait until it is wiped, or abort",
        State::Failed(_) => "nothing is in progress; retry it",
        State::Quarantined(_) => "find out who else used its identity, then commission or retire it",
        State::Retired => "it is out of service for good",
    };
    not_while(event, state_name(state), instead)
}

fn not_while(event: &Event, state: &str, instead: &str) -> Outcome {
    refused(
        "wrong-state",
        format!("cannot {} a machine that is {state}: {instead}", event.name()),
    )
}

/// Refuses a fact that this state does not expect: the sender is out of step and will ask for its assignment again.
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

/// The first attempt at a plan, starting in this phase.
fn attempt(plan: PlanId, phase: DeployPhase, limits: &Limits, now: UnixMs) -> Deploying {
    let (seconds, disk) = match phase {
        DeployPhase::Boot { .. } => (limits.await_boot_seconds, DiskState::Untouched),
        DeployPhase::Installing { .. } => (limits.step_seconds, DiskState::Untouched),
        DeployPhase::AwaitLocalBoot { .. } => (limits.local_boot_seconds, DiskState::Installed),
        DeployPhase::Verifying => (limits.verify_seconds, DiskState::Installed),
    };
    Deploying {
        plan,
        phase,
        attempt: 1,
        disk,
        before: disk,
        deadline: now.plus_seconds(seconds),
    }
}

fn releasing(plan: Option<PlanId>, limits: &Limits, now: UnixMs) -> State {
    State::Releasing(Releasing {
        phase: BootPhase::AwaitBoot,
        wiping: false,
        plan,
        deadline: now.plus_seconds(limits.await_boot_seconds),
    })
}

impl Transient<'_> {
    fn failed(self, reason: &str, detail: impl Into<String>) -> Outcome {
        let (during, plan, disk) = match self {
            Transient::Commissioning(_) => (Stage::Commissioning, None, DiskState::Untouched),
            Transient::Deploying(d) => (Stage::Deploying, Some(&d.plan), d.disk),
            Transient::Releasing(r) if r.wiping => (Stage::Releasing, r.plan.as_ref(), DiskState::Partial),
            Transient::Releasing(r) => (Stage::Releasing, r.plan.as_ref(), DiskState::Installed),
        };
        let failed = Failed {
            during,
            reason: reason.to_owned(),
            detail: detail.into(),
            plan: plan.cloned(),
            disk,
        };
        to_with(State::Failed(failed), &[Action::DropTickets])
    }

    /// On, or back, on its way into the mini-os.
    fn booting(self, phase: BootPhase, deadline: UnixMs) -> Outcome {
        match self {
            Transient::Commissioning(c) => to(State::Commissioning(Commissioning {
                phase,
                deadline,
                first: c.first,
            })),
            Transient::Deploying(d) => d.moved(DeployPhase::Boot { phase }, deadline),
            Transient::Releasing(r) => to(State::Releasing(Releasing {
                phase,
                deadline,
                ..r.clone()
            })),
        }
    }
}

impl Deploying {
    fn failed(&self, reason: &str, detail: impl Into<String>) -> Outcome {
        Transient::Deploying(self).failed(reason, detail)
    }

    fn moved(&self, phase: DeployPhase, deadline: UnixMs) -> Outcome {
        to(State::Deploying(Deploying {
            phase,
            deadline,
            ..self.clone()
        }))
    }
}

/// Actions when a machine is retired, and when it is released.
const RETIRED: [Action; 3] = [
    Action::RevokeIdentity,
    Action::DropTickets,
    Action::ForgetDeployment,
];
const RELEASED: [Action; 2] = [Action::DropTickets, Action::ForgetDeployment];

/// The next state. `now` is the server's clock. `Err` changes nothing.
pub fn transition(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Result<Transition, Refused> {
    match event {
        Event::Commission => commission(state, event, limits, now),
        Event::Deploy { plan } => deploy(state, event, plan, limits, now),
        Event::Release => release(state, event, limits, now),
        Event::Retire => retire(state, event),
        Event::Retry => retry(state, event, limits, now),
        Event::Abort => abort(state, event),
        Event::Absorbed { .. }
        | Event::IdentityChanged { .. }
        | Event::WipeDoubted { .. }
        | Event::Admit
        | Event::AtConsole { .. } => noted(state),
        Event::ConflictResolved { open, .. } => {
            let was_it =
                matches!(state, State::Quarantined(q) if *open == 0 && q.reason == IDENTITY_CONFLICT);
            match was_it {
                true => to(commissioning(limits, now, false)),
                false => noted(state),
            }
        }
        Event::SecurityAlarm { code, detail } => alarmed(state, code, detail),
        Event::Folded { into, .. } => fold(state, event, into),
        Event::ScriptGiven { target } => script_given(state, *target, limits, now),
        Event::Claimed => claimed(state, event, limits, now),
        Event::Reported {
            verdict,
            detail,
            after,
        } => reported(state, event, (*verdict, detail, after), limits, now),
        Event::ResidentReported => resident_reported(state, event, limits, now),
        Event::StepStarting { plan, index, name } => match installing(state, plan) {
            Ok(d) => {
                let (step, name) = (Some(*index), Some(name.clone()));
                let deadline = now.plus_seconds(limits.step_seconds);
                written(d, DiskState::Partial).moved(DeployPhase::Installing { step, name }, deadline)
            }
            Err(is) => no_fact(event, is),
        },
        Event::StepFailed {
            plan,
            name,
            code,
            detail,
            wrote,
            ..
        } => match installing(state, plan) {
            Ok(d) => {
                // An earlier attempt may have written even if this one did not.
                let disk = if *wrote { DiskState::Partial } else { d.before };
                written(d, disk).failed(code, format!("step {name}: {detail}"))
            }
            Err(is) => no_fact(event, is),
        },
        Event::InstallDone { plan } => install_done(state, event, plan, limits, now),
        Event::Verified { plan, failing } => verified(state, event, plan, failing),
        Event::WipeDone { .. } => match wiping(state) {
            Ok(_) => to_with(ready(None, None), &RELEASED),
            Err(is) => no_fact(event, is),
        },
        Event::WipeFailed { code, detail } => match wiping(state) {
            Ok(release) => release.failed(code, detail),
            Err(is) => no_fact(event, is),
        },
        Event::DeadlinePassed { deadline } => match state.transient() {
            Some(late) if *deadline == late.deadline() && now >= *deadline => timed_out(late),
            Some(_) | None => stays(state),
        },
    }
}

fn commission(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        State::New => to(commissioning(limits, now, true)),
        State::Ready(_) | State::Failed(_) | State::Quarantined(_) => to(commissioning(limits, now, false)),
        State::Commissioning(_)
        | State::Deploying(_)
        | State::Deployed(_)
        | State::Releasing(_)
        | State::Retired => no_verb(event, state),
    }
}

fn deploy(state: &State, event: &Event, plan: &PlanId, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        State::Ready(_) | State::Failed(_) => {
            to(State::Deploying(attempt(plan.clone(), POWERED_OFF, limits, now)))
        }
        State::New
        | State::Commissioning(_)
        | State::Deploying(_)
        | State::Deployed(_)
        | State::Releasing(_)
        | State::Quarantined(_)
        | State::Retired => no_verb(event, state),
    }
}

fn release(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        State::Deployed(d) => to(releasing(Some(d.plan.clone()), limits, now)),
        State::Failed(f) => match f.disk {
            DiskState::Untouched => not_while(
                event,
                "failed before anything was written",
                "retry, deploy or commission it",
            ),
            DiskState::Partial | DiskState::Installed => to(releasing(f.plan.clone(), limits, now)),
        },
        State::New
        | State::Commissioning(_)
        | State::Ready(_)
        | State::Deploying(_)
        | State::Releasing(_)
        | State::Quarantined(_)
        | State::Retired => no_verb(event, state),
    }
}

fn retire(state: &State, event: &Event) -> Outcome {
    match state {
        State::New | State::Ready(_) | State::Deployed(_) | State::Failed(_) | State::Quarantined(_) => {
            to_with(State::Retired, &RETIRED)
        }
        State::Commissioning(_) | State::Deploying(_) | State::Releasing(_) | State::Retired => {
            no_verb(event, state)
        }
    }
}

fn retry(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        State::Failed(f) => resumed(f, limits, now),
        State::New
        | State::Commissioning(_)
        | State::Ready(_)
        | State::Deploying(_)
        | State::Deployed(_)
        | State::Releasing(_)
        | State::Quarantined(_)
        | State::Retired => no_verb(event, state),
    }
}

fn abort(state: &State, event: &Event) -> Outcome {
    let Some(transient) = state.transient() else {
        return no_verb(event, state);
    };
    let what = match transient {
        Transient::Commissioning(_) => "commissioning",
        Transient::Deploying(_) => "deployment",
        Transient::Releasing(_) => "release",
    };
    transient.failed("aborted", format!("the {what} was aborted"))
}

fn alarmed(state: &State, code: &str, detail: &str) -> Outcome {
    match state {
        // A stranger on the provisioning network must not be able to take a machine out of service.
        State::Deployed(_) | State::Quarantined(_) | State::Retired => noted(state),
        State::Failed(f) if f.disk == DiskState::Installed => noted(state),
        State::New
        | State::Commissioning(_)
        | State::Ready(_)
        | State::Deploying(_)
        | State::Releasing(_)
        | State::Failed(_) => quarantine(code, detail, state.plan()),
    }
}

/// The enrolment turned out to be the machine `into`.
fn fold(state: &State, event: &Event, into: &MachineId) -> Outcome {
    // Its certificate stays valid until that machine claims: with it the agent is told to reboot, and nothing else.
    let gone = || to_with(State::Retired, &[Action::DropTickets]);
    // Something of Slipway's is on its disk, or is being written: it cannot just disappear.
    let not_yet = |is: &str| {
        refused(
            "wrong-state",
            format!("cannot make {into} of a machine that is {is}: release or abort it first"),
        )
    };
    match state {
        State::New | State::Commissioning(_) | State::Ready(_) => gone(),
        State::Failed(f) if f.disk == DiskState::Untouched => gone(),
        State::Failed(_) => not_yet("failed with something on its disk"),
        State::Quarantined(q) if q.plan.is_none() => gone(),
        State::Quarantined(_) => not_yet("quarantined during a deployment"),
        State::Deploying(_) | State::Deployed(_) | State::Releasing(_) => not_yet(state_name(state)),
        State::Retired => no_fact(event, "retired"),
    }
}

fn reported(
    state: &State,
    event: &Event,
    (verdict, detail, after): (Option<Verdict>, &str, &AfterCheck),
    limits: &Limits,
    now: UnixMs,
) -> Outcome {
    match state {
        State::Commissioning(c) => commissioned(c, verdict, detail, after, limits, now),
        // Checking a waiting machine again is harmless; only its verdict is news.
        State::Ready(r) => {
            let next = ready(verdict, r.held.clone());
            if next == *state { stays(state) } else { to(next) }
        }
        State::Deploying(d) => match (d.phase.boot(), verdict) {
            (Some(_), Some(Verdict::Fail)) => d.failed("check-failed", detail),
            (Some(_), Some(Verdict::Pass | Verdict::Warn) | None) => {
                d.moved(NOTHING_YET, now.plus_seconds(limits.step_seconds))
            }
            (None, Some(Verdict::Pass | Verdict::Warn | Verdict::Fail) | None) => stays(state),
        },
        // The agent runs in the mini-os: its next assignment is the wipe. Again after a power cut: the wipe is idempotent.
        State::Releasing(r) => match (r.wiping, &r.plan) {
            (false, Some(_)) => to(State::Releasing(Releasing {
                wiping: true,
                deadline: now.plus_seconds(limits.wipe_seconds),
                ..r.clone()
            })),
            (false, None) => to_with(ready(None, None), &RELEASED),
            (true, _) => stays(state),
        },
        State::Deployed(_) | State::Failed(_) => stays(state),
        State::New | State::Quarantined(_) | State::Retired => no_fact(event, state_name(state)),
    }
}

fn resident_reported(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        State::Deploying(d) => match d.phase {
            DeployPhase::AwaitLocalBoot { .. } => {
                d.moved(DeployPhase::Verifying, now.plus_seconds(limits.verify_seconds))
            }
            DeployPhase::Boot { .. } | DeployPhase::Installing { .. } | DeployPhase::Verifying => {
                stays(state)
            }
        },
        State::Deployed(_) | State::Releasing(_) | State::Failed(_) => stays(state),
        State::New | State::Commissioning(_) | State::Ready(_) | State::Quarantined(_) | State::Retired => {
            no_fact(event, state_name(state))
        }
    }
}

fn install_done(state: &State, event: &Event, plan: &PlanId, limits: &Limits, now: UnixMs) -> Outcome {
    match installing(state, plan) {
        Ok(d) => to_with(
            State::Deploying(Deploying {
                phase: DeployPhase::AwaitLocalBoot { boots: 0 },
                disk: DiskState::Installed,
                deadline: now.plus_seconds(limits.local_boot_seconds),
                ..d.clone()
            }),
            &[Action::DropTickets],
        ),
        // Sent again because the answer was lost.
        Err(_) if is_installed(state, plan) => stays(state),
        Err(is) => no_fact(event, is),
    }
}

fn verified(state: &State, event: &Event, plan: &PlanId, failing: &[String]) -> Outcome {
    match state {
        State::Deploying(d) if d.phase != DeployPhase::Verifying || *plan != d.plan => {
            no_fact(event, "not verifying this plan")
        }
        State::Deploying(d) if failing.is_empty() => to(State::Deployed(Deployed { plan: d.plan.clone() })),
        State::Deploying(d) => d.failed(
            "verification-failed",
            format!("not as requested: {}", failing.join("; ")),
        ),
        // A late copy.
        State::Deployed(_) => stays(state),
        State::New
        | State::Commissioning(_)
        | State::Ready(_)
        | State::Releasing(_)
        | State::Failed(_)
        | State::Quarantined(_)
        | State::Retired => no_fact(event, state_name(state)),
    }
}

/// The deployment that installs this plan; else what the machine is doing instead.
fn installing<'a>(state: &'a State, plan: &PlanId) -> Result<&'a Deploying, &'static str> {
    match state.transient() {
        Some(Transient::Deploying(d)) => match d.phase {
            DeployPhase::Installing { .. } if d.plan == *plan => Ok(d),
            DeployPhase::Boot { .. }
            | DeployPhase::Installing { .. }
            | DeployPhase::AwaitLocalBoot { .. }
            | DeployPhase::Verifying => Err("not installing this plan"),
        },
        Some(Transient::Commissioning(_) | Transient::Releasing(_)) | None => Err(state_name(state)),
    }
}

/// The same with another content of its disk.
fn written(deploying: &Deploying, disk: DiskState) -> Deploying {
    Deploying {
        disk,
        ..deploying.clone()
    }
}

fn is_installed(state: &State, plan: &PlanId) -> bool {
    matches!(state, State::Deploying(d) if d.plan == *plan && matches!(d.phase, DeployPhase::AwaitLocalBoot { .. }))
}

/// The release that wipes; else what the machine is doing instead.
fn wiping(state: &State) -> Result<Transient<'_>, &'static str> {
    match state.transient() {
        Some(Transient::Releasing(r)) if r.wiping => Ok(Transient::Releasing(r)),
        Some(Transient::Releasing(_)) => Err("not wiping"),
        Some(Transient::Commissioning(_) | Transient::Deploying(_)) | None => Err(state_name(state)),
    }
}

/// The report of a commissioning was checked.
fn commissioned(
    c: &Commissioning,
    verdict: Option<Verdict>,
    detail: &str,
    after: &AfterCheck,
    limits: &Limits,
    now: UnixMs,
) -> Outcome {
    if verdict == Some(Verdict::Fail) {
        return Transient::Commissioning(c).failed("check-failed", detail);
    }
    let next = match after {
        AfterCheck::Hold => ready(verdict, None),
        AfterCheck::NotExpected { why } => ready(verdict, Some(why.clone())),
        AfterCheck::Deploy { plan } => State::Deploying(attempt(plan.clone(), NOTHING_YET, limits, now)),
        AfterCheck::CannotPlan { code, detail } => return Transient::Commissioning(c).failed(code, detail),
    };
    to_with(next, &[Action::DropTickets])
}

/// Waits for the machine to netboot.
const POWERED_OFF: DeployPhase = DeployPhase::Boot {
    phase: BootPhase::AwaitBoot,
};
/// The agent has the plan and has not started a step.
const NOTHING_YET: DeployPhase = DeployPhase::Installing {
    step: None,
    name: None,
};

fn script_given(state: &State, target: BootTarget, limits: &Limits, now: UnixMs) -> Outcome {
    match (state.transient(), target) {
        (Some(transient), BootTarget::MiniOs { .. }) => match transient.boot() {
            Some(BootPhase::AwaitBoot) => {
                let seconds = limits.boot_seconds + limits.report_seconds;
                transient.booting(BootPhase::Booting, now.plus_seconds(seconds))
            }
            // Later scripts (the machine lost power, or its loader asked twice) do not move the deadline, so that a machine in a
            // reboot loop still times out.
            Some(BootPhase::Claimed) => transient.booting(BootPhase::Booting, transient.deadline()),
            Some(BootPhase::Booting) | None => stays(state),
        },
        (Some(Transient::Deploying(d)), BootTarget::LocalDisk) => match d.phase {
            DeployPhase::AwaitLocalBoot { boots } if boots >= limits.local_boots => d.failed(
                "local-boot-loop",
                format!(
                    "the machine was told {boots} times to boot its disk and asked the network again: its firmware cannot \
                     boot the disk that was installed"
                ),
            ),
            DeployPhase::AwaitLocalBoot { boots } => {
                d.moved(DeployPhase::AwaitLocalBoot { boots: boots + 1 }, d.deadline)
            }
            DeployPhase::Boot { .. } | DeployPhase::Installing { .. } | DeployPhase::Verifying => {
                stays(state)
            }
        },
        // Every boot of a deployed machine ends here.
        (None, BootTarget::MiniOs { .. } | BootTarget::LocalDisk)
        | (Some(Transient::Commissioning(_) | Transient::Releasing(_)), BootTarget::LocalDisk)
        | (None | Some(_), BootTarget::Ignore) => stays(state),
    }
}

fn claimed(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    let reports_by = now.plus_seconds(limits.report_seconds);
    let claims = |t: Transient| t.booting(BootPhase::Claimed, t.deadline().max(reports_by));
    match state {
        State::Commissioning(c) => claims(Transient::Commissioning(c)),
        State::Releasing(r) => claims(Transient::Releasing(r)),
        State::Deploying(d) => match d.phase {
            DeployPhase::Boot { .. } => claims(Transient::Deploying(d)),
            // The machine lost power during the installation: it starts again from the first step, a bounded number of times.
            DeployPhase::Installing { .. } if d.attempt >= limits.attempts => d.failed(
                "too-many-attempts",
                format!(
                    "the installation was cut off {} times: does the machine keep its power?",
                    d.attempt
                ),
            ),
            DeployPhase::Installing { .. } => to(State::Deploying(Deploying {
                phase: DeployPhase::Boot {
                    phase: BootPhase::Claimed,
                },
                attempt: d.attempt + 1,
                before: d.disk,
                deadline: reports_by,
                ..d.clone()
            })),
            DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => no_fact(event, "booting its disk"),
        },
        State::Ready(_) | State::Failed(_) => stays(state),
        State::New | State::Deployed(_) | State::Quarantined(_) | State::Retired => {
            no_fact(event, state_name(state))
        }
    }
}

/// Why a machine did not come up in the mini-os: code and sentence.
fn boot_timeout(phase: BootPhase) -> (&'static str, &'static str) {
    match phase {
        BootPhase::AwaitBoot => (
            "no-boot",
            "the machine did not ask the network to boot: is it powered on, cabled to the provisioning network, and set \
             to boot from it first?",
        ),
        BootPhase::Booting => (
            "boot-timeout",
            "the boot script was sent, but no agent claimed its ticket: look at the machine's console (too little \
             memory, or no driver for its NIC in the mini-os)",
        ),
        BootPhase::Claimed => (
            "report-timeout",
            "the agent started, but its report never came: look at the machine's console",
        ),
    }
}

/// The state in which a retry continues.
fn resumed(f: &Failed, limits: &Limits, now: UnixMs) -> Outcome {
    match (f.during, &f.plan) {
        (Stage::Deploying, Some(plan)) => {
            let phase = match f.disk {
                DiskState::Installed => DeployPhase::AwaitLocalBoot { boots: 0 },
                DiskState::Untouched | DiskState::Partial => POWERED_OFF,
            };
            to(State::Deploying(Deploying {
                disk: f.disk,
                before: f.disk,
                ..attempt(plan.clone(), phase, limits, now)
            }))
        }
        (Stage::Deploying, None) | (Stage::Commissioning, _) => {
            to(commissioning(limits, now, f.plan.is_none()))
        }
        (Stage::Releasing, plan) => to(releasing(plan.clone(), limits, now)),
    }
}

/// The deadline of a transient state passed.
fn timed_out(late: Transient<'_>) -> Outcome {
    let (reason, detail) = match late {
        Transient::Commissioning(c) => boot_timeout(c.phase),
        Transient::Releasing(r) if r.wiping => (
            "wipe-timeout",
            "the wipe did not end in time: the machine is silent or its disk hangs",
        ),
        Transient::Releasing(r) => boot_timeout(r.phase),
        Transient::Deploying(d) => match &d.phase {
            DeployPhase::Boot { phase } => boot_timeout(*phase),
            DeployPhase::Installing { name, .. } => {
                let step = name.as_deref().unwrap_or("(first)");
                let detail =
                    format!("step {step} did not end in time: the machine is silent or its disk hangs");
                return d.failed("install-timeout", detail);
            }
            DeployPhase::AwaitLocalBoot { .. } => (
                "local-boot-timeout",
                "the installed system did not come up: look at the machine's console and its boot order",
            ),
            DeployPhase::Verifying => (
                "verify-timeout",
                "the resident agent reported, but its verification never came: does a first-boot script hang?",
            ),
        },
    };
    late.failed(reason, detail)
}
