//! What an agent is told to do, from the state and where the agent runs.

use inventory_api::MachineId;
use inventory_api::agent::{Assignment, RunsOn};
use inventory_api::plan::{DiskTarget, InstallPlan};
use inventory_api::task::Task;

use crate::state::{DeployPhase, State};
use crate::status::status_sentence;

/// What the server knows of the agent that asks.
#[derive(Clone, Copy, Debug)]
pub struct AgentSession<'a> {
    /// Where it said it runs, in its newest report of this boot; `None` before its first report.
    pub runs_on: Option<RunsOn>,
    /// The plan the state is about, when there is one.
    pub plan: Option<&'a InstallPlan>,
    /// The machine that this enrolment was found to be, when it was retired for that.
    pub folded_into: Option<&'a MachineId>,
}

/// The assignment. An agent that has not reported since it started is asked for its report first.
pub fn assignment(state: &State, session: AgentSession<'_>) -> Assignment {
    let wait = || Assignment::Wait {
        message: status_sentence(state),
    };
    let stop = || Assignment::Stop {
        message: status_sentence(state),
    };
    let reboot = || Assignment::Reboot {
        message: status_sentence(state),
    };
    if let (State::Retired, Some(machine), None | Some(RunsOn::MiniOs | RunsOn::Unknown)) =
        (state, session.folded_into, session.runs_on)
    {
        return Assignment::Reboot {
            message: format!("This is machine {machine}. It boots again, as that one."),
        };
    }
    let installed = match session.runs_on {
        Some(RunsOn::Installed) => true,
        Some(RunsOn::MiniOs | RunsOn::Unknown) => false,
        None => {
            return match state {
                State::Quarantined(_) | State::Retired => stop(),
                State::New
                | State::Commissioning(_)
                | State::Ready(_)
                | State::Deploying(_)
                | State::Deployed(_)
                | State::Releasing(_)
                | State::Failed(_) => Assignment::Report {},
            };
        }
    };
    match (state, installed) {
        (State::Quarantined(_) | State::Retired, _) => stop(),
        (State::New | State::Ready(_) | State::Failed(_), _) => wait(),
        (State::Deployed(_), true) => wait(),
        // A mini-os that still runs on a deployed machine has missed its reboot.
        (State::Deployed(_), false) => reboot(),
        (State::Commissioning(_), false) => Assignment::Report {},
        (State::Commissioning(_), true) => reboot(),
        (State::Deploying(d), false) => match (&d.phase, session.plan) {
            (DeployPhase::AwaitBoot | DeployPhase::Booting | DeployPhase::Claimed, _) => {
                Assignment::Report {}
            }
            (DeployPhase::Installing { .. }, Some(plan)) => Assignment::Install {
                plan: Box::new(plan.clone()),
            },
            (DeployPhase::Installing { .. }, None) => wait(),
            (DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying, _) => reboot(),
        },
        (State::Deploying(d), true) => match (&d.phase, session.plan) {
            (
                DeployPhase::AwaitBoot
                | DeployPhase::Booting
                | DeployPhase::Claimed
                | DeployPhase::Installing { .. },
                _,
            ) => reboot(),
            (DeployPhase::AwaitLocalBoot { .. }, _) => Assignment::Report {},
            (DeployPhase::Verifying, Some(plan)) => Assignment::Verify {
                plan: plan.id.clone(),
                expect: crate::plan::verify_request(plan),
            },
            (DeployPhase::Verifying, None) => wait(),
        },
        (State::Releasing(_), true) => reboot(),
        (State::Releasing(r), false) if r.wiping => Assignment::Wipe {
            disks: session.plan.map(|p| vec![disk(p)]).unwrap_or_default(),
        },
        (State::Releasing(_), false) => Assignment::Report {},
    }
}

/// A one-shot task takes the place of waiting, and of nothing else.
pub fn with_task(assignment: Assignment, task: Option<(u64, Task)>) -> Assignment {
    match (assignment, task) {
        (Assignment::Wait { .. }, Some((id, task))) => Assignment::Task { id, task },
        (other, _) => other,
    }
}

fn disk(plan: &InstallPlan) -> DiskTarget {
    plan.disk.clone()
}
