//! One-time tasks of agents: re-check, locate, burn-in. They change no lifecycle state.

use inventory_api::agent::{Assignment, Permission};
use inventory_api::task::{Note, Task, TaskOutcome, TaskReport, TaskStatus};
use inventory_api::text::tame;
use inventory_api::{MachineId, UnixMs};
use lifecycle::State;
use lifecycle::state::{DiskState, Stage};
use lifecycle::task::{self, TaskRefused};

use crate::agents::stop;
use crate::machines::sessions::ALIVE_SECONDS;
use crate::problem::{AGENT_SILENT, BAD_BURN_IN, Result, TASK_NOT_NOW};
use crate::{Actor, Service, Turn, Verb};
use store::{MachineRow, StoreError};

/// A task without news for this long is given up, in seconds.
const STALE_SECONDS: u64 = 600;
/// Longest text from an agent or a person.
const MAX_TEXT: usize = 1000;
/// Most parts in one burn-in result; each disk is one.
const MAX_BURN_IN_PARTS: usize = 512;

impl Turn {
    /// Asks a machine's agent for a task.
    pub(crate) async fn ask(
        &mut self,
        id: &MachineId,
        task: &Task,
        actor: &Actor,
    ) -> Result<TaskStatus, StoreError> {
        let now = self.now;
        let number = self.add_task(id, task, actor.as_str(), now).await?;
        tracing::info!(machine = %id, %actor, task = task.name(), number, "a task was asked for");
        self.wake(id);
        Ok(TaskStatus {
            id: number,
            task: task.clone(),
            actor: actor.to_string(),
            asked_at: now,
            changed_at: now,
            outcome: None,
            expired: false,
        })
    }
}

impl Service {
    /// Asks a machine's agent for a task.
    pub async fn ask_task(&self, key: &str, task: Task, actor: &Actor) -> Result<TaskStatus> {
        let row = self.find(key).await?;
        self.may_do(&row, &task)?;
        self.add_task(row.id, task, actor).await
    }

    async fn add_task(&self, id: MachineId, task: Task, actor: &Actor) -> Result<TaskStatus> {
        let work = async move |mut turn: Turn| {
            let actor = turn.actor.clone();
            let asked = turn.ask(&id, &task, &actor).await?;
            turn.commit().await?;
            Ok(asked)
        };
        self.turn(actor, work).await
    }

    /// Refuses a task that the machine's agent cannot do now.
    fn may_do(&self, row: &MachineRow, task: &Task) -> Result<()> {
        let (id, now) = (&row.id, self.core.clock.now());
        let session = self.core.memory.sessions.get(id);
        let agent = session.runs_on.filter(|_| session.runs(now));
        task::may(&row.state, agent, task).map_err(|refused| match refused {
            TaskRefused::Busy(state) => {
                TASK_NOT_NOW.because(format!("machine {id} is {state}: tasks are done while it waits"))
            }
            TaskRefused::AgentSilent => AGENT_SILENT.because(format!(
                "the agent of machine {id} has not been heard for {ALIVE_SECONDS} s: switch the machine on"
            )),
            TaskRefused::Installed => TASK_NOT_NOW.because(format!(
                "machine {id} does not run the mini-os: a burn-in would disturb what is installed on it"
            )),
            TaskRefused::Unusable(why) => BAD_BURN_IN.because(why),
        })
    }

    /// Replaces a waiting assignment by the oldest open task.
    pub(crate) async fn with_task(&self, id: &MachineId, assignment: Assignment) -> Result<Assignment> {
        if !matches!(assignment, Assignment::Wait { .. }) {
            return Ok(assignment);
        }
        let since = UnixMs(self.core.clock.now().0 - STALE_SECONDS as i64 * 1000);
        let task = self.core.store.open_task(id, since).await?;
        Ok(lifecycle::assignment::with_task(
            assignment,
            task.map(|t| (t.id, t.task)),
        ))
    }

    /// Records an agent's report about its task. The answer says whether to continue.
    pub async fn task_report(&self, id: &MachineId, report: TaskReport) -> Result<Permission> {
        // Any other assignment comes first.
        let current = self.assignment_now(id).await?.assignment;
        let id = id.clone();
        let work = async move |mut turn: Turn| {
            let Some((task, true)) = turn.task(&id, report.id).await? else {
                return Ok(stop("this task is no longer asked for"));
            };
            let open = matches!(report.outcome, TaskOutcome::Running { .. });
            let (outcome, now) = (bounded(report.outcome), turn.now);
            turn.put_task_outcome(task.id, &outcome, open, now).await?;
            if open {
                turn.changed(&id);
            } else {
                tracing::info!(machine = %id, task = task.task.name(), number = task.id, "a task ended");
                turn.wake(&id);
            }
            turn.commit().await?;
            let still = matches!(&current, Assignment::Task { id, .. } if *id == task.id);
            if open && !still {
                return Ok(stop("there is something else to do"));
            }
            Ok(Permission::Continue {})
        };
        self.turn(&Actor::Agent, work).await
    }

    /// The last 20 tasks of a machine, newest first.
    pub(crate) async fn newest_tasks(&self, id: &MachineId) -> Result<Vec<TaskStatus>> {
        let now = self.core.clock.now();
        let mut tasks = self.core.store.tasks(id, 20).await?;
        for task in &mut tasks {
            let ended = matches!(
                task.outcome,
                Some(TaskOutcome::Done { .. } | TaskOutcome::Failed { .. })
            );
            let stale = now.since(task.changed_at) > STALE_SECONDS * 1000;
            task.expired = !ended && (task.expired || stale);
        }
        Ok(tasks)
    }

    /// Checks a machine again: asks a running agent for a new report, or else checks the stored one.
    pub async fn recheck(&self, key: &str, actor: &Actor) -> Result<Option<TaskStatus>> {
        let row = self.find(key).await?;
        if self.may_do(&row, &Task::Recheck {}).is_ok() {
            return self.add_task(row.id, Task::Recheck {}, actor).await.map(Some);
        }
        self.recheck_stored(&row.id, actor, None).await?;
        Ok(None)
    }

    /// Notes that a person fixed a fault, then checks the machine again. A commissioning that failed its
    /// check is retried.
    pub async fn fixed(&self, key: &str, text: &str, actor: &Actor) -> Result<Option<TaskStatus>> {
        let row = self.find(key).await?;
        let mut text = tame(text, MAX_TEXT).trim().to_owned();
        if text.is_empty() {
            text = "Marked as fixed.".to_owned();
        }
        let service = self.clone();
        let work = async move |mut turn: Turn| {
            let (id, actor) = (&row.id, turn.actor.clone());
            let note = Note {
                at: turn.now,
                actor: actor.to_string(),
                text,
            };
            turn.add_note(id, &note).await?;
            turn.changed(id);
            turn.commit().await?;
            if let State::Failed(failed) = &row.state
                && failed.during == Stage::Commissioning
                && failed.reason == "check-failed"
                && failed.disk == DiskState::Untouched
            {
                service.verb(id.as_str(), Verb::Retry, &actor).await?;
                return Ok(None);
            }
            service.recheck(id.as_str(), &actor).await
        };
        self.turn(actor, work).await
    }
}

/// Bounds the outcome and cleans its texts.
fn bounded(mut outcome: TaskOutcome) -> TaskOutcome {
    let clean = |text: &mut String| *text = tame(text, MAX_TEXT);
    let burn_in = match &mut outcome {
        TaskOutcome::Running { percent, doing } => {
            *percent = (*percent).min(100);
            clean(doing);
            None
        }
        TaskOutcome::Done { detail, burn_in } => {
            clean(detail);
            burn_in.as_mut()
        }
        TaskOutcome::Failed {
            code,
            detail,
            burn_in,
        } => {
            [code, detail].into_iter().for_each(clean);
            burn_in.as_mut()
        }
        TaskOutcome::Unknown => None,
    };
    if let Some(result) = burn_in {
        result.parts.truncate(MAX_BURN_IN_PARTS);
        for part in &mut result.parts {
            [&mut part.name, &mut part.unit, &mut part.detail]
                .into_iter()
                .for_each(clean);
        }
    }
    outcome
}
