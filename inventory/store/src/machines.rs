//! Machines, their MACs and their history.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use inventory_api::check::Verdict;
use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::status::{phase_name, state_name};
use lifecycle::{Event, Limits, State};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::sql::{Col, Json, push_ids};
use super::{Change, Reader, Result};

/// A machine as stored.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct MachineRow {
    /// The machine.
    #[sqlx(try_from = "Col<MachineId>")]
    pub id: MachineId,
    /// Where it is in its lifecycle.
    #[sqlx(json)]
    pub state: State,
    /// When the state or its phase began.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub phase_since: UnixMs,
    /// Verdict of the newest check; `None`: nothing is expected of it.
    #[sqlx(try_from = "Col<Option<Verdict>>")]
    pub verdict: Option<Verdict>,
    /// Sequence number of the newest history row.
    pub history_seq: i64,
    /// When it was enrolled.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub enrolled_at: UnixMs,
    /// When its agent was last heard, as far as it was stored.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub last_seen: Option<UnixMs>,
    /// When it was last given a boot script.
    #[sqlx(try_from = "Col<Option<UnixMs>>")]
    pub booted_at: Option<UnixMs>,
    /// The machine that this enrolment turned out to be.
    #[sqlx(try_from = "Col<Option<MachineId>>")]
    pub folded_into: Option<MachineId>,
    /// Provisioning network it booted on.
    pub network: Option<String>,
    /// Last address.
    #[sqlx(try_from = "Col<Option<Ipv4Addr>>")]
    pub ip: Option<Ipv4Addr>,
    /// Names from its SMBIOS tables.
    #[sqlx(flatten)]
    pub names: SmbiosNames,
    /// Host name of the current plan.
    pub hostname: Option<String>,
    /// MACs by which it fetched a boot script, the NIC that booted last first. They decide whose script it
    /// is.
    #[sqlx(skip)]
    pub macs: Vec<Mac>,
    /// Other MACs that its newest report lists. They are a claim and open nothing.
    #[sqlx(skip)]
    pub reported_macs: Vec<Mac>,
}

/// Who a machine is by its SMBIOS tables, as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct SmbiosNames {
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// UUID.
    pub uuid: Option<String>,
}

/// One row of a machine's history.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct HistoryRow {
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub at: UnixMs,
    /// Who.
    pub actor: String,
    /// What happened. `None` in the first row: the enrolment.
    #[sqlx(json)]
    pub event: Option<Event>,
    /// The limits in force then: with them the transition can be repeated.
    #[sqlx(json)]
    pub limits: Limits,
    /// State afterwards.
    #[sqlx(json)]
    pub state: State,
    /// What happened, in words.
    pub sentence: String,
    /// How often it happened, where repeated rows were merged into this one.
    pub repeats: i64,
}

pub(super) const SELECT_MACHINE: &str =
    "SELECT id, state, phase_since, verdict, history_seq, enrolled_at, last_seen, booted_at,
    folded_into, network, ip, manufacturer, product, serial, uuid, hostname FROM machines";

impl Reader {
    pub(super) async fn read_macs(&self, machines: &mut [MachineRow]) -> Result<()> {
        if machines.is_empty() {
            return Ok(());
        }
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT machine, mac, 1 AS heard, rank FROM macs WHERE machine IN (");
        push_ids(&mut query, machines.iter().map(|m| &m.id));
        query.push(" UNION ALL SELECT machine, mac, 0, 0 FROM reported_macs WHERE machine IN (");
        push_ids(&mut query, machines.iter().map(|m| &m.id));
        query.push(" ORDER BY heard DESC, rank, mac");
        let found: Vec<(Col<MachineId>, Col<Mac>, bool)> = self.fetch(query.build()).await?;
        let mut by_id: HashMap<MachineId, &mut MachineRow> = machines
            .iter_mut()
            .map(|machine| (machine.id.clone(), machine))
            .collect();
        for (Col(id), Col(mac), heard) in found {
            let Some(machine) = by_id.get_mut(&id) else {
                continue;
            };
            if heard {
                machine.macs.push(mac);
            } else if !machine.macs.contains(&mac) {
                machine.reported_macs.push(mac);
            }
        }
        Ok(())
    }

    /// One machine.
    pub async fn machine(&self, id: &MachineId) -> Result<Option<MachineRow>> {
        let sql = AssertSqlSafe(format!("{SELECT_MACHINE} WHERE id = $1"));
        let mut machines: Vec<MachineRow> = self.rows(sql, &[id]).await?;
        self.read_macs(&mut machines).await?;
        Ok(machines.pop())
    }

    /// When the state or phase of a machine began.
    pub async fn phase_since(&self, id: &MachineId) -> Result<Option<UnixMs>> {
        self.value("SELECT phase_since FROM machines WHERE id = $1", &[id])
            .await
    }

    /// The machine that fetched a boot script by a MAC.
    pub async fn machine_of_mac(&self, mac: Mac) -> Result<Option<MachineId>> {
        self.value("SELECT machine FROM macs WHERE mac = $1", &[&mac])
            .await
    }

    /// Like [`Reader::machine_of_mac`], as stored.
    pub async fn machine_by_mac(&self, mac: Mac) -> Result<Option<MachineRow>> {
        match self.machine_of_mac(mac).await? {
            Some(id) => self.machine(&id).await,
            None => Ok(None),
        }
    }

    /// Machines whose newest report lists a MAC; at most two, because more than one decides nothing.
    pub async fn machines_reporting(&self, mac: Mac) -> Result<Vec<MachineId>> {
        let sql = "SELECT machine FROM reported_macs WHERE mac = $1 LIMIT 2";
        self.column(sql, &[&mac]).await
    }

    /// Whether the newest report of a machine lists one of these MACs.
    pub async fn reported_any(&self, id: &MachineId, macs: &[Mac]) -> Result<bool> {
        for mac in macs {
            let sql = "SELECT count(*) FROM reported_macs WHERE machine = $1 AND mac = $2";
            if self.count(sql, &[id, mac]).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every MAC by which a known machine fetched a boot script, with the machine's host name. A machine is
    /// known once it claimed and reported, or a person asked for it.
    pub async fn macs(&self) -> Result<HashMap<Mac, Option<String>>> {
        let sql = "SELECT macs.mac, machines.hostname FROM macs JOIN machines ON machines.id = macs.machine
            WHERE machines.folded_into IS NULL AND machines.known = 1";
        let rows: Vec<(Col<Mac>, Option<String>)> = self.rows(sql, &[]).await?;
        Ok(rows.into_iter().map(|(Col(mac), name)| (mac, name)).collect())
    }

    /// Machines that reported a serial number, at most 20. Makers that do not fill it in make it several.
    pub async fn machines_of_serial(&self, serial: &str) -> Result<Vec<MachineId>> {
        let sql = "SELECT id FROM machines WHERE serial = $1 AND folded_into IS NULL ORDER BY id LIMIT 20";
        self.column(sql, &[&serial]).await
    }

    /// At most `most` rows of a machine's history, the newest before row `before`; oldest first.
    pub async fn history(&self, id: &MachineId, before: Option<i64>, most: i64) -> Result<Vec<HistoryRow>> {
        let sql = "SELECT seq, at, actor, event, limits, state, sentence, repeats FROM history
            WHERE machine = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
        let before = before.unwrap_or(i64::MAX);
        let mut rows: Vec<HistoryRow> = self.rows(sql, &[id, &before, &most]).await?;
        rows.reverse();
        Ok(rows)
    }

    /// When a row of a machine's history was written.
    pub async fn row_at(&self, id: &MachineId, seq: i64) -> Result<Option<UnixMs>> {
        let sql = "SELECT at FROM history WHERE machine = $1 AND seq = $2";
        self.value(sql, &[id, &seq]).await
    }

    /// How many machines were enrolled in a network after `since`.
    pub async fn enrolled_since(&self, network: &str, since: UnixMs) -> Result<i64> {
        let sql = "SELECT count(*) FROM machines WHERE enrolled_at > $2 AND network = $1";
        self.count(sql, &[&network, &since]).await
    }

    /// Machines whose deadline is at or before `now`, and the next deadline after it.
    pub async fn deadlines(&self, now: UnixMs) -> Result<(Vec<MachineId>, Option<UnixMs>)> {
        let due = "SELECT id FROM machines WHERE deadline <= $1 ORDER BY deadline";
        let next = "SELECT deadline FROM machines WHERE deadline > $1 ORDER BY deadline LIMIT 1";
        Ok((self.column(due, &[&now]).await?, self.value(next, &[&now]).await?))
    }
}

impl Change {
    /// Adds a machine in its first state. Only `service::advance` calls this and [`Change::put_state`].
    pub async fn add_machine(
        &mut self,
        id: &MachineId,
        network: &str,
        first: &HistoryRow,
        deadline: Option<UnixMs>,
    ) -> Result<()> {
        self.run(
            "INSERT INTO machines
                (id, state, state_name, phase, phase_since, search, history_seq, deadline, enrolled_at, network)
            VALUES ($1, $2, $3, $4, $5, '', $6, $7, $5, $8)",
            &[
                id,
                &Json(&first.state),
                &state_name(&first.state),
                &phase_name(&first.state),
                &first.at,
                &first.seq,
                &deadline,
                &network,
            ],
        )
        .await?;
        self.search_changed(id);
        self.add_history(id, first).await
    }

    /// Stores a state together with its history row.
    pub async fn put_state(
        &mut self,
        id: &MachineId,
        row: &HistoryRow,
        deadline: Option<UnixMs>,
    ) -> Result<()> {
        self.run(
            "UPDATE machines SET state = $2, state_name = $3, phase = $4, history_seq = $6, deadline = $7,
                phase_since = CASE WHEN state_name = $3 AND phase IS NOT DISTINCT FROM $4 THEN phase_since ELSE $5 END
            WHERE id = $1",
            &[
                id,
                &Json(&row.state),
                &state_name(&row.state),
                &phase_name(&row.state),
                &row.at,
                &row.seq,
                &deadline,
            ],
        )
        .await?;
        self.add_history(id, row).await
    }

    /// Deletes row `seq` of a machine's history; the row after it, which is the last, takes its number.
    pub async fn drop_row(&mut self, id: &MachineId, seq: i64) -> Result<()> {
        for sql in [
            "DELETE FROM history WHERE machine = $1 AND seq = $2",
            "UPDATE history SET seq = $2 WHERE machine = $1 AND seq = $2 + 1",
        ] {
            self.run(sql, &[id, &seq]).await?;
        }
        Ok(())
    }

    async fn add_history(&mut self, id: &MachineId, row: &HistoryRow) -> Result<()> {
        self.run(
            "INSERT INTO history (machine, seq, at, actor, event, event_name, limits, state, sentence, repeats)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &[
                id,
                &row.seq,
                &row.at,
                &row.actor,
                &Json(&row.event),
                &row.event.as_ref().map(Event::name),
                &Json(&row.limits),
                &Json(&row.state),
                &row.sentence,
                &row.repeats,
            ],
        )
        .await
    }

    /// The NIC that boots now: it becomes the first of the machine's MACs. A MAC stays with the machine that
    /// has it.
    pub async fn put_boot_mac(&mut self, id: &MachineId, mac: Mac) -> Result<()> {
        let others = "UPDATE macs SET rank = 1 WHERE machine = $1 AND mac <> $2";
        self.run(others, &[id, &mac]).await?;
        self.search_changed(id);
        self.run(
            "INSERT INTO macs (mac, machine, rank) VALUES ($1, $2, 0)
            ON CONFLICT (mac) DO UPDATE SET rank = 0 WHERE macs.machine = excluded.machine",
            &[&mac, id],
        )
        .await
    }

    /// Takes a MAC from a machine: the next boot from it enrolls a new machine.
    pub async fn remove_mac(&mut self, id: &MachineId, mac: Mac) -> Result<()> {
        self.search_changed(id);
        let sql = "DELETE FROM macs WHERE machine = $1 AND mac = $2";
        self.run(sql, &[id, &mac]).await
    }

    /// Replaces the MACs that the machine's newest report lists. They open no boot script.
    pub async fn put_reported_macs(&mut self, id: &MachineId, macs: &[Mac]) -> Result<()> {
        self.search_changed(id);
        self.run("DELETE FROM reported_macs WHERE machine = $1", &[id])
            .await?;
        for mac in macs {
            let add = "INSERT INTO reported_macs (machine, mac) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            self.run(add, &[id, mac]).await?;
        }
        Ok(())
    }

    /// The machine claimed and reported, or a person asked for it: from now on addresses are kept for its
    /// MACs.
    pub async fn put_known(&mut self, id: &MachineId) -> Result<()> {
        self.run("UPDATE machines SET known = 1 WHERE id = $1", &[id])
            .await
    }

    /// Where the machine boots now.
    pub async fn put_boot_address(
        &mut self,
        id: &MachineId,
        network: &str,
        ip: Ipv4Addr,
        at: UnixMs,
    ) -> Result<()> {
        self.search_changed(id);
        let sql = "UPDATE machines SET network = $2, ip = $3, booted_at = $4 WHERE id = $1";
        self.run(sql, &[id, &network, &ip, &at]).await
    }

    /// Stores the names that are given and keeps the others.
    pub async fn put_smbios_names(&mut self, id: &MachineId, names: &SmbiosNames) -> Result<()> {
        self.search_changed(id);
        self.run(
            "UPDATE machines SET manufacturer = coalesce($2, manufacturer), product = coalesce($3, product),
                serial = coalesce($4, serial), uuid = coalesce($5, uuid) WHERE id = $1",
            &[
                id,
                &names.manufacturer,
                &names.product,
                &names.serial,
                &names.uuid,
            ],
        )
        .await
    }

    /// The machine's agent was heard.
    pub async fn put_last_seen(&mut self, id: &MachineId, at: UnixMs) -> Result<()> {
        let sql = "UPDATE machines SET last_seen = $2 WHERE id = $1 AND coalesce(last_seen, 0) < $2";
        self.run(sql, &[id, &at]).await
    }

    pub(super) async fn put_hostname(&mut self, id: &MachineId, hostname: Option<&str>) -> Result<()> {
        self.search_changed(id);
        let sql = "UPDATE machines SET hostname = $2 WHERE id = $1";
        self.run(sql, &[id, &hostname]).await
    }
}
