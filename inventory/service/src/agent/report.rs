//! Reports, and what follows from them.

use inventory_api::agent::{ReportRequest, ReportResponse, RunsOn};
use inventory_api::deploy::DeployRequest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::expectation::{names, place_of};
use lifecycle::policy::Expected;
use lifecycle::status::status_sentence;
use lifecycle::{Decision, Deployment, Event, MachineFacts, State, deploys_now, follow_report};
use netboot_protocol::NicModel;
use sha2::{Digest as _, Sha256};

use super::identity::{self, Sender};
use crate::advance::{AdvanceError, Advanced, advance_in, after_commit};
use crate::delivery::Checked;
use crate::problem::problem;
use crate::{Service, planning};
use inventory_api::machine::Actor;
use store::{Change, MachineRow, SmbiosNames};

/// NICs of one report that are used.
const MAX_MACS: usize = 64;

/// What follows from a report.
struct Decided {
    event: Event,
    check: Option<Checked>,
    order: Option<(InstallPlan, DeployRequest)>,
}

/// The facts of a report, completed from an earlier one.
struct Known<'a> {
    report: &'a AssetReport,
    /// The system that the boot facts are from.
    runs_on: RunsOn,
}

impl Service {
    /// Processes a report that [`lifecycle::bounds::read_report`] read. `body` is the raw request: a report
    /// sent again is recognised by its nonce and digest.
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
        let report = &*sent.report;
        // Images are read outside the transaction, so retry if the state changed meanwhile.
        for _ in 0..5 {
            let row = self.row(id).await?;
            // An installed system sees less than the mini-os: complete its report from the last one of the
            // mini-os.
            let before = match sent.runs_on {
                RunsOn::Installed => self.core.store.stored_report(id).await?,
                RunsOn::MiniOs | RunsOn::Unknown => None,
            };
            let known = match before.and_then(|b| b.mini_os) {
                Some(mini_os) => Known {
                    report: &lifecycle::known::known(&mini_os, report.clone()),
                    runs_on: RunsOn::MiniOs,
                },
                None => Known {
                    report,
                    runs_on: sent.runs_on,
                },
            };
            let decided = self.decide_report(&row, sent, &known).await?;
            let mut change = self.core.store.begin().await?;
            if let Some(before) = change.report_with_nonce(id, &sent.nonce).await? {
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
            if change.machine(id).await?.map(|m| (m.history_seq, m.state))
                != Some((row.history_seq, row.state.clone()))
            {
                continue;
            }
            let now = self.core.clock.now();
            if let Some(machine) = &row.folded_into {
                return Ok(only_says(format!(
                    "This is machine {machine}: it boots again, as that one."
                )));
            }
            let (sender, mut identified) =
                identity::identify(&self.core, &mut change, &row, sent, now).await?;
            let stopped = change
                .machine(id)
                .await?
                .is_some_and(|m| matches!(m.state, State::Quarantined(_)));
            match sender {
                Sender::Itself => {}
                Sender::Conflict if !stopped => {}
                Sender::Conflict | Sender::Another(_) | Sender::Held(_) | Sender::Mismatch => {
                    return self
                        .stop_here(change, &row, &digest, sent, report, &sender, identified, now)
                        .await;
                }
            }
            let advanced =
                match advance_in(&self.core, &mut change, id, decided.event, &Actor::Agent, now).await {
                    Ok(advanced) => Some(advanced),
                    // The report is kept all the same, and the assignment tells the agent what to do.
                    Err(AdvanceError::Refused(refused)) => {
                        tracing::info!(machine = %id, code = refused.code, "a report moved nothing");
                        None
                    }
                    Err(error) => return Err(error.into()),
                };
            let doubted = match sent.runs_on {
                RunsOn::Installed => None,
                RunsOn::MiniOs | RunsOn::Unknown => {
                    let wiped = change.newest_wipe(id).await?;
                    lifecycle::wipe::doubted(&wiped, report)
                }
            };
            if let Some(detail) = doubted {
                tracing::warn!(machine = %id, detail, "a wiped disk does not look like one");
                let event = Event::WipeDoubted { detail };
                let noted = advance_in(&self.core, &mut change, id, event, &Actor::Agent, now).await;
                identified.push(noted?);
            }
            let identity = smbios_names_of(report);
            change
                .put_report(id, &sent.nonce, &digest, report, sent.runs_on, now)
                .await?;
            change.put_smbios_names(id, &identity).await?;
            change.put_last_seen(id, now).await?;
            let reported: Vec<_> = macs_of(report).collect();
            change.put_reported_macs(id, &reported).await?;
            change.put_known(id).await?;
            let mut models = Vec::new();
            for (mac, model) in nics_of(report) {
                // A report may list any MAC: trust only those that fetched a boot script.
                if let Some(model) = model.filter(|_| row.macs.contains(&mac)) {
                    change.put_nic_model(mac, model).await?;
                    models.push((mac, model));
                }
            }
            let news = self
                .took_report(
                    &mut change,
                    id,
                    known.report,
                    &sent.nonce,
                    decided.check.as_ref(),
                    now,
                )
                .await?;
            if let (Some((plan, request)), Some(_)) = (&decided.order, &advanced) {
                change.put_plan(id, plan, now).await?;
                change.put_request(id, request, now).await?;
                change.put_hostname(id, Some(&plan.hostname)).await?;
            }
            let state = advanced.as_ref().map_or(&row.state, |a| &a.state);
            let answer = ReportResponse {
                place: decided.check.as_ref().and_then(Checked::place),
                check: decided.check.map(|c| c.result),
                message: status_sentence(state),
                page_url: None,
            };
            self.taken(change, id, sent, &answer, &identified).await?;
            for (mac, model) in models {
                self.core.memory.loaders.reported(mac, model);
            }
            match &advanced {
                Some(advanced) => after_commit(&self.core, advanced),
                None => self.core.memory.changed(id),
            }
            self.told_parts(news).await?;
            return Ok(answer);
        }
        Err(problem(
            503,
            "busy",
            "Machine is being changed",
            "the machine changes all the time: send the report again",
        ))
    }

    /// Stores a report that must have no further effect, and answers why.
    #[expect(clippy::too_many_arguments, reason = "what report() has at hand")]
    async fn stop_here(
        &self,
        mut change: Change,
        row: &MachineRow,
        digest: &[u8],
        sent: &ReportRequest,
        report: &AssetReport,
        sender: &Sender,
        identified: Vec<Advanced>,
        now: UnixMs,
    ) -> Result<ReportResponse, Problem> {
        let id = &row.id;
        let message = match sender {
            Sender::Mismatch => {
                change.put_foreign_report(id, &sent.nonce, digest, now).await?;
                "This report shows another machine than the one it was sent for. A person has to look."
                    .to_owned()
            }
            Sender::Another(_) | Sender::Itself | Sender::Held(_) | Sender::Conflict => {
                change
                    .put_report(id, &sent.nonce, digest, report, sent.runs_on, now)
                    .await?;
                if !matches!(sender, Sender::Another(_)) {
                    let reported: Vec<_> = macs_of(report).collect();
                    change.put_reported_macs(id, &reported).await?;
                }
                change.put_smbios_names(id, &smbios_names_of(report)).await?;
                match sender {
                    Sender::Another(machine) => {
                        format!("This is machine {machine}, under another NIC: it boots again, as that one.")
                    }
                    Sender::Held(machine) => format!(
                        "This may be machine {machine} under another NIC. It is held until that one reports this NIC, or a \
                         person decides: slipway machine conflict {id}"
                    ),
                    Sender::Itself | Sender::Conflict | Sender::Mismatch => {
                        "This machine claims the identity of another. Nothing is touched; a person has to look."
                            .to_owned()
                    }
                }
            }
        };
        change.put_last_seen(id, now).await?;
        let answer = only_says(message);
        self.taken(change, id, sent, &answer, &identified).await?;
        Ok(answer)
    }

    /// Commits a report, with its answer for a repeated request, and then announces what changed.
    async fn taken(
        &self,
        mut change: Change,
        id: &MachineId,
        sent: &ReportRequest,
        answer: &ReportResponse,
        identified: &[Advanced],
    ) -> Result<(), Problem> {
        change.put_report_answer(id, &sent.nonce, answer).await?;
        change.commit().await?;
        self.core
            .memory
            .update_session(id, |session| session.runs_on = Some(sent.runs_on));
        // The assignment depends on where the agent runs.
        self.core.memory.wake(id);
        for advanced in identified {
            after_commit(&self.core, advanced);
        }
        Ok(())
    }

    /// Decides what follows from a report: the check and, during commissioning, what comes next.
    async fn decide_report(
        &self,
        row: &MachineRow,
        sent: &ReportRequest,
        known: &Known<'_>,
    ) -> Result<Decided, Problem> {
        let report = known.report;
        if sent.runs_on == RunsOn::Installed {
            // A check never disturbs an installed system: its verdict is kept beside the state.
            let requested = self.requested_of(row, report).await?;
            return Ok(Decided {
                event: Event::ResidentReported,
                check: self
                    .check_report(report, known.runs_on, requested.as_ref())
                    .await?,
                order: None,
            });
        }
        let core = &self.core;
        let policy = policy_of(&core.config.policy, row, report);
        let rule_request = match &policy {
            Decision::Deploy { profile, .. } => core.config.profiles.get(profile),
            Decision::Hold { .. } | Decision::Commission { .. } => None,
        };
        let ordered = match &row.state {
            State::Deploying(_) => core.store.request(&row.id).await?,
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
        let check = self.check_report(report, known.runs_on, expected).await?;
        let verdict = check.as_ref().map(|c| c.result.verdict);
        let finding = check.as_ref().and_then(|c| planning::first_finding(&c.result));
        let first = matches!(&row.state, State::Commissioning(c) if c.first);
        let mut order = None;
        let deployment = match (&policy, rule_request) {
            (Decision::Deploy { rule, .. }, Some(request)) if deploys_now(first, verdict) => {
                let expected = self.expected(row, report).await?;
                let facts = facts_of(row, report);
                Some(match core.config.policy.may_deploy(rule, &facts, &expected) {
                    Err(why) => Deployment::NotExpected(why),
                    Ok(()) => {
                        match planning::make_plan(core, &row.id, report, request, core.clock.now()).await {
                            Ok(plan) => {
                                let id = plan.id.clone();
                                order = Some((plan, request.clone()));
                                Deployment::Planned(id)
                            }
                            Err(error) if error.status >= 500 => return Err(error),
                            Err(error) => Deployment::CannotPlan {
                                code: error.code,
                                detail: error.detail,
                            },
                        }
                    }
                })
            }
            (Decision::Deploy { .. } | Decision::Hold { .. } | Decision::Commission { .. }, _) => None,
        };
        Ok(Decided {
            event: follow_report(&row.id, first, verdict, finding, &policy, deployment),
            check,
            order,
        })
    }
}

impl Service {
    /// What the rack plan and earlier machines say about the sender of a report.
    async fn expected(&self, row: &MachineRow, report: &AssetReport) -> Result<Expected, Problem> {
        let store = &self.core.store;
        let names = names(report);
        let places = store.placements_named(&names).await?;
        Ok(Expected {
            placed: place_of(&names, &places).is_some(),
            received_as: store.received_as(&names, &row.id).await?,
        })
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

fn policy_of(policy: &lifecycle::Policy, row: &MachineRow, report: &AssetReport) -> Decision {
    policy.decide(&facts_of(row, report), true)
}

/// Facts for the rules. Only MACs that fetched a boot script count.
pub(crate) fn facts_of(row: &MachineRow, report: &AssetReport) -> MachineFacts {
    let identity = smbios_names_of(report);
    MachineFacts {
        serial: identity.serial,
        manufacturer: identity.manufacturer,
        product: identity.product,
        macs: row.macs.clone(),
        network: row.network.clone(),
    }
}

fn smbios_names_of(report: &AssetReport) -> SmbiosNames {
    // No real name is that long.
    let short = |text: &Option<String>| text.clone().filter(|t| !t.is_empty() && t.len() <= 256);
    report
        .system
        .as_ref()
        .map_or_else(SmbiosNames::default, |system| SmbiosNames {
            manufacturer: short(&system.manufacturer),
            product: short(&system.product),
            serial: short(&system.serial),
            uuid: short(&system.uuid),
        })
}

/// MACs that a report lists. Locally administered ones count: simulated and virtual machines boot from them.
pub(super) fn macs_of(report: &AssetReport) -> impl Iterator<Item = inventory_api::Mac> + '_ {
    nics_of(report).map(|(mac, _)| mac)
}

/// The same with each NIC's model, if known.
fn nics_of(report: &AssetReport) -> impl Iterator<Item = (inventory_api::Mac, Option<NicModel>)> + '_ {
    let nics = report.nics.iter().take(MAX_MACS);
    nics.filter_map(|nic| {
        let mac = nic.permanent_mac.or(nic.mac).filter(|mac| !mac.is_junk())?;
        Some((mac, nic.pci_id.as_deref().and_then(|id| id.parse().ok())))
    })
}
