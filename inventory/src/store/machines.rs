//! Machines, their MACs and their history: what is read. Writing is in [`Change`](super::Change).

use std::collections::HashMap;
use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::{Event, Limits, State};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Store, StoreError, from_json, parse};

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
        let rows = sqlx::query("SELECT * FROM machines ORDER BY enrolled_at DESC, id")
            .fetch_all(&self.read)
            .await?;
        let mut macs = self
            .macs_by_machine("SELECT machine, mac FROM macs ORDER BY machine, rank, mac")
            .await?;
        let mut reported = self
            .macs_by_machine("SELECT machine, mac FROM reported_macs ORDER BY machine, mac")
            .await?;
        rows.iter()
            .map(|row| {
                let id: &str = row.try_get("id")?;
                let reported = reported.remove(id).unwrap_or_default();
                machine_row(row, macs.remove(id).unwrap_or_default(), reported)
            })
            .collect()
    }

    async fn macs_by_machine(&self, sql: &'static str) -> Result<HashMap<String, Vec<Mac>>, StoreError> {
        let mut macs: HashMap<String, Vec<Mac>> = HashMap::new();
        for row in sqlx::query(sql).fetch_all(&self.read).await? {
            let mac = parse("MAC", row.try_get("mac")?)?;
            macs.entry(row.try_get("machine")?).or_default().push(mac);
        }
        Ok(macs)
    }

    /// One machine.
    pub async fn machine(&self, id: &MachineId) -> Result<Option<MachineRow>, StoreError> {
        load_machine(&mut *self.read.acquire().await?, id).await
    }

    /// The machine that fetched a boot script by a MAC.
    pub async fn machine_of_mac(&self, mac: Mac) -> Result<Option<MachineId>, StoreError> {
        machine_of_mac(&mut *self.read.acquire().await?, mac).await
    }

    /// Machines whose newest report lists a MAC; at most two: more than one say nothing.
    pub async fn machines_reporting(&self, mac: Mac) -> Result<Vec<MachineId>, StoreError> {
        let rows = sqlx::query("SELECT machine FROM reported_macs WHERE mac = $1 LIMIT 2")
            .bind(mac.to_string())
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| parse("machine id", row.try_get("machine")?))
            .collect()
    }

    /// Every MAC by which a known machine fetched a boot script, with the machine's host name. Known: it claimed and reported,
    /// or a person asked for it.
    pub async fn macs(&self) -> Result<HashMap<Mac, Option<String>>, StoreError> {
        let rows = sqlx::query(
            "SELECT macs.mac, machines.hostname FROM macs JOIN machines ON machines.id = macs.machine
             WHERE machines.folded_into IS NULL AND machines.known = 1",
        )
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| Ok((parse("MAC", row.try_get("mac")?)?, row.try_get("hostname")?)))
            .collect()
    }

    /// The machines that reported a serial number; more than one when makers do not fill it in.
    pub async fn machines_of_serial(&self, serial: &str) -> Result<Vec<MachineId>, StoreError> {
        let rows = sqlx::query("SELECT id FROM machines WHERE serial = $1 AND folded_into IS NULL LIMIT 2")
            .bind(serial)
            .fetch_all(&self.read)
            .await?;
        rows.iter()
            .map(|row| parse("machine id", row.try_get("id")?))
            .collect()
    }

    /// The newest rows of a machine's history before `before`, at most `most`; oldest first.
    pub async fn history(
        &self,
        id: &MachineId,
        before: Option<i64>,
        most: i64,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        history(&mut *self.read.acquire().await?, id, before, most).await
    }

    /// When the machine's present phase began: the oldest of its newest history rows whose states have the same `key`.
    pub async fn phase_since<K: PartialEq>(
        &self,
        id: &MachineId,
        key: impl Fn(&State) -> K,
    ) -> Result<UnixMs, StoreError> {
        // Steps and boots make a phase of at most some dozen rows.
        let rows = sqlx::query("SELECT at, state FROM history WHERE machine = $1 ORDER BY seq DESC LIMIT 64")
            .bind(id.as_str())
            .fetch_all(&self.read)
            .await?;
        let mut since = UnixMs(0);
        let mut present = None;
        for row in &rows {
            let state: State = from_json("state", row.try_get("state")?)?;
            let found = key(&state);
            if present.get_or_insert_with(|| key(&state)) != &found {
                break;
            }
            since = UnixMs(row.try_get("at")?);
        }
        Ok(since)
    }

    /// Machines whose deadline is at or before `now`, and the next deadline after it.
    pub async fn deadlines(&self, now: UnixMs) -> Result<(Vec<MachineId>, Option<UnixMs>), StoreError> {
        let due = sqlx::query("SELECT id FROM machines WHERE deadline <= $1 ORDER BY deadline")
            .bind(now.0)
            .fetch_all(&self.read)
            .await?;
        let due = due
            .iter()
            .map(|row| parse("machine id", row.try_get("id")?))
            .collect::<Result<_, _>>()?;
        let next: Option<i64> = sqlx::query_scalar("SELECT min(deadline) FROM machines WHERE deadline > $1")
            .bind(now.0)
            .fetch_one(&self.read)
            .await?;
        Ok((due, next.map(UnixMs)))
    }
}

pub(super) async fn history(
    connection: &mut SqliteConnection,
    id: &MachineId,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<HistoryRow>, StoreError> {
    let rows =
        sqlx::query("SELECT * FROM history WHERE machine = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3")
            .bind(id.as_str())
            .bind(before.unwrap_or(i64::MAX))
            .bind(most)
            .fetch_all(connection)
            .await?;
    rows.iter().rev().map(history_row).collect()
}

fn history_row(row: &SqliteRow) -> Result<HistoryRow, StoreError> {
    Ok(HistoryRow {
        seq: row.try_get("seq")?,
        at: UnixMs(row.try_get("at")?),
        actor: row.try_get("actor")?,
        event: from_json("event", row.try_get("event")?)?,
        limits: from_json("limits", row.try_get("limits")?)?,
        state: from_json("state", row.try_get("state")?)?,
        sentence: row.try_get("sentence")?,
        repeats: row.try_get("repeats")?,
    })
}

pub(super) async fn load_machine(
    connection: &mut SqliteConnection,
    id: &MachineId,
) -> Result<Option<MachineRow>, StoreError> {
    let row = sqlx::query("SELECT * FROM machines WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut both = Vec::with_capacity(2);
    for sql in [
        "SELECT mac FROM macs WHERE machine = $1 ORDER BY rank, mac",
        "SELECT mac FROM reported_macs WHERE machine = $1 ORDER BY mac",
    ] {
        let rows = sqlx::query(sql)
            .bind(id.as_str())
            .fetch_all(&mut *connection)
            .await?;
        let macs = rows.iter().map(|row| parse("MAC", row.try_get("mac")?));
        both.push(macs.collect::<Result<Vec<Mac>, StoreError>>()?);
    }
    let reported = both.pop().unwrap_or_default();
    machine_row(&row, both.pop().unwrap_or_default(), reported).map(Some)
}

pub(super) async fn machine_of_mac(
    connection: &mut SqliteConnection,
    mac: Mac,
) -> Result<Option<MachineId>, StoreError> {
    let id: Option<String> = sqlx::query_scalar("SELECT machine FROM macs WHERE mac = $1")
        .bind(mac.to_string())
        .fetch_optional(connection)
        .await?;
    id.map(|id| parse("machine id", &id)).transpose()
}

fn machine_row(row: &SqliteRow, macs: Vec<Mac>, mut reported: Vec<Mac>) -> Result<MachineRow, StoreError> {
    reported.retain(|mac| !macs.contains(mac));
    let ip: Option<&str> = row.try_get("ip")?;
    Ok(MachineRow {
        id: parse("machine id", row.try_get("id")?)?,
        state: from_json("state", row.try_get("state")?)?,
        history_seq: row.try_get("history_seq")?,
        enrolled_at: UnixMs(row.try_get("enrolled_at")?),
        last_seen: row.try_get::<Option<i64>, _>("last_seen")?.map(UnixMs),
        booted_at: row.try_get::<Option<i64>, _>("booted_at")?.map(UnixMs),
        folded_into: row
            .try_get::<Option<&str>, _>("folded_into")?
            .map(|id| parse("machine id", id))
            .transpose()?,
        network: row.try_get("network")?,
        ip: ip.map(|ip| parse("address", ip)).transpose()?,
        identity: Identity {
            manufacturer: row.try_get("manufacturer")?,
            product: row.try_get("product")?,
            serial: row.try_get("serial")?,
            uuid: row.try_get("uuid")?,
        },
        hostname: row.try_get("hostname")?,
        macs,
        reported_macs: reported,
    })
}
