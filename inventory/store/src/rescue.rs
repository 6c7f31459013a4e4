//! Rescue systems that were booted, and the passwords that open them.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};

use super::sql::{all, count, one, only};
use super::{Change, Store, StoreError};

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
        let sql = "SELECT count(*) FROM rescues
            WHERE ended_at IS NULL AND expires_at > $2 AND ($1 IS NULL OR ip = $1)";
        Ok(count(&self.read, sql, &[&ip, &now]).await? > 0)
    }

    /// Machines whose rescue has not ended although its time is over.
    pub async fn overdue_rescues(&self, now: UnixMs) -> Result<Vec<MachineId>, StoreError> {
        let sql = "SELECT DISTINCT machine FROM rescues WHERE ended_at IS NULL AND expires_at <= $1";
        all(&self.read, sql, &[&now], only).await
    }
}

impl Change {
    /// Keeps a rescue whose script is given out; the oldest of the machine go.
    pub async fn add_rescue(&mut self, ticket: &[u8; 32], row: &RescueRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO rescues (ticket, machine, mac, ip, made_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
            &[ticket, &row.machine, &row.mac, &row.ip, &row.made_at, &row.expires_at],
        )
        .await?;
        self.keep_newest("rescues", &row.machine, KEPT).await
    }

    /// The rescue of a ticket.
    pub async fn rescue(&mut self, ticket: &[u8; 32]) -> Result<Option<RescueRow>, StoreError> {
        let sql = "SELECT * FROM rescues WHERE ticket = $1";
        one(self.connection(), sql, &[ticket], |row| {
            Ok(RescueRow {
                machine: row.get("machine")?,
                mac: row.get("mac")?,
                ip: row.get("ip")?,
                made_at: row.get("made_at")?,
                expires_at: row.get("expires_at")?,
                opened_at: row.maybe("opened_at")?,
                ended_at: row.maybe("ended_at")?,
            })
        })
        .await
    }

    /// The right password was typed.
    pub async fn open_rescue(&mut self, ticket: &[u8; 32], at: UnixMs) -> Result<(), StoreError> {
        let sql = "UPDATE rescues SET opened_at = coalesce(opened_at, $2) WHERE ticket = $1";
        self.run(sql, &[ticket, &at]).await
    }

    /// Ends every rescue of a machine that has not ended. True: one of them had been opened.
    pub async fn end_rescues(&mut self, machine: &MachineId, at: UnixMs) -> Result<bool, StoreError> {
        let opened =
            "SELECT count(*) FROM rescues WHERE machine = $1 AND ended_at IS NULL AND opened_at IS NOT NULL";
        let opened = count(self.connection(), opened, &[machine]).await?;
        let end = "UPDATE rescues SET ended_at = $2 WHERE machine = $1 AND ended_at IS NULL";
        self.run(end, &[machine, &at]).await?;
        Ok(opened > 0)
    }

    /// Keeps a password in place of the one before.
    pub async fn put_rescue_password(
        &mut self,
        machine: &MachineId,
        row: &RescuePasswordRow,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO rescue_passwords (machine, digest, actor, expires_at, used_by, wrong, wrong_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)",
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

    /// The password of a machine.
    pub async fn rescue_password(
        &mut self,
        machine: &MachineId,
    ) -> Result<Option<RescuePasswordRow>, StoreError> {
        let sql = "SELECT * FROM rescue_passwords WHERE machine = $1";
        one(self.connection(), sql, &[machine], |row| {
            Ok(RescuePasswordRow {
                digest: row.get("digest")?,
                actor: row.get("actor")?,
                expires_at: row.get("expires_at")?,
                used_by: row.maybe("used_by")?,
                wrong: row.get("wrong")?,
                wrong_at: row.get("wrong_at")?,
            })
        })
        .await
    }
}
