//! Deployments: what is asked for becomes a plan, and the machine carries it out.

use inventory_api::deploy::DeployRequest;
use inventory_api::machine::{Actor, DeployResponse, Deployment};
use lifecycle::{Event, State, transition};

use super::planning;
use crate::check::refuse_failed;
use crate::problem::{NO_REPORT, PROFILE_UNKNOWN, Result, quoted};
use crate::{AdvanceError, Service, Turn};
use store::{MachineRow, StoredReport};
use words::redact;
use words::text::listed;

impl Service {
    /// Starts a deployment; with `dry_run` only returns the plan.
    pub async fn deploy(
        &self,
        key: &str,
        deployment: Deployment,
        dry_run: bool,
        actor: &Actor,
    ) -> Result<DeployResponse> {
        let machine = self.find(key).await?;
        let request = self.request_of(deployment)?;
        let now = self.core.clock.now();
        let stored = self.stored_report(&machine).await?;
        let check = self
            .check_report(&stored.report, stored.runs_on, request.expected.as_ref())
            .await?;
        if let Some(check) = &check {
            refuse_failed(&check.result)?;
        }
        // The mini-os installs, so plan with the hardware that it sees, not with what the installed system
        // has drivers for.
        let mut report = stored.mini_os.unwrap_or(stored.report);
        if report.boot.boot_mac.is_none() {
            report.boot.boot_mac = machine.macs.first().copied();
        }
        let plan = planning::make_plan(&self.core, &machine.id, &report, &request, now).await?;
        let (id, mut state) = (plan.id.clone(), machine.state.clone());
        let event = Event::Deploy { plan: id };
        if !dry_run {
            let (id, plan) = (machine.id.clone(), plan.clone());
            let work = async move |mut turn: Turn| {
                let state = turn.advance(&id, event).await?.state;
                turn.put_deployment(&id, &plan, &request, now).await?;
                turn.put_known(&id).await?;
                if let Some(check) = &check {
                    turn.put_check(&id, &check.result, &check.from, now).await?;
                }
                turn.commit().await?;
                Ok(state)
            };
            state = self.turn(actor, work).await?;
        } else if !matches!(state, State::Deployed(_)) {
            // Refuses as a real deployment would, but stores nothing. Exception: a deployed machine must be
            // released first, and the next plan can be read before that.
            transition(&state, &event, &self.core.config.limits, now).map_err(AdvanceError::Refused)?;
        }
        Ok(DeployResponse {
            dry_run,
            status: self.status(&machine, &state).await?,
            plan: Some(redact::plan(plan)),
        })
    }

    /// What the newest reports say of a machine.
    pub(crate) async fn stored_report(&self, machine: &MachineRow) -> Result<StoredReport> {
        let id = &machine.id;
        let stored = self.core.store.stored_report(id).await?;
        let detail = || format!("machine {id} has not reported yet: commission it first");
        stored.ok_or_else(|| NO_REPORT.because(detail()))
    }

    fn request_of(&self, deployment: Deployment) -> Result<DeployRequest> {
        let profile = match deployment {
            Deployment::Request(request) => return Ok(*request),
            Deployment::Profile { profile } => profile,
        };
        let profiles = &self.core.config.profiles;
        profiles.get(&profile).cloned().ok_or_else(|| {
            let known: Vec<_> = profiles.keys().map(String::as_str).collect();
            PROFILE_UNKNOWN.because(format!(
                "there is no profile {} in the configuration; profiles are: {}",
                quoted(&profile),
                listed(&known, "(none)")
            ))
        })
    }
}
