//! One-shot tasks that the server requests while the machine waits. They write to no disk and change nothing
//! installed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inventory_api::agent::Permission;
use inventory_api::burn_in::{BurnInProgress, BurnInRequest, BurnInResult};
use inventory_api::report::Transport;
use inventory_api::task::{Task, TaskOutcome, TaskReport};
use tokio::sync::mpsc;

use super::channel::Channel;
use super::{Duty, Exit, Machine, impossible, send_report};
use crate::burn_in::{self, Disk, Live};
use crate::plain::plain;
use crate::report::{self, bmc};

/// Maximum interval between burn-in progress messages: the server takes silence for an abort.
const STILL_HERE: Duration = Duration::from_secs(30);

/// Runs a task and reports its result. Repeating a task is harmless.
pub(super) async fn run(machine: &Machine, channel: &Channel, id: u64, task: &Task) -> Result<(), Exit> {
    let console = machine.console.as_ref();
    let outcome = match (task, &machine.duty) {
        (Task::Recheck {}, _) => {
            console.line("task: a new report was requested");
            send_report(machine, channel).await?;
            done("a new report was sent")
        }
        (Task::Identify { seconds }, _) => {
            let (roots, seconds) = (machine.roots.clone(), *seconds);
            match tokio::task::spawn_blocking(move || bmc::identify(&roots, seconds.into())).await {
                Ok(Ok(())) if seconds == 0 => done("the locate LED is off"),
                Ok(Ok(())) => {
                    console.line(&format!("task: the locate LED is on for {seconds} s"));
                    done(&format!("the locate LED is on for {seconds} s"))
                }
                Ok(Err(e)) => failed("no-locate-led", e.to_string()),
                Err(e) => failed("no-locate-led", format!("the BMC's driver did not answer: {e}")),
            }
        }
        (Task::BurnIn { request }, Duty::MiniOs { .. }) => match request.check() {
            Ok(()) => burn_in(machine, channel, id, request).await?,
            Err(why) => failed("bad-burn-in", why),
        },
        (Task::BurnIn { .. }, Duty::Installed { .. }) => {
            failed("not-in-mini-os", "burn-in runs only in the mini-os".to_owned())
        }
    };
    if let TaskOutcome::Failed { detail, .. } = &outcome {
        console.line(&plain(&format!("task: FAILED: {detail}")));
    }
    tell(channel, id, outcome).await.map(|_| ())
}

/// Runs the burn-in on its own thread; each answer to a progress message says whether to continue.
async fn burn_in(
    machine: &Machine,
    channel: &Channel,
    id: u64,
    request: &BurnInRequest,
) -> Result<TaskOutcome, Exit> {
    let console = machine.console.as_ref();
    console.line(&format!(
        "burn-in: about {} s; no disk is written to",
        request.seconds()
    ));
    let stop = StopOnDrop(Arc::default());
    let (told, mut progress) = mpsc::channel::<BurnInProgress>(1);
    let work = {
        let (roots, request, stop) = (machine.roots.clone(), request.clone(), stop.0.clone());
        tokio::task::spawn_blocking(move || {
            let disks: Vec<Disk> = report::disks(&roots)
                .into_iter()
                // Skip disks that are not in this machine.
                .filter(|d| !d.transport.is_some_and(Transport::is_remote))
                .filter(|d| d.removable != Some(true) && d.size_bytes.is_some_and(|b| b > 0))
                .map(|d| Disk {
                    device: roots.dev(&d.name),
                    name: d.serial.unwrap_or(d.name),
                })
                .collect();
            // While one progress message is being sent, later ones may be dropped.
            burn_in::run(&request, &disks, &Live::new(&roots), stop, &mut |p| {
                let _ = told.try_send(p);
            })
        })
    };
    let mut last = BurnInProgress {
        part: "start".to_owned(),
        percent: 0,
        errors: 0,
    };
    loop {
        let running = TaskOutcome::Running {
            percent: last.percent,
            doing: format!("burn-in: {}, {} errors so far", last.part, last.errors),
        };
        if let Permission::Stop { message } = tell(channel, id, running).await? {
            console.line(&plain(&format!("burn-in: stopped by the server: {message}")));
            stop.0.store(true, Ordering::Relaxed);
            break;
        }
        let until = tokio::time::Instant::now() + STILL_HERE;
        // Do not send every percent.
        tokio::time::sleep(machine.pace.progress).await;
        match tokio::time::timeout_at(until, progress.recv()).await {
            Ok(Some(news)) => last = news,
            Ok(None) => break,
            Err(_) => {}
        }
    }
    let result = work
        .await
        .map_err(|e| impossible(format!("the burn-in task failed: {e}")))?;
    Ok(judged(result))
}

fn judged(result: BurnInResult) -> TaskOutcome {
    if result.passed {
        let (parts, seconds) = (result.parts.len(), result.elapsed_ms / 1000);
        return TaskOutcome::Done {
            detail: format!("burn-in passed, {parts} parts in {seconds} s"),
            burn_in: Some(Box::new(result)),
        };
    }
    let wrong = result.parts.iter().filter(|part| !part.passed);
    let wrong: Vec<String> = wrong
        .map(|part| format!("{}: {}", part.name, part.detail))
        .collect();
    let stopped = || "the burn-in was stopped early".to_owned();
    TaskOutcome::Failed {
        code: "burn-in-failed".to_owned(),
        detail: if wrong.is_empty() {
            stopped()
        } else {
            wrong.join("; ")
        },
        burn_in: Some(Box::new(result)),
    }
}

/// Stops the burn-in when the session ends.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn tell(channel: &Channel, id: u64, outcome: TaskOutcome) -> Result<Permission, Exit> {
    match channel.post("task", &TaskReport { id, outcome }).await {
        Ok(permission) => Ok(permission),
        // The next assignment is the server's answer.
        Err(e) => Ok(Permission::Stop {
            message: e.unless_refused()?.to_string(),
        }),
    }
}

fn done(detail: &str) -> TaskOutcome {
    TaskOutcome::Done {
        detail: detail.to_owned(),
        burn_in: None,
    }
}

fn failed(code: &str, detail: String) -> TaskOutcome {
    TaskOutcome::Failed {
        code: code.to_owned(),
        detail,
        burn_in: None,
    }
}
