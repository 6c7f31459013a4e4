//! One-shot tasks for an agent that runs: they come with the assignment, change no lifecycle state and have a result.
//!
//! `POST /agent/v1/task` tells what became of one.

use serde::{Deserialize, Serialize};

use crate::burn_in::{BurnInRequest, BurnInResult};
use crate::id::UnixMs;

/// What an agent shall do once. An agent that does not know it says so and does nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Task {
    /// Collect a report and send it.
    Recheck {},
    /// Switch on the locate LED through the machine's own BMC, for this long; 0 switches it off.
    Identify {
        /// Seconds, at most 255 (IPMI's limit for one command).
        seconds: u8,
    },
    /// Load the machine and watch it. Only in the mini-os.
    BurnIn {
        /// What and how long.
        request: BurnInRequest,
    },
}

impl Task {
    /// The word, as on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Task::Recheck {} => "recheck",
            Task::Identify { .. } => "identify",
            Task::BurnIn { .. } => "burn-in",
        }
    }
}

/// `POST /agent/v1/task`: what became of a task. The answer is a [`crate::agent::Permission`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task's id.
    pub id: u64,
    /// What became of it.
    pub outcome: TaskOutcome,
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TaskOutcome {
    /// It is under way.
    Running {
        /// 0 to 100.
        percent: u8,
        /// What it does now, in words.
        doing: String,
    },
    /// It is done.
    Done {
        /// What came of it, in a sentence.
        detail: String,
        /// Of a burn-in: its figures, to be compared among siblings.
        #[serde(default)]
        burn_in: Option<Box<BurnInResult>>,
    },
    /// It could not be done, or what it tests failed.
    Failed {
        /// Stable short code, e.g. "no-bmc", "too-hot".
        code: String,
        /// What was tried, on what, what came back.
        detail: String,
        /// Of a burn-in: its figures.
        #[serde(default)]
        burn_in: Option<Box<BurnInResult>>,
    },
    /// A newer agent said something else.
    #[serde(other)]
    Unknown,
}

/// A task as API and page show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Id.
    pub id: u64,
    /// What.
    pub task: Task,
    /// Who asked.
    pub actor: String,
    /// When.
    pub asked_at: UnixMs,
    /// When the last word on it came.
    pub changed_at: UnixMs,
    /// The last word on it; absent: the agent has not taken it yet.
    pub outcome: Option<TaskOutcome>,
    /// It was given up: the agent did not take it in time.
    #[serde(default)]
    pub expired: bool,
}

/// A note that somebody left at a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: UnixMs,
    /// Who.
    pub actor: String,
    /// What.
    pub text: String,
}
