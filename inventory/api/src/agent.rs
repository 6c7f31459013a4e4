//! The agent's conversation with the server. Paths are under `/agent/v1` of the TLS port.
//!
//! `POST claim` (no client certificate) -> `POST report` -> `GET assignment` (long poll) -> `POST step`,
//! `POST progress` -> reboot -> `POST report`, `GET assignment`, `POST verification` -> `GET assignment` for
//! life.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::CheckResult;
use crate::id::{Mac, MachineId, PlanId, UnixMs};
use crate::plan::{InstallPlan, Mount};

/// `POST claim`: trades the boot ticket for a machine certificate. The same ticket with the same key may be
/// sent again (a lost answer); with another key it is an alarm.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// The boot ticket from the kernel arguments.
    pub ticket: String,
    /// PKCS#10 signing request, PEM.
    pub csr_pem: String,
    /// The NIC that booted, as the kernel arguments say.
    pub boot_mac: Mac,
    /// Agent version.
    pub agent_version: String,
}

/// Omits the ticket: whoever holds it can claim the machine.
impl fmt::Debug for ClaimRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimRequest")
            .field("csr_pem", &self.csr_pem)
            .field("boot_mac", &self.boot_mac)
            .field("agent_version", &self.agent_version)
            .finish_non_exhaustive()
    }
}

/// Answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimResponse {
    /// The machine's id.
    pub machine: MachineId,
    /// Machine certificate, PEM; its subject common name is the machine id.
    pub certificate_pem: String,
    /// Server clock.
    pub server_time: UnixMs,
    /// Address of the machine's page, for the console.
    pub page_url: Option<String>,
}

/// Where the agent runs, part of every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunsOn {
    /// In memory, booted from the network.
    MiniOs,
    /// On the installed system.
    Installed,
    /// Sent by a newer agent.
    #[serde(other)]
    Unknown,
}

/// `POST report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// New for each collected report, the same if it is sent again: 32 hexadecimal digits.
    pub nonce: String,
    /// Where the agent runs.
    pub runs_on: RunsOn,
    /// The report.
    pub report: Box<crate::report::AssetReport>,
}

/// Answer to a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResponse {
    /// The check, if something was expected.
    pub check: Option<CheckResult>,
    /// A sentence for the console.
    pub message: String,
    /// Where the rack plan has this machine, in words.
    pub place: Option<String>,
    /// Address of the machine's page for a phone, for the QR code on its screen.
    pub page_url: Option<String>,
}

/// `GET assignment?wait=SECONDS&seen=SEQ`: what to do now. Answers at once if `seq` differs from `seen`, else
/// when it changes or the wait ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignmentResponse {
    /// Changes whenever the assignment changes.
    pub seq: u64,
    /// What to do.
    pub assignment: Assignment,
}

/// What the agent is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Assignment {
    /// Nothing now; show the message and ask again.
    Wait {
        /// What the machine waits for, for the console.
        message: String,
    },
    /// Collect and send a report now.
    Report {},
    /// Verify the plan and execute it, then ask again.
    Install {
        /// The plan.
        plan: Box<InstallPlan>,
    },
    /// Erase what the plan wrote (signatures, partition tables, discard), then ask again. The outcome is
    /// reported as step 0, name "wipe", of the plan [`WIPE_PLAN`]: starting, then wiped (with the proof) or
    /// failed.
    Wipe {
        /// The disks.
        disks: Vec<crate::plan::DiskTarget>,
    },
    /// Reboot now.
    Reboot {
        /// A sentence for the console.
        message: String,
    },
    /// Verify the installed system against the request, run first-boot scripts that have not run, send the
    /// verification.
    Verify {
        /// The plan it was installed from.
        plan: PlanId,
        /// What to verify.
        expect: VerifyRequest,
    },
    /// Do this once and report the outcome with `POST task`. The lifecycle does not depend on it.
    Task {
        /// Its id.
        id: u64,
        /// What to do.
        task: crate::task::Task,
    },
    /// Stop: show the message and touch nothing.
    Stop {
        /// A sentence for the console.
        message: String,
    },
}

/// The plan id of a wipe in a [`StepReport`]: a wipe has no plan.
pub const WIPE_PLAN: &str = "wipe";

/// Bytes that a wipe zeroes at either end of a disk, if the disk is large enough: partition tables, boot
/// loaders, labels of RAID, LVM and ZFS.
pub const WIPE_ENDS: u64 = 16 << 20;

/// Bytes from `from` up to, not including, `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// First byte.
    pub from: u64,
    /// The byte after the last.
    pub to: u64,
}

/// What a wipe did to one disk: the proof in [`StepOutcome::Wiped`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WipedDisk {
    /// Serial number, as the assignment names it.
    pub serial: Option<String>,
    /// WWN, as the assignment names it.
    pub wwn: Option<String>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Partitions in the tables that were on it.
    pub partitions: u32,
    /// The disk accepted a discard of all its blocks. What they read as afterwards is up to the disk.
    pub discarded: bool,
    /// Ranges that were overwritten with zeros and read back from the medium as zeros: in order, without
    /// overlaps.
    pub zeroed: Vec<ByteRange>,
}

impl WipedDisk {
    /// Bytes that were overwritten and read back.
    pub fn zeroed_bytes(&self) -> u64 {
        self.zeroed
            .iter()
            .fold(0, |sum, r| sum.saturating_add(r.to.saturating_sub(r.from)))
    }

    /// What was done and what was not, in sentences.
    pub fn in_words(&self) -> String {
        let name = match (&self.serial, &self.wwn) {
            (Some(serial), _) => format!("serial {serial}"),
            (None, Some(wwn)) => format!("WWN {wwn}"),
            (None, None) => "without a name".to_owned(),
        };
        let partitions = match self.partitions {
            0 => String::new(),
            1 => " and of its partition".to_owned(),
            n => format!(" and of its {n} partitions"),
        };
        let mib = self.zeroed_bytes() >> 20;
        let rest = self.size_bytes.saturating_sub(self.zeroed_bytes()) / 1_000_000;
        let data = if self.discarded {
            "All its blocks were discarded; whether old data can still be read is up to the disk.".to_owned()
        } else {
            format!("It cannot discard: the data blocks are still there, {rest} MB, and can be recovered.")
        };
        format!(
            "Disk {name}: partition tables and signatures of the disk{partitions} are cleared, {mib} MiB were read back as zeros. {data}"
        )
    }
}

/// `POST step`: sent before a step starts and after it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The plan.
    pub plan: PlanId,
    /// Index into its steps; `steps.len()` for the plan as a whole.
    pub index: u32,
    /// Name of the step, or "plan".
    pub name: String,
    /// What happened.
    pub outcome: StepOutcome,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It is about to start; the answer says whether it may.
    Starting {},
    /// It is done.
    Done {
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A wipe is done. Only for the plan [`WIPE_PLAN`], for which `done` proves nothing.
    Wiped {
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// One entry per disk of the assignment.
        disks: Vec<WipedDisk>,
    },
    /// It was refused or failed; no further step runs.
    Failed {
        /// Stable short code.
        code: String,
        /// What was tried, on what, and the result.
        detail: String,
        /// Whether any byte of the disk may have been changed by this run.
        wrote: bool,
    },
    /// Sent by a newer agent.
    #[serde(other)]
    Unknown,
}

/// Answer to a step report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Permission {
    /// Go on.
    Continue {},
    /// Write nothing more and ask for the assignment.
    Stop {
        /// Why.
        message: String,
    },
}

/// `POST progress`: how far a long step is. May be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The plan.
    pub plan: PlanId,
    /// Index of the step.
    pub index: u32,
    /// Bytes done (of the decompressed image when writing).
    pub done_bytes: u64,
    /// Bytes in total.
    pub total_bytes: u64,
}

/// What the resident agent verifies on the installed system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyRequest {
    /// Host name.
    pub hostname: String,
    /// Accounts with everything about them.
    pub accounts: Vec<crate::deploy::Account>,
    /// Cron jobs.
    pub cron: Vec<crate::deploy::CronJob>,
    /// Scripts.
    pub scripts: Vec<crate::deploy::Script>,
    /// Mounts.
    pub mounts: Vec<Mount>,
}

impl VerifyRequest {
    /// The names of the [`VerifiedItem`]s that a verification must contain, in any order.
    pub fn item_names(&self) -> Vec<String> {
        let mut names = vec!["hostname".to_owned()];
        names.extend(self.accounts.iter().map(|a| format!("account {}", a.name)));
        names.extend(self.cron.iter().map(|c| format!("cron {}", c.name)));
        names.extend(self.scripts.iter().map(|s| format!("script {}", s.name)));
        names.extend(self.mounts.iter().map(|m| format!("mount {}", m.path)));
        names
    }
}

/// `POST verification`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The plan.
    pub plan: PlanId,
    /// One entry per check.
    pub items: Vec<VerifiedItem>,
}

impl Verification {
    /// Whether there is at least one item and all passed.
    pub fn holds(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|i| i.ok)
    }

    /// What failed, or was requested and not checked. Empty: everything is as requested.
    pub fn failing(&self, expect: &VerifyRequest) -> Vec<String> {
        let wrong = self
            .items
            .iter()
            .filter(|i| !i.ok)
            .map(|i| format!("{}: {}", i.what, i.found));
        let names = expect.item_names();
        let unseen = names
            .iter()
            .filter(|name| !self.items.iter().any(|i| i.what == **name))
            .map(|name| format!("{name}: not looked at"));
        wrong.chain(unseen).collect()
    }
}

/// One check of the installed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedItem {
    /// What was checked, e.g. "account alice", "cron backup", "mount /", "script setup".
    pub what: String,
    /// Whether it is as requested.
    pub ok: bool,
    /// What was found.
    pub found: String,
}
