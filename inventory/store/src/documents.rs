//! Reports, checks, requests, plans and verifications: JSON that is stored and read as a whole.

use std::collections::BTreeMap;

use inventory_api::agent::{ReportResponse, RunsOn, Verification, WipedDisk};
use inventory_api::check::CheckResult;
use inventory_api::delivery::ExpectedFrom;
use inventory_api::deploy::DeployRequest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::{MachineId, PlanId, UnixMs};
use lifecycle::Event;
use sqlx::types::Json as JsonColumn;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::sql::push_ids;
use super::sql::{Col, Json, Value};
use super::{Change, KEPT_NONCES, KEPT_PLANS, KEPT_REPORTS, Reader, Result};
use words::redact;

/// A report that came before, to recognise one that is sent again.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct ReportRow {
    /// SHA-256 of the request body.
    pub digest: Vec<u8>,
    /// The answer it got.
    #[sqlx(json(nullable))]
    pub answer: Option<ReportResponse>,
    /// Whether it is the newest of its machine.
    pub newest: bool,
}

/// What is known of a machine by its newest reports.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReport {
    /// The newest report; one of the installed system is completed by the mini-os's (see
    /// [`lifecycle::known`]).
    pub report: AssetReport,
    /// Which system the facts of the boot come from: `Installed` if no report of the mini-os is kept.
    pub runs_on: RunsOn,
    /// The newest report of the mini-os: an installation is planned by it.
    pub mini_os: Option<AssetReport>,
    /// When the newest one came.
    pub at: UnixMs,
}

/// [`RunsOn::Installed`] in the table; everything else is the mini-os.
const INSTALLED: &str = "installed";

/// The newest report of each system, of the machines that a condition between the two parts selects. A report
/// from before systems were told apart counts as the mini-os's if it knows the boot NIC, which only the
/// mini-os does (0020_systems.sql).
const NEWEST_OF_SYSTEMS: (&str, &str) = (
    "(SELECT machine, nonce FROM
        (SELECT machine, nonce, row_number() OVER (PARTITION BY machine, runs_on ORDER BY seq DESC, at DESC) AS age
            FROM reports WHERE ",
    " AND report IS NOT NULL) AS aged WHERE age = 1)",
);

/// Which reports are beyond the `$2` newest of a machine and not the newest of a system.
fn old_reports() -> String {
    let (before, after) = NEWEST_OF_SYSTEMS;
    format!(
        "machine = $1 AND nonce NOT IN
            (SELECT nonce FROM reports WHERE machine = $1 ORDER BY seq DESC, at DESC LIMIT $2)
        AND (machine, nonce) NOT IN {before} machine = $1 {after}"
    )
}

/// What reports say together: the newest of each system, newest first.
fn together(newest: Vec<(AssetReport, String, UnixMs)>) -> Option<StoredReport> {
    let mini_os = newest.iter().find(|(_, runs_on, _)| runs_on != INSTALLED);
    let mini_os = mini_os.map(|(report, ..)| report.clone());
    let (report, runs_on, at) = newest.into_iter().next()?;
    let installed = runs_on == INSTALLED;
    let (report, runs_on) = match &mini_os {
        Some(before) if installed => (lifecycle::known::known(before, report), RunsOn::MiniOs),
        None if installed => (report, RunsOn::Installed),
        Some(_) | None => (report, RunsOn::MiniOs),
    };
    Some(StoredReport {
        report,
        runs_on,
        mini_os,
        at,
    })
}

impl Reader {
    /// The newest check of a machine.
    pub async fn check(&self, id: &MachineId) -> Result<Option<CheckResult>> {
        self.document("SELECT result FROM checks WHERE machine = $1", &[id])
            .await
    }

    /// What the newest check of a machine expected, and why.
    pub async fn expected_from(&self, id: &MachineId) -> Result<Option<ExpectedFrom>> {
        let sql = "SELECT expected_from FROM checks WHERE machine = $1 AND expected_from IS NOT NULL";
        self.document(sql, &[id]).await
    }

    /// The newest deployment request for a machine.
    pub async fn request(&self, id: &MachineId) -> Result<Option<DeployRequest>> {
        self.document("SELECT request FROM requests WHERE machine = $1", &[id])
            .await
    }

    /// The newest verification of a machine.
    pub async fn verification(&self, id: &MachineId) -> Result<Option<Verification>> {
        let sql = "SELECT verification FROM verifications WHERE machine = $1";
        self.document(sql, &[id]).await
    }

    /// The newest plan of a machine.
    pub async fn plan(&self, id: &MachineId) -> Result<Option<InstallPlan>> {
        let sql = "SELECT plan FROM plans WHERE machine = $1 ORDER BY seq DESC LIMIT 1";
        self.document(sql, &[id]).await
    }

    /// A plan by its id.
    pub async fn plan_by_id(&self, id: &PlanId) -> Result<Option<InstallPlan>> {
        self.document("SELECT plan FROM plans WHERE id = $1", &[id]).await
    }

    /// Plans by their ids.
    pub async fn plans_by_id(&self, ids: &[PlanId]) -> Result<Vec<InstallPlan>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT plan FROM plans WHERE id IN (");
        push_ids(&mut query, ids.iter());
        let plans: Vec<(JsonColumn<InstallPlan>,)> = self.fetch(query.build()).await?;
        Ok(plans.into_iter().map(|(plan,)| plan.0).collect())
    }

    /// What is known of a machine by its newest reports.
    pub async fn stored_report(&self, id: &MachineId) -> Result<Option<StoredReport>> {
        let mut reports = self.stored_reports(std::slice::from_ref(id)).await?;
        Ok(reports.remove(id))
    }

    /// What is known of those of these machines that have reported.
    pub async fn stored_reports(&self, ids: &[MachineId]) -> Result<BTreeMap<MachineId, StoredReport>> {
        let (before, after) = NEWEST_OF_SYSTEMS;
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT machine, report, runs_on, at FROM reports WHERE (machine, nonce) IN ",
        );
        query.push(before).push("machine IN (");
        push_ids(&mut query, ids.iter());
        query.push(after).push(" ORDER BY seq DESC, at DESC");
        type Row = (Col<MachineId>, JsonColumn<AssetReport>, String, Col<UnixMs>);
        let mut by_machine: BTreeMap<MachineId, Vec<(AssetReport, String, UnixMs)>> = BTreeMap::new();
        for (Col(id), report, runs_on, Col(at)) in self.fetch::<Row>(query.build()).await? {
            by_machine.entry(id).or_default().push((report.0, runs_on, at));
        }
        let stored = |(id, newest)| Some((id, together(newest)?));
        Ok(by_machine.into_iter().filter_map(stored).collect())
    }

    /// The report of a machine that had this nonce.
    pub async fn report_with_nonce(&self, id: &MachineId, nonce: &str) -> Result<Option<ReportRow>> {
        let sql = "SELECT digest, answer, nonce =
                (SELECT nonce FROM reports WHERE machine = $1 ORDER BY seq DESC, at DESC LIMIT 1) AS newest
            FROM reports WHERE machine = $1 AND nonce = $2";
        self.row(sql, &[id, &nonce]).await
    }

    /// The disks that the newest wipe of a machine proved empty, if we wrote nothing to its disks since and
    /// nobody doubted it.
    pub async fn newest_wipe(&self, id: &MachineId) -> Result<Vec<WipedDisk>> {
        let sql = "SELECT event FROM history WHERE machine = $1
            AND event_name IN ('wipe-done', 'wipe-doubted', 'deploy', 'step-starting') ORDER BY seq DESC LIMIT 1";
        Ok(match self.document(sql, &[id]).await? {
            Some(Event::WipeDone { disks }) => disks,
            Some(_) | None => Vec::new(),
        })
    }
}

impl Change {
    /// Stores a report. The text of old ones and the oldest nonces are deleted, but never the newest of each
    /// system.
    pub async fn put_report(
        &mut self,
        id: &MachineId,
        nonce: &str,
        digest: &[u8],
        report: &AssetReport,
        runs_on: RunsOn,
        at: UnixMs,
    ) -> Result<()> {
        let runs_on = match runs_on {
            RunsOn::Installed => INSTALLED,
            RunsOn::MiniOs | RunsOn::Unknown => "mini-os",
        };
        self.run(
            "INSERT INTO reports (machine, at, nonce, digest, report, runs_on, seq) VALUES ($1, $2, $3, $4, $5, $6,
                (SELECT coalesce(max(seq), 0) + 1 FROM reports WHERE machine = $1))",
            &[id, &at, &nonce, &digest, &Json(report), &runs_on],
        )
        .await?;
        let old = old_reports();
        let texts =
            format!("UPDATE reports SET report = NULL, answer = NULL WHERE report IS NOT NULL AND {old}");
        self.run(AssertSqlSafe(texts), &[id, &KEPT_REPORTS]).await?;
        let nonces = format!("DELETE FROM reports WHERE {old}");
        self.run(AssertSqlSafe(nonces), &[id, &KEPT_NONCES]).await
    }

    /// Stores only that a report came: it was another machine's and must not replace one of this machine.
    pub async fn put_foreign_report(
        &mut self,
        id: &MachineId,
        nonce: &str,
        digest: &[u8],
        at: UnixMs,
    ) -> Result<()> {
        self.run(
            "INSERT INTO reports (machine, at, nonce, digest, seq) VALUES ($1, $2, $3, $4,
                (SELECT coalesce(max(seq), 0) + 1 FROM reports WHERE machine = $1))",
            &[id, &at, &nonce, &digest],
        )
        .await
    }

    /// Stores the answer to a report: the same report sent again gets the same answer.
    pub async fn put_report_answer(
        &mut self,
        id: &MachineId,
        nonce: &str,
        answer: &ReportResponse,
    ) -> Result<()> {
        let sql = "UPDATE reports SET answer = $3 WHERE machine = $1 AND nonce = $2";
        self.run(sql, &[id, &nonce, &Json(answer)]).await
    }

    /// Stores a document of which a machine has one, in place of the one before.
    pub(super) async fn put_document(
        &mut self,
        table: &'static str,
        column: &'static str,
        id: &MachineId,
        document: &dyn Value,
        at: UnixMs,
    ) -> Result<()> {
        let sql = format!(
            "INSERT INTO {table} (machine, at, {column}) VALUES ($1, $2, $3)
            ON CONFLICT (machine) DO UPDATE SET at = excluded.at, {column} = excluded.{column}"
        );
        self.run(AssertSqlSafe(sql), &[id, &at, document]).await
    }

    /// Stores a check in place of the one before, with what it expected.
    pub async fn put_check(
        &mut self,
        id: &MachineId,
        check: &CheckResult,
        from: &ExpectedFrom,
        at: UnixMs,
    ) -> Result<()> {
        self.put_document("checks", "result", id, &Json(check), at)
            .await?;
        let sql = "UPDATE checks SET expected_from = $2, profile = $3 WHERE machine = $1";
        self.run(sql, &[id, &Json(from), &from.profile]).await?;
        let sql = "UPDATE machines SET verdict = $2 WHERE id = $1";
        self.run(sql, &[id, &check.verdict]).await
    }

    /// Nothing is expected of the machine any more.
    pub async fn drop_check(&mut self, id: &MachineId) -> Result<()> {
        for sql in [
            "DELETE FROM checks WHERE machine = $1",
            "UPDATE machines SET verdict = NULL WHERE id = $1",
        ] {
            self.run(sql, &[id]).await?;
        }
        Ok(())
    }

    /// Stores a deployment: its request in place of the one before, its plan, and the host name. The oldest
    /// plans of the machine are deleted.
    pub async fn put_deployment(
        &mut self,
        id: &MachineId,
        plan: &InstallPlan,
        request: &DeployRequest,
        at: UnixMs,
    ) -> Result<()> {
        self.put_document("requests", "request", id, &Json(request), at)
            .await?;
        self.run(
            "INSERT INTO plans (id, machine, at, plan, seq) VALUES ($1, $2, $3, $4,
                (SELECT coalesce(max(seq), 0) + 1 FROM plans WHERE machine = $2))",
            &[&plan.id, id, &at, &Json(plan)],
        )
        .await?;
        self.keep_newest("plans", "seq", id, KEPT_PLANS).await?;
        self.put_hostname(id, Some(&plan.hostname)).await
    }

    /// The deployment of a machine is over: deletes its host name and blanks password hashes and scripts in
    /// its plans and its request.
    pub async fn forget_deployment(&mut self, id: &MachineId) -> Result<()> {
        self.put_hostname(id, None).await?;
        let plans = "SELECT plan FROM plans WHERE machine = $1";
        for plan in self.documents(plans, &[id]).await? {
            let past = redact::past_plan(plan);
            let put = "UPDATE plans SET plan = $2 WHERE id = $1";
            self.run(put, &[&past.id, &Json(&past)]).await?;
        }
        if let Some(request) = self.request(id).await? {
            let past = redact::past_request(request);
            let put = "UPDATE requests SET request = $2 WHERE machine = $1";
            self.run(put, &[id, &Json(&past)]).await?;
        }
        Ok(())
    }

    /// Stores a verification in place of the one before.
    pub async fn put_verification(
        &mut self,
        id: &MachineId,
        verification: &Verification,
        at: UnixMs,
    ) -> Result<()> {
        self.put_document("verifications", "verification", id, &Json(verification), at)
            .await
    }
}
