//! Machines, their MACs and their history: what is read. Writing is in [`Change`](super::Change).

use std::collections::HashMap;
use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::{Event, Limits, State};
use sqlx::sqlite::{SqliteConnection, SqliteExecutor};

use super::sql::{Row, all, one, only};
use super::{Store, StoreError};

/// A machine as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineRow {
    /// Id.
    pub id: MachineId,
    /// State.
    pub state: State,
    /// Sequence number of the newest history row.
    pub history_seq: i64,
    /// When it was enrolled.
    pub enrolled_at: UnixMs,
    /// When its agent was last heard, as far as it was stored.
    pub last_seen: Option<UnixMs>,
    /// When it was last given a boot script.
    pub booted_at: Option<UnixMs>,
    /// The machine that this enrolment was found to be.
    pub folded_into: Option<MachineId>,
    /// Provisioning network it booted on.
    pub network: Option<String>,
    /// Last address.
    pub ip: Option<Ipv4Addr>,
    /// What it says of itself.
    pub identity: Identity,
    /// Host name of the current plan.
    pub hostname: Option<String>,
    /// MACs by which it fetched a boot script, the NIC that booted last first: they say whose script it is.
    pub macs: Vec<Mac>,
    /// Other MACs that its newest report lists: a claim, which opens nothing.
    pub reported_macs: Vec<Mac>,
}

/// What a report says of who the machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Maker.
    pub manufacturer: Option<String>,
    /// Model.
    pub product: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// SMBIOS UUID.
    pub uuid: Option<String>,
}

/// One row of a history, as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: UnixMs,
    /// Who.
    pub actor: String,
    /// What happened. Absent in the first row: the enrolment.
    pub event: Option<Event>,
    /// The limits that held then: with them the transition can be made again.
    pub limits: Limits,
    /// State afterwards.
    pub state: State,
    /// In words.
    pub sentence: String,
    /// How often it came, when rows before were kept once with a count.
    pub repeats: i64,
}

impl Store {
    /// All machines, newest first.
    pub async fn machines(&self) -> Result<Vec<MachineRow>, StoreError> {
        let sql = "SELECT * FROM machines ORDER BY enrolled_at DESC, id";
        let mut machines = all(&self.read, sql, &[], machine_row).await?;
        let mut macs = self
            .macs_by_machine("SELECT machine, mac FROM macs ORDER BY machine, rank, mac")
            .await?;
        let mut reported = self
            .macs_by_machine("SELECT machine, mac FROM reported_macs ORDER BY machine, mac")
            .await?;
        for machine in &mut machines {
            let (heard, listed) = (macs.remove(&machine.id), reported.remove(&machine.id));
            machine.set_macs(heard.unwrap_or_default(), listed.unwrap_or_default());
        }
        Ok(machines)
    }

    async fn macs_by_machine(&self, sql: &'static str) -> Result<HashMap<MachineId, Vec<Mac>>, StoreError> {
        let pair = |row: Row<'_>| Ok((row.get("machine")?, row.get("mac")?));
        let mut macs: HashMap<MachineId, Vec<Mac>> = HashMap::new();
        for (machine, mac) in all(&self.read, sql, &[], pair).await? {
            macs.entry(machine).or_default().push(mac);
        }
        Ok(macs)
    }

    /// One machine.
    pub async fn machine(&self, id: &MachineId) -> Result<Option<MachineRow>, StoreError> {
        load_machine(&mut *self.read.acquire().await?, id).await
    }

    /// The machine that fetched a boot script by a MAC.
    pub async fn machine_of_mac(&self, mac: Mac) -> Result<Option<MachineId>, StoreError> {
        machine_of_mac(&self.read, mac).await
    }

    /// Machines whose newest report lists a MAC; at most two: more than one say nothing.
    pub async fn machines_reporting(&self, mac: Mac) -> Result<Vec<MachineId>, StoreError> {
        let sql = "SELECT machine FROM reported_macs WHERE mac = $1 LIMIT 2";
        all(&self.read, sql, &[&mac], only).await
    }

    /// Every MAC by which a known machine fetched a boot script, with the machine's host name. Known: it claimed and reported,
    /// or a person asked for it.
    pub async fn macs(&self) -> Result<HashMap<Mac, Option<String>>, StoreError> {
        let sql = "SELECT macs.mac, machines.hostname FROM macs JOIN machines ON machines.id = macs.machine
            WHERE machines.folded_into IS NULL AND machines.known = 1";
        let pair = |row: Row<'_>| Ok((row.get("mac")?, row.maybe("hostname")?));
        Ok(all(&self.read, sql, &[], pair).await?.into_iter().collect())
    }

    /// The machines that reported a serial number; more than one when makers do not fill it in.
    pub async fn machines_of_serial(&self, serial: &str) -> Result<Vec<MachineId>, StoreError> {
        let sql = "SELECT id FROM machines WHERE serial = $1 AND folded_into IS NULL LIMIT 2";
        all(&self.read, sql, &[&serial], only).await
    }

    /// The newest rows of a machine's history before `before`, at most `most`; oldest first.
    pub async fn history(
        &self,
        id: &MachineId,
        before: Option<i64>,
        most: i64,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        history(&self.read, id, before, most).await
    }

    /// When the machine's present phase began: the oldest of its newest history rows whose states have the same `key`.
    pub async fn phase_since<K: PartialEq>(
        &self,
        id: &MachineId,
        key: impl Fn(&State) -> K,
    ) -> Result<UnixMs, StoreError> {
        // Steps and boots make a phase of at most some dozen rows.
        let sql = "SELECT at, state FROM history WHERE machine = $1 ORDER BY seq DESC LIMIT 64";
        let (mut present, mut over) = (None, false);
        // What came before the phase is not read.
        let phase = all(&self.read, sql, &[id], |row| {
            if over {
                return Ok(None);
            }
            let found = key(&row.json::<State>("state", "state")?);
            over = present.as_ref().is_some_and(|present| *present != found);
            if over {
                return Ok(None);
            }
            present = Some(found);
            row.maybe::<UnixMs>("at")
        })
        .await?;
        Ok(phase.into_iter().flatten().last().unwrap_or(UnixMs(0)))
    }

    /// Machines whose deadline is at or before `now`, and the next deadline after it.
    pub async fn deadlines(&self, now: UnixMs) -> Result<(Vec<MachineId>, Option<UnixMs>), StoreError> {
        let due = "SELECT id FROM machines WHERE deadline <= $1 ORDER BY deadline";
        let next = "SELECT deadline FROM machines WHERE deadline > $1 ORDER BY deadline LIMIT 1";
        Ok((
            all(&self.read, due, &[&now], only).await?,
            one(&self.read, next, &[&now], only).await?,
        ))
    }
}

pub(super) async fn history<'c>(
    on: impl SqliteExecutor<'c>,
    id: &MachineId,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<HistoryRow>, StoreError> {
    let sql = "SELECT * FROM history WHERE machine = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
    let before = before.unwrap_or(i64::MAX);
    let mut rows = all(on, sql, &[id, &before, &most], history_row).await?;
    rows.reverse();
    Ok(rows)
}

fn history_row(row: Row<'_>) -> Result<HistoryRow, StoreError> {
    Ok(HistoryRow {
        seq: row.get("seq")?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        event: row.json("event", "event")?,
        limits: row.json("limits", "limits")?,
        state: row.json("state", "state")?,
        sentence: row.get("sentence")?,
        repeats: row.get("repeats")?,
    })
}

pub(super) async fn load_machine(
    connection: &mut SqliteConnection,
    id: &MachineId,
) -> Result<Option<MachineRow>, StoreError> {
    let sql = "SELECT * FROM machines WHERE id = $1";
    let Some(mut machine) = one(&mut *connection, sql, &[id], machine_row).await? else {
        return Ok(None);
    };
    let heard = "SELECT mac FROM macs WHERE machine = $1 ORDER BY rank, mac";
    let heard = all(&mut *connection, heard, &[id], only).await?;
    let listed = "SELECT mac FROM reported_macs WHERE machine = $1 ORDER BY mac";
    machine.set_macs(heard, all(connection, listed, &[id], only).await?);
    Ok(Some(machine))
}

pub(super) async fn machine_of_mac<'c>(
    on: impl SqliteExecutor<'c>,
    mac: Mac,
) -> Result<Option<MachineId>, StoreError> {
    one(on, "SELECT machine FROM macs WHERE mac = $1", &[&mac], only).await
}

impl MachineRow {
    fn set_macs(&mut self, heard: Vec<Mac>, mut listed: Vec<Mac>) {
        listed.retain(|mac| !heard.contains(mac));
        (self.macs, self.reported_macs) = (heard, listed);
    }
}

/// Without its MACs.
fn machine_row(row: Row<'_>) -> Result<MachineRow, StoreError> {
    Ok(MachineRow {
        id: row.get("id")?,
        state: row.json("state", "state")?,
        history_seq: row.get("history_seq")?,
        enrolled_at: row.get("enrolled_at")?,
        last_seen: row.maybe("last_seen")?,
        booted_at: row.maybe("booted_at")?,
        folded_into: row.maybe("folded_into")?,
        network: row.maybe("network")?,
        ip: row.maybe("ip")?,
        identity: Identity {
            manufacturer: row.maybe("manufacturer")?,
            product: row.maybe("product")?,
            serial: row.maybe("serial")?,
            uuid: row.maybe("uuid")?,
        },
        hostname: row.maybe("hostname")?,
        macs: Vec::new(),
        reported_macs: Vec::new(),
    })
}
