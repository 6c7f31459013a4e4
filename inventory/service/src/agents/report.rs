//! Reports, and what follows from them.

use inventory_api::MachineId;
use inventory_api::agent::{ReportRequest, ReportResponse, RunsOn};
use inventory_api::deploy::DeployRequest;
use inventory_api::machine::Actor;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use lifecycle::expectation::{names, place_of};
use lifecycle::policy::Expected;
use lifecycle::status::status_sentence;
use lifecycle::{Decision, Deployment, Event, State, deploys_now, follow_report};
use sha2::{Digest as _, Sha256};

use super::identity::{Sender, identify};
use crate::check::{Checked, first_finding};
use crate::machines::facts::{facts_of, macs_of, nics_of, smbios_names_of};
use crate::machines::planning::make_plan;
use crate::problem::{BAD_NONCE, BUSY, REPLAYED, Result};
use crate::turn::TRIES;
use crate::{AdvanceError, Service, Turn};
use store::{MachineRow, ReportRow};

/// A report, and what was decided about it before its turn.
struct Intake {
    row: MachineRow,
    sent: ReportRequest,
    digest: [u8; 32],
    facts: Facts,
    event: Event,
    check: Option<Checked>,
    /// What a rule deploys now.
    deployment: Option<(InstallPlan, DeployRequest)>,
}

/// What is known of the hardware.
struct Facts {
    report: AssetReport,
    /// The system that the boot facts are from.
    runs_on: RunsOn,
}

impl Service {
    /// Processes a report that [`lifecycle::bounds::read_report`] read. `body` is the raw request: a report
    /// sent again is recognised by its nonce and digest.
    pub async fn report(&self, id: &MachineId, body: &[u8], sent: &ReportRequest) -> Result<ReportResponse> {
        if sent.nonce.len() != 32 || !sent.nonce.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(BAD_NONCE.because("the nonce has to be 32 hexadecimal digits"));
        }
        let digest = Sha256::digest(body).into();
        // Images are read outside the transaction, so retry if the state changed meanwhile.
        for _ in 0..TRIES {
            let intake = self.decide_report(self.row(id).await?, sent, digest).await?;
            let work = async move |turn| intake.take(turn).await;
            if let Some(answer) = self.turn(&Actor::Agent, work).await? {
                return Ok(answer);
            }
        }
        Err(BUSY.because("the machine kept changing while the report was processed: send it again"))
    }

    /// An installed system sees less than the mini-os: completes its report from the last one of the mini-os.
    async fn facts_in(&self, id: &MachineId, sent: &ReportRequest) -> Result<Facts> {
        let report = (*sent.report).clone();
        let before = match sent.runs_on {
            RunsOn::Installed => self.core.store.stored_report(id).await?,
            RunsOn::MiniOs | RunsOn::Unknown => None,
        };
        Ok(match before.and_then(|b| b.mini_os) {
            Some(mini_os) => Facts {
                report: lifecycle::known::known(&mini_os, report),
                runs_on: RunsOn::MiniOs,
            },
            None => Facts {
                report,
                runs_on: sent.runs_on,
            },
        })
    }

    /// Decides what follows from a report: the check and, during commissioning, what comes next.
    async fn decide_report(&self, row: MachineRow, sent: &ReportRequest, digest: [u8; 32]) -> Result<Intake> {
        let facts = self.facts_in(&row.id, sent).await?;
        let mut intake = Intake {
            row,
            sent: sent.clone(),
            digest,
            facts,
            event: Event::ResidentReported,
            check: None,
            deployment: None,
        };
        let (row, report) = (&intake.row, &intake.facts.report);
        if sent.runs_on == RunsOn::Installed {
            // A check never disturbs an installed system: its verdict is kept beside the state.
            let requested = self.requested_of(row, report).await?;
            intake.check = self
                .check_report(report, intake.facts.runs_on, requested.as_ref())
                .await?;
            return Ok(intake);
        }
        let config = &self.core.config;
        let policy = config
            .policy
            .decide(&facts_of(row, smbios_names_of(report)), true);
        let by_rule = match &policy {
            Decision::Deploy { rule, profile } => config.profiles.get(profile).map(|request| (rule, request)),
            Decision::Hold { .. } | Decision::Commission { .. } => None,
        };
        let request = match &row.state {
            State::Deploying(_) => self.core.store.request(&row.id).await?,
            _ => by_rule.map(|(_, request)| request.clone()),
        };
        let expected = request.as_ref().and_then(|r| r.expected.as_ref());
        let check = self.check_report(report, intake.facts.runs_on, expected).await?;
        let verdict = check.as_ref().map(|c| c.result.verdict);
        let finding = check.as_ref().and_then(|c| first_finding(&c.result));
        let first = matches!(&row.state, State::Commissioning(c) if c.first);
        let mut planned = None;
        let deployment = match by_rule {
            Some((rule, request)) if deploys_now(first, verdict) => Some(
                self.deploy_by_rule(row, report, rule, request, &mut planned)
                    .await?,
            ),
            Some(_) | None => None,
        };
        intake.event = follow_report(&row.id, first, verdict, finding, &policy, deployment);
        intake.check = check;
        intake.deployment = planned;
        Ok(intake)
    }

    /// What a rule deploys on the sender of a report, or why it does not. `planned`: what is to be stored.
    async fn deploy_by_rule(
        &self,
        row: &MachineRow,
        report: &AssetReport,
        rule: &str,
        request: &DeployRequest,
        planned: &mut Option<(InstallPlan, DeployRequest)>,
    ) -> Result<Deployment> {
        let core = &self.core;
        let names = names(report);
        let places = core.store.placements_named(&names).await?;
        let expected = Expected {
            placed: place_of(&names, &places).is_some(),
            received_as: core.store.received_as(&names, &row.id).await?,
        };
        let facts = facts_of(row, smbios_names_of(report));
        if let Err(why) = core.config.policy.may_deploy(rule, &facts, &expected) {
            return Ok(Deployment::NotExpected(why));
        }
        match make_plan(core, &row.id, report, request, core.clock.now()).await {
            Ok(plan) => {
                let id = plan.id.clone();
                *planned = Some((plan, request.clone()));
                Ok(Deployment::Planned(id))
            }
            Err(error) if error.status >= 500 => Err(error),
            Err(error) => Ok(Deployment::CannotPlan {
                code: error.code,
                detail: error.detail,
            }),
        }
    }
}

impl Intake {
    /// Stores the report with what follows from it. `None`: the machine changed since that was decided.
    async fn take(self, mut turn: Turn) -> Result<Option<ReportResponse>> {
        let (row, sent) = (&self.row, &self.sent);
        let id = &row.id;
        if let Some(before) = turn.report_with_nonce(id, &sent.nonce).await? {
            return self.again(before).map(Some);
        }
        if !turn.is_still(row).await? {
            return Ok(None);
        }
        if let Some(machine) = &row.folded_into {
            let message = format!("This is machine {machine}: it reboots under that name.");
            return Ok(Some(only_says(message)));
        }
        let sender = identify(&mut turn, row, sent).await?;
        let stopped = matches!(turn.row(id).await?.state, State::Quarantined(_));
        match sender {
            Sender::Itself => {}
            Sender::Conflict if !stopped => {}
            Sender::Conflict | Sender::Another(_) | Sender::Held(_) | Sender::Mismatch => {
                return self.stop(turn, &sender).await.map(Some);
            }
        }
        let moved = match turn.advance(id, self.event.clone()).await {
            Ok(advanced) => Some(advanced.state),
            // The report is kept all the same, and the assignment tells the agent what to do.
            Err(AdvanceError::Refused(refused)) => {
                tracing::info!(machine = %id, code = refused.code, "a report changed no state");
                None
            }
            Err(error) => return Err(error.into()),
        };
        self.doubt_wipe(&mut turn).await?;
        self.put(&mut turn).await?;
        if let (Some((plan, request)), Some(_)) = (&self.deployment, &moved) {
            let now = turn.now;
            turn.put_deployment(id, plan, request, now).await?;
        }
        let answer = ReportResponse {
            place: self.check.as_ref().and_then(Checked::place),
            message: status_sentence(moved.as_ref().unwrap_or(&row.state)),
            check: self.check.as_ref().map(|c| c.result.clone()),
            page_url: None,
        };
        self.commit(turn, answer).await.map(Some)
    }

    /// A report with this nonce was taken before: the newest gets the same answer again.
    fn again(&self, before: ReportRow) -> Result<ReportResponse> {
        let same = before.newest && before.digest == self.digest;
        let replayed = || REPLAYED.because("a report with this nonce was taken before: collect a new one");
        before.answer.filter(|_| same).ok_or_else(replayed)
    }

    /// Notes if a disk that was wiped does not look like it.
    async fn doubt_wipe(&self, turn: &mut Turn) -> Result<()> {
        if self.sent.runs_on == RunsOn::Installed {
            return Ok(());
        }
        let id = &self.row.id;
        let wiped = turn.newest_wipe(id).await?;
        if let Some(detail) = lifecycle::wipe::doubted(&wiped, &self.sent.report) {
            tracing::warn!(machine = %id, detail, "a disk reported as wiped still has data");
            turn.advance(id, Event::WipeDoubted { detail }).await?;
        }
        Ok(())
    }

    /// Stores what the report says: names, MACs, NIC models, check and parts.
    async fn put(&self, turn: &mut Turn) -> Result<()> {
        let (id, nonce, now) = (&self.row.id, &self.sent.nonce, turn.now);
        self.put_report(turn).await?;
        turn.put_reported_macs(id, &macs_of(&self.sent.report)).await?;
        turn.put_known(id).await?;
        for (mac, model) in nics_of(&self.sent.report) {
            // A report may list any MAC: trust only those that fetched a boot script.
            if let Some(model) = model.filter(|_| self.row.macs.contains(&mac)) {
                turn.put_nic_model(mac, model).await?;
                turn.then(move |core| core.memory.loaders.reported(mac, model));
            }
        }
        let report = &self.facts.report;
        let height = report.chassis.as_ref().and_then(|c| c.height_u);
        let height = height.filter(|u| (1..=60).contains(u));
        turn.put_names(id, &names(report), height).await?;
        turn.put_checked(id, self.check.as_ref()).await?;
        turn.put_parts(id, report, nonce).await?;
        turn.put_last_seen(id, now).await?;
        Ok(())
    }

    async fn put_report(&self, turn: &mut Turn) -> Result<()> {
        let (id, sent, now) = (&self.row.id, &self.sent, turn.now);
        turn.put_report(id, &sent.nonce, &self.digest, &sent.report, sent.runs_on, now)
            .await?;
        Ok(turn.put_smbios_names(id, &smbios_names_of(&sent.report)).await?)
    }

    /// Stores a report that must have no further effect, and answers why.
    async fn stop(&self, mut turn: Turn, sender: &Sender) -> Result<ReportResponse> {
        let (id, now) = (&self.row.id, turn.now);
        if matches!(sender, Sender::Mismatch) {
            turn.put_foreign_report(id, &self.sent.nonce, &self.digest, now)
                .await?;
        } else {
            self.put_report(&mut turn).await?;
            if !matches!(sender, Sender::Another(_)) {
                turn.put_reported_macs(id, &macs_of(&self.sent.report)).await?;
            }
        }
        turn.put_last_seen(id, now).await?;
        let message = match sender {
            Sender::Mismatch => {
                "This report describes a different machine from the one that sent it. A person has to look."
                    .to_owned()
            }
            Sender::Another(machine) => {
                format!("This is machine {machine}, under another NIC: it reboots under that name.")
            }
            Sender::Held(machine) => format!(
                "This may be machine {machine} under another NIC. It is held until that one reports this NIC, or a \
                 person decides: slipway machine conflict {id}"
            ),
            Sender::Itself | Sender::Conflict => {
                "This machine claims the identity of another. Nothing is touched; a person has to look."
                    .to_owned()
            }
        };
        self.commit(turn, only_says(message)).await
    }

    /// Commits the report, with its answer for a repeated request.
    async fn commit(&self, mut turn: Turn, answer: ReportResponse) -> Result<ReportResponse> {
        let (id, runs_on) = (self.row.id.clone(), self.sent.runs_on);
        turn.put_report_answer(&id, &self.sent.nonce, &answer).await?;
        // The assignment depends on where the agent runs.
        turn.wake(&id);
        turn.then(move |core| {
            let sessions = &core.memory.sessions;
            sessions.update(&id, |session| session.runs_on = Some(runs_on));
        });
        turn.commit().await?;
        Ok(answer)
    }
}

/// An answer with nothing but a message.
fn only_says(message: String) -> ReportResponse {
    ReportResponse {
        check: None,
        message,
        place: None,
        page_url: None,
    }
}
