//! The state in words.

use inventory_api::UnixMs;
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineStatus, Verb};

use crate::event::IDENTITY_CONFLICT;
use crate::state::{BootPhase, DeployPhase, DiskState, Failed, Quarantined, Ready, Stage, State};

/// State, phase, sentence and [`crate::verbs`]. `since` is when the state or phase began; the caller adds
/// step progress.
pub fn status(state: &State, since: UnixMs, verbs: Vec<Verb>) -> MachineStatus {
    MachineStatus {
        state: state_name(state).into(),
        phase: phase_name(state).map(Into::into),
        sentence: status_sentence(state),
        reason: match state {
            State::Failed(Failed { reason, .. }) | State::Quarantined(Quarantined { reason, .. }) => {
                Some(reason.clone())
            }
            State::New
            | State::Commissioning(_)
            | State::Ready(_)
            | State::Deploying(_)
            | State::Deployed(_)
            | State::Releasing(_)
            | State::Retired => None,
        },
        since,
        deadline: state.deadline(),
        step: None,
        verbs,
    }
}

/// The state's name as API and page show it.
pub fn state_name(state: &State) -> &'static str {
    state.name()
}

/// The phase of a transient state; for a failure, what the machine was doing.
pub fn phase_name(state: &State) -> Option<&'static str> {
    match state {
        State::Commissioning(c) => Some(c.phase.name()),
        State::Deploying(d) => Some(match d.phase {
            DeployPhase::Boot { phase } => phase.name(),
            DeployPhase::Installing { .. } => "installing",
            DeployPhase::AwaitLocalBoot { .. } => "await-local-boot",
            DeployPhase::Verifying => "verifying",
        }),
        State::Releasing(r) if r.wiping => Some("wiping"),
        State::Releasing(r) => Some(r.phase.name()),
        State::Failed(f) => Some(f.during.name()),
        State::New | State::Ready(_) | State::Deployed(_) | State::Quarantined(_) | State::Retired => None,
    }
}

/// What the machine waits for and what comes next.
pub fn status_sentence(state: &State) -> String {
    let boot = |phase: BootPhase, then: &str| match phase {
        BootPhase::AwaitBoot => {
            format!("Waiting for the machine to ask the network to boot (power it on or restart it), {then}.")
        }
        BootPhase::Booting => format!("The boot script was sent; the mini-os is loading, {then}."),
        BootPhase::Claimed => format!("The agent runs in the mini-os; its asset report comes next, {then}."),
    };
    match state {
        State::New => "Enrolled; nothing is known about its hardware yet. Commission it.".to_owned(),
        State::Commissioning(c) => boot(c.phase, "to check its hardware"),
        State::Ready(Ready { held: Some(why), .. }) => why.clone(),
        State::Ready(r) => match r.verdict {
            Some(Verdict::Pass) => "The asset check passed. Waiting for a decision: deploy it.".to_owned(),
            Some(Verdict::Warn) => "The asset check passed with warnings. Waiting for a decision.".to_owned(),
            Some(Verdict::Fail) => "The hardware is not as expected. Nothing will be installed.".to_owned(),
            None => "Its hardware is known; nothing was expected of it. Waiting for a decision: deploy it."
                .to_owned(),
        },
        State::Deploying(d) => match &d.phase {
            DeployPhase::Boot {
                phase: phase @ BootPhase::Claimed,
            } => boot(*phase, "then the installation"),
            DeployPhase::Boot { phase } => boot(*phase, "to install it"),
            DeployPhase::Installing { name: Some(name), .. } if d.attempt > 1 => {
                format!("Installing, attempt {}: step {name}.", d.attempt)
            }
            DeployPhase::Installing { name: Some(name), .. } => format!("Installing: step {name}."),
            DeployPhase::Installing { name: None, .. } => {
                "The hardware is as expected; the agent verifies the plan and starts to install.".to_owned()
            }
            DeployPhase::AwaitLocalBoot { boots: 0 } => {
                "Everything is written; the machine reboots and boots its disk next.".to_owned()
            }
            DeployPhase::AwaitLocalBoot { .. } => {
                "The machine boots its disk; its resident agent reports next.".to_owned()
            }
            DeployPhase::Verifying => {
                "The resident agent runs first-boot scripts and verifies that everything is as requested."
                    .to_owned()
            }
        },
        State::Deployed(_) => "Installed and verified; the resident agent is running.".to_owned(),
        State::Releasing(r) if r.wiping => "The agent wipes what was installed.".to_owned(),
        State::Releasing(r) => boot(r.phase, "to wipe its disk"),
        State::Failed(f) => failure_sentence(f),
        State::Quarantined(q) if q.reason == IDENTITY_CONFLICT => {
            format!(
                "Stopped ({}): {} No disk is touched. Look at both side by side and say which it is: \
                 slipway machine conflict.",
                q.reason, q.detail
            )
        }
        State::Quarantined(q) => {
            format!(
                "Stopped ({}): {} Find out who else used its identity, then commission or retire it.",
                q.reason, q.detail
            )
        }
        State::Retired => "Out of service.".to_owned(),
    }
}

fn failure_sentence(f: &Failed) -> String {
    let stage = match f.during {
        Stage::Commissioning => "Commissioning",
        Stage::Deploying => "Deployment",
        Stage::Releasing => "Release",
    };
    let disk = match f.disk {
        DiskState::Untouched => "No disk was touched.",
        DiskState::Partial => "Its disk holds part of an installation.",
        DiskState::Installed => "The installed system is on its disk.",
    };
    let stop = if f.detail.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!(
        "{stage} failed ({}): {}{stop} {disk} Retry when the cause is gone.",
        f.reason, f.detail
    )
}
