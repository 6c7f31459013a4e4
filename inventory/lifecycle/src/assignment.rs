//! What an agent is told to do, from the state and where the agent runs.

use inventory_api::MachineId;
use inventory_api::agent::{Assignment, RunsOn};
use inventory_api::plan::InstallPlan;
use inventory_api::task::Task;

use crate::state::State::{
    Commissioning, Deployed, Deploying, Failed, New, Quarantined, Ready, Releasing, Retired,
};
use crate::state::{DeployPhase, State};
use crate::status::status_sentence;

/// What the server knows of the agent that asks.
#[derive(Clone, Copy, Debug)]
pub struct AgentSession<'a> {
    /// Where it runs according to its newest report of this boot; `None` before its first report.
    pub runs_on: Option<RunsOn>,
    /// The plan of the state, if it has one.
    pub plan: Option<&'a InstallPlan>,
    /// The machine that this enrolment turned out to be, if it was retired for that.
    pub folded_into: Option<&'a MachineId>,
}

/// The assignment. An agent that has not reported since it started is asked for its report first.
pub fn assignment(state: &State, session: AgentSession<'_>) -> Assignment {
    let message = status_sentence(state);
    if let (Retired, Some(machine), None | Some(RunsOn::MiniOs | RunsOn::Unknown)) =
        (state, session.folded_into, session.runs_on)
    {
        return Assignment::Reboot {
            message: format!("This is machine {machine}. It reboots as that one."),
        };
    }
    let installed = session.runs_on.map(|on| on == RunsOn::Installed);
    match (state, installed) {
        (Quarantined(_) | Retired, _) => Assignment::Stop { message },
        (New | Commissioning(_) | Ready(_) | Deploying(_) | Deployed(_) | Releasing(_) | Failed(_), None) => {
            Assignment::Report {}
        }
        (New | Ready(_) | Failed(_), Some(_)) => Assignment::Wait { message },
        (Deployed(_), Some(true)) => Assignment::Wait { message },
        // A mini-os that still runs on a deployed machine missed its reboot.
        (Deployed(_), Some(false)) => Assignment::Reboot { message },
        (Commissioning(_), Some(false)) => Assignment::Report {},
        (Commissioning(_), Some(true)) => Assignment::Reboot { message },
        (Deploying(d), Some(false)) => match (&d.phase, session.plan) {
            (DeployPhase::Boot { .. }, _) => Assignment::Report {},
            (DeployPhase::Installing { .. }, Some(plan)) => Assignment::Install {
                plan: Box::new(plan.clone()),
            },
            (DeployPhase::Installing { .. }, None) => Assignment::Wait { message },
            (DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying, _) => {
                Assignment::Reboot { message }
            }
        },
        (Deploying(d), Some(true)) => match (&d.phase, session.plan) {
            (DeployPhase::Boot { .. } | DeployPhase::Installing { .. }, _) => Assignment::Reboot { message },
            (DeployPhase::AwaitLocalBoot { .. }, _) => Assignment::Report {},
            (DeployPhase::Verifying, Some(plan)) => Assignment::Verify {
                plan: plan.id.clone(),
                expect: crate::plan::verify_request(plan),
            },
            (DeployPhase::Verifying, None) => Assignment::Wait { message },
        },
        (Releasing(_), Some(true)) => Assignment::Reboot { message },
        (Releasing(r), Some(false)) if r.wiping => Assignment::Wipe {
            disks: session.plan.iter().map(|plan| plan.disk.clone()).collect(),
        },
        (Releasing(_), Some(false)) => Assignment::Report {},
    }
}

/// A one-shot task replaces waiting, and nothing else.
pub fn with_task(assignment: Assignment, task: Option<(u64, Task)>) -> Assignment {
    match (assignment, task) {
        (Assignment::Wait { .. }, Some((id, task))) => Assignment::Task { id, task },
        (other, _) => other,
    }
}
