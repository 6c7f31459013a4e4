//! Machines as API, CLI and page show them.

use serde::{Deserialize, Serialize};

use crate::boot::BootEvent;
use crate::check::{CheckResult, Verdict};
use crate::deploy::DeployRequest;
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
    /// Those of them that only its report names: no boot script was fetched by them, and they open none.
    #[serde(default)]
    pub reported_macs: Vec<Mac>,
    /// Why its boot script is held back: a sentence with what to do.
    #[serde(default)]
    pub held: Option<String>,
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
    /// The machine that this enrolment was found to be; it is retired for that.
    #[serde(default)]
    pub folded_into: Option<MachineId>,
    /// Machines that claim its identity, or whose identity it claims, and nobody has decided yet. Itself: a report
    /// contradicted what it had said before.
    #[serde(default)]
    pub conflicts_with: Vec<MachineId>,
    /// Verdict of its newest check; absent: nothing is expected of it.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// Which machines `GET /v1/machines` lists: those that match all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineFilter {
    /// Name of the state, e.g. "ready".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Phase inside the state, e.g. "installing".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Verdict of the newest check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Only machines with an open identity conflict.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
    /// Words that must all occur in its id, state, name, serial number, model, address or MACs, in either case.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
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
    /// What the check expected, and why.
    #[serde(default)]
    pub expected_from: Option<crate::delivery::ExpectedFrom>,
    /// Parts that are also in another machine, bounded.
    #[serde(default)]
    pub duplicates: Vec<crate::parts::DuplicatePart>,
    /// Newest tasks, newest first.
    #[serde(default)]
    pub tasks: Vec<crate::task::TaskStatus>,
    /// Newest notes, newest first.
    #[serde(default)]
    pub notes: Vec<crate::task::Note>,
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

/// Body of `POST /v1/machines/{id}/deploy`: a [`DeployRequest`], or `{"profile": NAME}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DeployOrder {
    /// A profile of the server's configuration, by name.
    Profile {
        /// Its name.
        profile: String,
    },
    /// All of it.
    Request(Box<DeployRequest>),
}

impl<'de> Deserialize<'de> for DeployOrder {
    // By hand: serde's untagged error says only "did not match any variant".
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct ByName {
            profile: String,
        }
        let value = serde_json::Value::deserialize(d)?;
        if value.get("profile").is_some() {
            let ByName { profile } = serde_json::from_value(value).map_err(D::Error::custom)?;
            return Ok(DeployOrder::Profile { profile });
        }
        let request = serde_json::from_value(value).map_err(D::Error::custom)?;
        Ok(DeployOrder::Request(Box::new(request)))
    }
}

/// Answer to `POST /v1/machines/{id}/deploy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeployResponse {
    /// Nothing was changed.
    pub dry_run: bool,
    /// The state afterwards.
    pub status: MachineStatus,
    /// The plan, password hashes left out. Absent when the machine must report first.
    pub plan: Option<InstallPlan>,
}

/// `GET /v1/journey/{mac}`: what was heard from a MAC, and what it means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    /// The MAC.
    pub mac: Mac,
    /// The machine it belongs to, if known.
    pub machine: Option<MachineSummary>,
    /// Oldest first, bounded.
    pub events: Vec<BootEvent>,
    /// Transfers to it under way.
    #[serde(default)]
    pub running: Vec<crate::boot::RunningTransfer>,
    /// How far it came and what to look at, in sentences.
    pub diagnosis: String,
    /// How far it came, as a stable short code; see docs/boot.md.
    #[serde(default)]
    pub stage: String,
    /// What became of the loaders it was given, when anything is known of it.
    #[serde(default)]
    pub loaders: Option<crate::loader::NicLoaders>,
}

/// One line of `GET /v1/profiles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: String,
    /// What it asks for, password hashes left out.
    pub request: DeployRequest,
}

/// One event of the stream `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The machine that changed.
    pub machine: MachineId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_order_is_a_profile_or_a_request() {
        let by_name: DeployOrder = serde_json::from_str(r#"{"profile": "web"}"#).unwrap();
        assert_eq!(
            by_name,
            DeployOrder::Profile {
                profile: "web".into()
            }
        );
        let whole: DeployOrder = serde_json::from_str(r#"{"image": "debian-12"}"#).unwrap();
        assert!(matches!(whole, DeployOrder::Request(r) if r.image == "debian-12"));
        for (body, says) in [
            (
                r#"{"profile": "web", "image": "debian-12"}"#,
                "unknown field `image`",
            ),
            (r#"{"imagee": "debian-12"}"#, "unknown field `imagee`"),
        ] {
            let error = serde_json::from_str::<DeployOrder>(body).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
