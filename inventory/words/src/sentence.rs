//! History entries as sentences.

use inventory_api::boot::{BootTarget, Choice};
use lifecycle::status::status_sentence;
use lifecycle::{AfterCheck, AtConsole, Event, State};

/// What happened and, if it is news, the sentence of the resulting state.
pub fn of_event(event: &Event, after: &State) -> String {
    let what = match event {
        Event::Commission => "Commissioning was requested.".to_owned(),
        Event::Deploy { plan } => format!("Deployment of plan {plan} was requested."),
        Event::Release => "Release was requested.".to_owned(),
        Event::Retire => "Retirement was requested.".to_owned(),
        Event::Retry => "A retry was requested.".to_owned(),
        Event::Abort => "An abort was requested.".to_owned(),
        Event::ScriptGiven { target } => match target {
            BootTarget::MiniOs { purpose } => format!("It was told to boot the mini-os ({purpose})."),
            BootTarget::LocalDisk => "It was told to boot its disk.".to_owned(),
            BootTarget::Ignore => "It asked what to boot and got no answer.".to_owned(),
        },
        Event::Claimed => "The agent in the mini-os claimed its ticket.".to_owned(),
        Event::Reported {
            verdict: Some(verdict),
            detail,
            ..
        } => format!("It reported its hardware; verdict: {verdict}. {detail}"),
        Event::Reported {
            verdict: None,
            detail,
            after,
        } => match after {
            AfterCheck::Hold | AfterCheck::Deploy { .. } => format!("It reported its hardware. {detail}"),
            AfterCheck::NotExpected { why } => format!("It reported its hardware. {why}"),
            AfterCheck::CannotPlan { detail, .. } => format!("It reported its hardware; no plan: {detail}."),
        },
        Event::Admit => "A person allowed it to boot although its firmware was not heard.".to_owned(),
        Event::ResidentReported => "The resident agent reported from the installed system.".to_owned(),
        Event::StepStarting { index, name, .. } => return format!("Step {} began: {name}.", index + 1),
        Event::InstallDone { .. } => "Every step of the plan is done.".to_owned(),
        Event::StepFailed { name, code, .. } => format!("Step {name} failed ({code})."),
        Event::Verified { failing, .. } if failing.is_empty() => {
            "The resident agent verified the result.".to_owned()
        }
        Event::Verified { .. } => {
            "The resident agent found that the system does not match its plan.".to_owned()
        }
        Event::WipeDone { disks } if disks.is_empty() => "The wipe is done.".to_owned(),
        Event::WipeDone { disks } => disks.iter().map(|d| d.in_words()).collect::<Vec<_>>().join(" "),
        Event::WipeDoubted { detail } => return format!("The wipe is not proven: {detail}."),
        Event::WipeFailed { code, .. } => format!("The wipe failed ({code})."),
        Event::SecurityAlarm { code, detail } => return format!("Alarm ({code}): {detail}"),
        Event::Folded { into, detail } => {
            return format!("This is machine {into}: {detail} Its NICs now belong to that machine.");
        }
        Event::Absorbed { other, detail } => {
            return format!(
                "Enrolment {other} was this machine: {detail} Its NICs now belong to this machine."
            );
        }
        Event::IdentityChanged { detail } => return format!("Recognised, with a change: {detail}."),
        Event::ConflictResolved { detail, .. } => detail.clone(),
        Event::AtConsole { what } => return at_console(what),
        Event::DeadlinePassed { .. } => "It timed out.".to_owned(),
    };
    format!("{} {}", what.trim_end(), status_sentence(after))
}

/// What a person did at the machine's own console. It does not change the state.
fn at_console(what: &AtConsole) -> String {
    match what {
        AtConsole::Chose { choice } => format!(
            "Somebody at its console chose {} in the boot menu.",
            match choice {
                Choice::LocalDisk => "its local disk",
                Choice::MiniOs => "the mini-os",
                Choice::Rescue => "the rescue system",
                Choice::MemoryTest => "the memory test",
            }
        ),
        AtConsole::RescueOpened { by } => {
            format!("Rescue: a shell was opened at its console, with the password that {by} created.")
        }
        AtConsole::RescueEnded { why } => format!("Rescue ended: {why}."),
        AtConsole::RescueLocked => {
            "Rescue: too many wrong passwords were typed at its console, so the right one is now void."
                .to_owned()
        }
    }
}
