//! The assignment: what the server wants, and doing it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::PlanId;
use inventory_api::agent::{
    Assignment, AssignmentResponse, Permission, StepOutcome, StepReport, Verification, VerifyRequest,
    WIPE_PLAN,
};
use inventory_api::plan::{DiskTarget, InstallPlan};
use serde_json::Value;

use super::channel::{CallError, Channel};
use super::link::ServerLink;
use super::{Duty, Exit, Machine, Pace, impossible};
use crate::console::Console;
use crate::install::{self, Credentials, Ended, Site};
use crate::plain::plain;
use crate::proof;

/// Minimum interval between two polls with the same answer, whatever the server does.
const SAME_ANSWER: Duration = Duration::from_secs(1);

/// The server's answer to an assignment poll.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The server's sequence number.
    pub seq: u64,
    pub what: What,
}

/// What to do, if this agent understands it.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An assignment this agent knows.
    Known(Assignment),
    /// Contains something unknown to this agent. None of it is done.
    Unknown {
        /// The plan and its number of steps, if there is a plan with a readable id.
        plan: Option<(PlanId, u32)>,
        why: String,
    },
}

/// What to do after an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Poll again.
    Ask,
    /// Send a report, then poll again.
    Report,
}

/// Parses an answer. A plan or an assignment with anything unknown in it is unknown as a whole.
pub fn read(bytes: &[u8]) -> Result<Answer, String> {
    let why = match serde_json::from_slice(bytes) {
        Ok(AssignmentResponse { seq, assignment }) => {
            let what = What::Known(assignment);
            return Ok(Answer { seq, what });
        }
        Err(e) => e.to_string(),
    };
    let value: Value = serde_json::from_slice(bytes).map_err(|_| why.clone())?;
    let seq = value
        .get("seq")
        .and_then(Value::as_u64)
        .ok_or_else(|| why.clone())?;
    let plan = value.pointer("/assignment/plan").and_then(|plan| {
        let id = plan.get("id")?.as_str()?.parse().ok()?;
        let steps = plan.get("steps").and_then(Value::as_array).map_or(0, Vec::len);
        Some((id, u32::try_from(steps).unwrap_or(0)))
    });
    let what = What::Unknown { plan, why };
    Ok(Answer { seq, what })
}

/// Polls for the assignment; the server holds the request while `last` is still current.
pub async fn next(
    channel: &Channel,
    last: Option<&Answer>,
    pace: &Pace,
    console: &dyn Console,
) -> Result<Answer, Exit> {
    let asked = Instant::now();
    let seen = last.map_or(String::new(), |o| format!("&seen={}", o.seq));
    let path = format!("assignment?wait={}{seen}", pace.poll_wait.as_secs());
    let answer = loop {
        let why = match channel.get(&path).await {
            Ok(bytes) => match read(&bytes) {
                Ok(answer) => break answer,
                Err(why) => CallError::Strange(why),
            },
            Err(e) => e.unless_refused()?,
        };
        console.line(&plain(&no_assignment(&why)));
        tokio::time::sleep(pace.retry_cap).await;
    };
    if last == Some(&answer) {
        tokio::time::sleep(SAME_ANSWER.min(pace.poll_wait).saturating_sub(asked.elapsed())).await;
    }
    Ok(answer)
}

/// The message shown when there is no assignment.
fn no_assignment(why: &CallError) -> String {
    let what = match why {
        CallError::Refused(_) => "is refused",
        CallError::Strange(_) => "cannot be understood",
        CallError::Unreachable(_) | CallError::WrongTime(_) => "did not come",
    };
    format!("server: the assignment {what}, asking again: {why}")
}

pub async fn follow(
    machine: &Machine,
    channel: &Channel,
    credentials: &Credentials,
    answer: &Answer,
) -> Result<Follow, Exit> {
    let console = machine.console.as_ref();
    let assignment = match &answer.what {
        What::Known(assignment) => assignment,
        What::Unknown { plan, why } => {
            let why = format!("the server requested something this agent does not know: {why}");
            console.line(&plain(&format!("{why}; nothing was done")));
            if let Some((plan, steps)) = plan {
                refuse(channel, plan, *steps, "plan-unknown", why).await?;
            }
            return Ok(Follow::Ask);
        }
    };
    match (assignment, &machine.duty) {
        (Assignment::Wait { message }, _) => console.line(&format!("waiting: {}", plain(message))),
        (Assignment::Stop { message }, _) => {
            console.line(&format!("STOPPED by the server: {}", plain(message)));
            console.line("nothing was changed; this machine waits and keeps asking");
        }
        (Assignment::Report {}, _) => return Ok(Follow::Report),
        (Assignment::Task { id, task }, _) => super::task::run(machine, channel, *id, task).await?,
        (Assignment::Reboot { message }, _) => {
            console.end_poster();
            return Err(Exit::Reboot {
                message: message.clone(),
            });
        }
        (Assignment::Install { plan }, Duty::MiniOs { site }) => {
            console.end_poster();
            run_plan(machine, channel, credentials, plan, site).await;
        }
        (Assignment::Wipe { disks }, Duty::MiniOs { site }) => {
            console.end_poster();
            wipe(machine, channel, disks, site).await?;
        }
        (Assignment::Verify { plan, expect }, Duty::Installed { root, first_boot }) => {
            verify(machine, channel, plan, expect, root, first_boot).await?;
        }
        (Assignment::Install { plan }, Duty::Installed { .. }) => {
            let steps = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
            let why = "this is the installed system: a plan runs only in the mini-os".to_owned();
            console.line(&why);
            refuse(channel, &plan.id, steps, "not-in-mini-os", why).await?;
        }
        (Assignment::Wipe { .. }, Duty::Installed { .. }) => {
            let why = "this is the installed system: disks are wiped only in the mini-os".to_owned();
            console.line(&why);
            refuse(channel, &wipe_plan()?, 0, "not-in-mini-os", why).await?;
        }
        (Assignment::Verify { .. }, Duty::MiniOs { .. }) => {
            console.line("the server wants the installed system verified, but this is the mini-os; waiting");
        }
    }
    Ok(Follow::Ask)
}

/// Executes a plan and shows the outcome on the console. By then the server has the report.
async fn run_plan(
    machine: &Machine,
    channel: &Channel,
    credentials: &Credentials,
    plan: &InstallPlan,
    site: &Site,
) {
    let console = &machine.console;
    console.line(&format!(
        "install: {} {} on the disk with {}, {} steps",
        plain(&plan.image),
        plain(&plan.image_version),
        plain(&disk_words(&plan.disk)),
        plan.steps.len()
    ));
    let link = ServerLink::new(
        channel.clone(),
        Arc::clone(console),
        &machine.pace,
        plan.steps.len(),
    );
    match install::execute(plan, credentials, site, &link).await {
        Ok(Ended::Done) => console.line("install: done"),
        Ok(Ended::Stopped { index, message }) => console.line(&format!(
            "install: stopped by the server before step {}: {}",
            index + 1,
            plain(&message)
        )),
        Err(failure) => {
            console.line(&format!("install: FAILED: {}", plain(&failure.to_string())));
            let was = if failure.wrote { "was" } else { "was not" };
            console.line(&format!(
                "install: the disk {was} changed; the server decides what happens next"
            ));
        }
    }
}

async fn wipe(machine: &Machine, channel: &Channel, disks: &[DiskTarget], site: &Site) -> Result<(), Exit> {
    let console = machine.console.as_ref();
    let plan = wipe_plan()?;
    let report = |outcome| StepReport {
        plan: plan.clone(),
        index: 0,
        name: "wipe".into(),
        outcome,
    };
    match channel.post("step", &report(StepOutcome::Starting {})).await {
        Ok(Permission::Continue {}) => {}
        Ok(Permission::Stop { message }) => {
            console.line(&format!(
                "wipe: not started, the server says: {}",
                plain(&message)
            ));
            return Ok(());
        }
        Err(e) => return not_told(machine, "wipe: not started", e),
    }
    let words: Vec<String> = disks.iter().take(32).map(disk_words).collect();
    console.line(&plain(&format!("wipe: erasing {}", words.join("; "))));
    let started = Instant::now();
    let outcome = match install::wipe(disks, site).await {
        Ok(disks) => {
            for disk in &disks {
                console.line(&plain(&format!("wipe: {}", disk.in_words())));
            }
            StepOutcome::Wiped {
                elapsed_ms: started.elapsed().as_millis() as u64,
                disks,
            }
        }
        Err(failure) => {
            console.line(&format!("wipe: FAILED: {}", plain(&failure.to_string())));
            StepOutcome::Failed {
                code: failure.code,
                detail: failure.detail,
                wrote: failure.wrote,
            }
        }
    };
    let told = channel.tell("step", &report(outcome)).await;
    told.or_else(|e| not_told(machine, "wipe: the result was not accepted", e))
}

async fn verify(
    machine: &Machine,
    channel: &Channel,
    plan: &PlanId,
    expect: &VerifyRequest,
    root: &std::path::Path,
    first_boot: &proof::FirstBoot,
) -> Result<(), Exit> {
    let console = machine.console.as_ref();
    console.line("verify: first-boot scripts, then every account, cron job, script and mount");
    let items = proof::verify(root, plan, expect, first_boot, console).await;
    let verification = Verification {
        plan: plan.clone(),
        items,
    };
    let bad = verification.items.iter().filter(|i| !i.ok);
    for item in bad.clone().take(20) {
        let (what, found) = (plain(&item.what), plain(&item.found));
        console.line(&format!("verify: FAILED: {what}: {found}"));
    }
    console.line(&format!(
        "verify: {} of {} checks passed",
        verification.items.len() - bad.count(),
        verification.items.len()
    ));
    let told = channel.tell("verification", &verification).await;
    told.or_else(|e| not_told(machine, "verify: not accepted", e))
}

/// Reports that a plan will not run here. Nothing was written.
async fn refuse(
    channel: &Channel,
    plan: &PlanId,
    steps: u32,
    code: &str,
    detail: String,
) -> Result<(), Exit> {
    let report = StepReport {
        plan: plan.clone(),
        index: steps,
        name: "plan".into(),
        outcome: StepOutcome::Failed {
            code: code.into(),
            detail,
            wrote: false,
        },
    };
    if let Err(e) = channel.tell("step", &report).await {
        // Any other error is harmless: nothing was done, and the next assignment is the server's answer.
        e.unless_refused()?;
    }
    Ok(())
}

fn not_told(machine: &Machine, what: &str, error: CallError) -> Result<(), Exit> {
    let error = error.unless_refused()?;
    machine.console.line(&format!("{what}: {error}"));
    Ok(())
}

fn wipe_plan() -> Result<PlanId, Exit> {
    WIPE_PLAN.parse().map_err(impossible)
}

fn disk_words(disk: &DiskTarget) -> String {
    let mut words = match (&disk.serial, &disk.wwn) {
        (Some(serial), _) => format!("serial {serial}"),
        (None, Some(wwn)) => format!("WWN {wwn}"),
        (None, None) => "no name".to_owned(),
    };
    if let Some(model) = &disk.model {
        words += &format!(" ({model})");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_assignments() {
        let wait = read(br#"{"seq":3,"assignment":{"kind":"wait","message":"m"}}"#).unwrap();
        assert_eq!(
            wait,
            Answer {
                seq: 3,
                what: What::Known(Assignment::Wait { message: "m".into() })
            }
        );
        let dance = read(br#"{"seq":4,"assignment":{"kind":"dance"}}"#).unwrap();
        assert!(
            matches!(dance, Answer { seq: 4, what: What::Unknown { plan: None, why } } if why.contains("dance"))
        );
        let plan = read(
            br#"{"seq":5,"assignment":{"kind":"install","plan":{"id":"p-1","steps":[{"kind":"erase-disk"},{"kind":"paint"}]}}}"#,
        )
        .unwrap();
        match plan.what {
            What::Unknown {
                plan: Some((id, 2)), ..
            } => assert_eq!(id.as_str(), "p-1"),
            other => panic!("{other:?}"),
        }
        assert!(read(b"<html>").is_err());
        assert!(read(br#"{"assignment":{"kind":"dance"}}"#).is_err());
    }

    #[test]
    fn a_refused_poll_is_shown_as_refused() {
        let problem = inventory_api::Problem {
            status: 409,
            code: "busy".into(),
            title: String::new(),
            detail: "the machine is being changed".into(),
        };
        for (why, said) in [
            (
                CallError::Refused(problem),
                "server: the assignment is refused, asking again: the machine is being changed (busy)",
            ),
            (
                CallError::Strange("no seq".into()),
                "server: the assignment cannot be understood, asking again: no seq",
            ),
        ] {
            assert_eq!(no_assignment(&why), said);
        }
    }
}
