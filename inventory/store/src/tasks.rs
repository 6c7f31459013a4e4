//! One-shot tasks of agents, and notes.

use inventory_api::burn_in::BurnInResult;
use inventory_api::task::{Note, Task, TaskOutcome, TaskStatus};
use inventory_api::{MachineId, UnixMs};

use super::sql::{Json, Row, all, one, run};
use super::{Change, Store, StoreError};

/// Tasks that are kept for each machine.
pub const KEPT_TASKS: i64 = 100;
/// Notes that are kept for each machine.
pub const KEPT_NOTES: i64 = 200;

impl Store {
    /// The oldest task that the agent shall still do or does, and that something was heard of since a moment.
    pub async fn open_task(&self, id: &MachineId, since: UnixMs) -> Result<Option<TaskStatus>, StoreError> {
        let sql =
            "SELECT * FROM tasks WHERE machine = $1 AND open = 1 AND changed_at >= $2 ORDER BY id LIMIT 1";
        one(&self.read, sql, &[id, &since], task).await
    }

    /// The newest tasks of a machine, newest first.
    pub async fn tasks(&self, id: &MachineId, limit: u32) -> Result<Vec<TaskStatus>, StoreError> {
        let sql = "SELECT * FROM tasks WHERE machine = $1 ORDER BY id DESC LIMIT $2";
        all(&self.read, sql, &[id, &limit], task).await
    }

    /// The newest result of a burn-in, passed or not.
    pub async fn newest_burn_in(&self, id: &MachineId) -> Result<Option<BurnInResult>, StoreError> {
        let sql = "SELECT json_extract(outcome, '$.burn_in') AS burn_in FROM tasks
            WHERE machine = $1 AND json_extract(outcome, '$.burn_in') IS NOT NULL ORDER BY id DESC LIMIT 1";
        one(&self.read, sql, &[id], |row| {
            row.json("burn-in result", "burn_in")
        })
        .await
    }

    /// The newest notes of a machine, newest first.
    pub async fn notes(&self, id: &MachineId, limit: u32) -> Result<Vec<Note>, StoreError> {
        let sql = "SELECT at, actor, text FROM notes WHERE machine = $1 ORDER BY id DESC LIMIT $2";
        all(&self.read, sql, &[id, &limit], |row| {
            Ok(Note {
                at: row.get("at")?,
                actor: row.get("actor")?,
                text: row.get("text")?,
            })
        })
        .await
    }
}

impl Change {
    /// Adds a task. An open one of the same kind is replaced: asking twice is asking once.
    pub async fn add_task(
        &mut self,
        id: &MachineId,
        task: &Task,
        actor: &str,
        at: UnixMs,
    ) -> Result<u64, StoreError> {
        self.run(
            "UPDATE tasks SET open = 0, expired = 1, changed_at = $3
            WHERE machine = $1 AND open = 1 AND json_extract(task, '$.kind') = $2",
            &[id, &task.name(), &at],
        )
        .await?;
        let added = run(
            self.connection(),
            "INSERT INTO tasks (machine, task, actor, asked_at, changed_at, open) VALUES ($1, $2, $3, $4, $4, 1)",
            &[id, &Json("task", task), &actor, &at],
        )
        .await?;
        self.keep_newest("tasks", id, KEPT_TASKS).await?;
        Ok(added.last_insert_rowid().unsigned_abs())
    }

    /// One task of a machine, and whether it is still open.
    pub async fn task(
        &mut self,
        id: &MachineId,
        number: u64,
    ) -> Result<Option<(TaskStatus, bool)>, StoreError> {
        let sql = "SELECT * FROM tasks WHERE machine = $1 AND id = $2";
        one(self.connection(), sql, &[id, &key(number)], |row| {
            Ok((task(row)?, row.get("open")?))
        })
        .await
    }

    /// What became of a task.
    pub async fn put_task_outcome(
        &mut self,
        number: u64,
        outcome: &TaskOutcome,
        open: bool,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE tasks SET outcome = $2, open = $3, changed_at = $4 WHERE id = $1";
        self.run(sql, &[&key(number), &Json("task outcome", outcome), &open, &at])
            .await
    }

    /// Adds a note; the oldest go.
    pub async fn add_note(&mut self, id: &MachineId, note: &Note) -> Result<(), StoreError> {
        let sql = "INSERT INTO notes (machine, at, actor, text) VALUES ($1, $2, $3, $4)";
        self.run(sql, &[id, &note.at, &note.actor, &note.text]).await?;
        self.keep_newest("notes", id, KEPT_NOTES).await
    }
}

/// A task's number as it is stored; one that is none is no task's.
fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(-1)
}

fn task(row: Row<'_>) -> Result<TaskStatus, StoreError> {
    let number: i64 = row.get("id")?;
    Ok(TaskStatus {
        id: number.unsigned_abs(),
        task: row.json("task", "task")?,
        actor: row.get("actor")?,
        asked_at: row.get("asked_at")?,
        changed_at: row.get("changed_at")?,
        outcome: row.maybe_json("task outcome", "outcome")?,
        expired: row.get("expired")?,
    })
}
