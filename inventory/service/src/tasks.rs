//! One-time tasks of agents: re-check, locate, burn-in. They change no lifecycle state.

use inventory_api::agent::{Assignment, Permission};
use inventory_api::burn_in::BurnInResult;
use inventory_api::task::{Note, Task, TaskOutcome, TaskReport, TaskStatus};
use inventory_api::text::tame;
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::State;
use lifecycle::state::{DiskState, Stage};
use lifecycle::task::{self, TaskRefused};

use super::{Actor, Service, Verb};
use crate::core::ALIVE_SECONDS;
use crate::problem::problem;
use store::MachineRow;

/// A task without news for this long is given up, in seconds.
const STALE_SECONDS: u64 = 600;
/// Longest text from an agent or a person.
const MAX_TEXT: usize = 1000;
/// Most parts in one burn-in result; each disk is one.
const MAX_BURN_IN_PARTS: usize = 512;

pub(super) fn stale(task: &TaskStatus, now: UnixMs) -> bool {
    now.since(task.changed_at) > STALE_SECONDS * 1000
}

impl Service {
    /// Asks a machine's agent for a task.
    pub async fn ask_task(&self, key: &str, task: Task, actor: &Actor) -> Result<TaskStatus, Problem> {
        let row = self.find(key).await?;
        self.may_task(&row, &task)?;
        self.add_task(&row.id, &task, actor).await
    }

    pub(super) async fn add_task(
        &self,
        id: &MachineId,
        task: &Task,
        actor: &Actor,
    ) -> Result<TaskStatus, Problem> {
        let now = self.core.clock.now();
        let mut change = self.core.store.begin().await?;
        let number = change.add_task(id, task, actor.as_str(), now).await?;
        change.commit().await?;
        tracing::info!(machine = %id, %actor, task = task.name(), number, "a task was asked for");
        self.core.memory.wake(id);
        self.core.memory.changed(id);
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

    fn may_task(&self, row: &MachineRow, task: &Task) -> Result<(), Problem> {
        let now = self.core.clock.now();
        let session = self.core.memory.session(&row.id);
        let agent = session.runs_on.filter(|_| session.runs(now));
        task::may(&row.state, agent, task).map_err(|refused| {
            let id = &row.id;
            let (status, code, title, detail) = match refused {
                TaskRefused::Busy(state) => (
                    409,
                    "task-not-now",
                    "Not now",
                    format!("machine {id} is {state}: tasks are done while it waits"),
                ),
                TaskRefused::AgentSilent => (
                    409,
                    "agent-silent",
                    "No agent runs there",
                    format!(
                        "the agent of machine {id} has not been heard for {ALIVE_SECONDS} s: switch the machine on"
                    ),
                ),
                TaskRefused::Installed => (
                    409,
                    "task-not-now",
                    "Not now",
                    format!(
                        "machine {id} does not run the mini-os: a burn-in would disturb what is installed on it"
                    ),
                ),
                TaskRefused::Unusable(why) => (422, "bad-burn-in", "Burn-in not usable", why),
            };
            problem(status, code, title, detail)
        })
    }

    /// Replaces a waiting assignment by the oldest open task.
    pub(super) async fn with_task(
        &self,
        id: &MachineId,
        assignment: Assignment,
    ) -> Result<Assignment, Problem> {
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
    pub async fn task_report(&self, id: &MachineId, report: TaskReport) -> Result<Permission, Problem> {
        let now = self.core.clock.now();
        let stop = |message: &str| Permission::Stop {
            message: message.to_owned(),
        };
        // Any other assignment comes first.
        let current = self.assignment_now(id).await?.assignment;
        let mut change = self.core.store.begin().await?;
        let Some((task, true)) = change.task(id, report.id).await? else {
            return Ok(stop("this task is not asked for any more"));
        };
        let open = matches!(report.outcome, TaskOutcome::Running { .. });
        let outcome = bounded(report.outcome);
        change.put_task_outcome(task.id, &outcome, open, now).await?;
        change.commit().await?;
        if !open {
            tracing::info!(machine = %id, task = task.task.name(), number = task.id, "a task ended");
            self.core.memory.wake(id);
        }
        self.core.memory.changed(id);
        let still = matches!(&current, Assignment::Task { id, .. } if *id == task.id);
        if open && !still {
            return Ok(stop("something else is to be done"));
        }
        Ok(Permission::Continue {})
    }

    /// The last 20 tasks of a machine, newest first.
    pub(super) async fn newest_tasks(&self, id: &MachineId) -> Result<Vec<TaskStatus>, Problem> {
        let now = self.core.clock.now();
        let mut tasks = self.core.store.tasks(id, 20).await?;
        for task in &mut tasks {
            let ended = matches!(
                task.outcome,
                Some(TaskOutcome::Done { .. } | TaskOutcome::Failed { .. })
            );
            task.expired = !ended && (task.expired || stale(task, now));
        }
        Ok(tasks)
    }

    /// Checks a machine again: asks a running agent for a new report, or else checks the stored one.
    pub async fn recheck(&self, key: &str, actor: &Actor) -> Result<Option<TaskStatus>, Problem> {
        let row = self.find(key).await?;
        if self.may_task(&row, &Task::Recheck {}).is_ok() {
            return self.add_task(&row.id, &Task::Recheck {}, actor).await.map(Some);
        }
        self.recheck_stored(&row.id, actor, None).await?;
        Ok(None)
    }

    /// Notes that a person fixed a fault, then checks the machine again. A commissioning that failed its
    /// check is retried.
    pub async fn fixed(&self, key: &str, text: &str, actor: &Actor) -> Result<Option<TaskStatus>, Problem> {
        let row = self.find(key).await?;
        let text = tame(text, MAX_TEXT).trim().to_owned();
        let note = Note {
            at: self.core.clock.now(),
            actor: actor.to_string(),
            text: if text.is_empty() {
                "Marked as fixed.".to_owned()
            } else {
                text
            },
        };
        let mut change = self.core.store.begin().await?;
        change.add_note(&row.id, &note).await?;
        change.commit().await?;
        self.core.memory.changed(&row.id);
        if let State::Failed(failed) = &row.state
            && failed.during == Stage::Commissioning
            && failed.reason == "check-failed"
            && failed.disk == DiskState::Untouched
        {
            self.verb(row.id.as_str(), Verb::Retry, actor).await?;
            return Ok(None);
        }
        self.recheck(row.id.as_str(), actor).await
    }
}

/// Bounds the outcome and cleans its texts.
fn bounded(outcome: TaskOutcome) -> TaskOutcome {
    let text = |t: String| tame(&t, MAX_TEXT);
    let figures = |burn_in: Option<Box<BurnInResult>>| {
        burn_in.map(|mut result| {
            result.parts.truncate(MAX_BURN_IN_PARTS);
            for part in &mut result.parts {
                part.name = text(std::mem::take(&mut part.name));
                part.unit = text(std::mem::take(&mut part.unit));
                part.detail = text(std::mem::take(&mut part.detail));
            }
            result
        })
    };
    match outcome {
        TaskOutcome::Running { percent, doing } => TaskOutcome::Running {
            percent: percent.min(100),
            doing: text(doing),
        },
        TaskOutcome::Done { detail, burn_in } => TaskOutcome::Done {
            detail: text(detail),
            burn_in: figures(burn_in),
        },
        TaskOutcome::Failed {
            code,
            detail,
            burn_in,
        } => TaskOutcome::Failed {
            code: text(code),
            detail: text(detail),
            burn_in: figures(burn_in),
        },
        TaskOutcome::Unknown => TaskOutcome::Unknown,
    }
}
