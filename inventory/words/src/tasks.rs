//! Tasks of an agent, with the results of a burn-in.

use inventory_api::UnixMs;
use inventory_api::burn_in::BurnInResult;
use inventory_api::task::{Task, TaskOutcome, TaskStatus};

use crate::text::{Moment, duration};

/// Parts shown per burn-in.
const MAX_PARTS: usize = 64;

/// One task.
pub struct TaskRow {
    /// What was asked for.
    pub title: &'static str,
    /// Who asked.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// Colour.
    pub color: &'static str,
    /// Progress or result, in a sentence.
    pub text: String,
    /// Progress, while it runs.
    pub percent: Option<u8>,
    /// Results of a burn-in: part, whether it passed, speed, details.
    pub parts: Vec<(String, bool, String, String)>,
}

/// The first `limit` tasks of a list.
pub fn tasks(all: &[TaskStatus], limit: usize, now: UnixMs) -> Vec<TaskRow> {
    all.iter().take(limit).map(|t| row(t, now)).collect()
}

fn row(t: &TaskStatus, now: UnixMs) -> TaskRow {
    let (color, text) = match &t.outcome {
        _ if t.expired => ("secondary", "Given up: no answer in time."),
        None => ("blue", "Waiting for the agent."),
        Some(TaskOutcome::Running { doing, .. }) => ("blue", doing.as_str()),
        Some(TaskOutcome::Done { detail, .. }) => ("green", detail.as_str()),
        Some(TaskOutcome::Failed { detail, .. }) => ("red", detail.as_str()),
        Some(TaskOutcome::Unknown) => ("secondary", "A newer agent reported something else."),
    };
    let (percent, burn_in) = match &t.outcome {
        _ if t.expired => (None, None),
        Some(TaskOutcome::Running { percent, .. }) => (Some(*percent), None),
        Some(TaskOutcome::Done { burn_in, .. } | TaskOutcome::Failed { burn_in, .. }) => {
            (None, burn_in.as_deref())
        }
        _ => (None, None),
    };
    TaskRow {
        title: match &t.task {
            Task::Recheck {} => "Check again",
            Task::Identify { seconds: 0 } => "Locate LED off",
            Task::Identify { .. } => "Locate LED",
            Task::BurnIn { .. } => "Burn-in",
        },
        actor: t.actor.clone(),
        at: Moment::new(t.asked_at, now),
        color,
        text: text.to_owned(),
        percent,
        parts: burn_in.map(parts).unwrap_or_default(),
    }
}

fn parts(result: &BurnInResult) -> Vec<(String, bool, String, String)> {
    let part = |p: &inventory_api::burn_in::BurnInPart| {
        let speed = p.score.map_or_else(String::new, |s| format!("{s:.1} {}", p.unit));
        let hot = p
            .max_temperature_c
            .map_or_else(String::new, |c| format!(", {c:.0} °C"));
        let found = format!("{} in {}{hot}", p.detail, duration(p.elapsed_ms));
        (p.name.clone(), p.passed, speed, found)
    };
    result.parts.iter().take(MAX_PARTS).map(part).collect()
}
