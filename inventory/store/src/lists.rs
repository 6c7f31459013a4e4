//! Which machines a list shows: filters, pages and counts are SQL over columns that are written in the
//! transaction of each change.

use std::collections::BTreeMap;

use inventory_api::machine::MachineFilter;
use inventory_api::{MachineId, UnixMs};
use lifecycle::State;
use lifecycle::status::{phase_name, state_name};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::machines::{MachineRow, SELECT_MACHINE, SmbiosNames};
use super::{Change, Reader, Result};

/// Where a page of machines begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When it was enrolled.
    pub enrolled_at: UnixMs,
    /// The machine.
    pub id: MachineId,
    /// The page ends before this machine, instead of beginning after it.
    pub back: bool,
}

/// How many machines there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineCounts {
    /// By the name of their state.
    pub by_state: BTreeMap<String, u64>,
    /// Machines of any state with an open identity conflict.
    pub in_conflict: u64,
}

/// How many machines were written before migration 23.
pub(super) const UNFILLED: &str = "SELECT count(*) FROM machines WHERE state_name = ''";

/// Machines with an open identity conflict.
const IN_CONFLICT: &str = "SELECT machine FROM conflicts WHERE resolved_at IS NULL
    UNION SELECT other FROM conflicts WHERE resolved_at IS NULL";

impl Reader {
    /// At most `limit` machines that pass a filter, newest first; with a cursor those after it, or the last
    /// before it.
    pub async fn machine_page(
        &self,
        filter: &MachineFilter,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<MachineRow>> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT_MACHINE);
        query.push(" WHERE 1 = 1");
        let verdict = filter.verdict.as_ref().map(super::sql::verdict);
        for (column, wanted) in [
            ("state_name", &filter.state),
            ("phase", &filter.phase),
            ("verdict", &verdict),
        ] {
            if let Some(wanted) = wanted {
                query.push(format!(" AND {column} = ")).push_bind(wanted.clone());
            }
        }
        if filter.conflict {
            query.push(format!(" AND id IN ({IN_CONFLICT})"));
        }
        for word in filter.q.to_lowercase().split_whitespace() {
            let mut texts = vec![("search", word.to_owned()), ("state_name", word.to_owned())];
            // MACs are stored with colons and copied with dashes too.
            if word.len() >= 5 && word.contains('-') {
                texts.push(("search", word.replace('-', ":")));
            }
            query.push(" AND (1 = 0");
            for (column, text) in texts {
                // Unlike LIKE it needs no escapes. PostgreSQL calls it strpos.
                query
                    .push(format!(" OR instr({column}, "))
                    .push_bind(text)
                    .push(") > 0");
            }
            query.push(")");
        }
        let back = cursor.is_some_and(|cursor| cursor.back);
        let (beyond, order) = match back {
            true => (">", " ORDER BY enrolled_at, id LIMIT "),
            false => ("<", " ORDER BY enrolled_at DESC, id DESC LIMIT "),
        };
        if let Some(cursor) = cursor {
            query.push(format!(" AND (enrolled_at, id) {beyond} ("));
            query.push_bind(cursor.enrolled_at.0).push(", ");
            query.push_bind(cursor.id.to_string()).push(")");
        }
        query.push(order);
        query.push_bind(limit);
        let mut machines: Vec<MachineRow> = self.fetch(query.build()).await?;
        if back {
            machines.reverse();
        }
        self.read_macs(&mut machines).await?;
        Ok(machines)
    }

    /// How many machines there are.
    pub async fn machine_counts(&self) -> Result<MachineCounts> {
        let by_state = "SELECT state_name, count(*) FROM machines GROUP BY state_name";
        let by_state: Vec<(String, i64)> = self.rows(by_state, &[]).await?;
        let in_conflict = AssertSqlSafe(format!("SELECT count(*) FROM ({IN_CONFLICT}) AS conflicted"));
        Ok(MachineCounts {
            by_state: by_state
                .into_iter()
                .map(|(state, n)| (state, n.unsigned_abs()))
                .collect(),
            in_conflict: self.count(in_conflict, &[]).await?.unsigned_abs(),
        })
    }
}

impl Change {
    /// Writes the text that a machine is searched by; see [`Change::search_changed`].
    pub(super) async fn put_search(&mut self, id: &MachineId) -> Result<()> {
        let Some(machine) = self.machine(id).await? else {
            return Ok(());
        };
        let SmbiosNames {
            manufacturer,
            product,
            serial,
            uuid: _,
        } = machine.names;
        let mut search = id.to_string();
        let texts = [
            machine.hostname,
            serial,
            manufacturer,
            product,
            machine.ip.map(|ip| ip.to_string()),
        ];
        for text in texts.into_iter().flatten() {
            search.push(' ');
            search.push_str(&text.to_lowercase());
        }
        for mac in machine.macs.iter().chain(&machine.reported_macs) {
            search.push_str(&format!(" {mac}"));
        }
        self.run("UPDATE machines SET search = $2 WHERE id = $1", &[id, &search])
            .await
    }

    /// Fills the columns that lists need, for some of the [`UNFILLED`] machines.
    pub(super) async fn fill_list_columns(&mut self) -> Result<()> {
        let unfilled = "SELECT id FROM machines WHERE state_name = '' LIMIT 500";
        let unfilled: Vec<MachineId> = self.column(unfilled, &[]).await?;
        for id in &unfilled {
            let Some(machine) = self.machine(id).await? else {
                continue;
            };
            let phase = |state: &State| (state_name(state), phase_name(state));
            // A row that cannot be read ends the search: it must not keep the server from starting.
            let same = |state: &str| {
                serde_json::from_str(state).is_ok_and(|state| phase(&state) == phase(&machine.state))
            };
            let (mut since, mut before, mut more) = (machine.enrolled_at, i64::MAX, true);
            while more {
                let sql = "SELECT seq, at, state FROM history WHERE machine = $1 AND seq < $2
                    ORDER BY seq DESC LIMIT 100";
                let rows: Vec<(i64, i64, String)> = self.rows(sql, &[id, &before]).await?;
                let first = rows.iter().take_while(|(_, _, state)| same(state)).last();
                more = first.is_some() && first == rows.last();
                if let Some((seq, at, _)) = first {
                    (since, before) = (UnixMs(*at), *seq);
                }
            }
            let (state, phase) = phase(&machine.state);
            let sql = "UPDATE machines SET state_name = $2, phase = $3, phase_since = $4 WHERE id = $1";
            self.run(sql, &[id, &state, &phase, &since]).await?;
            self.search_changed(id);
        }
        Ok(())
    }
}
