//! Reports, checks, requests, plans and verifications: JSON that is stored and read as a whole.

use inventory_api::agent::{ReportResponse, RunsOn, Verification, WipedDisk};
use inventory_api::check::CheckResult;
use inventory_api::deploy::DeployRequest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::{MachineId, PlanId, UnixMs};
use serde::de::DeserializeOwned;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteExecutor;

use super::sql::{Json, Row, Value, all, one};
use super::{Change, KEPT_NONCES, KEPT_PLANS, KEPT_REPORTS, Store, StoreError};
use words::redact;

/// A report that came before, for the rule against replays.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    /// SHA-256 of the request body.
    pub digest: Vec<u8>,
    /// What was answered.
    pub answer: Option<ReportResponse>,
    /// Whether it is the newest of its machine.
    pub newest: bool,
}

/// What is known of a machine by its newest reports.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReport {
    /// The newest report; one of the installed system is completed by the mini-os's (see [`lifecycle::known`]).
    pub report: AssetReport,
    /// Which system the facts of the boot are from: `Installed` where no report of the mini-os is kept.
    pub runs_on: RunsOn,
    /// The newest report of the mini-os: what an installation goes by.
    pub mini_os: Option<AssetReport>,
    /// When the newest one came.
    pub at: UnixMs,
}

/// The document of a machine, or with a name, that a statement gives as `document`.
async fn document<'c, T: DeserializeOwned>(
    on: impl SqliteExecutor<'c>,
    what: &'static str,
    sql: &'static str,
    id: &dyn Value,
) -> Result<Option<T>, StoreError> {
    one(on, sql, &[id], |row| row.json(what, "document")).await
}

const REQUEST: &str = "SELECT request AS document FROM requests WHERE machine = $1";

/// How [`RunsOn::Installed`] stands in the table; everything else is the mini-os.
const INSTALLED: &str = "installed";

/// The newest report of each system, the newest first. One that came before systems were told apart counts as the mini-os's
/// where it knows the boot NIC, which only the mini-os does (0020_systems.sql).
const NEWEST_REPORTS: &str = "SELECT report, runs_on, at FROM reports WHERE rowid IN
    (SELECT max(rowid) FROM reports WHERE machine = $1 AND report IS NOT NULL GROUP BY runs_on)
    ORDER BY rowid DESC";

impl Store {
    /// The newest check of a machine.
    pub async fn check(&self, id: &MachineId) -> Result<Option<CheckResult>, StoreError> {
        let sql = "SELECT result AS document FROM checks WHERE machine = $1";
        document(&self.read, "check", sql, id).await
    }

    /// What was last ordered for a machine.
    pub async fn request(&self, id: &MachineId) -> Result<Option<DeployRequest>, StoreError> {
        document(&self.read, "request", REQUEST, id).await
    }

    /// The newest verification of a machine.
    pub async fn verification(&self, id: &MachineId) -> Result<Option<Verification>, StoreError> {
        let sql = "SELECT verification AS document FROM verifications WHERE machine = $1";
        document(&self.read, "verification", sql, id).await
    }

    /// The newest plan of a machine.
    pub async fn plan(&self, id: &MachineId) -> Result<Option<InstallPlan>, StoreError> {
        let sql =
            "SELECT plan AS document FROM plans WHERE machine = $1 ORDER BY at DESC, rowid DESC LIMIT 1";
        document(&self.read, "plan", sql, id).await
    }

    /// One plan by its name.
    pub async fn plan_by_id(&self, id: &PlanId) -> Result<Option<InstallPlan>, StoreError> {
        let sql = "SELECT plan AS document FROM plans WHERE id = $1";
        document(&self.read, "plan", sql, id).await
    }

    /// What is known of a machine by its newest reports.
    pub async fn stored_report(&self, id: &MachineId) -> Result<Option<StoredReport>, StoreError> {
        let read = |row: Row<'_>| {
            let installed = row.get::<String>("runs_on")? == INSTALLED;
            Ok((row.json("report", "report")?, installed, row.get("at")?))
        };
        let rows: Vec<(AssetReport, bool, UnixMs)> = all(&self.read, NEWEST_REPORTS, &[id], read).await?;
        let mini_os = rows.iter().find(|(_, installed, _)| !installed);
        let mini_os = mini_os.map(|(report, ..)| report.clone());
        let newest = rows.into_iter().next();
        Ok(newest.map(|(report, installed, at)| {
            let (report, runs_on) = match &mini_os {
                Some(before) if installed => (lifecycle::known::known(before, report), RunsOn::MiniOs),
                None if installed => (report, RunsOn::Installed),
                Some(_) | None => (report, RunsOn::MiniOs),
            };
            StoredReport {
                report,
                runs_on,
                mini_os,
                at,
            }
        }))
    }

    /// The report of [`Store::stored_report`].
    pub async fn report(&self, id: &MachineId) -> Result<Option<AssetReport>, StoreError> {
        Ok(self.stored_report(id).await?.map(|s| s.report))
    }
}

impl Change {
    /// The report of a machine that had this nonce.
    pub async fn report_with_nonce(
        &mut self,
        id: &MachineId,
        nonce: &str,
    ) -> Result<Option<ReportRow>, StoreError> {
        let sql =
            "SELECT digest, answer, rowid = (SELECT max(rowid) FROM reports WHERE machine = $1) AS newest
            FROM reports WHERE machine = $1 AND nonce = $2";
        one(self.connection(), sql, &[id, &nonce], |row| {
            Ok(ReportRow {
                digest: row.get("digest")?,
                answer: row.maybe_json("answer", "answer")?,
                newest: row.get("newest")?,
            })
        })
        .await
    }

    /// Stores a report; the text of old ones and the oldest nonces go, but never the newest of each system.
    pub async fn put_report(
        &mut self,
        id: &MachineId,
        nonce: &str,
        digest: &[u8],
        report: &AssetReport,
        runs_on: RunsOn,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let runs_on = match runs_on {
            RunsOn::Installed => INSTALLED,
            RunsOn::MiniOs | RunsOn::Unknown => "mini-os",
        };
        let add = "INSERT INTO reports (machine, at, nonce, digest, report, runs_on) VALUES ($1, $2, $3, $4, $5, $6)";
        self.run(
            add,
            &[id, &at, &nonce, &digest, &Json("report", report), &runs_on],
        )
        .await?;
        self.run(
            "UPDATE reports SET report = NULL, answer = NULL WHERE machine = $1 AND report IS NOT NULL AND rowid NOT IN
                (SELECT rowid FROM reports WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)
              AND rowid NOT IN
                (SELECT max(rowid) FROM reports WHERE machine = $1 AND report IS NOT NULL GROUP BY runs_on)",
            &[id, &KEPT_REPORTS],
        )
        .await?;
        self.run(
            "DELETE FROM reports WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM reports WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)
              AND rowid NOT IN
                (SELECT max(rowid) FROM reports WHERE machine = $1 AND report IS NOT NULL GROUP BY runs_on)",
            &[id, &KEPT_NONCES],
        )
        .await
    }

    /// Keeps what was answered to a report: the same report sent again gets the same answer.
    pub async fn put_report_answer(
        &mut self,
        id: &MachineId,
        nonce: &str,
        answer: &ReportResponse,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE reports SET answer = $3 WHERE machine = $1 AND nonce = $2";
        self.run(sql, &[id, &nonce, &Json("answer", answer)]).await
    }

    /// Stores the document of which a machine has one, in place of the one before.
    pub(super) async fn put_document(
        &mut self,
        table: &'static str,
        column: &'static str,
        id: &MachineId,
        document: &dyn Value,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {table} (machine, at, {column}) VALUES ($1, $2, $3)
            ON CONFLICT (machine) DO UPDATE SET at = excluded.at, {column} = excluded.{column}"
        );
        self.run(AssertSqlSafe(sql), &[id, &at, document]).await
    }

    /// Stores a check in place of the one before.
    pub async fn put_check(
        &mut self,
        id: &MachineId,
        check: &CheckResult,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        self.put_document("checks", "result", id, &Json("check", check), at)
            .await
    }

    /// Stores what was ordered in place of the order before.
    pub async fn put_request(
        &mut self,
        id: &MachineId,
        request: &DeployRequest,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        self.put_document("requests", "request", id, &Json("request", request), at)
            .await
    }

    /// Stores a plan; the oldest ones go.
    pub async fn put_plan(
        &mut self,
        id: &MachineId,
        plan: &InstallPlan,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO plans (id, machine, at, plan) VALUES ($1, $2, $3, $4)";
        self.run(sql, &[&plan.id, id, &at, &Json("plan", plan)]).await?;
        self.keep_newest("plans", id, KEPT_PLANS).await
    }

    /// The deployment of a machine is over: its host name goes, password hashes and texts of scripts in its plans and its
    /// request are blanked.
    pub async fn forget_deployment(&mut self, id: &MachineId) -> Result<(), StoreError> {
        self.put_hostname(id, None).await?;
        let plans = "SELECT plan FROM plans WHERE machine = $1";
        for plan in all(self.connection(), plans, &[id], |row| row.json("plan", "plan")).await? {
            let past = redact::past_plan(plan);
            let put = "UPDATE plans SET plan = $2 WHERE id = $1";
            self.run(put, &[&past.id, &Json("plan", &past)]).await?;
        }
        if let Some(request) = document(self.connection(), "request", REQUEST, id).await? {
            let past = redact::past_request(request);
            let put = "UPDATE requests SET request = $2 WHERE machine = $1";
            self.run(put, &[id, &Json("request", &past)]).await?;
        }
        Ok(())
    }

    /// What the newest wipe of a machine proved, when nothing was written to its disks by us since and nobody has doubted it.
    pub async fn newest_wipe(&mut self, id: &MachineId) -> Result<Vec<WipedDisk>, StoreError> {
        let sql = "SELECT event AS document FROM history WHERE machine = $1
            AND json_extract(event, '$.event') IN ('wipe-done', 'wipe-doubted', 'deploy', 'step-starting')
            ORDER BY seq DESC LIMIT 1";
        Ok(match document(self.connection(), "event", sql, id).await? {
            Some(lifecycle::Event::WipeDone { disks }) => disks,
            Some(_) | None => Vec::new(),
        })
    }

    /// Stores a verification in place of the one before.
    pub async fn put_verification(
        &mut self,
        id: &MachineId,
        verification: &Verification,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let document = Json("verification", verification);
        self.put_document("verifications", "verification", id, &document, at)
            .await
    }
}
