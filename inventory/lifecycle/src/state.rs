//! States. Stable ones are left by a verb, transient ones by a fact, their deadline, or `abort`.

use inventory_api::check::Verdict;
use inventory_api::{PlanId, UnixMs};
use serde::{Deserialize, Serialize};

/// The lifecycle state of one machine, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Seen or enrolled, nothing known.
    New,
    /// On its way to an asset report.
    Commissioning(Commissioning),
    /// Checked; waits for a decision.
    Ready(Ready),
    /// On its way to an installed and proven system.
    Deploying(Deploying),
    /// Installed and proven.
    Deployed(Deployed),
    /// Its disks are being wiped.
    Releasing(Releasing),
    /// Gave up, with the reason; `retry` goes on.
    Failed(Failed),
    /// Something pretends to be this machine, or might; nothing is served until a person decides.
    Quarantined(Quarantined),
    /// Out of service for good.
    Retired,
}

/// See [`State::Commissioning`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commissioning {
    /// Where it is.
    pub phase: BootPhase,
    /// When it gives up.
    pub deadline: UnixMs,
    /// The machine's first commissioning: rules may deploy it afterwards.
    pub first: bool,
}

/// How far a machine is on its way into the mini-os.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootPhase {
    /// Waits for the machine to ask the network, or for an agent that is already there to poll.
    AwaitBoot,
    /// The boot script was given.
    Booting,
    /// The agent has claimed its ticket; its report is next.
    Claimed,
}

/// See [`State::Ready`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Verdict of the newest check; absent: nothing was expected.
    pub verdict: Option<Verdict>,
    /// Why a rule that would deploy it did not: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// See [`State::Deploying`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploying {
    /// The plan.
    pub plan: PlanId,
    /// Where it is.
    pub phase: DeployPhase,
    /// Attempts begun, from 1.
    pub attempt: u32,
    /// What is on the disk.
    pub disk: DiskState,
    /// What was on the disk when this attempt began.
    pub before: DiskState,
    /// When it gives up.
    pub deadline: UnixMs,
}

/// How far a deployment is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum DeployPhase {
    /// As [`BootPhase::AwaitBoot`].
    AwaitBoot,
    /// As [`BootPhase::Booting`].
    Booting,
    /// As [`BootPhase::Claimed`].
    Claimed,
    /// The report matched; the agent executes the plan.
    Installing {
        /// The step that was begun last, from 0; absent before the first.
        step: Option<u32>,
        /// Its name.
        name: Option<String>,
    },
    /// Everything is written; the machine reboots from its disk.
    AwaitLocalBoot {
        /// How often it has been told to boot its disk.
        boots: u32,
    },
    /// The resident agent is there and proves the result.
    Verifying,
}

impl DeployPhase {
    /// How far the machine is on its way into the mini-os; `None`: it has been there.
    pub fn boot(&self) -> Option<BootPhase> {
        match self {
            DeployPhase::AwaitBoot => Some(BootPhase::AwaitBoot),
            DeployPhase::Booting => Some(BootPhase::Booting),
            DeployPhase::Claimed => Some(BootPhase::Claimed),
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
    /// Something was written: what was there is gone.
    Partial,
    /// All steps are done.
    Installed,
}

/// See [`State::Deployed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The plan it runs.
    pub plan: PlanId,
}

/// See [`State::Releasing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releasing {
    /// Where it is.
    pub phase: BootPhase,
    /// True once the wipe was handed out.
    pub wiping: bool,
    /// The plan whose disk is wiped; absent: it never had one, nothing is wiped.
    pub plan: Option<PlanId>,
    /// When it gives up.
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
    /// The plan, when it had one.
    pub plan: Option<PlanId>,
    /// What is on the disk.
    pub disk: DiskState,
}

/// The transient states by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Commissioning.
    Commissioning,
    /// Deploying.
    Deploying,
    /// Releasing.
    Releasing,
}

/// See [`State::Quarantined`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Stable short code, e.g. "ticket-used".
    pub reason: String,
    /// What happened, in a sentence.
    pub detail: String,
    /// A deployment was stopped by it; its plan.
    pub plan: Option<PlanId>,
}

impl State {
    /// When a transient state gives up; `None` for stable states.
    pub fn deadline(&self) -> Option<UnixMs> {
        match self {
            State::Commissioning(c) => Some(c.deadline),
            State::Deploying(d) => Some(d.deadline),
            State::Releasing(r) => Some(r.deadline),
            State::New
            | State::Ready(_)
            | State::Deployed(_)
            | State::Failed(_)
            | State::Quarantined(_)
            | State::Retired => None,
        }
    }

    /// The plan that the state is about.
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

/// How long each phase may take, in seconds, and how often a machine may try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// From the verb until the machine asks the network: somebody may have to press a button.
    pub await_boot_seconds: u64,
    /// From the boot script until the agent claims its ticket.
    pub boot_seconds: u64,
    /// From the claim until the report.
    pub report_seconds: u64,
    /// Longest time of one install step.
    pub step_seconds: u64,
    /// From the last step until the resident agent reports.
    pub local_boot_seconds: u64,
    /// From the resident agent's report until the verification, first-boot scripts included.
    pub verify_seconds: u64,
    /// Longest time of a wipe.
    pub wipe_seconds: u64,
    /// Attempts at one plan, counted by claims that follow a cut-off installation.
    pub attempts: u32,
    /// How often a machine may ask the network again instead of coming up from its disk.
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
