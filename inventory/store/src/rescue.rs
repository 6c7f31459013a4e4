//! Rescue systems that were booted, and the passwords that open them.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};

use super::sql::Col;
use super::{Change, Reader, Result};

/// Rescues that are kept for each machine.
const KEPT: i64 = 20;

/// A rescue system that was booted.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RescueRow {
    /// The machine.
    #[sqlx(try_from = "Col<MachineId>")]
    pub machine: MachineId,
    /// The NIC that booted.
    #[sqlx(try_from = "Col<Mac>")]
    pub mac: Mac,
    /// The address its script was sent to.
    #[sqlx(try_from = "Col<Ipv4Addr>")]
    pub ip: Ipv4Addr,
    /// When the script was made.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub made_at: UnixMs,
    /// When it ends at the latest.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub expires_at: UnixMs,
    /// When the right password was typed.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub opened_at: Option<UnixMs>,
    /// When it ended.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub ended_at: Option<UnixMs>,
}

/// The password that opens the next rescue of a machine. It is a secret: no Debug.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RescuePasswordRow {
    /// Digest of the password.
    #[sqlx(try_from = "Col<[u8; 32]>")]
    pub digest: [u8; 32],
    /// Who asked for it.
    pub actor: String,
    /// When it expires.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub expires_at: UnixMs,
    /// The ticket of the rescue it opened.
    #[sqlx(try_from = "Col<Option<[u8; 32]>>")]
    pub used_by: Option<[u8; 32]>,
    /// Wrong passwords typed since it was made.
    pub wrong: u32,
    /// When the last of them was typed.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub wrong_at: UnixMs,
}

impl Reader {
    /// Whether a rescue that has not ended was sent to this address; `None`: to any.
    pub async fn has_rescue_at(&self, ip: Option<Ipv4Addr>, now: UnixMs) -> Result<bool> {
        let sql = "SELECT count(*) FROM rescues
            WHERE ended_at IS NULL AND expires_at > $2 AND ($1 IS NULL OR ip = $1)";
        Ok(self.count(sql, &[&ip, &now]).await? > 0)
    }

    /// Machines with a rescue that has expired and is not marked as ended.
    pub async fn overdue_rescues(&self, now: UnixMs) -> Result<Vec<MachineId>> {
        let sql = "SELECT DISTINCT machine FROM rescues WHERE ended_at IS NULL AND expires_at <= $1";
        self.column(sql, &[&now]).await
    }

    /// The rescue of a ticket.
    pub async fn rescue(&self, ticket: &[u8; 32]) -> Result<Option<RescueRow>> {
        let sql = "SELECT machine, mac, ip, made_at, expires_at, opened_at, ended_at FROM rescues WHERE ticket = $1";
        self.row(sql, &[ticket]).await
    }

    /// The password of a machine.
    pub async fn rescue_password(&self, machine: &MachineId) -> Result<Option<RescuePasswordRow>> {
        let sql = "SELECT digest, actor, expires_at, used_by, wrong, wrong_at FROM rescue_passwords WHERE machine = $1";
        self.row(sql, &[machine]).await
    }
}

impl Change {
    /// Stores a rescue whose script is sent; the oldest of the machine are deleted.
    pub async fn add_rescue(&mut self, ticket: &[u8; 32], row: &RescueRow) -> Result<()> {
        self.run(
            "INSERT INTO rescues (ticket, machine, mac, ip, made_at, expires_at, seq) VALUES ($1, $2, $3, $4, $5, $6,
                (SELECT coalesce(max(seq), 0) + 1 FROM rescues WHERE machine = $2))",
            &[ticket, &row.machine, &row.mac, &row.ip, &row.made_at, &row.expires_at],
        )
        .await?;
        self.keep_newest("rescues", "seq", &row.machine, KEPT).await
    }

    /// The right password was typed.
    pub async fn open_rescue(&mut self, ticket: &[u8; 32], at: UnixMs) -> Result<()> {
        let sql = "UPDATE rescues SET opened_at = coalesce(opened_at, $2) WHERE ticket = $1";
        self.run(sql, &[ticket, &at]).await
    }

    /// Ends all rescues of a machine. True: one of those that had not ended was opened.
    pub async fn end_rescues(&mut self, machine: &MachineId, at: UnixMs) -> Result<bool> {
        let opened =
            "SELECT count(*) FROM rescues WHERE machine = $1 AND ended_at IS NULL AND opened_at IS NOT NULL";
        let opened = self.count(opened, &[machine]).await?;
        let end = "UPDATE rescues SET ended_at = $2 WHERE machine = $1 AND ended_at IS NULL";
        self.run(end, &[machine, &at]).await?;
        Ok(opened > 0)
    }

    /// Stores a password in place of the one before.
    pub async fn put_rescue_password(&mut self, machine: &MachineId, row: &RescuePasswordRow) -> Result<()> {
        self.run(
            "INSERT INTO rescue_passwords (machine, digest, actor, expires_at, used_by, wrong, wrong_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (machine) DO UPDATE SET digest = excluded.digest, actor = excluded.actor,
                expires_at = excluded.expires_at, used_by = excluded.used_by, wrong = excluded.wrong,
                wrong_at = excluded.wrong_at",
            &[
                machine,
                &row.digest,
                &row.actor,
                &row.expires_at,
                &row.used_by,
                &row.wrong,
                &row.wrong_at,
            ],
        )
        .await
    }
}
