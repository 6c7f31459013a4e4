//! Reports, checks, requests, plans and verifications: JSON that is stored and read as a whole.

use inventory_api::agent::{ReportResponse, Verification};
use inventory_api::check::CheckResult;
use inventory_api::deploy::DeployRequest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::{MachineId, PlanId, UnixMs};
use sqlx::Row as _;

use super::{Change, KEPT_NONCES, KEPT_PLANS, KEPT_REPORTS, Store, StoreError, from_json, to_json};

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

/// The newest report.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReport {
    /// The report.
    pub report: AssetReport,
    /// When it came.
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
read_one!(
    /// The newest report of a machine.
    report, "report",
    "SELECT report FROM reports WHERE machine = $1 AND report IS NOT NULL ORDER BY at DESC, rowid DESC LIMIT 1",
    AssetReport
);

impl Store {
    /// The newest report with its time.
    pub async fn stored_report(&self, id: &MachineId) -> Result<Option<StoredReport>, StoreError> {
        let row = sqlx::query(
            "SELECT report, at FROM reports WHERE machine = $1 AND report IS NOT NULL
             ORDER BY at DESC, rowid DESC LIMIT 1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.read)
        .await?;
        row.map(|row| {
            let report = from_json("report", row.try_get("report")?)?;
            Ok(StoredReport {
                report,
                at: UnixMs(row.try_get("at")?),
            })
        })
        .transpose()
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

    /// Stores a report; the text of old ones and the oldest nonces go.
    pub async fn put_report(
        &mut self,
        id: &MachineId,
        nonce: &str,
        digest: &[u8],
        report: &AssetReport,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO reports (machine, at, nonce, digest, report) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.as_str())
            .bind(at.0)
            .bind(nonce)
            .bind(digest)
            .bind(to_json("report", report)?)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "UPDATE reports SET report = NULL, answer = NULL WHERE machine = $1 AND report IS NOT NULL AND rowid NOT IN
                (SELECT rowid FROM reports WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)",
        )
        .bind(id.as_str())
        .bind(KEPT_REPORTS)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "DELETE FROM reports WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM reports WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)",
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
