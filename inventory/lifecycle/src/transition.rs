//! The transition function: `verbs` for what people and rules ask, `facts` for what machines and clocks
//! report. No catch-all arms: an event lists every state or kind of transient state, so that the compiler
//! points at a new one. Facts that every state only notes share one arm.

mod facts;
mod verbs;

use inventory_api::check::Verdict;
use inventory_api::{PlanId, UnixMs};

use crate::event::{Action, Event, IDENTITY_CONFLICT};
use crate::state::{
    BootPhase, Commissioning, DeployPhase, Deploying, DiskState, Failed, Limits, Ready, Releasing, Stage,
    State, Transient,
};
use facts::{
    RELEASED, alarmed, claimed, fold, install_done, installing, reported, resident_reported, script_given,
    timed_out, verified, wiping,
};
use verbs::{abort, commission, deploy, release, retire, retry};

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

    fn with_disk(&self, disk: DiskState) -> Deploying {
        Deploying { disk, ..self.clone() }
    }

    fn moved(&self, phase: DeployPhase, deadline: UnixMs) -> Outcome {
        to(State::Deploying(Deploying {
            phase,
            deadline,
            ..self.clone()
        }))
    }
}

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
            let was_it = |reason: &str| *open == 0 && reason == IDENTITY_CONFLICT;
            match state {
                State::Quarantined(q) if was_it(&q.reason) => to(commissioning(limits, now, false)),
                State::New
                | State::Commissioning(_)
                | State::Ready(_)
                | State::Deploying(_)
                | State::Deployed(_)
                | State::Releasing(_)
                | State::Failed(_)
                | State::Quarantined(_)
                | State::Retired => noted(state),
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
        Event::StepStarting { plan, index, name } => {
            let deployment = installing(state, event, plan)?.with_disk(DiskState::Partial);
            let (step, name) = (Some(*index), Some(name.clone()));
            let deadline = now.plus_seconds(limits.step_seconds);
            deployment.moved(DeployPhase::Installing { step, name }, deadline)
        }
        Event::StepFailed {
            plan,
            name,
            code,
            detail,
            wrote,
            ..
        } => {
            let deployment = installing(state, event, plan)?;
            // An earlier attempt may have written even if this one did not.
            let disk = if *wrote {
                DiskState::Partial
            } else {
                deployment.before
            };
            deployment
                .with_disk(disk)
                .failed(code, format!("step {name}: {detail}"))
        }
        Event::InstallDone { plan } => install_done(state, event, plan, limits, now),
        Event::Verified { plan, failing } => verified(state, event, plan, failing),
        Event::WipeDone { .. } => {
            wiping(state, event)?;
            to_with(ready(None, None), &RELEASED)
        }
        Event::WipeFailed { code, detail } => wiping(state, event)?.failed(code, detail),
        Event::DeadlinePassed { deadline } => match state.transient() {
            Some(late) if *deadline == late.deadline() && now >= *deadline => timed_out(late),
            Some(_) | None => stays(state),
        },
    }
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
