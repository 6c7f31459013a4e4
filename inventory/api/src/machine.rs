//! Machines as API, CLI and page show them.

use serde::{Deserialize, Serialize};

use crate::boot::BootEvent;
use crate::check::{CheckResult, Verdict};
use crate::deploy::DeployRequest;
use crate::id::{Mac, MachineId, PlanId, UnixMs};
use crate::plan::InstallPlan;
use crate::report::AssetReport;
use crate::words::{wire_word, words};

words!(
    /// The lifecycle state of a machine.
    MachineState {
        /// Seen or enrolled, nothing known.
        New = "new",
        /// On its way to an asset report.
        Commissioning = "commissioning",
        /// Checked; waits for a decision.
        Ready = "ready",
        /// On its way to an installed and verified system.
        Deploying = "deploying",
        /// Installed and verified.
        Deployed = "deployed",
        /// Its disks are being wiped.
        Releasing = "releasing",
        /// Gave up.
        Failed = "failed",
        /// Not served until a person decides.
        Quarantined = "quarantined",
        /// Out of service for good.
        Retired = "retired",
    }
    /// A state that only a newer server knows.
    else Unknown
);

impl MachineState {
    /// Whether a deadline runs: the state ends by itself.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            MachineState::Commissioning | MachineState::Deploying | MachineState::Releasing
        )
    }
}

words!(
    /// How far a machine is within its state; for a failed one, what it was doing.
    Phase {
        /// Waits for the machine to ask the network.
        AwaitBoot = "await-boot",
        /// The boot script was sent.
        Booting = "booting",
        /// The agent has claimed its ticket.
        Claimed = "claimed",
        /// The agent executes the plan.
        Installing = "installing",
        /// The machine reboots from its disk.
        AwaitLocalBoot = "await-local-boot",
        /// The resident agent verifies the installation.
        Verifying = "verifying",
        /// The agent wipes the disks.
        Wiping = "wiping",
        /// Failed during commissioning.
        Commissioning = "commissioning",
        /// Failed during a deployment.
        Deploying = "deploying",
        /// Failed during a release.
        Releasing = "releasing",
    }
    /// A phase that only a newer server knows.
    else Unknown
);

words!(
    /// Who caused a row of the history.
    Actor {
        /// The machine's agent.
        Agent = "agent",
        /// The boot service, which hears the machine's firmware.
        Boot = "boot",
        /// A deadline.
        Clock = "clock",
        /// An unknown person at the machine's own console.
        Console = "console",
        /// A rule of the configuration.
        Policy = "policy",
        /// A part that was found in another machine.
        Parts = "parts",
    }
    /// The user of the API token with this name.
    else Token
);

/// What a user can do to a machine: `POST /v1/machines/{key}/{verb}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Delete everything that is stored about it.
    Forget,
    /// Take it out of service.
    Retire,
    /// Wipe what Slipway installed and make it ready again.
    Release,
    /// Check the hardware.
    Commission,
    /// Install an image.
    Deploy,
    /// Try again what failed.
    Retry,
    /// Stop what is going on.
    Abort,
    /// Let it boot although its firmware was not heard.
    Admit,
    /// A verb that only a newer server knows.
    #[serde(other)]
    Unknown,
}

impl Verb {
    /// All verbs, in the order in which a page shows them.
    pub const ALL: [Verb; 8] = [
        Verb::Forget,
        Verb::Retire,
        Verb::Release,
        Verb::Commission,
        Verb::Deploy,
        Verb::Retry,
        Verb::Abort,
        Verb::Admit,
    ];
}

wire_word!(Verb, read);

/// One line of `GET /v1/machines`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSummary {
    /// Id.
    pub id: MachineId,
    /// All known MACs, boot NIC first.
    pub macs: Vec<Mac>,
    /// Those that only its report names. No boot script was fetched with them, and none is served to them.
    #[serde(default)]
    pub reported_macs: Vec<Mac>,
    /// Why its boot script is held back, and what to do: a sentence.
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
    /// The machine that this enrolment turned out to be; the enrolment is retired.
    pub folded_into: Option<MachineId>,
    /// Machines in an open identity conflict with it. Itself: a report contradicted an earlier one.
    #[serde(default)]
    pub conflicts_with: Vec<MachineId>,
    /// Verdict of its newest check; absent if nothing is expected of it.
    pub verdict: Option<Verdict>,
}

impl MachineSummary {
    /// Name for people: host name, else serial number, else id.
    pub fn name(&self) -> String {
        let name = self.hostname.as_ref().or(self.serial.as_ref());
        name.cloned().unwrap_or_else(|| self.id.to_string())
    }
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
    /// Words that must all occur in its id, state, name, serial number, model, address or MACs, in either
    /// case.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
}

/// The lifecycle state as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineStatus {
    /// The state.
    pub state: MachineState,
    /// Phase of a transient state; for a failure, what the machine was doing.
    pub phase: Option<Phase>,
    /// What the machine waits for and what comes next: one sentence.
    pub sentence: String,
    /// Reason code, when failed or quarantined.
    pub reason: Option<String>,
    /// When the state or phase began.
    pub since: UnixMs,
    /// When a transient state times out.
    pub deadline: Option<UnixMs>,
    /// Step now running, when installing.
    pub step: Option<StepStatus>,
    /// What a user can do to the machine now.
    #[serde(default)]
    pub verbs: Vec<Verb>,
}

impl MachineStatus {
    /// State and phase in one word: "deploying/installing".
    pub fn words(&self) -> String {
        match &self.phase {
            Some(phase) => format!("{}/{phase}", self.state),
            None => self.state.to_string(),
        }
    }
}

/// The step now running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStatus {
    /// Index from 0.
    pub index: u32,
    /// Number of steps.
    pub count: u32,
    /// Name.
    pub name: String,
    /// Bytes done of this step, if it counts bytes.
    pub done_bytes: u64,
    /// Total bytes of this step; 0 if it does not count them.
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
    /// Current plan, without password hashes.
    pub plan: Option<InstallPlan>,
    /// Newest verification of the installed system.
    pub verification: Option<crate::agent::Verification>,
    /// What the check expected, and why.
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
    /// Who caused it.
    pub actor: Actor,
    /// Event name.
    pub event: String,
    /// State afterwards, with its phase: "deploying/installing".
    pub state: String,
    /// A sentence.
    pub sentence: String,
}

impl HistoryEntry {
    /// State and phase afterwards.
    pub fn reached(&self) -> (MachineState, Option<Phase>) {
        match self.state.split_once('/') {
            Some((state, phase)) => (state.into(), Some(phase.into())),
            None => (self.state.as_str().into(), None),
        }
    }
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
pub enum Deployment {
    /// A profile of the server's configuration, by name.
    Profile {
        /// Its name.
        profile: String,
    },
    /// A complete request.
    Request(Box<DeployRequest>),
}

impl<'de> Deserialize<'de> for Deployment {
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
            return Ok(Deployment::Profile { profile });
        }
        let request = serde_json::from_value(value).map_err(D::Error::custom)?;
        Ok(Deployment::Request(Box::new(request)))
    }
}

/// Answer to `POST /v1/machines/{id}/deploy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeployResponse {
    /// Whether this was a dry run: nothing was changed.
    pub dry_run: bool,
    /// The state afterwards.
    pub status: MachineStatus,
    /// The plan, without password hashes. Absent if the machine must report first.
    pub plan: Option<InstallPlan>,
}

/// `GET /v1/journey/{mac}`: what was heard from a MAC, with a diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    /// The MAC.
    pub mac: Mac,
    /// The machine it belongs to, if known.
    pub machine: Option<MachineSummary>,
    /// Oldest first, bounded.
    pub events: Vec<BootEvent>,
    /// Transfers in progress.
    #[serde(default)]
    pub running: Vec<crate::boot::RunningTransfer>,
    /// How far it got and what to look at, in sentences.
    pub diagnosis: String,
    /// How far it got, as a stable short code; see docs/boot.md.
    #[serde(default)]
    pub stage: String,
    /// Which loaders worked and failed on it, if known.
    pub loaders: Option<crate::loader::NicLoaders>,
}

/// One line of `GET /v1/profiles`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: String,
    /// The request, without password hashes.
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
    fn a_deployment_is_a_profile_or_a_request() {
        let by_name: Deployment = serde_json::from_str(r#"{"profile": "web"}"#).unwrap();
        assert_eq!(
            by_name,
            Deployment::Profile {
                profile: "web".into()
            }
        );
        let whole: Deployment = serde_json::from_str(r#"{"image": "debian-12"}"#).unwrap();
        assert!(matches!(whole, Deployment::Request(r) if r.image == "debian-12"));
        for (body, says) in [
            (
                r#"{"profile": "web", "image": "debian-12"}"#,
                "unknown field `image`",
            ),
            (r#"{"imagee": "debian-12"}"#, "unknown field `imagee`"),
        ] {
            let error = serde_json::from_str::<Deployment>(body).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
