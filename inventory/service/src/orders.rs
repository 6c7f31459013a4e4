//! Requests of people: verbs and deployments.

use inventory_api::Problem;
use inventory_api::deploy::DeployRequest;
use inventory_api::machine::{DeployResponse, Deployment, VerbResponse};
use lifecycle::booting::ADMITTED_SECONDS;
use lifecycle::verbs::{event_of, may_forget};
use lifecycle::{Event, State, transition};

use super::{Actor, Service, Verb, planning};
use crate::advance::{AdvanceError, advance_in, after_commit};
use crate::problem::problem;
use store::MachineRow;
use words::redact;
use words::text::listed;

impl Service {
    /// Carries out a verb other than deploy.
    pub async fn verb(&self, key: &str, verb: Verb, actor: &Actor) -> Result<VerbResponse, Problem> {
        let row = self.find(key).await?;
        if verb == Verb::Forget {
            return self.forget_machine(&row, actor).await;
        }
        let event = event_of(verb).ok_or_else(|| {
            let detail = format!("{verb} needs more than the machine");
            problem(400, "verb-incomplete", "Not a verb by itself", detail)
        })?;
        let id = &row.id;
        let now = self.core.clock.now();
        let mut change = self.core.store.begin().await?;
        let advanced = advance_in(&self.core, &mut change, id, event, actor, now).await?;
        // A person asked for the machine: keep addresses for it from now on.
        change.put_known(id).await?;
        change.commit().await?;
        if verb == Verb::Admit {
            self.core.memory.update_session(id, |session| {
                session.admitted_until = Some(now.plus_seconds(ADMITTED_SECONDS));
                session.held = None;
            });
        }
        after_commit(&self.core, &advanced);
        if verb == Verb::Retire {
            self.end_reservations(&row.macs).await;
        }
        self.verb_response(&row, &advanced.state).await
    }

    /// Forgets a retired machine, or one that never got past its first boot script.
    async fn forget_machine(&self, row: &MachineRow, actor: &Actor) -> Result<VerbResponse, Problem> {
        let id = &row.id;
        let mut answer = self.verb_response(row, &row.state).await?;
        answer.status.verbs.clear();
        let refused = |detail: String| Err(problem(409, "wrong-state", "Not in this state", detail));
        if !may_forget(&row.state, row.last_seen.is_some()) {
            return refused(format!("cannot forget {id}, which has claimed: retire it first"));
        }
        let mut change = self.core.store.begin().await?;
        if !change.forget(id).await? {
            return refused(format!(
                "cannot forget {id}: other enrolments were found to be this machine"
            ));
        }
        change.commit().await?;
        tracing::info!(machine = %id, %actor, "a machine was forgotten");
        self.core.memory.forget(id);
        Ok(answer)
    }

    async fn verb_response(&self, row: &MachineRow, state: &State) -> Result<VerbResponse, Problem> {
        Ok(VerbResponse {
            status: self.status(row, state).await?,
            plan: state.plan().cloned(),
        })
    }

    /// Starts a deployment; with `dry_run` only returns the plan.
    pub async fn deploy(
        &self,
        key: &str,
        order: Deployment,
        dry_run: bool,
        actor: &Actor,
    ) -> Result<DeployResponse, Problem> {
        let machine = self.find(key).await?;
        let request = self.request_of(order)?;
        let now = self.core.clock.now();
        let stored = self.core.store.stored_report(&machine.id).await?.ok_or_else(|| {
            problem(
                409,
                "no-report",
                "Nothing is known about its hardware",
                format!("machine {} has not reported yet: commission it first", machine.id),
            )
        })?;
        let check = self
            .check_report(&stored.report, stored.runs_on, request.expected.as_ref())
            .await?;
        if let Some(check) = &check {
            planning::refuse_failed(&check.result)?;
        }
        // The mini-os installs, so plan with the hardware that it sees, not with what the installed system
        // has drivers for.
        let mut report = stored.mini_os.unwrap_or(stored.report);
        if report.boot.boot_mac.is_none() {
            report.boot.boot_mac = machine.macs.first().copied();
        }
        let plan = planning::make_plan(&self.core, &machine.id, &report, &request, now).await?;
        let event = Event::Deploy {
            plan: plan.id.clone(),
        };
        if dry_run {
            // Refuses as a real deployment would, but stores nothing. Exception: a deployed machine must be
            // released first, and the next plan can be read before that.
            if !matches!(machine.state, State::Deployed(_)) {
                transition(&machine.state, &event, &self.core.config.limits, now)
                    .map_err(AdvanceError::Refused)?;
            }
            let status = self.status(&machine, &machine.state).await?;
            return Ok(DeployResponse {
                dry_run,
                status,
                plan: Some(redact::plan(plan)),
            });
        }
        let mut change = self.core.store.begin().await?;
        let advanced = advance_in(&self.core, &mut change, &machine.id, event, actor, now).await?;
        change.put_plan(&machine.id, &plan, now).await?;
        change.put_request(&machine.id, &request, now).await?;
        change.put_known(&machine.id).await?;
        change.put_hostname(&machine.id, Some(&plan.hostname)).await?;
        if let Some(check) = &check {
            change
                .put_check(&machine.id, &check.result, &check.from, now)
                .await?;
        }
        change.commit().await?;
        after_commit(&self.core, &advanced);
        let status = self.status(&machine, &advanced.state).await?;
        Ok(DeployResponse {
            dry_run,
            status,
            plan: Some(redact::plan(plan)),
        })
    }

    fn request_of(&self, order: Deployment) -> Result<DeployRequest, Problem> {
        match order {
            Deployment::Request(request) => Ok(*request),
            Deployment::Profile { profile } => {
                let profiles = &self.core.config.profiles;
                profiles.get(&profile).cloned().ok_or_else(|| {
                    let known: Vec<_> = profiles.keys().map(String::as_str).collect();
                    let shown: String = profile.chars().take(80).collect();
                    problem(
                        422,
                        "profile-unknown",
                        "No such profile",
                        format!(
                            "there is no profile {shown:?} in the configuration; profiles are: {}",
                            listed(&known, "(none)")
                        ),
                    )
                })
            }
        }
    }
}
