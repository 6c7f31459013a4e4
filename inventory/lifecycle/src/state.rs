//! States. A verb ends a stable state; a fact, the deadline or `abort` ends a transient one.

use inventory_api::check::Verdict;
use inventory_api::{PlanId, UnixMs, named};
use serde::{Deserialize, Serialize};

named! {
    /// The lifecycle state of one machine, as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "state")]
    pub enum State {
        /// Seen or enrolled, nothing known.
        New = "new",
        /// On its way to an asset report.
        Commissioning(Commissioning) = "commissioning",
        /// Checked; waits for a decision.
        Ready(Ready) = "ready",
        /// On its way to an installed and verified system.
        Deploying(Deploying) = "deploying",
        /// Installed and verified.
        Deployed(Deployed) = "deployed",
        /// Its disks are being wiped.
        Releasing(Releasing) = "releasing",
        /// Gave up, with the reason; `retry` continues.
        Failed(Failed) = "failed",
        /// Someone may be impersonating this machine; nothing is served until a user decides.
        Quarantined(Quarantined) = "quarantined",
        /// Out of service for good.
        Retired = "retired",
    }
}

/// See [`State::Commissioning`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commissioning {
    /// The phase.
    pub phase: BootPhase,
    /// When it times out.
    pub deadline: UnixMs,
    /// The machine's first commissioning: rules may deploy it afterwards.
    pub first: bool,
}

named! {
    /// How far a machine is on its way into the mini-os.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum BootPhase {
        /// Waits for the machine to netboot, or for an agent that already runs to poll.
        AwaitBoot = "await-boot",
        /// The boot script was sent.
        Booting = "booting",
        /// The agent has claimed its ticket; its report is next.
        Claimed = "claimed",
    }
}

/// See [`State::Ready`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Verdict of the newest check; absent: nothing was expected.
    pub verdict: Option<Verdict>,
    /// Why a matching rule did not deploy it: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// See [`State::Deploying`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploying {
    /// The plan.
    pub plan: PlanId,
    /// The phase.
    pub phase: DeployPhase,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// What is on the disk.
    pub disk: DiskState,
    /// What was on the disk when this attempt started.
    pub before: DiskState,
    /// When it times out.
    pub deadline: UnixMs,
}

/// How far a deployment is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum DeployPhase {
    /// The hardware check passed; the agent executes the plan.
    Installing {
        /// The last step that was started, from 0; absent before the first.
        step: Option<u32>,
        /// Its name.
        name: Option<String>,
    },
    /// Everything is written; the machine reboots from its disk.
    AwaitLocalBoot {
        /// How often it was told to boot its disk.
        boots: u32,
    },
    /// The resident agent reported and verifies the installation.
    Verifying,
    /// On its way into the mini-os; stored by the name of its [`BootPhase`].
    #[serde(untagged)]
    Boot {
        /// How far.
        phase: BootPhase,
    },
}

impl DeployPhase {
    /// How far the machine is on its way into the mini-os; `None`: it has already been there.
    pub(crate) fn boot(&self) -> Option<BootPhase> {
        match self {
            DeployPhase::Boot { phase } => Some(*phase),
            DeployPhase::Installing { .. } | DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => {
                None
            }
        }
    }
}

/// What a deployment has left on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskState {
    /// Nothing was written.
    Untouched,
    /// Something was written: the old content is lost.
    Partial,
    /// All steps are done.
    Installed,
}

/// See [`State::Deployed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The installed plan.
    pub plan: PlanId,
}

/// See [`State::Releasing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releasing {
    /// The phase.
    pub phase: BootPhase,
    /// Whether the wipe was assigned to the agent.
    pub wiping: bool,
    /// The plan whose disk is wiped; absent if it never had one, and nothing is wiped.
    pub plan: Option<PlanId>,
    /// When it times out.
    pub deadline: UnixMs,
}

/// See [`State::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// What it was doing.
    pub during: Stage,
    /// Stable short code, e.g. "check-failed", "boot-timeout", "disk-missing".
    pub reason: String,
    /// What happened, in a sentence.
    pub detail: String,
    /// The plan, if it had one.
    pub plan: Option<PlanId>,
    /// What is on the disk.
    pub disk: DiskState,
}

named! {
    /// The transient states by name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Stage {
        /// Commissioning.
        Commissioning = "commissioning",
        /// Deploying.
        Deploying = "deploying",
        /// Releasing.
        Releasing = "releasing",
    }
}

/// See [`State::Quarantined`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Stable short code, e.g. "ticket-used".
    pub reason: String,
    /// What happened, in a sentence.
    pub detail: String,
    /// Plan of the deployment that this stopped.
    pub plan: Option<PlanId>,
}

/// A state that does not last: a fact, its deadline or `abort` ends it.
#[derive(Clone, Copy)]
pub(crate) enum Transient<'a> {
    Commissioning(&'a Commissioning),
    Deploying(&'a Deploying),
    Releasing(&'a Releasing),
}

impl Transient<'_> {
    pub(crate) fn deadline(self) -> UnixMs {
        match self {
            Transient::Commissioning(c) => c.deadline,
            Transient::Deploying(d) => d.deadline,
            Transient::Releasing(r) => r.deadline,
        }
    }

    /// How far the machine is on its way into the mini-os; `None`: it has already been there.
    pub(crate) fn boot(self) -> Option<BootPhase> {
        match self {
            Transient::Commissioning(c) => Some(c.phase),
            Transient::Deploying(d) => d.phase.boot(),
            Transient::Releasing(r) => (!r.wiping).then_some(r.phase),
        }
    }
}

impl State {
    /// `None`: a stable state.
    pub(crate) fn transient(&self) -> Option<Transient<'_>> {
        match self {
            State::Commissioning(c) => Some(Transient::Commissioning(c)),
            State::Deploying(d) => Some(Transient::Deploying(d)),
            State::Releasing(r) => Some(Transient::Releasing(r)),
            State::New
            | State::Ready(_)
            | State::Deployed(_)
            | State::Failed(_)
            | State::Quarantined(_)
            | State::Retired => None,
        }
    }

    /// When a transient state times out; `None` for stable states.
    pub fn deadline(&self) -> Option<UnixMs> {
        self.transient().map(Transient::deadline)
    }

    /// The plan of the state.
    pub fn plan(&self) -> Option<&PlanId> {
        match self {
            State::Deploying(d) => Some(&d.plan),
            State::Deployed(d) => Some(&d.plan),
            State::Releasing(r) => r.plan.as_ref(),
            State::Failed(f) => f.plan.as_ref(),
            State::Quarantined(q) => q.plan.as_ref(),
            State::New | State::Commissioning(_) | State::Ready(_) | State::Retired => None,
        }
    }
}

/// How long each phase may take, in seconds, and the number of attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// From the verb until the machine netboots: someone may have to press a button.
    pub await_boot_seconds: u64,
    /// From the boot script until the agent claims its ticket.
    pub boot_seconds: u64,
    /// From the claim until the report.
    pub report_seconds: u64,
    /// Maximum duration of an install step.
    pub step_seconds: u64,
    /// From the last step until the resident agent reports.
    pub local_boot_seconds: u64,
    /// From the resident agent's report until the verification, including first-boot scripts.
    pub verify_seconds: u64,
    /// Maximum duration of a wipe.
    pub wipe_seconds: u64,
    /// Attempts at one plan. A claim after an interrupted installation starts another one.
    pub attempts: u32,
    /// How often a machine may netboot again instead of coming up from its disk.
    pub local_boots: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            await_boot_seconds: 3600,
            boot_seconds: 600,
            report_seconds: 300,
            step_seconds: 1800,
            local_boot_seconds: 900,
            verify_seconds: 1200,
            wipe_seconds: 1800,
            attempts: 3,
            local_boots: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_of_a_deployment_is_stored_by_its_name() {
        let boot = |phase| DeployPhase::Boot { phase };
        for (phase, stored) in [
            (boot(BootPhase::AwaitBoot), r#"{"phase":"await-boot"}"#),
            (boot(BootPhase::Booting), r#"{"phase":"booting"}"#),
            (boot(BootPhase::Claimed), r#"{"phase":"claimed"}"#),
            (
                DeployPhase::Installing {
                    step: Some(2),
                    name: None,
                },
                r#"{"phase":"installing","step":2,"name":null}"#,
            ),
            (
                DeployPhase::AwaitLocalBoot { boots: 3 },
                r#"{"phase":"await-local-boot","boots":3}"#,
            ),
            (DeployPhase::Verifying, r#"{"phase":"verifying"}"#),
        ] {
            assert_eq!(serde_json::to_string(&phase).unwrap(), stored);
            assert_eq!(serde_json::from_str::<DeployPhase>(stored).unwrap(), phase);
        }
        assert!(serde_json::from_str::<DeployPhase>(r#"{"phase":"unknown"}"#).is_err());
    }

    #[test]
    fn each_state_is_stored_by_its_name() {
        for stored in [
            r#"{"state":"new"}"#,
            r#"{"state":"commissioning","phase":"booting","deadline":1,"first":true}"#,
            r#"{"state":"ready","verdict":"warn"}"#,
            r#"{"state":"quarantined","reason":"r","detail":"d","plan":null}"#,
            r#"{"state":"retired"}"#,
        ] {
            let state: State = serde_json::from_str(stored).unwrap_or_else(|e| panic!("{stored}: {e}"));
            assert_eq!(serde_json::to_string(&state).unwrap(), stored);
        }
    }
}
