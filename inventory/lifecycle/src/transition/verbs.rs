//! What a verb does in the states that accept it.

use inventory_api::{PlanId, UnixMs};

use super::{Outcome, POWERED_OFF, attempt, commissioning, refused, to, to_with};
use crate::event::{Action, Event};
use crate::state::State::{
    Commissioning, Deployed, Deploying, Failed, New, Quarantined, Ready, Releasing, Retired,
};
use crate::state::{self, BootPhase, DeployPhase, DiskState, Limits, Stage, State, Transient};
use crate::status::state_name;

/// Refuses a verb that this state does not accept, and says what to do instead.
fn no_verb(event: &Event, state: &State) -> Outcome {
    let idle = matches!(event, Event::Retry | Event::Abort);
    let instead = match state {
        New if idle => "nothing is in progress; commission it",
        New => "commission it first",
        Commissioning(_) => "wait for its report, or abort",
        Ready(_) if idle => "nothing is in progress; deploy or commission it",
        Ready(_) => "Slipway has installed nothing on it",
        Deploying(_) => "wait until it is deployed, or abort",
        Deployed(_) if idle => "nothing is in progress",
        Deployed(_) => "release it first",
        Releasing(_) => "wait until it is wiped, or abort",
        Failed(_) => "nothing is in progress; retry it",
        Quarantined(_) => "find out who else used its identity, then commission or retire it",
        Retired => "it is out of service for good",
    };
    not_while(event, state_name(state), instead)
}

fn not_while(event: &Event, state: &str, instead: &str) -> Outcome {
    refused(
        "wrong-state",
        format!("cannot {} a machine that is {state}: {instead}", event.name()),
    )
}

fn releasing(plan: Option<PlanId>, limits: &Limits, now: UnixMs) -> State {
    Releasing(state::Releasing {
        phase: BootPhase::AwaitBoot,
        wiping: false,
        plan,
        deadline: now.plus_seconds(limits.await_boot_seconds),
    })
}

/// Actions when a machine is retired.
const RETIRED: [Action; 3] = [
    Action::RevokeIdentity,
    Action::DropTickets,
    Action::ForgetDeployment,
];

pub(super) fn commission(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        New => to(commissioning(limits, now, true)),
        Ready(_) | Failed(_) | Quarantined(_) => to(commissioning(limits, now, false)),
        Commissioning(_) | Deploying(_) | Deployed(_) | Releasing(_) | Retired => no_verb(event, state),
    }
}

pub(super) fn deploy(state: &State, event: &Event, plan: &PlanId, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        Ready(_) | Failed(_) => to(Deploying(attempt(plan.clone(), POWERED_OFF, limits, now))),
        New | Commissioning(_) | Deploying(_) | Deployed(_) | Releasing(_) | Quarantined(_) | Retired => {
            no_verb(event, state)
        }
    }
}

pub(super) fn release(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        Deployed(d) => to(releasing(Some(d.plan.clone()), limits, now)),
        Failed(f) => match f.disk {
            DiskState::Untouched => not_while(
                event,
                "failed before anything was written",
                "retry, deploy or commission it",
            ),
            DiskState::Partial | DiskState::Installed => to(releasing(f.plan.clone(), limits, now)),
        },
        New | Commissioning(_) | Ready(_) | Deploying(_) | Releasing(_) | Quarantined(_) | Retired => {
            no_verb(event, state)
        }
    }
}

pub(super) fn retire(state: &State, event: &Event) -> Outcome {
    match state {
        New | Ready(_) | Deployed(_) | Failed(_) | Quarantined(_) => to_with(Retired, &RETIRED),
        Commissioning(_) | Deploying(_) | Releasing(_) | Retired => no_verb(event, state),
    }
}

pub(super) fn retry(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        Failed(f) => resumed(f, limits, now),
        New | Commissioning(_) | Ready(_) | Deploying(_) | Deployed(_) | Releasing(_) | Quarantined(_)
        | Retired => no_verb(event, state),
    }
}

pub(super) fn abort(state: &State, event: &Event) -> Outcome {
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

/// The state in which a retry continues.
fn resumed(f: &state::Failed, limits: &Limits, now: UnixMs) -> Outcome {
    match (f.during, &f.plan) {
        (Stage::Deploying, Some(plan)) => {
            let phase = match f.disk {
                DiskState::Installed => DeployPhase::AwaitLocalBoot { boots: 0 },
                DiskState::Untouched | DiskState::Partial => POWERED_OFF,
            };
            to(Deploying(state::Deploying {
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
