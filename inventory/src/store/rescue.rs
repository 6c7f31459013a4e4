//! Rescue systems that were booted, and the passwords that open them.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Change, Store, StoreError, parse};

/// Rescues that are kept for each machine.
const KEPT: i64 = 20;

/// A rescue system that was booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescueRow {
    /// The machine.
    pub machine: MachineId,
    /// The NIC that booted.
    pub mac: Mac,
    /// The address its script was given to.
    pub ip: Ipv4Addr,
    /// When the script was made.
    pub made_at: UnixMs,
    /// When it is over at the latest.
    pub expires_at: UnixMs,
    /// When the right password was typed.
    pub opened_at: Option<UnixMs>,
    /// When it was over.
    pub ended_at: Option<UnixMs>,
}

/// The password that opens the next rescue of a machine.
#[derive(Clone, PartialEq, Eq)]
pub struct RescuePasswordRow {
    /// Digest of the password.
    pub digest: [u8; 32],
    /// Who had it made.
    pub actor: String,
    /// Until when it opens anything.
    pub expires_at: UnixMs,
    /// The ticket of the rescue it opened.
    pub used_by: Option<[u8; 32]>,
    /// Wrong passwords since.
    pub wrong: u32,
    /// The last of them.
    pub wrong_at: UnixMs,
}

impl Store {
    /// Whether a rescue that has not ended was given to this address; `None`: to any.
    pub async fn has_rescue_at(&self, ip: Option<Ipv4Addr>, now: UnixMs) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM rescues
             WHERE ended_at IS NULL AND expires_at > $2 AND ($1 IS NULL OR ip = $1)",
        )
        .bind(ip.map(|ip| ip.to_string()))
        .bind(now.0)
        .fetch_one(&self.read)
        .await?;
        Ok(count > 0)
    }

    /// Machines whose rescue has not ended although its time is over.
    pub async fn overdue_rescues(&self, now: UnixMs) -> Result<Vec<MachineId>, StoreError> {
        let rows =
            sqlx::query("SELECT DISTINCT machine FROM rescues WHERE ended_at IS NULL AND expires_at <= $1")
                .bind(now.0)
                .fetch_all(&self.read)
                .await?;
        rows.iter()
            .map(|row| parse("machine id", row.try_get("machine")?))
            .collect()
    }
}

impl Change {
    /// Keeps a rescue whose script is given out; the oldest of the machine go.
    pub async fn add_rescue(&mut self, ticket: &[u8; 32], row: &RescueRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO rescues (ticket, machine, mac, ip, made_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(ticket.as_slice())
        .bind(row.machine.as_str())
        .bind(row.mac.to_string())
        .bind(row.ip.to_string())
        .bind(row.made_at.0)
        .bind(row.expires_at.0)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "DELETE FROM rescues WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM rescues WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)",
        )
        .bind(row.machine.as_str())
        .bind(KEPT)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The rescue of a ticket.
    pub async fn rescue(&mut self, ticket: &[u8; 32]) -> Result<Option<RescueRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM rescues WHERE ticket = $1")
            .bind(ticket.as_slice())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(rescue_row).transpose()
    }

    /// The right password was typed.
    pub async fn open_rescue(&mut self, ticket: &[u8; 32], at: UnixMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE rescues SET opened_at = coalesce(opened_at, $2) WHERE ticket = $1")
            .bind(ticket.as_slice())
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends every rescue of a machine that has not ended. True: one of them had been opened.
    pub async fn end_rescues(&mut self, machine: &MachineId, at: UnixMs) -> Result<bool, StoreError> {
        let opened: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM rescues WHERE machine = $1 AND ended_at IS NULL AND opened_at IS NOT NULL",
        )
        .bind(machine.as_str())
        .fetch_one(self.connection())
        .await?;
        sqlx::query("UPDATE rescues SET ended_at = $2 WHERE machine = $1 AND ended_at IS NULL")
            .bind(machine.as_str())
            .bind(at.0)
            .execute(self.connection())
            .await?;
        Ok(opened > 0)
    }

    /// Keeps a password in place of the one before.
    pub async fn put_rescue_password(
        &mut self,
        machine: &MachineId,
        row: &RescuePasswordRow,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR REPLACE INTO rescue_passwords (machine, digest, actor, expires_at, used_by, wrong, wrong_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(machine.as_str())
        .bind(row.digest.as_slice())
        .bind(&row.actor)
        .bind(row.expires_at.0)
        .bind(row.used_by.as_ref().map(|ticket| ticket.as_slice()))
        .bind(i64::from(row.wrong))
        .bind(row.wrong_at.0)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The password of a machine.
    pub async fn rescue_password(
        &mut self,
        machine: &MachineId,
    ) -> Result<Option<RescuePasswordRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM rescue_passwords WHERE machine = $1")
            .bind(machine.as_str())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let bytes = |blob: &[u8]| <[u8; 32]>::try_from(blob).unwrap_or_default();
        let used_by: Option<&[u8]> = row.try_get("used_by")?;
        Ok(Some(RescuePasswordRow {
            digest: bytes(row.try_get("digest")?),
            actor: row.try_get("actor")?,
            expires_at: UnixMs(row.try_get("expires_at")?),
            used_by: used_by.map(bytes),
            wrong: u32::try_from(row.try_get::<i64, _>("wrong")?).unwrap_or(u32::MAX),
            wrong_at: UnixMs(row.try_get("wrong_at")?),
        }))
    }
}

fn rescue_row(row: &SqliteRow) -> Result<RescueRow, StoreError> {
    Ok(RescueRow {
        machine: parse("machine id", row.try_get("machine")?)?,
        mac: parse("MAC", row.try_get("mac")?)?,
        ip: parse("address", row.try_get("ip")?)?,
        made_at: UnixMs(row.try_get("made_at")?),
        expires_at: UnixMs(row.try_get("expires_at")?),
        opened_at: row.try_get::<Option<i64>, _>("opened_at")?.map(UnixMs),
        ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(UnixMs),
    })
}
