//! Events: verbs that people and rules say, facts that machines and clocks report. What a fact needs of other pure
//! decisions (the check, the plan) is decided before and carried in it.

use inventory_api::agent::WipedDisk;
use inventory_api::boot::{BootTarget, Choice};
use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId, UnixMs};
use serde::{Deserialize, Serialize};

/// Something that happened to one machine, as history stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Verb: look at the hardware (again).
    Commission,
    /// Verb: install this plan.
    Deploy {
        /// The plan.
        plan: PlanId,
    },
    /// Verb: wipe what was installed.
    Release,
    /// Verb: take it out of service.
    Retire,
    /// Verb: go on after a failure.
    Retry,
    /// Verb: end what is going on.
    Abort,
    /// Verb: let it boot although its firmware was not heard by DHCP. Changes no state.
    Admit,
    /// Fact: a boot script was given.
    ScriptGiven {
        /// What it boots.
        target: BootTarget,
    },
    /// Fact: an agent in the mini-os traded a fresh ticket for a certificate. Once a boot.
    Claimed,
    /// Fact: a report came from the mini-os and was checked.
    Reported {
        /// Verdict; absent: nothing was expected.
        verdict: Option<Verdict>,
        /// First finding of a failed check, or why the machine is held.
        detail: String,
        /// What follows a commissioning that passed.
        after: AfterCheck,
    },
    /// Fact: a report came from the resident agent on the installed system.
    ResidentReported,
    /// Fact: the agent asks to begin a step.
    StepStarting {
        /// The plan.
        plan: PlanId,
        /// Index from 0.
        index: u32,
        /// Name.
        name: String,
    },
    /// Fact: the plan is executed to its end.
    InstallDone {
        /// The plan.
        plan: PlanId,
    },
    /// Fact: a step was refused or failed.
    StepFailed {
        /// The plan.
        plan: PlanId,
        /// Index from 0.
        index: u32,
        /// Name.
        name: String,
        /// Stable short code.
        code: String,
        /// What was tried, on what, what came back.
        detail: String,
        /// Whether the disk may have been changed by this run.
        wrote: bool,
    },
    /// Fact: the resident agent has looked at everything.
    Verified {
        /// The plan.
        plan: PlanId,
        /// What does not hold; empty: all is as asked.
        failing: Vec<String>,
    },
    /// Fact: the wipe is done and read back.
    WipeDone {
        /// What was done to each disk.
        #[serde(default)]
        disks: Vec<WipedDisk>,
    },
    /// Fact: a later report does not look like a wiped disk. Changes no state.
    WipeDoubted {
        /// What was seen.
        detail: String,
    },
    /// Fact: the wipe failed.
    WipeFailed {
        /// Stable short code.
        code: String,
        /// What was tried, on what, what came back.
        detail: String,
    },
    /// Fact: somebody else may be speaking for this machine.
    SecurityAlarm {
        /// Stable short code, e.g. "ticket-used".
        code: String,
        /// What happened.
        detail: String,
    },
    /// Fact: this enrolment is another machine that is known: its MACs move there.
    Folded {
        /// The machine that it is.
        into: MachineId,
        /// How it was recognised.
        detail: String,
    },
    /// Fact: another enrolment was this machine.
    Absorbed {
        /// The enrolment that was folded into it.
        other: MachineId,
        /// How it was recognised.
        detail: String,
    },
    /// Fact: something of what the machine is recognised by has changed.
    IdentityChanged {
        /// What.
        detail: String,
    },
    /// Verb: a person has looked at two that claim one identity.
    ConflictResolved {
        /// The other one.
        other: MachineId,
        /// What was found.
        detail: String,
        /// Conflicts of this machine that are still open.
        open: u32,
    },
    /// Fact: something happened at the machine's own console. Changes no state.
    AtConsole {
        /// What.
        what: AtConsole,
    },
    /// Fact: the clock passed the state's deadline. Carries it, so that a late timer cannot end another phase.
    DeadlinePassed {
        /// The deadline that passed.
        deadline: UnixMs,
    },
}

/// Code of the [`Event::SecurityAlarm`] of two that claim one identity.
pub const IDENTITY_CONFLICT: &str = "identity-conflict";

/// What a person did at a machine's own console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum AtConsole {
    /// Chose something in the boot menu, and got it.
    Chose {
        /// What.
        choice: Choice,
    },
    /// Opened the rescue system's shell.
    RescueOpened {
        /// Who had its password made.
        by: String,
    },
    /// The rescue is over.
    RescueEnded {
        /// How.
        why: String,
    },
    /// Typed so many wrong passwords that the right one is void.
    RescueLocked,
}

/// What follows a commissioning whose check did not fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "after", rename_all = "kebab-case")]
pub enum AfterCheck {
    /// Wait for a decision.
    Hold,
    /// A rule would deploy it, but it is not expected: wait for a person.
    NotExpected {
        /// Why, and how to release it: a sentence.
        why: String,
    },
    /// Install this plan at once.
    Deploy {
        /// The plan.
        plan: PlanId,
    },
    /// A rule or request wants a deployment, but no plan can be made.
    CannotPlan {
        /// Stable short code of the [`crate::PlanError`].
        code: String,
        /// The missing fact.
        detail: String,
    },
}

impl Event {
    /// The stable name, as in the `event` field.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Commission => "commission",
            Event::Deploy { .. } => "deploy",
            Event::Release => "release",
            Event::Retire => "retire",
            Event::Retry => "retry",
            Event::Abort => "abort",
            Event::Admit => "admit",
            Event::ScriptGiven { .. } => "script-given",
            Event::Claimed => "claimed",
            Event::Reported { .. } => "reported",
            Event::ResidentReported => "resident-reported",
            Event::StepStarting { .. } => "step-starting",
            Event::InstallDone { .. } => "install-done",
            Event::StepFailed { .. } => "step-failed",
            Event::Verified { .. } => "verified",
            Event::WipeDone { .. } => "wipe-done",
            Event::WipeDoubted { .. } => "wipe-doubted",
            Event::WipeFailed { .. } => "wipe-failed",
            Event::SecurityAlarm { .. } => "security-alarm",
            Event::Folded { .. } => "folded",
            Event::Absorbed { .. } => "absorbed",
            Event::IdentityChanged { .. } => "identity-changed",
            Event::ConflictResolved { .. } => "conflict-resolved",
            Event::AtConsole { .. } => "at-console",
            Event::DeadlinePassed { .. } => "deadline-passed",
        }
    }
}

/// What follows a transition. Idempotent; runs after the commit and again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The agent's assignment may have changed: wake its long poll.
    WakeAgent,
    /// No certificate of this machine is good any more.
    RevokeIdentity,
    /// No boot ticket of this machine is good any more.
    DropTickets,
    /// What its deployment was is over: its host name goes, password hashes and texts of scripts are blanked.
    ForgetDeployment,
}
