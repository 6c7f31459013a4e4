//! Whether an agent may be given a one-shot task.

use inventory_api::agent::RunsOn;
use inventory_api::task::Task;

use crate::state::State;
use crate::status::state_name;

/// Why a task is not possible now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskRefused {
    /// The agent has something else to do in this state (its name).
    Busy(&'static str),
    /// No agent is running.
    AgentSilent,
    /// A burn-in would disturb the installed system.
    Installed,
    /// The task itself is invalid. What is wrong with it.
    Unusable(String),
}

/// Whether the machine may be given the task. `agent`: where its agent runs; `None` if none was heard lately.
///
/// # Errors
/// Why not.
pub fn may(state: &State, agent: Option<RunsOn>, task: &Task) -> Result<(), TaskRefused> {
    match state {
        State::New | State::Ready(_) | State::Deployed(_) | State::Failed(_) => {}
        State::Commissioning(_)
        | State::Deploying(_)
        | State::Releasing(_)
        | State::Quarantined(_)
        | State::Retired => return Err(TaskRefused::Busy(state_name(state))),
    }
    let runs_on = agent.ok_or(TaskRefused::AgentSilent)?;
    if let Task::BurnIn { request } = task {
        if runs_on != RunsOn::MiniOs || matches!(state, State::Deployed(_)) {
            return Err(TaskRefused::Installed);
        }
        request.check().map_err(TaskRefused::Unusable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Deployed, Ready};
    use inventory_api::burn_in::BurnInRequest;

    #[test]
    fn a_task_takes_the_place_of_waiting_only() {
        let ready = State::Ready(Ready::default());
        let deployed = State::Deployed(Deployed {
            plan: "p-0123456789abcdef".parse().unwrap(),
        });
        let burn_in = Task::BurnIn {
            request: BurnInRequest {
                cpu_seconds: 10,
                ..Default::default()
            },
        };
        let empty = Task::BurnIn {
            request: BurnInRequest {
                cpu_seconds: 0,
                memory_seconds: 0,
                disk_seconds: 0,
                ..Default::default()
            },
        };
        let recheck = Task::Recheck {};
        let (mini_os, installed) = (Some(RunsOn::MiniOs), Some(RunsOn::Installed));
        for (state, agent, task, expected) in [
            (&ready, mini_os, &recheck, Ok(())),
            (&ready, None, &recheck, Err(TaskRefused::AgentSilent)),
            (&deployed, installed, &recheck, Ok(())),
            (
                &State::Retired,
                mini_os,
                &recheck,
                Err(TaskRefused::Busy("retired")),
            ),
            (&ready, mini_os, &burn_in, Ok(())),
            (&ready, installed, &burn_in, Err(TaskRefused::Installed)),
            // Its reboot into the installed system was missed.
            (&deployed, mini_os, &burn_in, Err(TaskRefused::Installed)),
        ] {
            assert_eq!(may(state, agent, task), expected, "{state:?} {agent:?} {task:?}");
        }
        assert!(matches!(
            may(&ready, mini_os, &empty),
            Err(TaskRefused::Unusable(_))
        ));
    }
}
