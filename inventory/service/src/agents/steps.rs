//! Steps of a plan, their progress, wipes, and the verification of the installed system.

use inventory_api::agent::{
    Permission, Progress, StepOutcome, StepReport, Verification, WIPE_PLAN, WipedDisk,
};
use inventory_api::plan::{InstallPlan, Step};
use inventory_api::{MachineId, Problem};
use lifecycle::bounds::bounded_text;
use lifecycle::state::DeployPhase;
use lifecycle::status::status_sentence;
use lifecycle::{Event, State};

use super::stop;
use crate::problem::{BAD_STEP, Result, TOO_MANY, UNKNOWN_OUTCOME};
use crate::{Actor, AdvanceError, Service, Turn};

impl Service {
    /// Records that a step starts or has ended. The answer says whether to continue.
    pub async fn step(&self, id: &MachineId, step: StepReport) -> Result<Permission> {
        if step.name.len() > 64 {
            return Err(BAD_STEP.because("the name of a step has at most 64 bytes"));
        }
        if step.plan.as_str() == WIPE_PLAN {
            return self.wipe_step(id, step).await;
        }
        let row = self.row(id).await?;
        let plan = self.core.store.plan_by_id(&step.plan).await?;
        let Some(plan) = plan.filter(|p| p.machine == *id) else {
            return Ok(stop(format!("this machine has no plan {}", step.plan)));
        };
        let whole = step.index as usize == plan.steps.len();
        let named = plan.steps.get(step.index as usize).map(Step::name);
        if !whole && named != Some(step.name.as_str()) {
            let (plan, index, name) = (plan.id, step.index, step.name);
            return Err(BAD_STEP.because(format!("plan {plan} has no step {index} named {name:?}")));
        }
        let event = match step.outcome {
            StepOutcome::Starting {} if whole => return Ok(permission(&row.state, &plan)),
            StepOutcome::Starting {} => Event::StepStarting {
                plan: step.plan,
                index: step.index,
                name: step.name,
            },
            StepOutcome::Done { .. } if whole => Event::InstallDone { plan: step.plan },
            StepOutcome::Done { .. } => {
                self.core.memory.sessions.changed(id);
                return Ok(permission(&row.state, &plan));
            }
            StepOutcome::Failed { code, detail, wrote } => Event::StepFailed {
                plan: step.plan,
                index: step.index,
                name: step.name,
                code: short_code(&code),
                detail: bounded_text(&detail),
                wrote,
            },
            StepOutcome::Wiped { .. } | StepOutcome::Unknown => return Err(unknown_outcome()),
        };
        self.permitted(id, event).await
    }

    async fn wipe_step(&self, id: &MachineId, step: StepReport) -> Result<Permission> {
        let event = match step.outcome {
            StepOutcome::Starting {} => {
                let row = self.row(id).await?;
                return Ok(match &row.state {
                    State::Releasing(r) if r.wiping => Permission::Continue {},
                    other => stop(status_sentence(other)),
                });
            }
            StepOutcome::Done { .. } => self.wiped(id, Vec::new()).await?,
            StepOutcome::Wiped { disks, .. } => self.wiped(id, disks).await?,
            StepOutcome::Failed { code, detail, .. } => Event::WipeFailed {
                code: short_code(&code),
                detail: bounded_text(&detail),
            },
            StepOutcome::Unknown => return Err(unknown_outcome()),
        };
        self.permitted(id, event).await
    }

    /// The wipe is done if it proves every disk of the assignment; otherwise it has failed.
    async fn wiped(&self, id: &MachineId, disks: Vec<WipedDisk>) -> Result<Event> {
        let row = self.row(id).await?;
        let plan = self.plan_of(&row.state).await?;
        let asked: Vec<_> = plan.into_iter().map(|p| p.disk).collect();
        Ok(match lifecycle::wipe::proven(&asked, &disks) {
            Ok(()) => Event::WipeDone { disks },
            Err(why) => {
                tracing::warn!(machine = %id, why, "a wipe is not proven");
                Event::WipeFailed {
                    code: "wipe-unproven".to_owned(),
                    detail: bounded_text(&why),
                }
            }
        })
    }

    /// Applies an event; a refusal tells the agent to stop.
    async fn permitted(&self, id: &MachineId, event: Event) -> Result<Permission> {
        let id = id.clone();
        let work = async move |mut turn: Turn| {
            let advanced = match turn.advance(&id, event).await {
                Ok(advanced) => advanced,
                Err(AdvanceError::Refused(refused)) => return Ok(stop(refused.sentence)),
                Err(error) => return Err(error.into()),
            };
            if advanced.before != advanced.state {
                turn.then(move |core| {
                    let sessions = &core.memory.sessions;
                    sessions.update(&id, |session| session.progress = None);
                });
            }
            turn.commit().await?;
            Ok(Permission::Continue {})
        };
        self.turn(&Actor::Agent, work).await
    }

    /// Records the progress of a step, in memory only; ignored unless it is for the machine's current plan.
    pub async fn progress(&self, id: &MachineId, progress: Progress) -> Result<()> {
        let row = self.row(id).await?;
        if row.state.plan() == Some(&progress.plan) {
            let sessions = &self.core.memory.sessions;
            sessions.update(id, |session| session.progress = Some(progress));
            sessions.changed(id);
        }
        Ok(())
    }

    /// Records what the resident agent verified.
    pub async fn verification(&self, id: &MachineId, mut verification: Verification) -> Result<()> {
        if verification.items.len() > 10_000 {
            return Err(TOO_MANY.because("a verification has at most 10000 items"));
        }
        for item in &mut verification.items {
            item.what = bounded_text(&item.what);
            item.found = bounded_text(&item.found);
        }
        // Items that were not verified count as failing: the plan says what must exist.
        let plan = self.core.store.plan_by_id(&verification.plan).await?;
        let failing = match plan.filter(|p| p.machine == *id) {
            Some(plan) => verification.failing(&lifecycle::plan::verify_request(&plan)),
            None => vec![format!("this machine has no plan {}", verification.plan)],
        };
        let failing = failing.iter().take(20).map(|text| bounded_text(text)).collect();
        let id = id.clone();
        let work = async move |mut turn: Turn| {
            let now = turn.now;
            let event = Event::Verified {
                plan: verification.plan.clone(),
                failing,
            };
            turn.advance(&id, event).await?;
            turn.put_verification(&id, &verification, now).await?;
            turn.put_last_seen(&id, now).await?;
            Ok(turn.commit().await?)
        };
        self.turn(&Actor::Agent, work).await
    }
}

fn permission(state: &State, plan: &InstallPlan) -> Permission {
    match state {
        State::Deploying(d) if d.plan == plan.id && matches!(d.phase, DeployPhase::Installing { .. }) => {
            Permission::Continue {}
        }
        other => stop(status_sentence(other)),
    }
}

/// The code an agent sent, or `unknown` if it is not a short code.
fn short_code(code: &str) -> String {
    let good = (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    if good {
        code.to_owned()
    } else {
        "unknown".to_owned()
    }
}

fn unknown_outcome() -> Problem {
    UNKNOWN_OUTCOME
        .because("this server does not know that outcome of a step: the agent is newer than the server")
}
