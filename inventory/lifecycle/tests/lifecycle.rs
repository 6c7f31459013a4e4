//! The lifecycle as a whole: walks that must work, and properties of every walk.

use inventory_api::agent::{Assignment, RunsOn};
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::check::Verdict;
use inventory_api::{MachineId, PlanId, UnixMs};
use lifecycle::state::{DeployPhase, DiskState, Limits};
use lifecycle::{
    Action, AfterCheck, AgentSession, Event, IDENTITY_CONFLICT, State, assignment, boot_target, status,
    transition,
};
use proptest::prelude::*;

fn plan(n: u8) -> PlanId {
    format!("p-{n}").parse().unwrap()
}

fn machine(n: u8) -> MachineId {
    format!("m-{n}").parse().unwrap()
}

fn reported(verdict: Verdict, after: AfterCheck) -> Event {
    Event::Reported {
        verdict: Some(verdict),
        detail: "detail".into(),
        after,
    }
}

fn script(target: BootTarget) -> Event {
    Event::ScriptGiven { target }
}

const MINI_OS: BootTarget = BootTarget::MiniOs {
    purpose: Purpose::Deploy,
};

fn walk(events: &[Event]) -> State {
    let limits = Limits::default();
    events.iter().enumerate().fold(State::New, |state, (i, event)| {
        transition(&state, event, &limits, UnixMs(1000 * i as i64))
            .unwrap_or_else(|e| panic!("{event:?} in {state:?}: {e}"))
            .state
    })
}

fn until_installing() -> Vec<Event> {
    vec![
        Event::Commission,
        script(MINI_OS),
        Event::Claimed,
        reported(Verdict::Pass, AfterCheck::Deploy { plan: plan(1) }),
    ]
}

fn step(index: u32) -> Event {
    Event::StepStarting {
        plan: plan(1),
        index,
        name: "write-image".into(),
    }
}

#[test]
fn from_power_on_to_deployed() {
    let mut events = until_installing();
    events.extend([
        step(0),
        step(1),
        Event::InstallDone { plan: plan(1) },
        script(BootTarget::LocalDisk),
        Event::ResidentReported,
        Event::Verified {
            plan: plan(1),
            failing: vec![],
        },
    ]);
    let state = walk(&events);
    assert!(
        matches!(&state, State::Deployed(d) if d.plan == plan(1)),
        "{state:?}"
    );
    assert_eq!(boot_target(&state, true), BootTarget::LocalDisk);
    events.extend([
        Event::Release,
        script(MINI_OS),
        Event::Claimed,
        reported(Verdict::Pass, AfterCheck::Hold),
        Event::WipeDone { disks: vec![] },
    ]);
    assert!(matches!(walk(&events), State::Ready(_)));
}

#[test]
fn a_failed_check_touches_no_disk() {
    let state = walk(&[
        Event::Commission,
        script(MINI_OS),
        Event::Claimed,
        reported(Verdict::Fail, AfterCheck::Hold),
    ]);
    assert!(
        matches!(&state, State::Failed(f) if f.reason == "check-failed" && f.disk == DiskState::Untouched)
    );
    let refused = transition(&state, &step(0), &Limits::default(), UnixMs(0)).unwrap_err();
    assert_eq!(refused.code, "unexpected");
}

#[test]
fn power_cuts_while_installing_are_counted() {
    let mut events = until_installing();
    for _ in 1..Limits::default().attempts {
        events.extend([
            step(0),
            script(MINI_OS),
            Event::Claimed,
            reported(Verdict::Pass, AfterCheck::Hold),
        ]);
    }
    assert!(matches!(walk(&events), State::Deploying(d) if d.attempt == 3));
    events.extend([step(0), Event::Claimed]);
    let state = walk(&events);
    assert!(
        matches!(&state, State::Failed(f) if f.reason == "too-many-attempts" && f.disk == DiskState::Partial)
    );
    events.push(Event::Retry);
    assert!(matches!(walk(&events), State::Deploying(d) if d.attempt == 1 && d.disk == DiskState::Partial));
}

#[test]
fn a_refusal_before_the_first_write_says_that_the_disk_is_untouched() {
    let failed = |wrote| Event::StepFailed {
        plan: plan(1),
        index: 0,
        name: "erase-disk".into(),
        code: "disk-missing".into(),
        detail: "no disk has serial X".into(),
        wrote,
    };
    for (wrote, disk) in [(false, DiskState::Untouched), (true, DiskState::Partial)] {
        let mut events = until_installing();
        events.extend([step(0), failed(wrote)]);
        assert!(matches!(walk(&events), State::Failed(f) if f.disk == disk && f.reason == "disk-missing"));
    }
}

#[test]
fn a_second_claimant_stops_the_machine_until_a_person_decides() {
    let alarm = Event::SecurityAlarm {
        code: "ticket-used".into(),
        detail: "second claim".into(),
    };
    let mut events = until_installing();
    events.push(step(0));
    events.push(alarm.clone());
    let state = walk(&events);
    assert!(matches!(state, State::Quarantined(_)));
    assert_eq!(boot_target(&state, true), BootTarget::Ignore);
    let session = AgentSession {
        runs_on: Some(RunsOn::MiniOs),
        plan: None,
        folded_into: None,
    };
    assert!(matches!(assignment(&state, session), Assignment::Stop { .. }));
    let out = transition(&walk(&until_installing()), &alarm, &Limits::default(), UnixMs(0)).unwrap();
    assert!(out.actions.contains(&Action::RevokeIdentity) && out.actions.contains(&Action::DropTickets));
}

#[test]
fn a_stranger_cannot_take_a_deployed_machine_down() {
    let deployed = State::Deployed(lifecycle::state::Deployed { plan: plan(1) });
    for event in [
        script(MINI_OS),
        Event::SecurityAlarm {
            code: "ticket-used".into(),
            detail: String::new(),
        },
        Event::SecurityAlarm {
            code: IDENTITY_CONFLICT.into(),
            detail: String::new(),
        },
        Event::ResidentReported,
    ] {
        assert_eq!(
            transition(&deployed, &event, &Limits::default(), UnixMs(0))
                .unwrap()
                .state,
            deployed
        );
    }
    assert!(transition(&deployed, &Event::Claimed, &Limits::default(), UnixMs(0)).is_err());
}

#[test]
fn two_that_claim_one_identity_stop_until_a_person_decides() {
    let alarm = Event::SecurityAlarm {
        code: IDENTITY_CONFLICT.into(),
        detail: "the serial number of another".into(),
    };
    let resolved = |open| Event::ConflictResolved {
        other: machine(2),
        detail: "different".into(),
        open,
    };
    let mut events = vec![
        Event::Commission,
        script(MINI_OS),
        Event::Claimed,
        alarm,
        resolved(1),
    ];
    assert!(matches!(walk(&events), State::Quarantined(q) if q.reason == IDENTITY_CONFLICT));
    events.push(resolved(0));
    assert!(matches!(walk(&events), State::Commissioning(_)));
    // It does not release a machine that another alarm stopped.
    let stolen = Event::SecurityAlarm {
        code: "ticket-used".into(),
        detail: String::new(),
    };
    let state = walk(&[Event::Commission, stolen, resolved(0)]);
    assert!(matches!(state, State::Quarantined(_)));
}

#[test]
fn an_enrolment_that_is_another_machine_is_retired_and_reboots() {
    let folded = Event::Folded {
        into: machine(2),
        detail: "same serial and UUID".into(),
    };
    let state = walk(&[Event::Commission, script(MINI_OS), Event::Claimed, folded.clone()]);
    assert_eq!(state, State::Retired);
    let into = machine(2);
    for (runs_on, folded_into, boots) in [
        (Some(RunsOn::MiniOs), Some(&into), true),
        (None, Some(&into), true),
        (Some(RunsOn::Installed), Some(&into), false),
        (Some(RunsOn::MiniOs), None, false),
    ] {
        let session = AgentSession {
            runs_on,
            plan: None,
            folded_into,
        };
        let told = assignment(&state, session);
        assert_eq!(matches!(told, Assignment::Reboot { .. }), boots, "{told:?}");
    }
    // A machine with a system on its disk cannot just disappear.
    let deployed = State::Deployed(lifecycle::state::Deployed { plan: plan(1) });
    assert!(transition(&deployed, &folded, &Limits::default(), UnixMs(0)).is_err());
    assert!(transition(&walk(&until_installing()), &folded, &Limits::default(), UnixMs(0)).is_err());
}

#[test]
fn a_failed_verification_is_verified_again_on_retry() {
    let mut events = until_installing();
    events.extend([
        step(0),
        Event::InstallDone { plan: plan(1) },
        Event::ResidentReported,
        Event::Verified {
            plan: plan(1),
            failing: vec!["cron backup".into()],
        },
    ]);
    let state = walk(&events);
    assert!(
        matches!(&state, State::Failed(f) if f.disk == DiskState::Installed),
        "{state:?}"
    );
    assert_eq!(boot_target(&state, true), BootTarget::LocalDisk);
    events.extend([
        Event::Retry,
        Event::ResidentReported,
        Event::Verified {
            plan: plan(1),
            failing: vec![],
        },
    ]);
    assert!(matches!(walk(&events), State::Deployed(_)));
}

#[test]
fn a_disk_that_does_not_boot_ends_in_a_named_failure() {
    let mut events = until_installing();
    events.extend([step(0), Event::InstallDone { plan: plan(1) }]);
    for _ in 0..=Limits::default().local_boots {
        events.push(script(BootTarget::LocalDisk));
    }
    assert!(matches!(walk(&events), State::Failed(f) if f.reason == "local-boot-loop"));
}

fn any_event() -> impl Strategy<Value = Event> {
    let verdict = prop_oneof![Just(None), Just(Some(Verdict::Pass)), Just(Some(Verdict::Fail))];
    let after = prop_oneof![
        Just(AfterCheck::Hold),
        (0u8..2).prop_map(|n| AfterCheck::Deploy { plan: plan(n) }),
        Just(AfterCheck::CannotPlan {
            code: "no-disk".into(),
            detail: String::new()
        }),
    ];
    let target = prop_oneof![
        Just(MINI_OS),
        Just(BootTarget::LocalDisk),
        Just(BootTarget::Ignore)
    ];
    prop_oneof![
        Just(Event::Commission),
        (0u8..2).prop_map(|n| Event::Deploy { plan: plan(n) }),
        Just(Event::Release),
        Just(Event::Retry),
        Just(Event::Abort),
        target.prop_map(script),
        Just(Event::Claimed),
        (verdict, after).prop_map(|(verdict, after)| Event::Reported {
            verdict,
            detail: String::new(),
            after
        }),
        Just(Event::ResidentReported),
        (0u8..2, 0u32..3).prop_map(|(n, index)| Event::StepStarting {
            plan: plan(n),
            index,
            name: "s".into()
        }),
        (0u8..2).prop_map(|n| Event::InstallDone { plan: plan(n) }),
        (0u8..2, any::<bool>()).prop_map(|(n, wrote)| Event::StepFailed {
            plan: plan(n),
            index: 0,
            name: "s".into(),
            code: "c".into(),
            detail: String::new(),
            wrote
        }),
        (0u8..2, any::<bool>()).prop_map(|(n, ok)| Event::Verified {
            plan: plan(n),
            failing: if ok { vec![] } else { vec!["x".into()] }
        }),
        Just(Event::WipeDone { disks: vec![] }),
        Just(Event::WipeFailed {
            code: "c".into(),
            detail: String::new()
        }),
        prop::sample::select(vec!["ticket-used", IDENTITY_CONFLICT]).prop_map(|code| Event::SecurityAlarm {
            code: code.into(),
            detail: String::new()
        }),
        Just(Event::Folded {
            into: machine(2),
            detail: String::new()
        }),
        Just(Event::Absorbed {
            other: machine(3),
            detail: String::new()
        }),
        Just(Event::IdentityChanged {
            detail: String::new()
        }),
        (0u32..2).prop_map(|open| Event::ConflictResolved {
            other: machine(2),
            detail: String::new(),
            open
        }),
    ]
}

fn transient(state: &State) -> bool {
    matches!(
        state,
        State::Commissioning(_) | State::Deploying(_) | State::Releasing(_)
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Every state has a way out: a transient state has a future deadline that ends it, and `abort` ends it
    /// too; every other state accepts a verb.
    #[test]
    fn every_state_has_a_way_out(events in prop::collection::vec((any_event(), 0i64..100_000), 1..60)) {
        let limits = Limits::default();
        let (mut state, mut now) = (State::New, UnixMs(0));
        for (event, pause) in events {
            now = UnixMs(now.0 + pause);
            if let Some(deadline) = state.deadline() && now >= deadline {
                state = transition(&state, &Event::DeadlinePassed { deadline }, &limits, now).unwrap().state;
                prop_assert!(!transient(&state));
            }
            if let Ok(next) = transition(&state, &event, &limits, now) {
                prop_assert!(next.record || next.state == state, "a change without history: {event:?}");
                state = next.state;
            }
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(&serde_json::from_str::<State>(&json).unwrap(), &state);
            prop_assert!(!status(&state, now, vec![]).sentence.is_empty());
            prop_assert_eq!(transient(&state), state.deadline().is_some());
            if let Some(deadline) = state.deadline() {
                prop_assert!(deadline > now);
                let late = transition(&state, &Event::DeadlinePassed { deadline }, &limits, deadline).unwrap();
                prop_assert!(!transient(&late.state), "{late:?}");
                let early = transition(&state, &Event::DeadlinePassed { deadline }, &limits, now).unwrap();
                prop_assert_eq!(&early.state, &state);
                let aborted = transition(&state, &Event::Abort, &limits, now).unwrap();
                prop_assert!(!transient(&aborted.state));
            } else {
                let verbs = [Event::Commission, Event::Deploy { plan: plan(1) }, Event::Release, Event::Retry];
                let out = verbs.iter().any(|v| transition(&state, v, &limits, now).is_ok());
                prop_assert!(out || state == State::Retired, "{state:?}");
            }
        }
    }

    /// Whatever happens, only a successful verification makes a machine Deployed, and an agent is told to
    /// write only in the phase that follows a matching report.
    #[test]
    fn nothing_is_deployed_or_written_by_accident(events in prop::collection::vec(any_event(), 1..60)) {
        let limits = Limits::default();
        let mut state = State::New;
        for event in events {
            let Ok(next) = transition(&state, &event, &limits, UnixMs(0)) else { continue };
            if matches!(next.state, State::Deployed(_)) && !matches!(state, State::Deployed(_)) {
                let verified = matches!(&event, Event::Verified { failing, .. } if failing.is_empty());
                prop_assert!(verified);
            }
            let installing = |s: &State| matches!(s, State::Deploying(d) if matches!(d.phase, DeployPhase::Installing { .. }));
            if installing(&next.state) && !installing(&state) {
                let passed = matches!(&event, Event::Reported { verdict, .. } if *verdict != Some(Verdict::Fail));
                prop_assert!(passed, "{event:?}");
            }
            if !installing(&next.state) {
                let session = AgentSession { runs_on: Some(RunsOn::MiniOs), plan: None, folded_into: None };
                let told = assignment(&next.state, session);
                prop_assert!(!matches!(told, Assignment::Install { .. }), "{told:?}");
            }
            state = next.state;
        }
    }
}
