//! One-shot tasks that the server asks for while the machine waits: they touch no disk and change nothing installed.

use inventory_api::agent::Permission;
use inventory_api::task::{Task, TaskOutcome, TaskReport};

use super::channel::{CallError, Channel};
use super::{Exit, Machine, RefusesIdentity, send_report};
use crate::console::plain;
use crate::report::bmc;

/// Does a task and tells what became of it. A task that is asked for twice is done twice: none does harm.
pub(super) async fn run(machine: &Machine, channel: &Channel, id: u64, task: &Task) -> Result<(), Exit> {
    let console = machine.console.as_ref();
    let outcome = match task {
        Task::Recheck {} => {
            console.line("task: a new report is asked for");
            send_report(machine, channel).await?;
            done("a new report was sent")
        }
        Task::Identify { seconds } => {
            let seconds = *seconds;
            match tokio::task::spawn_blocking(move || bmc::identify(u32::from(seconds))).await {
                Ok(Ok(())) if seconds == 0 => done("the locate LED is off"),
                Ok(Ok(())) => {
                    console.line(&format!("task: the locate LED is on for {seconds} s"));
                    done(&format!("the locate LED is on for {seconds} s"))
                }
                Ok(Err(e)) => failed("no-locate-led", e.to_string()),
                Err(e) => failed("no-locate-led", format!("the BMC's driver did not answer: {e}")),
            }
        }
        Task::BurnIn { .. } => failed("not-able", "this agent has no burn-in".to_owned()),
    };
    if let TaskOutcome::Failed { detail, .. } = &outcome {
        console.line(&plain(&format!("task: FAILED: {detail}")));
    }
    match channel.post::<_, Permission>("task", &TaskReport { id, outcome }).await {
        Err(CallError::Refused(problem)) if problem.refuses_identity() => Err(Exit::Refused { problem }),
        // Whatever it says: the task was done, and the next assignment is its answer.
        _ => Ok(()),
    }
}

fn done(detail: &str) -> TaskOutcome {
    TaskOutcome::Done {
        detail: detail.to_owned(),
        figures: Vec::new(),
    }
}

fn failed(code: &str, detail: String) -> TaskOutcome {
    TaskOutcome::Failed {
        code: code.to_owned(),
        detail,
        figures: Vec::new(),
    }
}
