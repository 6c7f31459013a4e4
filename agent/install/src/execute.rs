//! Executing a plan, step by step.

use std::sync::Arc;
use std::time::Instant;

use inventory_api::agent::{Permission, StepOutcome, StepReport};
use inventory_api::plan::{InstallPlan, Step};

use super::error::{StepError, fail};
use super::fetch;
use super::image_writer::ImageWriter;
use super::link::{Credentials, Ended, Failure, Link};
use super::run::Run;
use super::site::Site;

/// Verifies the plan against the live disks and does its steps, asking the server for permission before each
/// and reporting after each. If this future is dropped, nothing more is written except blocks in flight, and
/// mounts are undone; the same plan can then run again.
///
/// # Errors
/// The first step that was refused or failed, already reported. No later step is done.
pub async fn execute<L: Link>(
    plan: &InstallPlan,
    credentials: &Credentials,
    site: &Site,
    link: &L,
) -> Result<Ended, Failure> {
    let turn = site.turn.clone().lock_owned().await;
    let whole = plan.steps.len();
    let started = Instant::now();
    let run = Arc::new(Run::new(plan.clone(), credentials.clone(), site.clone(), turn));
    if let Err(error) = blocking(&run, |run| run.prepare()).await {
        return Err(failed(&run, whole, error, link).await);
    }
    for (index, step) in plan.steps.iter().enumerate() {
        if let Permission::Stop { message } = tell(&run, index, StepOutcome::Starting {}, link).await? {
            return Ok(Ended::Stopped {
                index: index as u32,
                message,
            });
        }
        let began = Instant::now();
        let result = match step {
            Step::WriteImage { .. } => write_image(&run, index, link).await,
            Step::BootOrder { esp_partition } => {
                let esp = *esp_partition;
                let done = blocking(&run, move |run| run.boot_order(esp)).await;
                done.map(|note| note.iter().for_each(|note| link.note(note)))
            }
            _ => blocking(&run, move |run| run.step(index)).await,
        };
        if let Err(error) = result {
            return Err(failed(&run, index, error, link).await);
        }
        let elapsed_ms = began.elapsed().as_millis() as u64;
        let answer = tell(&run, index, StepOutcome::Done { elapsed_ms }, link).await?;
        if let (Permission::Stop { message }, true) = (answer, index + 1 < whole) {
            return Ok(Ended::Stopped {
                index: index as u32 + 1,
                message,
            });
        }
    }
    let elapsed_ms = started.elapsed().as_millis() as u64;
    tell(&run, whole, StepOutcome::Done { elapsed_ms }, link).await?;
    Ok(Ended::Done)
}

/// Reports the state of the run to the server.
async fn tell<L: Link>(
    run: &Run,
    index: usize,
    outcome: StepOutcome,
    link: &L,
) -> Result<Permission, Failure> {
    let answer = link.step(report(&run.plan, index, outcome)).await;
    answer.map_err(|why| {
        let detail = format!("the server cannot be reached: {why}");
        failure(run, index, StepError::new("server-gone", detail))
    })
}

async fn write_image<L: Link>(run: &Arc<Run>, index: usize, link: &L) -> Result<(), StepError> {
    let Some(Step::WriteImage {
        partition,
        source,
        uuid,
    }) = run.plan.steps.get(index)
    else {
        return fail("internal", "not an image step");
    };
    let number = *partition;
    let area = blocking(run, move |run| run.partition(number)).await?;
    let writer = ImageWriter::start(area, source.clone(), run.clone());
    let target = fetch::Progressing {
        plan: run.plan.id.clone(),
        index: index as u32,
        source,
    };
    fetch::stream(&target, &run.site.patience, writer, link).await?;
    let uuid = uuid.clone();
    blocking(run, move |run| run.adopt_root(number, &uuid)).await
}

/// Runs a blocking part on a blocking thread.
async fn blocking<T: Send + 'static>(
    run: &Arc<Run>,
    part: impl FnOnce(&Run) -> Result<T, StepError> + Send + 'static,
) -> Result<T, StepError> {
    let run = run.clone();
    let task = tokio::task::spawn_blocking(move || part(&run));
    task.await
        .unwrap_or_else(|e| fail("internal", format!("the step's thread ended: {e}")))
}

fn report(plan: &InstallPlan, index: usize, outcome: StepOutcome) -> StepReport {
    StepReport {
        plan: plan.id.clone(),
        index: index as u32,
        name: name(plan, index),
        outcome,
    }
}

fn name(plan: &InstallPlan, index: usize) -> String {
    plan.steps.get(index).map_or("plan", Step::name).to_owned()
}

async fn failed<L: Link>(run: &Run, index: usize, error: StepError, link: &L) -> Failure {
    let failure = failure(run, index, error);
    let outcome = StepOutcome::Failed {
        code: failure.code.clone(),
        detail: failure.detail.clone(),
        wrote: failure.wrote,
    };
    // The caller reports the failure too, in case the server cannot be reached.
    let _ = link.step(report(&run.plan, index, outcome)).await;
    failure
}

fn failure(run: &Run, index: usize, error: StepError) -> Failure {
    Failure {
        index: index as u32,
        step: name(&run.plan, index),
        code: error.code.into(),
        detail: error.detail,
        wrote: run.wrote(),
    }
}
