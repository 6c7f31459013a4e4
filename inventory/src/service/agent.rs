//! The agents' side: claim, report, assignment, step, progress, verification, image.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use inventory_api::agent::{
    AssignmentResponse, ClaimRequest, ClaimResponse, Permission, Progress, ReportRequest, ReportResponse,
    RunsOn, StepOutcome, StepReport, Verification, WIPE_PLAN,
};
use inventory_api::check::{CheckResult, Verdict};
use inventory_api::deploy::DeployRequest;
use inventory_api::plan::{InstallPlan, Step};
use inventory_api::report::AssetReport;
use inventory_api::{MachineId, Problem, Sha256Digest};
use lifecycle::state::DeployPhase;
use lifecycle::status::status_sentence;
use lifecycle::{AfterCheck, AgentSession, Decision, Event, MachineFacts, State};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Service, planning};
use crate::advance::{AdvanceError, advance, advance_in, after_commit};
use crate::problem::{internal, of_advance, of_store, problem};
use crate::secret;
use crate::store::{Change, Identity, MachineRow, TicketRow};
use crate::tls::SigningRequest;

/// Actor of what agents report.
const AGENT: &str = "agent";
/// Longest time an assignment is held back.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// NICs of one report whose MACs are kept.
const MAX_MACS: usize = 64;
/// Longest text that an agent's report of a failure may have.
const MAX_DETAIL: usize = 4096;

/// An image that an agent may fetch.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// The compressed image.
    pub path: PathBuf,
}

/// What the report of a machine in the mini-os leads to.
struct Checked {
    event: Event,
    check: Option<CheckResult>,
    order: Option<(InstallPlan, DeployRequest)>,
}

impl Service {
    /// Trades a ticket for a certificate. `peer` is the address the claim came from, `page` the address of the web page
    /// of a machine without its id.
    pub async fn claim(
        &self,
        claim: &ClaimRequest,
        peer: IpAddr,
        page: Option<&str>,
    ) -> Result<ClaimResponse, Problem> {
        let core = &self.core;
        let csr = SigningRequest::from_pem(&claim.csr_pem)
            .map_err(|e| problem(400, "bad-csr", "Signing request not usable", e.to_string()))?;
        let key_digest = csr.key_digest();
        let digest = secret::digest(&claim.ticket);
        if !core.store.has_ticket(&digest).await.map_err(of_store)? {
            tracing::warn!(%peer, mac = %claim.boot_mac, "a claim with an unknown ticket was refused");
            return Err(ticket_unknown());
        }
        let now = core.clock.now();
        let mut change = core.store.begin().await.map_err(of_store)?;
        let ticket = change
            .ticket(&digest)
            .await
            .map_err(of_store)?
            .ok_or_else(ticket_unknown)?;
        let id = ticket.machine.clone();
        let response = |certificate_pem: String| ClaimResponse {
            machine: id.clone(),
            certificate_pem,
            server_time: core.clock.now(),
            page_url: page.map(|base| format!("{base}/{id}")),
        };
        if let Some(claimed) = &ticket.key_digest {
            if *claimed != key_digest {
                let detail = format!(
                    "A boot ticket that was handed to {} ({}) was claimed a second time, with another key, from {peer}.",
                    ticket.mac, ticket.ip
                );
                self.alarm_about_ticket(change, &digest, &ticket, "ticket-used", detail)
                    .await?;
                return Err(ticket_used(&id));
            }
            // The answer was lost: the same key gets the same certificate, unless it is no longer good.
            let serial = ticket.certificate.as_deref().unwrap_or_default();
            let certificate = change.certificate(serial).await.map_err(of_store)?;
            return match certificate {
                Some(certificate) if !certificate.revoked => Ok(response(certificate.pem)),
                Some(_) | None => Err(ticket_used(&id)),
            };
        }
        let at_home = IpAddr::V4(ticket.ip) == peer || (core.config.boot.simulated && peer.is_loopback());
        // A script is fetched anew only by a machine that boots anew, and then nobody holds the older ticket any more.
        let both_live = ticket.void && at_home && ticket.mac == claim.boot_mac && now < ticket.expires_at;
        if both_live && change.newer_ticket_claimed(&digest).await.map_err(of_store)? {
            let detail = format!(
                "{} ({}) claimed its boot ticket after somebody had fetched a newer one in its place and claimed that.",
                ticket.mac, ticket.ip
            );
            self.alarm_about_ticket(change, &digest, &ticket, "ticket-replaced", detail)
                .await?;
            return Err(problem(
                409,
                "ticket-replaced",
                "Ticket was replaced",
                format!("somebody fetched a newer boot script for machine {id} and claimed its ticket"),
            ));
        }
        if ticket.void || now >= ticket.expires_at {
            tracing::warn!(machine = %id, %peer, "a claim with an old ticket was refused");
            return Err(problem(
                403,
                "ticket-expired",
                "Ticket no longer good",
                "the boot ticket is too old or was replaced by a newer boot script: boot the machine again",
            ));
        }
        if !at_home || ticket.mac != claim.boot_mac {
            tracing::warn!(machine = %id, %peer, lease = %ticket.ip, mac = %claim.boot_mac,
                "a claim from another address than its ticket's was refused");
            return Err(problem(
                403,
                "ticket-address",
                "Ticket of another address",
                format!(
                    "the boot ticket was handed to {} with address {}, and the claim came from {peer}: boot the machine again",
                    ticket.mac, ticket.ip
                ),
            ));
        }
        let advanced = advance_in(core, &mut change, &id, Event::Claimed, AGENT, now)
            .await
            .map_err(of_advance)?;
        let issued = core
            .authority
            .sign_machine(&csr, &id, now)
            .map_err(|e| internal(&e))?;
        change
            .add_certificate(&id, &issued.serial, &issued.pem, now, issued.expires)
            .await
            .map_err(of_store)?;
        change
            .claim_ticket(&digest, &key_digest, &issued.serial)
            .await
            .map_err(of_store)?;
        change.put_last_seen(&id, now).await.map_err(of_store)?;
        change.commit().await.map_err(of_store)?;
        core.memory.update_session(&id, |session| {
            session.runs_on = None;
            session.progress = None;
            session.last_seen = Some(now);
        });
        after_commit(core, &advanced);
        let version: String = claim.agent_version.chars().take(40).collect();
        tracing::info!(machine = %id, %peer, version = ?version, "an agent claimed its ticket");
        Ok(response(issued.pem))
    }

    /// Somebody else holds a ticket of this machine: an alarm, once a ticket, whose consequence the state decides.
    async fn alarm_about_ticket(
        &self,
        mut change: Change,
        digest: &[u8; 32],
        ticket: &TicketRow,
        code: &'static str,
        detail: String,
    ) -> Result<(), Problem> {
        tracing::error!(machine = %ticket.machine, detail, "ALARM: two hold a boot ticket of one machine");
        if ticket.alarmed {
            return Ok(());
        }
        change.ticket_alarmed(digest).await.map_err(of_store)?;
        self.alarm(change, &ticket.machine, code, detail).await
    }

    /// A certificate was shown that a newer claim has replaced. The machine that held it lost its key with its memory when
    /// it booted again, so two are alive that speak for one machine: an alarm, once a certificate.
    pub async fn superseded_certificate(&self, serial: &str, peer: Option<IpAddr>) -> Result<(), Problem> {
        let mut change = self.core.store.begin().await.map_err(of_store)?;
        let Some(id) = change.take_superseded(serial).await.map_err(of_store)? else {
            return Ok(());
        };
        let peer = peer.map_or("an unknown address".to_owned(), |p| p.to_string());
        let detail = format!("A machine certificate that a newer claim had replaced was used from {peer}.");
        tracing::error!(machine = %id, detail, "ALARM: two speak for one machine");
        self.alarm(change, &id, "identity-used", detail).await
    }

    async fn alarm(
        &self,
        mut change: Change,
        id: &MachineId,
        code: &str,
        detail: String,
    ) -> Result<(), Problem> {
        let event = Event::SecurityAlarm {
            code: code.to_owned(),
            detail,
        };
        let now = self.core.clock.now();
        let advanced = advance_in(&self.core, &mut change, id, event, AGENT, now)
            .await
            .map_err(of_advance)?;
        change.commit().await.map_err(of_store)?;
        after_commit(&self.core, &advanced);
        Ok(())
    }

    /// The machine of a certificate that is still good. `None`: unknown or revoked.
    pub async fn machine_of_certificate(&self, serial: &str) -> Result<Option<MachineId>, Problem> {
        let id = self
            .core
            .store
            .machine_of_certificate(serial)
            .await
            .map_err(of_store)?;
        if let Some(id) = &id {
            let now = self.core.clock.now();
            self.core
                .memory
                .update_session(id, |session| session.last_seen = Some(now));
        }
        Ok(id)
    }

    /// Takes a report. `body` is what was sent: a report sent again is known by its nonce and its digest.
    pub async fn report(
        &self,
        id: &MachineId,
        body: &[u8],
        sent: &ReportRequest,
    ) -> Result<ReportResponse, Problem> {
        let good = sent.nonce.len() == 32 && sent.nonce.bytes().all(|c| c.is_ascii_hexdigit());
        if !good {
            return Err(problem(
                400,
                "bad-nonce",
                "Nonce not usable",
                "the nonce has to be 32 hexadecimal digits",
            ));
        }
        let digest = Sha256::digest(body);
        // Deciding needs the images, which are not asked inside a transaction: if the state moved meanwhile, again.
        for _ in 0..5 {
            let row = self.row(id).await?;
            let decided = self.decide_report(&row, sent).await?;
            let mut change = self.core.store.begin().await.map_err(of_store)?;
            if let Some(before) = change
                .report_with_nonce(id, &sent.nonce)
                .await
                .map_err(of_store)?
            {
                return match before.answer {
                    Some(answer) if before.newest && before.digest == digest.as_slice() => Ok(answer),
                    Some(_) | None => Err(problem(
                        409,
                        "report-replayed",
                        "Report seen before",
                        "a report with this nonce was taken before: collect a new one",
                    )),
                };
            }
            if change.machine(id).await.map_err(of_store)?.map(|m| m.history_seq) != Some(row.history_seq) {
                continue;
            }
            let now = self.core.clock.now();
            let advanced = match advance_in(&self.core, &mut change, id, decided.event, AGENT, now).await {
                Ok(advanced) => Some(advanced),
                // Facts are facts: the report is kept, and its assignment tells the agent what to do.
                Err(AdvanceError::Refused(refused)) => {
                    tracing::info!(machine = %id, code = refused.code, "a report moved nothing");
                    None
                }
                Err(error) => return Err(of_advance(error)),
            };
            let identity = identity_of(&sent.report);
            change
                .put_report(id, &sent.nonce, &digest, &sent.report, now)
                .await
                .map_err(of_store)?;
            change.put_identity(id, &identity).await.map_err(of_store)?;
            change.put_last_seen(id, now).await.map_err(of_store)?;
            for mac in macs_of(&sent.report) {
                if let Some(other) = change.add_mac(id, mac).await.map_err(of_store)? {
                    tracing::warn!(machine = %id, %mac, %other, "a reported MAC belongs to another machine");
                }
            }
            if let Some(check) = &decided.check {
                change.put_check(id, check, now).await.map_err(of_store)?;
            }
            if let (Some((plan, request)), Some(_)) = (&decided.order, &advanced) {
                change.put_plan(id, plan, now).await.map_err(of_store)?;
                change.put_request(id, request, now).await.map_err(of_store)?;
                change
                    .put_hostname(id, Some(&plan.hostname))
                    .await
                    .map_err(of_store)?;
            }
            let state = advanced.as_ref().map_or(&row.state, |a| &a.state);
            let answer = ReportResponse {
                check: decided.check,
                message: status_sentence(state),
            };
            change
                .put_report_answer(id, &sent.nonce, &answer)
                .await
                .map_err(of_store)?;
            change.commit().await.map_err(of_store)?;
            self.core
                .memory
                .update_session(id, |session| session.runs_on = Some(sent.runs_on));
            // Where the agent runs is part of its assignment.
            self.core.memory.wake(id);
            match &advanced {
                Some(advanced) => after_commit(&self.core, advanced),
                None => self.core.memory.changed(id),
            }
            return Ok(answer);
        }
        Err(problem(
            503,
            "busy",
            "Machine is being changed",
            "the machine changes all the time: send the report again",
        ))
    }

    /// What a report means: the check, and for a commissioning what follows it.
    async fn decide_report(&self, row: &MachineRow, sent: &ReportRequest) -> Result<Checked, Problem> {
        if sent.runs_on == RunsOn::Installed {
            return Ok(Checked {
                event: Event::ResidentReported,
                check: None,
                order: None,
            });
        }
        let core = &self.core;
        let report = &sent.report;
        let policy = policy_of(&core.config.policy, row, report);
        let rule_request = match &policy {
            Decision::Deploy { profile, .. } => core.config.profiles.get(profile),
            Decision::Hold { .. } | Decision::Commission { .. } => None,
        };
        let ordered = match &row.state {
            State::Deploying(_) => core.store.request(&row.id).await.map_err(of_store)?,
            State::New
            | State::Commissioning(_)
            | State::Ready(_)
            | State::Deployed(_)
            | State::Releasing(_)
            | State::Failed(_)
            | State::Quarantined(_)
            | State::Retired => rule_request.cloned(),
        };
        let expected = ordered.as_ref().and_then(|r| r.expected.as_ref());
        let check = expected.map(|expected| lifecycle::check(expected, report));
        let verdict = check.as_ref().map(|c| c.verdict);
        let mut detail = check
            .as_ref()
            .and_then(planning::first_finding)
            .unwrap_or_default();
        let first = matches!(&row.state, State::Commissioning(c) if c.first);
        let mut order = None;
        let after = match (&policy, rule_request) {
            (Decision::Deploy { rule, .. }, Some(request)) if first && verdict != Some(Verdict::Fail) => {
                match planning::make_plan(core, &row.id, report, request, core.clock.now()).await {
                    Ok(plan) => {
                        let after = AfterCheck::Deploy {
                            plan: plan.id.clone(),
                        };
                        detail = format!("{detail} Rule {rule:?} deploys it.")
                            .trim_start()
                            .to_owned();
                        order = Some((plan, request.clone()));
                        after
                    }
                    Err(error) if error.status >= 500 => return Err(error),
                    Err(error) => AfterCheck::CannotPlan {
                        code: error.code,
                        detail: error.detail,
                    },
                }
            }
            (Decision::Deploy { .. }, _) => AfterCheck::Hold,
            (Decision::Hold { rule: Some(rule) } | Decision::Commission { rule: Some(rule) }, _) => {
                if detail.is_empty() {
                    detail = format!("Rule {rule:?} holds it.");
                }
                AfterCheck::Hold
            }
            (Decision::Hold { rule: None } | Decision::Commission { rule: None }, _) => {
                if detail.is_empty() && first {
                    "No rule deploys it.".clone_into(&mut detail);
                }
                AfterCheck::Hold
            }
        };
        Ok(Checked {
            event: Event::Reported {
                verdict,
                detail,
                after,
            },
            check,
            order,
        })
    }

    /// What the agent shall do. Answers when it is not `seen` any more, after `wait`, or when the server ends.
    pub async fn assignment(
        &self,
        id: &MachineId,
        seen: Option<u64>,
        wait: Duration,
    ) -> Result<AssignmentResponse, Problem> {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let bell = self.core.memory.bell(id);
        loop {
            // Enabled before the state is read: a change in between still rings.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let now = self.assignment_now(id).await?;
            if seen != Some(now.seq) {
                return Ok(now);
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(until) => return Ok(now),
                () = self.core.stop.cancelled() => return Ok(now),
            }
        }
    }

    async fn assignment_now(&self, id: &MachineId) -> Result<AssignmentResponse, Problem> {
        let row = self.row(id).await?;
        let plan = match row.state.plan() {
            Some(plan) => self.core.store.plan_by_id(plan).await.map_err(of_store)?,
            None => None,
        };
        let session = self.core.memory.session(id);
        let assignment = lifecycle::assignment(
            &row.state,
            AgentSession {
                runs_on: session.runs_on,
                plan: plan.as_ref(),
            },
        );
        // The number is the assignment's own digest: it survives a restart and changes when and only when it does.
        let text = serde_json::to_vec(&assignment).map_err(|e| internal(&e))?;
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(&text)[..8]);
        // 53 bits: a number that every JSON reader holds exactly.
        let seq = u64::from_be_bytes(first) >> 11;
        Ok(AssignmentResponse { seq, assignment })
    }

    /// A step begins or has ended.
    pub async fn step(&self, id: &MachineId, step: StepReport) -> Result<Permission, Problem> {
        if step.name.len() > 64 {
            return Err(problem(
                400,
                "bad-step",
                "Step not usable",
                "the name of a step has at most 64 bytes",
            ));
        }
        if step.plan.as_str() == WIPE_PLAN {
            return self.wipe_step(id, step).await;
        }
        let row = self.row(id).await?;
        let plan = self
            .core
            .store
            .plan_by_id(&step.plan)
            .await
            .map_err(of_store)?
            .filter(|p| p.machine == *id);
        let Some(plan) = plan else {
            return Ok(Permission::Stop {
                message: format!("this machine has no plan {}", step.plan),
            });
        };
        let whole = step.index as usize == plan.steps.len();
        let named = plan.steps.get(step.index as usize).map(Step::name);
        if !whole && named != Some(step.name.as_str()) {
            return Err(problem(
                400,
                "bad-step",
                "Step not of this plan",
                format!(
                    "plan {} has no step {} named {:?}",
                    plan.id, step.index, step.name
                ),
            ));
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
                self.core.memory.changed(id);
                return Ok(permission(&row.state, &plan));
            }
            StepOutcome::Failed { code, detail, wrote } => Event::StepFailed {
                plan: step.plan,
                index: step.index,
                name: step.name,
                code: short_code(&code),
                detail: cut(&detail),
                wrote,
            },
            StepOutcome::Unknown => return Err(unknown_outcome()),
        };
        self.permitted(id, event).await
    }

    async fn wipe_step(&self, id: &MachineId, step: StepReport) -> Result<Permission, Problem> {
        let event = match step.outcome {
            StepOutcome::Starting {} => {
                let row = self.row(id).await?;
                return Ok(match &row.state {
                    State::Releasing(r) if r.wiping => Permission::Continue {},
                    other => Permission::Stop {
                        message: status_sentence(other),
                    },
                });
            }
            StepOutcome::Done { .. } => Event::WipeDone,
            StepOutcome::Failed { code, detail, .. } => Event::WipeFailed {
                code: short_code(&code),
                detail: cut(&detail),
            },
            StepOutcome::Unknown => return Err(unknown_outcome()),
        };
        self.permitted(id, event).await
    }

    /// Brings a fact to the machine; refused means stop.
    async fn permitted(&self, id: &MachineId, event: Event) -> Result<Permission, Problem> {
        match advance(&self.core, id, event, AGENT).await {
            Ok(advanced) => {
                if advanced.before != advanced.state {
                    self.core
                        .memory
                        .update_session(id, |session| session.progress = None);
                }
                Ok(Permission::Continue {})
            }
            Err(AdvanceError::Refused(refused)) => Ok(Permission::Stop {
                message: refused.sentence,
            }),
            Err(error) => Err(of_advance(error)),
        }
    }

    /// How far a step is; kept in memory only.
    pub async fn progress(&self, id: &MachineId, progress: Progress) -> Result<(), Problem> {
        let row = self.row(id).await?;
        if row.state.plan() == Some(&progress.plan) {
            self.core
                .memory
                .update_session(id, |session| session.progress = Some(progress));
            self.core.memory.changed(id);
        }
        Ok(())
    }

    /// What the resident agent found.
    pub async fn verification(&self, id: &MachineId, verification: Verification) -> Result<(), Problem> {
        if verification.items.len() > 10_000 {
            return Err(problem(
                400,
                "too-many",
                "Too many items",
                "a verification has at most 10000 items",
            ));
        }
        // What was not looked at does not hold: the plan says what there has to be.
        let plan = self
            .core
            .store
            .plan_by_id(&verification.plan)
            .await
            .map_err(of_store)?;
        let failing = match plan.filter(|p| p.machine == *id) {
            Some(plan) => verification.failing(&lifecycle::plan::verify_request(&plan)),
            None => vec![format!("this machine has no plan {}", verification.plan)],
        };
        let failing = failing.iter().take(20).map(|text| cut(text)).collect();
        let now = self.core.clock.now();
        let mut change = self.core.store.begin().await.map_err(of_store)?;
        let event = Event::Verified {
            plan: verification.plan.clone(),
            failing,
        };
        let advanced = advance_in(&self.core, &mut change, id, event, AGENT, now)
            .await
            .map_err(of_advance)?;
        change
            .put_verification(id, &verification, now)
            .await
            .map_err(of_store)?;
        change.put_last_seen(id, now).await.map_err(of_store)?;
        change.commit().await.map_err(of_store)?;
        after_commit(&self.core, &advanced);
        Ok(())
    }

    /// The image of the machine's current plan, and no other.
    pub async fn image_of_plan(&self, id: &MachineId, digest: Sha256Digest) -> Result<ImageFile, Problem> {
        let row = self.row(id).await?;
        let plan = match row.state.plan() {
            Some(plan) => self.core.store.plan_by_id(plan).await.map_err(of_store)?,
            None => None,
        };
        let wanted = plan.is_some_and(|plan| {
            plan.steps
                .iter()
                .any(|s| matches!(s, Step::WriteImage { source, .. } if source.sha256 == digest))
        });
        let refused = || {
            problem(
                404,
                "image-unknown",
                "No such image",
                format!("the plan of machine {id} has no image {digest}"),
            )
        };
        if !wanted {
            return Err(refused());
        }
        let images = planning::list_images(&self.core).await?;
        let image = images
            .into_iter()
            .find(|i| i.manifest.sha256 == digest)
            .ok_or_else(refused)?;
        Ok(ImageFile { path: image.path() })
    }
}

/// What the rules say about a machine that has reported.
fn policy_of(policy: &lifecycle::Policy, row: &MachineRow, report: &AssetReport) -> Decision {
    let identity = identity_of(report);
    let facts = MachineFacts {
        serial: identity.serial,
        manufacturer: identity.manufacturer,
        product: identity.product,
        macs: row.macs.clone(),
        network: row.network.clone(),
    };
    policy.decide(&facts, true)
}

fn identity_of(report: &AssetReport) -> Identity {
    // A fact of thousands of bytes is none.
    let short = |text: &Option<String>| text.clone().filter(|t| !t.is_empty() && t.len() <= 256);
    report
        .system
        .as_ref()
        .map_or_else(Identity::default, |system| Identity {
            manufacturer: short(&system.manufacturer),
            product: short(&system.product),
            serial: short(&system.serial),
            uuid: short(&system.uuid),
        })
}

fn macs_of(report: &AssetReport) -> impl Iterator<Item = inventory_api::Mac> + '_ {
    report
        .nics
        .iter()
        .take(MAX_MACS)
        .filter_map(|nic| nic.permanent_mac.or(nic.mac))
        .filter(|mac| !mac.is_junk())
}

/// Whether an agent may go on with a plan.
fn permission(state: &State, plan: &InstallPlan) -> Permission {
    match state {
        State::Deploying(d) if d.plan == plan.id && matches!(d.phase, DeployPhase::Installing { .. }) => {
            Permission::Continue {}
        }
        other => Permission::Stop {
            message: status_sentence(other),
        },
    }
}

/// A short code as agents may name one: anything else is replaced.
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

fn cut(text: &str) -> String {
    text.chars().take(MAX_DETAIL).collect()
}

fn unknown_outcome() -> Problem {
    problem(
        400,
        "unknown-outcome",
        "Outcome not known",
        "this server does not know that outcome of a step: the agent is newer than the server",
    )
}

fn ticket_unknown() -> Problem {
    problem(
        403,
        "ticket-unknown",
        "No such ticket",
        "this server did not make that boot ticket, or has long forgotten it: boot the machine again",
    )
}

fn ticket_used(id: &MachineId) -> Problem {
    problem(
        409,
        "ticket-used",
        "Ticket was used",
        format!("the boot ticket of machine {id} was claimed before with another key, or is no longer good"),
    )
}
