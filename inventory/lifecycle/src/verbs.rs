//! What a user can do to a machine. [`transition`] decides; nothing else lists which verb belongs to which
//! state.

use inventory_api::UnixMs;
use inventory_api::machine::Verb;

use crate::event::Event;
use crate::state::{Limits, State};
use crate::transition::transition;

/// The event of a verb that needs no further input.
pub fn event_of(verb: Verb) -> Option<Event> {
    match verb {
        Verb::Commission => Some(Event::Commission),
        Verb::Release => Some(Event::Release),
        Verb::Retire => Some(Event::Retire),
        Verb::Retry => Some(Event::Retry),
        Verb::Abort => Some(Event::Abort),
        Verb::Admit => Some(Event::Admit),
        Verb::Deploy | Verb::Forget | Verb::Unknown => None,
    }
}

/// Whether everything stored about a machine may be deleted: it is out of service, or its agent never
/// reported. `seen`: its agent was heard.
pub fn may_forget(state: &State, seen: bool) -> bool {
    match state {
        State::New | State::Retired => true,
        State::Commissioning(_) | State::Failed(_) => !seen,
        State::Ready(_)
        | State::Deploying(_)
        | State::Deployed(_)
        | State::Releasing(_)
        | State::Quarantined(_) => false,
    }
}

/// The verbs that a machine accepts now. `seen`: its agent was heard at least once. `held`: its boot script
/// is held back.
pub fn verbs(state: &State, seen: bool, held: bool) -> Vec<Verb> {
    // Which verbs a state accepts depends neither on the limits nor on the time.
    let accepts = |event| transition(state, &event, &Limits::default(), UnixMs(0)).is_ok();
    let possible = |verb: &Verb| match verb {
        Verb::Forget => may_forget(state, seen),
        Verb::Admit => held,
        Verb::Deploy => "p-0".parse().is_ok_and(|plan| accepts(Event::Deploy { plan })),
        verb => event_of(*verb).is_some_and(accepts),
    };
    Verb::ALL.into_iter().filter(possible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{
        BootPhase, Commissioning, Deployed, DiskState, Failed, Quarantined, Ready, Releasing, Stage,
    };

    #[test]
    fn each_state_offers_what_transition_accepts() {
        use Verb::{Abort, Admit, Commission, Deploy, Forget, Release, Retire, Retry};
        let failed = |during, disk| {
            State::Failed(Failed {
                during,
                reason: "x".into(),
                detail: "x".into(),
                plan: None,
                disk,
            })
        };
        let commissioning = State::Commissioning(Commissioning {
            phase: BootPhase::AwaitBoot,
            deadline: UnixMs(0),
            first: true,
        });
        let releasing = State::Releasing(Releasing {
            phase: BootPhase::AwaitBoot,
            wiping: false,
            plan: None,
            deadline: UnixMs(0),
        });
        let deployed = State::Deployed(Deployed {
            plan: "p-0123456789abcdef".parse().unwrap(),
        });
        let quarantined = State::Quarantined(Quarantined {
            reason: "x".into(),
            detail: "x".into(),
            plan: None,
        });
        let again = vec![Retire, Commission, Deploy, Retry];
        let wipe_or_again = vec![Retire, Release, Commission, Deploy, Retry];
        for (state, seen, held, expected) in [
            (State::New, false, false, vec![Forget, Retire, Commission]),
            (State::New, false, true, vec![Forget, Retire, Commission, Admit]),
            (commissioning.clone(), true, false, vec![Abort]),
            (commissioning, false, false, vec![Forget, Abort]),
            (
                State::Ready(Ready::default()),
                true,
                false,
                vec![Retire, Commission, Deploy],
            ),
            (deployed, true, false, vec![Retire, Release]),
            (releasing, true, false, vec![Abort]),
            (
                failed(Stage::Commissioning, DiskState::Untouched),
                true,
                false,
                again.clone(),
            ),
            (failed(Stage::Deploying, DiskState::Untouched), true, false, again),
            (
                failed(Stage::Deploying, DiskState::Partial),
                true,
                false,
                wipe_or_again.clone(),
            ),
            (
                failed(Stage::Releasing, DiskState::Installed),
                true,
                false,
                wipe_or_again,
            ),
            (quarantined, true, false, vec![Retire, Commission]),
            (State::Retired, true, false, vec![Forget]),
        ] {
            assert_eq!(verbs(&state, seen, held), expected, "{state:?}");
        }
    }
}
