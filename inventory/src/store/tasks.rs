//! One-shot tasks of agents, and notes.

use inventory_api::burn_in::BurnInResult;
use inventory_api::task::{Note, Task, TaskOutcome, TaskStatus};
use inventory_api::{MachineId, UnixMs};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Change, Store, StoreError, from_json, to_json};

/// Tasks that are kept for each machine.
pub const KEPT_TASKS: i64 = 100;
/// Notes that are kept for each machine.
pub const KEPT_NOTES: i64 = 200;

impl Store {
    /// The oldest task that the agent shall still do or does, and that something was heard of since a moment.
    pub async fn open_task(&self, id: &MachineId, since: UnixMs) -> Result<Option<TaskStatus>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM tasks WHERE machine = $1 AND open = 1 AND changed_at >= $2 ORDER BY id LIMIT 1",
        )
        .bind(id.as_str())
        .bind(since.0)
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(task).transpose()
    }

    /// The newest tasks of a machine, newest first.
    pub async fn tasks(&self, id: &MachineId, limit: u32) -> Result<Vec<TaskStatus>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tasks WHERE machine = $1 ORDER BY id DESC LIMIT $2")
            .bind(id.as_str())
            .bind(limit)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(task).collect()
    }

    /// The newest result of a burn-in, passed or not.
    pub async fn newest_burn_in(&self, id: &MachineId) -> Result<Option<BurnInResult>, StoreError> {
        let row = sqlx::query(
            "SELECT json_extract(outcome, '$.burn_in') AS burn_in FROM tasks
             WHERE machine = $1 AND json_extract(outcome, '$.burn_in') IS NOT NULL ORDER BY id DESC LIMIT 1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.read)
        .await?;
        row.map(|row| from_json("burn-in result", row.try_get("burn_in")?))
            .transpose()
    }

    /// The newest notes of a machine, newest first.
    pub async fn notes(&self, id: &MachineId, limit: u32) -> Result<Vec<Note>, StoreError> {
        let rows =
            sqlx::query("SELECT at, actor, text FROM notes WHERE machine = $1 ORDER BY id DESC LIMIT $2")
                .bind(id.as_str())
                .bind(limit)
                .fetch_all(&self.read)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(Note {
                    at: UnixMs(row.try_get("at")?),
                    actor: row.try_get("actor")?,
                    text: row.try_get("text")?,
                })
            })
            .collect()
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
        sqlx::query(
            "UPDATE tasks SET open = 0, expired = 1, changed_at = $3
             WHERE machine = $1 AND open = 1 AND json_extract(task, '$.kind') = $2",
        )
        .bind(id.as_str())
        .bind(task.name())
        .bind(at.0)
        .execute(self.connection())
        .await?;
        let done = sqlx::query(
            "INSERT INTO tasks (machine, task, actor, asked_at, changed_at, open) VALUES ($1, $2, $3, $4, $4, 1)",
        )
        .bind(id.as_str())
        .bind(to_json("task", task)?)
        .bind(actor)
        .bind(at.0)
        .execute(self.connection())
        .await?;
        let number = done.last_insert_rowid();
        sqlx::query(
            "DELETE FROM tasks WHERE machine = $1 AND id NOT IN
                (SELECT id FROM tasks WHERE machine = $1 ORDER BY id DESC LIMIT $2)",
        )
        .bind(id.as_str())
        .bind(KEPT_TASKS)
        .execute(self.connection())
        .await?;
        Ok(number.unsigned_abs())
    }

    /// One task of a machine, and whether it is still open.
    pub async fn task(
        &mut self,
        id: &MachineId,
        number: u64,
    ) -> Result<Option<(TaskStatus, bool)>, StoreError> {
        let row = sqlx::query("SELECT * FROM tasks WHERE machine = $1 AND id = $2")
            .bind(id.as_str())
            .bind(i64::try_from(number).unwrap_or(-1))
            .fetch_optional(self.connection())
            .await?;
        row.map(|row| Ok((task(&row)?, row.try_get::<i64, _>("open")? == 1)))
            .transpose()
    }

    /// What became of a task.
    pub async fn put_task_outcome(
        &mut self,
        number: u64,
        outcome: &TaskOutcome,
        open: bool,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE tasks SET outcome = $2, open = $3, changed_at = $4 WHERE id = $1")
            .bind(i64::try_from(number).unwrap_or(-1))
            .bind(to_json("task outcome", outcome)?)
            .bind(i64::from(open))
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds a note; the oldest go.
    pub async fn add_note(&mut self, id: &MachineId, note: &Note) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO notes (machine, at, actor, text) VALUES ($1, $2, $3, $4)")
            .bind(id.as_str())
            .bind(note.at.0)
            .bind(&note.actor)
            .bind(&note.text)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "DELETE FROM notes WHERE machine = $1 AND id NOT IN
                (SELECT id FROM notes WHERE machine = $1 ORDER BY id DESC LIMIT $2)",
        )
        .bind(id.as_str())
        .bind(KEPT_NOTES)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

fn task(row: &SqliteRow) -> Result<TaskStatus, StoreError> {
    let outcome: Option<&str> = row.try_get("outcome")?;
    Ok(TaskStatus {
        id: row.try_get::<i64, _>("id")?.unsigned_abs(),
        task: from_json("task", row.try_get("task")?)?,
        actor: row.try_get("actor")?,
        asked_at: UnixMs(row.try_get("asked_at")?),
        changed_at: UnixMs(row.try_get("changed_at")?),
        outcome: outcome.map(|text| from_json("task outcome", text)).transpose()?,
        expired: row.try_get::<i64, _>("expired")? == 1,
    })
}
