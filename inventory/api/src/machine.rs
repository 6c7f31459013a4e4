//! Machines as API, CLI and page show them.

use serde::{Deserialize, Serialize};

use crate::check::CheckResult;
use crate::id::{Mac, MachineId, PlanId, UnixMs};
use crate::plan::InstallPlan;
use crate::report::AssetReport;

/// One line of `GET /v1/machines`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSummary {
    /// Id.
    pub id: MachineId,
    /// All MACs known, boot NIC first.
    pub macs: Vec<Mac>,
    /// Maker and model, once reported.
    pub model: Option<String>,
    /// Serial number, once reported.
    pub serial: Option<String>,
    /// Host name of the current plan.
    pub hostname: Option<String>,
    /// Last address.
    pub ip: Option<std::net::Ipv4Addr>,
    /// The state.
    pub status: MachineStatus,
    /// Last time its agent was heard.
    pub last_seen: Option<UnixMs>,
    /// When it was enrolled.
    pub enrolled_at: UnixMs,
}

/// The lifecycle state in the words that people see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineStatus {
    /// "new", "commissioning", "ready", "deploying", "deployed", "releasing", "failed", "quarantined", "retired".
    pub state: String,
    /// Phase inside a transient state, e.g. "installing"; what a failure happened during.
    pub phase: Option<String>,
    /// "Why am I waiting": one sentence, with what comes next.
    pub sentence: String,
    /// Reason code, when failed or quarantined.
    pub reason: Option<String>,
    /// When the state or phase began.
    pub since: UnixMs,
    /// When a transient state gives up.
    pub deadline: Option<UnixMs>,
    /// Step now running, when installing.
    pub step: Option<StepStatus>,
}

/// The step now running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStatus {
    /// Index from 0.
    pub index: u32,
    /// Steps in all.
    pub count: u32,
    /// Name.
    pub name: String,
    /// Bytes done of this step, when it counts bytes.
    pub done_bytes: u64,
    /// Bytes in all of this step; 0 when it does not count.
    pub total_bytes: u64,
    /// Percent of the whole plan, 0 to 100.
    pub percent: u8,
}

/// `GET /v1/machines/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineDetail {
    /// Summary.
    pub machine: MachineSummary,
    /// Newest report.
    pub report: Option<AssetReport>,
    /// When it came.
    pub reported_at: Option<UnixMs>,
    /// Newest check.
    pub check: Option<CheckResult>,
    /// Current plan. Password hashes are left out.
    pub plan: Option<InstallPlan>,
    /// Newest verification of the installed system.
    pub verification: Option<crate::agent::Verification>,
}

/// One row of a machine's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// From 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: UnixMs,
    /// Who: "agent", "boot", "clock", or the name of a token.
    pub actor: String,
    /// Event name.
    pub event: String,
    /// State afterwards, with its phase: "deploying/installing".
    pub state: String,
    /// A sentence.
    pub sentence: String,
}

/// What a verb did: `POST /v1/machines/{id}/{verb}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerbResponse {
    /// The state afterwards.
    pub status: MachineStatus,
    /// The plan, for deploy.
    pub plan: Option<PlanId>,
}
