//! Reports, checks, requests, plans and verifications: JSON that is stored and read as a whole.

use inventory_api::agent::{ReportResponse, RunsOn, Verification, WipedDisk};
use inventory_api::check::CheckResult;
use inventory_api::deploy::DeployRequest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::{MachineId, PlanId, UnixMs};
use sqlx::Row as _;

use super::{Change, KEPT_NONCES, KEPT_PLANS, KEPT_REPORTS, Store, StoreError, from_json, to_json};
use crate::redact;

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

macro_rules! read_one {
    ($(#[$doc:meta])* $name:ident, $what:literal, $sql:literal, $type:ty) => {
        impl Store {
            $(#[$doc])*
            pub async fn $name(&self, id: &MachineId) -> Result<Option<$type>, StoreError> {
                let text: Option<String> =
                    sqlx::query_scalar($sql).bind(id.as_str()).fetch_optional(&self.read).await?;
                text.map(|text| from_json($what, &text)).transpose()
            }
        }
        impl Change {
            $(#[$doc])*
            pub async fn $name(&mut self, id: &MachineId) -> Result<Option<$type>, StoreError> {
                let text: Option<String> =
                    sqlx::query_scalar($sql).bind(id.as_str()).fetch_optional(self.connection()).await?;
                text.map(|text| from_json($what, &text)).transpose()
            }
        }
    };
}

read_one!(
    /// The newest check of a machine.
    check, "check", "SELECT result FROM checks WHERE machine = $1", CheckResult
);
read_one!(
    /// What was last ordered for a machine.
    request, "request", "SELECT request FROM requests WHERE machine = $1", DeployRequest
);
read_one!(
    /// The newest verification of a machine.
    verification, "verification", "SELECT verification FROM verifications WHERE machine = $1", Verification
);
read_one!(
    /// The newest plan of a machine.
    plan, "plan", "SELECT plan FROM plans WHERE machine = $1 ORDER BY at DESC, rowid DESC LIMIT 1", InstallPlan
);
/// How [`RunsOn::Installed`] stands in the table; everything else is the mini-os.
const INSTALLED: &str = "installed";

/// The newest report of each system, the newest first. One that came before systems were told apart counts as the mini-os's
/// where it knows the boot NIC, which only the mini-os does (0020_systems.sql).
const NEWEST_REPORTS: &str = "SELECT report, runs_on, at FROM reports WHERE rowid IN
    (SELECT max(rowid) FROM reports WHERE machine = $1 AND report IS NOT NULL GROUP BY runs_on)
    ORDER BY rowid DESC";

impl Store {
    /// What is known of a machine by its newest reports.
    pub async fn stored_report(&self, id: &MachineId) -> Result<Option<StoredReport>, StoreError> {
        let rows = sqlx::query(NEWEST_REPORTS)
            .bind(id.as_str())
            .fetch_all(&self.read)
            .await?;
        let mut newest: Option<(AssetReport, RunsOn, UnixMs)> = None;
        let mut mini_os = None;
        for row in rows {
            let report: AssetReport = from_json("report", row.try_get("report")?)?;
            let installed = row.try_get::<&str, _>("runs_on")? == INSTALLED;
            if newest.is_none() {
                let runs_on = if installed {
                    RunsOn::Installed
                } else {
                    RunsOn::MiniOs
                };
                newest = Some((report.clone(), runs_on, UnixMs(row.try_get("at")?)));
            }
            if !installed && mini_os.is_none() {
                mini_os = Some(report);
            }
        }
        Ok(newest.map(|(report, runs_on, at)| match (runs_on, &mini_os) {
            (RunsOn::Installed, Some(before)) => StoredReport {
                report: lifecycle::known::known(before, report),
                runs_on: RunsOn::MiniOs,
                mini_os,
                at,
            },
            (RunsOn::Installed | RunsOn::MiniOs | RunsOn::Unknown, _) => StoredReport {
                report,
                runs_on,
                mini_os,
                at,
            },
        }))
    }

    /// The report of [`Store::stored_report`].
    pub async fn report(&self, id: &MachineId) -> Result<Option<AssetReport>, StoreError> {
        Ok(self.stored_report(id).await?.map(|s| s.report))
    }

    /// One plan by its name.
    pub async fn plan_by_id(&self, id: &PlanId) -> Result<Option<InstallPlan>, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT plan FROM plans WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.read)
            .await?;
        text.map(|text| from_json("plan", &text)).transpose()
    }
}

impl Change {
    /// The report of a machine that had this nonce.
    pub async fn report_with_nonce(
        &mut self,
        id: &MachineId,
        nonce: &str,
    ) -> Result<Option<ReportRow>, StoreError> {
        let row = sqlx::query(
            "SELECT digest, answer, rowid = (SELECT max(rowid) FROM reports WHERE machine = $1) AS newest
             FROM reports WHERE machine = $1 AND nonce = $2",
        )
        .bind(id.as_str())
        .bind(nonce)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let answer: Option<&str> = row.try_get("answer")?;
            Ok(ReportRow {
                digest: row.try_get("digest")?,
                answer: answer.map(|text| from_json("answer", text)).transpose()?,
                newest: row.try_get::<i64, _>("newest")? == 1,
            })
        })
        .transpose()
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
        sqlx::query(
            "INSERT INTO reports (machine, at, nonce, digest, report, runs_on) VALUES ($1, $2, $3, $4, $5, $6)",
        )
            .bind(id.as_str())
            .bind(at.0)
            .bind(nonce)
            .bind(digest)
            .bind(to_json("report", report)?)
            .bind(runs_on)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "UPDATE reports SET report = NULL, answer = NULL WHERE machine = $1 AND report IS NOT NULL AND rowid NOT IN
                (SELECT rowid FROM reports WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)
                AND rowid NOT IN
                (SELECT max(rowid) FROM reports WHERE machine = $1 AND report IS NOT NULL GROUP BY runs_on)",
        )
        .bind(id.as_str())
        .bind(KEPT_REPORTS)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "DELETE FROM reports WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM reports WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)
                AND rowid NOT IN
                (SELECT max(rowid) FROM reports WHERE machine = $1 AND report IS NOT NULL GROUP BY runs_on)",
        )
        .bind(id.as_str())
        .bind(KEPT_NONCES)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Keeps what was answered to a report: the same report sent again gets the same answer.
    pub async fn put_report_answer(
        &mut self,
        id: &MachineId,
        nonce: &str,
        answer: &ReportResponse,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE reports SET answer = $3 WHERE machine = $1 AND nonce = $2")
            .bind(id.as_str())
            .bind(nonce)
            .bind(to_json("answer", answer)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Stores a check in place of the one before.
    pub async fn put_check(
        &mut self,
        id: &MachineId,
        check: &CheckResult,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO checks (machine, at, result) VALUES ($1, $2, $3)
             ON CONFLICT (machine) DO UPDATE SET at = excluded.at, result = excluded.result",
        )
        .bind(id.as_str())
        .bind(at.0)
        .bind(to_json("check", check)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Stores what was ordered in place of the order before.
    pub async fn put_request(
        &mut self,
        id: &MachineId,
        request: &DeployRequest,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO requests (machine, at, request) VALUES ($1, $2, $3)
             ON CONFLICT (machine) DO UPDATE SET at = excluded.at, request = excluded.request",
        )
        .bind(id.as_str())
        .bind(at.0)
        .bind(to_json("request", request)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Stores a plan; the oldest ones go.
    pub async fn put_plan(
        &mut self,
        id: &MachineId,
        plan: &InstallPlan,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO plans (id, machine, at, plan) VALUES ($1, $2, $3, $4)")
            .bind(plan.id.as_str())
            .bind(id.as_str())
            .bind(at.0)
            .bind(to_json("plan", plan)?)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "DELETE FROM plans WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM plans WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)",
        )
        .bind(id.as_str())
        .bind(KEPT_PLANS)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The deployment of a machine is over: its host name goes, password hashes and texts of scripts in its plans and its
    /// request are blanked.
    pub async fn forget_deployment(&mut self, id: &MachineId) -> Result<(), StoreError> {
        self.put_hostname(id, None).await?;
        let plans: Vec<(String, String)> = sqlx::query_as("SELECT id, plan FROM plans WHERE machine = $1")
            .bind(id.as_str())
            .fetch_all(self.connection())
            .await?;
        for (plan_id, text) in plans {
            let past = redact::past_plan(from_json("plan", &text)?);
            sqlx::query("UPDATE plans SET plan = $2 WHERE id = $1")
                .bind(plan_id)
                .bind(to_json("plan", &past)?)
                .execute(self.connection())
                .await?;
        }
        if let Some(request) = self.request(id).await? {
            let past = redact::past_request(request);
            sqlx::query("UPDATE requests SET request = $2 WHERE machine = $1")
                .bind(id.as_str())
                .bind(to_json("request", &past)?)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// What the newest wipe of a machine proved, when nothing was written to its disks by us since and nobody has doubted it.
    pub async fn newest_wipe(&mut self, id: &MachineId) -> Result<Vec<WipedDisk>, StoreError> {
        let event: Option<String> = sqlx::query_scalar(
            "SELECT event FROM history WHERE machine = $1
             AND json_extract(event, '$.event') IN ('wipe-done', 'wipe-doubted', 'deploy', 'step-starting')
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(id.as_str())
        .fetch_optional(self.connection())
        .await?;
        let event: Option<lifecycle::Event> = event.map(|text| from_json("event", &text)).transpose()?;
        Ok(match event {
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
        sqlx::query(
            "INSERT INTO verifications (machine, at, verification) VALUES ($1, $2, $3)
             ON CONFLICT (machine) DO UPDATE SET at = excluded.at, verification = excluded.verification",
        )
        .bind(id.as_str())
        .bind(at.0)
        .bind(to_json("verification", verification)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
