//! One-shot tasks for a running agent: they come with the assignment, change no lifecycle state and have a
//! result, which the agent sends with `POST /agent/v1/task`.

use serde::{Deserialize, Serialize};

use crate::burn_in::{BurnInRequest, BurnInResult};
use crate::id::UnixMs;
use crate::named;

named! {
    /// A task. An agent that does not know it reports that and does nothing.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", deny_unknown_fields)]
    pub enum Task {
        /// Collect a report and send it.
        Recheck {} = "recheck",
        /// Switch on the locate LED through the machine's BMC for this long; 0 switches it off.
        Identify {
            /// Seconds, at most 255 (IPMI's limit for one command).
            seconds: u8,
        } = "identify",
        /// Load the machine and watch its health. Only in the mini-os.
        BurnIn {
            /// What to load and for how long.
            request: BurnInRequest,
        } = "burn-in",
    }
}

/// Body of `POST /v1/machines/{key}/identify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identify {
    /// As in [`Task::Identify`].
    pub seconds: u8,
}

/// Body of `POST /v1/machines/{key}/fixed`: a fault was repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// What was done.
    pub text: String,
}

/// `POST /agent/v1/task`: progress or result of a task. The answer is a [`crate::agent::Permission`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task's id.
    pub id: u64,
    /// Progress or result.
    pub outcome: TaskOutcome,
}

/// Progress or result of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TaskOutcome {
    /// In progress.
    Running {
        /// 0 to 100.
        percent: u8,
        /// What it is doing, in words.
        doing: String,
    },
    /// It is done.
    Done {
        /// The result, in a sentence.
        detail: String,
        /// Figures of a burn-in, comparable among machines of one kind.
        burn_in: Option<Box<BurnInResult>>,
    },
    /// It could not be done, or its test failed.
    Failed {
        /// Stable short code, e.g. "no-bmc", "too-hot".
        code: String,
        /// What was tried, on what, and the result.
        detail: String,
        /// Figures of a burn-in.
        burn_in: Option<Box<BurnInResult>>,
    },
    /// Sent by a newer agent.
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
    /// Who asked for it.
    pub actor: String,
    /// When it was asked for.
    pub asked_at: UnixMs,
    /// When its outcome last changed.
    pub changed_at: UnixMs,
    /// Its newest outcome; absent if the agent has not taken it yet.
    pub outcome: Option<TaskOutcome>,
    /// It expired: the agent did not take it in time.
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
