//! What a fact does: what an agent, the boot service or a deadline reports.

use inventory_api::boot::BootTarget;
use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId, UnixMs};

use super::{NOTHING_YET, Outcome, Refused, attempt, noted, ready, refused, stays, to, to_with};
use crate::event::{Action, AfterCheck, Event};
use crate::state::State::{
    Commissioning, Deployed, Deploying, Failed, New, Quarantined, Ready, Releasing, Retired,
};
use crate::state::{self, BootPhase, DeployPhase, DiskState, Limits, State, Transient};
use crate::status::state_name;

/// Actions when a machine is released.
pub(super) const RELEASED: [Action; 2] = [Action::DropTickets, Action::ForgetDeployment];

/// A fact that this state does not expect: the sender is out of step and will ask for its assignment again.
fn unexpected(event: &Event, state: &str) -> Refused {
    Refused {
        code: "unexpected",
        sentence: format!("a machine that is {state} expects no {}", event.name()),
    }
}

fn no_fact(event: &Event, state: &str) -> Outcome {
    Err(unexpected(event, state))
}

pub(super) fn alarmed(state: &State, code: &str, detail: &str) -> Outcome {
    match state {
        // A stranger on the provisioning network must not be able to take a machine out of service.
        Deployed(_) | Quarantined(_) | Retired => noted(state),
        Failed(f) if f.disk == DiskState::Installed => noted(state),
        New | Commissioning(_) | Ready(_) | Deploying(_) | Releasing(_) | Failed(_) => {
            let quarantined = state::Quarantined {
                reason: code.to_owned(),
                detail: detail.to_owned(),
                plan: state.plan().cloned(),
            };
            to_with(
                Quarantined(quarantined),
                &[Action::RevokeIdentity, Action::DropTickets],
            )
        }
    }
}

/// The enrolment turned out to be the machine `into`.
pub(super) fn fold(state: &State, event: &Event, into: &MachineId) -> Outcome {
    // Its certificate stays valid until that machine claims: with it the agent is told to reboot, and nothing
    // else.
    let gone = || to_with(Retired, &[Action::DropTickets]);
    // Something of Slipway's is on its disk, or is being written: it cannot just disappear.
    let not_yet = |is: &str| {
        refused(
            "wrong-state",
            format!("cannot make {into} of a machine that is {is}: release or abort it first"),
        )
    };
    match state {
        New | Commissioning(_) | Ready(_) => gone(),
        Failed(f) if f.disk == DiskState::Untouched => gone(),
        Failed(_) => not_yet("failed with something on its disk"),
        Quarantined(q) if q.plan.is_none() => gone(),
        Quarantined(_) => not_yet("quarantined during a deployment"),
        Deploying(_) | Deployed(_) | Releasing(_) => not_yet(state_name(state)),
        Retired => no_fact(event, "retired"),
    }
}

pub(super) fn reported(
    state: &State,
    event: &Event,
    (verdict, detail, after): (Option<Verdict>, &str, &AfterCheck),
    limits: &Limits,
    now: UnixMs,
) -> Outcome {
    match state {
        Commissioning(c) => commissioned(c, verdict, detail, after, limits, now),
        // Checking a waiting machine again is harmless; only its verdict is news.
        Ready(r) => {
            let next = ready(verdict, r.held.clone());
            if next == *state { stays(state) } else { to(next) }
        }
        Deploying(d) => match (d.phase.boot(), verdict) {
            (Some(_), Some(Verdict::Fail)) => d.failed("check-failed", detail),
            (Some(_), Some(Verdict::Pass | Verdict::Warn) | None) => {
                d.moved(NOTHING_YET, now.plus_seconds(limits.step_seconds))
            }
            (None, Some(Verdict::Pass | Verdict::Warn | Verdict::Fail) | None) => stays(state),
        },
        // The agent runs in the mini-os: its next assignment is the wipe. Again after a power cut: the wipe
        // is idempotent.
        Releasing(r) => match (r.wiping, &r.plan) {
            (false, Some(_)) => to(Releasing(state::Releasing {
                wiping: true,
                deadline: now.plus_seconds(limits.wipe_seconds),
                ..r.clone()
            })),
            (false, None) => to_with(ready(None, None), &RELEASED),
            (true, _) => stays(state),
        },
        Deployed(_) | Failed(_) => stays(state),
        New | Quarantined(_) | Retired => no_fact(event, state_name(state)),
    }
}

pub(super) fn resident_reported(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    match state {
        Deploying(d) => match d.phase {
            DeployPhase::AwaitLocalBoot { .. } => {
                d.moved(DeployPhase::Verifying, now.plus_seconds(limits.verify_seconds))
            }
            DeployPhase::Boot { .. } | DeployPhase::Installing { .. } | DeployPhase::Verifying => {
                stays(state)
            }
        },
        Deployed(_) | Releasing(_) | Failed(_) => stays(state),
        New | Commissioning(_) | Ready(_) | Quarantined(_) | Retired => no_fact(event, state_name(state)),
    }
}

pub(super) fn install_done(
    state: &State,
    event: &Event,
    plan: &PlanId,
    limits: &Limits,
    now: UnixMs,
) -> Outcome {
    match installing(state, event, plan) {
        Ok(d) => to_with(
            Deploying(state::Deploying {
                phase: DeployPhase::AwaitLocalBoot { boots: 0 },
                disk: DiskState::Installed,
                deadline: now.plus_seconds(limits.local_boot_seconds),
                ..d.clone()
            }),
            &[Action::DropTickets],
        ),
        // Sent again because the answer was lost.
        Err(_) if is_installed(state, plan) => stays(state),
        Err(refused) => Err(refused),
    }
}

pub(super) fn verified(state: &State, event: &Event, plan: &PlanId, failing: &[String]) -> Outcome {
    match state {
        Deploying(d) if d.phase != DeployPhase::Verifying || *plan != d.plan => {
            no_fact(event, "not verifying this plan")
        }
        Deploying(d) if failing.is_empty() => to(Deployed(state::Deployed { plan: d.plan.clone() })),
        Deploying(d) => d.failed(
            "verification-failed",
            format!("not as requested: {}", failing.join("; ")),
        ),
        // A late copy.
        Deployed(_) => stays(state),
        New | Commissioning(_) | Ready(_) | Releasing(_) | Failed(_) | Quarantined(_) | Retired => {
            no_fact(event, state_name(state))
        }
    }
}

/// The deployment that installs this plan.
pub(super) fn installing<'a>(
    state: &'a State,
    event: &Event,
    plan: &PlanId,
) -> Result<&'a state::Deploying, Refused> {
    match state.transient() {
        Some(Transient::Deploying(d)) => match d.phase {
            DeployPhase::Installing { .. } if d.plan == *plan => Ok(d),
            DeployPhase::Boot { .. }
            | DeployPhase::Installing { .. }
            | DeployPhase::AwaitLocalBoot { .. }
            | DeployPhase::Verifying => Err(unexpected(event, "not installing this plan")),
        },
        Some(Transient::Commissioning(_) | Transient::Releasing(_)) | None => {
            Err(unexpected(event, state_name(state)))
        }
    }
}

fn is_installed(state: &State, plan: &PlanId) -> bool {
    matches!(state, Deploying(d) if d.plan == *plan && matches!(d.phase, DeployPhase::AwaitLocalBoot { .. }))
}

/// The release that wipes.
pub(super) fn wiping<'a>(state: &'a State, event: &Event) -> Result<Transient<'a>, Refused> {
    match state.transient() {
        Some(release @ Transient::Releasing(r)) if r.wiping => Ok(release),
        Some(Transient::Releasing(_)) => Err(unexpected(event, "not wiping")),
        Some(Transient::Commissioning(_) | Transient::Deploying(_)) | None => {
            Err(unexpected(event, state_name(state)))
        }
    }
}

/// The report of a commissioning was checked.
fn commissioned(
    c: &state::Commissioning,
    verdict: Option<Verdict>,
    detail: &str,
    after: &AfterCheck,
    limits: &Limits,
    now: UnixMs,
) -> Outcome {
    if verdict == Some(Verdict::Fail) {
        return Transient::Commissioning(c).failed("check-failed", detail);
    }
    let next = match after {
        AfterCheck::Hold => ready(verdict, None),
        AfterCheck::NotExpected { why } => ready(verdict, Some(why.clone())),
        AfterCheck::Deploy { plan } => Deploying(attempt(plan.clone(), NOTHING_YET, limits, now)),
        AfterCheck::CannotPlan { code, detail } => return Transient::Commissioning(c).failed(code, detail),
    };
    to_with(next, &[Action::DropTickets])
}

pub(super) fn script_given(state: &State, target: BootTarget, limits: &Limits, now: UnixMs) -> Outcome {
    match (state.transient(), target) {
        (Some(transient), BootTarget::MiniOs { .. }) => match transient.boot() {
            Some(BootPhase::AwaitBoot) => {
                let seconds = limits.boot_seconds + limits.report_seconds;
                transient.booting(BootPhase::Booting, now.plus_seconds(seconds))
            }
            // Later scripts (the machine lost power, or its loader asked twice) do not move the deadline, so
            // that a machine in a reboot loop still times out.
            Some(BootPhase::Claimed) => transient.booting(BootPhase::Booting, transient.deadline()),
            Some(BootPhase::Booting) | None => stays(state),
        },
        (Some(Transient::Deploying(d)), BootTarget::LocalDisk) => match d.phase {
            DeployPhase::AwaitLocalBoot { boots } if boots >= limits.local_boots => d.failed(
                "local-boot-loop",
                format!(
                    "the machine was told {boots} times to boot its disk and asked the network again: its firmware cannot \
                     boot the disk that was installed"
                ),
            ),
            DeployPhase::AwaitLocalBoot { boots } => {
                d.moved(DeployPhase::AwaitLocalBoot { boots: boots + 1 }, d.deadline)
            }
            DeployPhase::Boot { .. } | DeployPhase::Installing { .. } | DeployPhase::Verifying => {
                stays(state)
            }
        },
        // Every boot of a deployed machine ends here.
        (None, BootTarget::MiniOs { .. } | BootTarget::LocalDisk)
        | (Some(Transient::Commissioning(_) | Transient::Releasing(_)), BootTarget::LocalDisk)
        | (None | Some(_), BootTarget::Ignore) => stays(state),
    }
}

pub(super) fn claimed(state: &State, event: &Event, limits: &Limits, now: UnixMs) -> Outcome {
    let reports_by = now.plus_seconds(limits.report_seconds);
    let claims = |t: Transient| t.booting(BootPhase::Claimed, t.deadline().max(reports_by));
    match state {
        Commissioning(c) => claims(Transient::Commissioning(c)),
        Releasing(r) => claims(Transient::Releasing(r)),
        Deploying(d) => match d.phase {
            DeployPhase::Boot { .. } => claims(Transient::Deploying(d)),
            // The machine lost power during the installation: it starts again from the first step, a bounded
            // number of times.
            DeployPhase::Installing { .. } if d.attempt >= limits.attempts => d.failed(
                "too-many-attempts",
                format!(
                    "the installation was cut off {} times: does the machine keep its power?",
                    d.attempt
                ),
            ),
            DeployPhase::Installing { .. } => to(Deploying(state::Deploying {
                phase: DeployPhase::Boot {
                    phase: BootPhase::Claimed,
                },
                attempt: d.attempt + 1,
                before: d.disk,
                deadline: reports_by,
                ..d.clone()
            })),
            DeployPhase::AwaitLocalBoot { .. } | DeployPhase::Verifying => no_fact(event, "booting its disk"),
        },
        Ready(_) | Failed(_) => stays(state),
        New | Deployed(_) | Quarantined(_) | Retired => no_fact(event, state_name(state)),
    }
}

/// Why a machine did not come up in the mini-os: code and sentence.
fn boot_timeout(phase: BootPhase) -> (&'static str, &'static str) {
    match phase {
        BootPhase::AwaitBoot => (
            "no-boot",
            "the machine did not ask the network to boot: is it powered on, cabled to the provisioning network, and set \
             to boot from it first?",
        ),
        BootPhase::Booting => (
            "boot-timeout",
            "the boot script was sent, but no agent claimed its ticket: look at the machine's console (too little \
             memory, or no driver for its NIC in the mini-os)",
        ),
        BootPhase::Claimed => (
            "report-timeout",
            "the agent started, but its report never came: look at the machine's console",
        ),
    }
}

/// The deadline of a transient state passed.
pub(super) fn timed_out(late: Transient<'_>) -> Outcome {
    let (reason, detail) = match late {
        Transient::Commissioning(c) => boot_timeout(c.phase),
        Transient::Releasing(r) if r.wiping => (
            "wipe-timeout",
            "the wipe did not end in time: the machine is silent or its disk hangs",
        ),
        Transient::Releasing(r) => boot_timeout(r.phase),
        Transient::Deploying(d) => match &d.phase {
            DeployPhase::Boot { phase } => boot_timeout(*phase),
            DeployPhase::Installing { name, .. } => {
                let step = name.as_deref().unwrap_or("(first)");
                let detail =
                    format!("step {step} did not end in time: the machine is silent or its disk hangs");
                return d.failed("install-timeout", detail);
            }
            DeployPhase::AwaitLocalBoot { .. } => (
                "local-boot-timeout",
                "the installed system did not come up: look at the machine's console and its boot order",
            ),
            DeployPhase::Verifying => (
                "verify-timeout",
                "the resident agent reported, but its verification never came: does a first-boot script hang?",
            ),
        },
    };
    late.failed(reason, detail)
}
