//! Events: verbs of people and rules, facts from machines and clocks. Results of other pure decisions (the
//! check, the plan) are part of the event.

use inventory_api::agent::WipedDisk;
use inventory_api::boot::{BootTarget, Choice};
use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId, UnixMs, named};
use serde::{Deserialize, Serialize};

named! {
    /// Something that happened to a machine, as stored in its history.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "event")]
    pub enum Event {
        /// Verb: check the hardware (again).
        Commission = "commission",
        /// Verb: install this plan.
        Deploy {
            /// The plan.
            plan: PlanId,
        } = "deploy",
        /// Verb: wipe what was installed.
        Release = "release",
        /// Verb: take it out of service.
        Retire = "retire",
        /// Verb: continue after a failure.
        Retry = "retry",
        /// Verb: stop what is in progress.
        Abort = "abort",
        /// Verb: let it boot although no DHCP request of its firmware was heard. Changes no state.
        Admit = "admit",
        /// Fact: a boot script was sent.
        ScriptGiven {
            /// What it boots.
            target: BootTarget,
        } = "script-given",
        /// Fact: an agent in the mini-os traded a new ticket for a certificate. Once per boot.
        Claimed = "claimed",
        /// Fact: a report of the mini-os was checked.
        Reported {
            /// Verdict; absent: nothing was expected.
            verdict: Option<Verdict>,
            /// First finding of a failed check, or why the machine is held.
            detail: String,
            /// What follows a commissioning that passed.
            after: AfterCheck,
        } = "reported",
        /// Fact: the resident agent on the installed system reported.
        ResidentReported = "resident-reported",
        /// Fact: the agent asks to start a step.
        StepStarting {
            /// The plan.
            plan: PlanId,
            /// Index from 0.
            index: u32,
            /// Name.
            name: String,
        } = "step-starting",
        /// Fact: the plan was executed completely.
        InstallDone {
            /// The plan.
            plan: PlanId,
        } = "install-done",
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
            /// What was tried, on what, and the result.
            detail: String,
            /// Whether the disk may have been changed by this run.
            wrote: bool,
        } = "step-failed",
        /// Fact: the resident agent verified the installation.
        Verified {
            /// The plan.
            plan: PlanId,
            /// What failed; empty if everything is as requested.
            failing: Vec<String>,
        } = "verified",
        /// Fact: the wipe is done and was read back.
        WipeDone {
            /// What was done to each disk.
            #[serde(default)]
            disks: Vec<WipedDisk>,
        } = "wipe-done",
        /// Fact: a later report does not look like a wiped disk. Changes no state.
        WipeDoubted {
            /// What was seen.
            detail: String,
        } = "wipe-doubted",
        /// Fact: the wipe failed.
        WipeFailed {
            /// Stable short code.
            code: String,
            /// What was tried, on what, and the result.
            detail: String,
        } = "wipe-failed",
        /// Fact: someone else may be impersonating this machine.
        SecurityAlarm {
            /// Stable short code, e.g. "ticket-used".
            code: String,
            /// What happened.
            detail: String,
        } = "security-alarm",
        /// Fact: this enrolment turned out to be another known machine, which gets its MACs.
        Folded {
            /// That machine.
            into: MachineId,
            /// What it was recognised by.
            detail: String,
        } = "folded",
        /// Fact: another enrolment turned out to be this machine.
        Absorbed {
            /// The enrolment that was folded into it.
            other: MachineId,
            /// What it was recognised by.
            detail: String,
        } = "absorbed",
        /// Fact: part of the machine's identity changed.
        IdentityChanged {
            /// What.
            detail: String,
        } = "identity-changed",
        /// Verb: a user resolved an identity conflict.
        ConflictResolved {
            /// The other machine.
            other: MachineId,
            /// The decision.
            detail: String,
            /// Number of conflicts of this machine that are still open.
            open: u32,
        } = "conflict-resolved",
        /// Fact: something happened at the machine's own console. Changes no state.
        AtConsole {
            /// What.
            what: AtConsole,
        } = "at-console",
        /// Fact: the state's deadline passed. The event carries it, so that a late timer cannot end another
        /// phase.
        DeadlinePassed {
            /// The deadline that passed.
            deadline: UnixMs,
        } = "deadline-passed",
    }
}

/// Code of the [`Event::SecurityAlarm`] raised by an identity conflict.
pub const IDENTITY_CONFLICT: &str = "identity-conflict";

/// What a person did at a machine's own console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum AtConsole {
    /// Chose something in the boot menu that was then booted.
    Chose {
        /// What.
        choice: Choice,
    },
    /// Opened the rescue system's shell.
    RescueOpened {
        /// Who created its password.
        by: String,
    },
    /// The rescue ended.
    RescueEnded {
        /// Why.
        why: String,
    },
    /// Typed too many wrong passwords: the right one is void.
    RescueLocked,
}

/// What follows a commissioning whose check did not fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "after", rename_all = "kebab-case")]
pub enum AfterCheck {
    /// Wait for a decision.
    Hold,
    /// A rule would deploy it, but it is not expected: wait for a user.
    NotExpected {
        /// Why, and how to release it: a sentence.
        why: String,
    },
    /// Install this plan at once.
    Deploy {
        /// The plan.
        plan: PlanId,
    },
    /// A rule asks for a deployment, but no plan can be made.
    CannotPlan {
        /// Stable short code of the [`crate::PlanError`].
        code: String,
        /// The missing fact.
        detail: String,
    },
}

/// What follows a transition. Lasting effects are committed with the transition; waking the agent comes after
/// the commit and is not repeated after a restart, because then nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The agent's assignment may have changed: wake its long poll.
    WakeAgent,
    /// Revoke the machine's certificates.
    RevokeIdentity,
    /// Void the machine's boot tickets.
    DropTickets,
    /// Forget the deployment: remove the host name, blank password hashes and scripts.
    ForgetDeployment,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One history row for each event, as earlier versions stored them.
    const STORED: [&str; 25] = [
        r#"{"event":"commission"}"#,
        r#"{"event":"deploy","plan":"PLAN"}"#,
        r#"{"event":"release"}"#,
        r#"{"event":"retire"}"#,
        r#"{"event":"retry"}"#,
        r#"{"event":"abort"}"#,
        r#"{"event":"admit"}"#,
        r#"{"event":"script-given","target":{"kind":"local-disk"}}"#,
        r#"{"event":"claimed"}"#,
        r#"{"event":"reported","verdict":"pass","detail":"d","after":{"after":"not-expected","why":"w"}}"#,
        r#"{"event":"resident-reported"}"#,
        r#"{"event":"step-starting","plan":"PLAN","index":1,"name":"n"}"#,
        r#"{"event":"install-done","plan":"PLAN"}"#,
        r#"{"event":"step-failed","plan":"PLAN","index":1,"name":"n","code":"c","detail":"d","wrote":true}"#,
        r#"{"event":"verified","plan":"PLAN","failing":["hostname"]}"#,
        r#"{"event":"wipe-done","disks":[]}"#,
        r#"{"event":"wipe-doubted","detail":"d"}"#,
        r#"{"event":"wipe-failed","code":"c","detail":"d"}"#,
        r#"{"event":"security-alarm","code":"c","detail":"d"}"#,
        r#"{"event":"folded","into":"m-0123456789ab","detail":"d"}"#,
        r#"{"event":"absorbed","other":"m-0123456789ab","detail":"d"}"#,
        r#"{"event":"identity-changed","detail":"d"}"#,
        r#"{"event":"conflict-resolved","other":"m-0123456789ab","detail":"d","open":1}"#,
        r#"{"event":"at-console","what":{"did":"rescue-locked"}}"#,
        r#"{"event":"deadline-passed","deadline":1}"#,
    ];

    #[test]
    fn events_in_old_histories_are_read_and_stored_unchanged() {
        let mut names = BTreeSet::new();
        for row in STORED {
            let row = row.replace("PLAN", "p-0123456789ab");
            let event: Event = serde_json::from_str(&row).unwrap_or_else(|e| panic!("{row}: {e}"));
            assert_eq!(serde_json::to_string(&event).unwrap(), row);
            assert!(row.contains(&format!(r#""event":"{}""#, event.name())));
            names.insert(event.name());
        }
        assert_eq!(names.len(), STORED.len());
        // Rows from before wipes were proven.
        assert!(serde_json::from_str::<Event>(r#"{"event":"wipe-done"}"#).is_ok());
    }
}
