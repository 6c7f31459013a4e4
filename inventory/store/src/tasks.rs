//! One-shot tasks of agents, and notes.

use std::collections::BTreeMap;

use inventory_api::burn_in::BurnInResult;
use inventory_api::task::{Note, Task, TaskOutcome, TaskStatus};
use inventory_api::{MachineId, UnixMs};
use sqlx::types::Json as JsonColumn;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::sql::push_ids;
use super::sql::{Col, Json};
use super::{Change, Reader, Result};

/// Tasks that are kept for each machine.
pub const KEPT_TASKS: i64 = 100;
/// Notes that are kept for each machine.
pub const KEPT_NOTES: i64 = 200;

/// The columns of [`TaskRow`].
const SELECT_TASK: &str = "SELECT id, task, actor, asked_at, changed_at, outcome, expired, open FROM tasks";

type TaskRow = (
    i64,
    JsonColumn<Task>,
    String,
    Col<UnixMs>,
    Col<UnixMs>,
    Option<JsonColumn<TaskOutcome>>,
    bool,
    bool,
);

/// A task, and whether it is open.
fn task(
    (id, task, actor, Col(asked_at), Col(changed_at), outcome, expired, open): TaskRow,
) -> (TaskStatus, bool) {
    let status = TaskStatus {
        id: id.unsigned_abs(),
        task: task.0,
        actor,
        asked_at,
        changed_at,
        outcome: outcome.map(|outcome| outcome.0),
        expired,
    };
    (status, open)
}

impl Reader {
    /// The oldest open task of a machine that changed after `since`.
    pub async fn open_task(&self, id: &MachineId, since: UnixMs) -> Result<Option<TaskStatus>> {
        let of = "WHERE machine = $1 AND open = 1 AND changed_at >= $2 ORDER BY id LIMIT 1";
        let row = self
            .row(AssertSqlSafe(format!("{SELECT_TASK} {of}")), &[id, &since])
            .await?;
        Ok(row.map(|row| task(row).0))
    }

    /// The newest tasks of a machine, newest first.
    pub async fn tasks(&self, id: &MachineId, limit: u32) -> Result<Vec<TaskStatus>> {
        let sql = format!("{SELECT_TASK} WHERE machine = $1 ORDER BY id DESC LIMIT $2");
        let rows = self.rows(AssertSqlSafe(sql), &[id, &limit]).await?;
        Ok(rows.into_iter().map(|row| task(row).0).collect())
    }

    /// One task of a machine, and whether it is still open.
    pub async fn task(&self, id: &MachineId, number: u64) -> Result<Option<(TaskStatus, bool)>> {
        let sql = format!("{SELECT_TASK} WHERE machine = $1 AND id = $2");
        let row = self.row(AssertSqlSafe(sql), &[id, &key(number)]).await?;
        Ok(row.map(task))
    }

    /// The newest result of a burn-in of each of these machines that has one, passed or not.
    pub async fn burn_ins(&self, ids: &[MachineId]) -> Result<BTreeMap<MachineId, BurnInResult>> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT machine, outcome FROM tasks WHERE kind = 'burn-in' AND outcome IS NOT NULL AND machine IN (",
        );
        push_ids(&mut query, ids.iter());
        query.push(" ORDER BY id");
        let rows: Vec<(Col<MachineId>, JsonColumn<TaskOutcome>)> = self.fetch(query.build()).await?;
        let result = |(Col(id), outcome): (Col<MachineId>, JsonColumn<TaskOutcome>)| match outcome.0 {
            TaskOutcome::Done { burn_in, .. } | TaskOutcome::Failed { burn_in, .. } => {
                burn_in.map(|result| (id, *result))
            }
            TaskOutcome::Running { .. } | TaskOutcome::Unknown => None,
        };
        // A later one takes the place of an earlier one.
        Ok(rows.into_iter().filter_map(result).collect())
    }

    /// The newest notes of a machine, newest first.
    pub async fn notes(&self, id: &MachineId, limit: u32) -> Result<Vec<Note>> {
        let sql = "SELECT at, actor, text FROM notes WHERE machine = $1 ORDER BY id DESC LIMIT $2";
        let rows: Vec<(Col<UnixMs>, String, String)> = self.rows(sql, &[id, &limit]).await?;
        let note = |(Col(at), actor, text)| Note { at, actor, text };
        Ok(rows.into_iter().map(note).collect())
    }
}

impl Change {
    /// Adds a task. It replaces an open one of the same kind: asking twice is asking once.
    pub async fn add_task(&mut self, id: &MachineId, task: &Task, actor: &str, at: UnixMs) -> Result<u64> {
        self.run(
            "UPDATE tasks SET open = 0, expired = 1, changed_at = $3 WHERE machine = $1 AND open = 1 AND kind = $2",
            &[id, &task.name(), &at],
        )
        .await?;
        let add = "INSERT INTO tasks (machine, task, kind, actor, asked_at, changed_at, open)
            VALUES ($1, $2, $3, $4, $5, $5, 1) RETURNING id";
        let number = self
            .count(add, &[id, &Json(task), &task.name(), &actor, &at])
            .await?;
        self.keep_newest("tasks", "id", id, KEPT_TASKS).await?;
        Ok(number.unsigned_abs())
    }

    /// Stores what came of a task.
    pub async fn put_task_outcome(
        &mut self,
        number: u64,
        outcome: &TaskOutcome,
        open: bool,
        at: UnixMs,
    ) -> Result<()> {
        let sql = "UPDATE tasks SET outcome = $2, open = $3, changed_at = $4 WHERE id = $1";
        self.run(sql, &[&key(number), &Json(outcome), &open, &at]).await
    }

    /// Adds a note; the oldest beyond the limit are deleted.
    pub async fn add_note(&mut self, id: &MachineId, note: &Note) -> Result<()> {
        let sql = "INSERT INTO notes (machine, at, actor, text) VALUES ($1, $2, $3, $4)";
        self.run(sql, &[id, &note.at, &note.actor, &note.text]).await?;
        self.keep_newest("notes", "id", id, KEPT_NOTES).await
    }
}

/// The number of a task as stored. One that is too large for SQLite belongs to no task.
fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(-1)
}
