//! Replaying the history through the transition function gives the stored state.

use std::path::Path;
use std::sync::Arc;

use config::Config;
use inventory_api::boot::{BootTarget, Purpose};
use inventory_api::check::Verdict;
use inventory_api::machine::Actor;
use inventory_api::{MachineId, PlanId, UnixMs};
use lifecycle::{AfterCheck, Event, IDENTITY_CONFLICT, State, transition};
use proptest::prelude::*;
use service::core::{Clock, Core, Memory};
use service::{AdvanceError, Turn};
use store::Store;
use tls::Authority;

pub async fn assert_replays(store: &Store, id: &MachineId) {
    let mut state = State::New;
    let rows = store.history(id, None, i64::MAX).await.unwrap();
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row.seq, n as i64 + 1);
        match &row.event {
            None => assert_eq!(n, 0),
            Some(event) => state = transition(&state, event, &row.limits, row.at).unwrap().state,
        }
        assert_eq!(state, row.state, "row {}", row.seq);
    }
    assert_eq!(store.machine(id).await.unwrap().unwrap().state, state);
}

fn events() -> impl Strategy<Value = Event> {
    let plan: PlanId = "p-1".parse().unwrap();
    let other: MachineId = "m-000000000002".parse().unwrap();
    let mini_os = BootTarget::MiniOs {
        purpose: Purpose::Commission,
    };
    let reported = |verdict, after| Event::Reported {
        verdict,
        detail: "x".into(),
        after,
    };
    prop::sample::select(vec![
        Event::Commission,
        Event::Deploy { plan: plan.clone() },
        Event::Release,
        Event::Retry,
        Event::Abort,
        Event::Admit,
        Event::ScriptGiven { target: mini_os },
        Event::ScriptGiven {
            target: BootTarget::LocalDisk,
        },
        Event::Claimed,
        reported(None, AfterCheck::Hold),
        reported(None, AfterCheck::NotExpected { why: "x".into() }),
        reported(Some(Verdict::Fail), AfterCheck::Hold),
        reported(Some(Verdict::Pass), AfterCheck::Deploy { plan: plan.clone() }),
        Event::ResidentReported,
        Event::StepStarting {
            plan: plan.clone(),
            index: 0,
            name: "erase-disk".into(),
        },
        Event::InstallDone { plan: plan.clone() },
        Event::Verified {
            plan: plan.clone(),
            failing: vec![],
        },
        Event::Verified {
            plan,
            failing: vec!["cron".into()],
        },
        Event::WipeDone { disks: vec![] },
        Event::SecurityAlarm {
            code: "ticket-used".into(),
            detail: "x".into(),
        },
        Event::SecurityAlarm {
            code: IDENTITY_CONFLICT.into(),
            detail: "x".into(),
        },
        Event::Folded {
            into: other.clone(),
            detail: "x".into(),
        },
        Event::Absorbed {
            other: other.clone(),
            detail: "x".into(),
        },
        Event::IdentityChanged { detail: "x".into() },
        Event::ConflictResolved {
            other: other.clone(),
            detail: "x".into(),
            open: 1,
        },
        Event::ConflictResolved {
            other,
            detail: "x".into(),
            open: 0,
        },
        Event::DeadlinePassed { deadline: UnixMs(0) },
    ])
}

async fn core(dir: &Path, clock: Clock) -> Arc<Core> {
    Arc::new(Core {
        config: Config::new(dir.to_owned()),
        store: Store::open(&dir.join("s.db")).await.unwrap(),
        authority: Authority::open(&dir.join("ca"), clock.now()).unwrap(),
        clock,
        memory: Memory::default(),
        stop: Default::default(),
    })
}

async fn enroll(core: &Arc<Core>, id: &MachineId) {
    let id = id.clone();
    let work = async move |mut turn: Turn| {
        turn.enroll(&id, "lab").await?;
        turn.commit().await
    };
    core.turn(&Actor::Boot, work).await.unwrap();
}

/// S11: fetch and claim in a loop. Repeats become a count in two rows, and the history still replays.
#[tokio::test]
async fn a_machine_that_boots_again_and_again_fills_no_history() {
    let dir = tempfile::tempdir().unwrap();
    let time = Arc::new(std::sync::atomic::AtomicI64::new(1_795_000_000_000));
    let tick = time.clone();
    let clock = Clock::new(move || UnixMs(tick.fetch_add(1000, std::sync::atomic::Ordering::SeqCst)));
    let core = core(dir.path(), clock).await;
    let id: MachineId = "m-000000000001".parse().unwrap();
    enroll(&core, &id).await;
    let script = || Event::ScriptGiven {
        target: BootTarget::MiniOs {
            purpose: Purpose::Commission,
        },
    };
    let _ = core
        .advance(&id, Event::Commission, &"test".into())
        .await
        .unwrap();
    for _ in 0..50 {
        let _ = core.advance(&id, script(), &Actor::Boot).await.unwrap();
        let _ = core.advance(&id, Event::Claimed, &Actor::Agent).await.unwrap();
    }
    assert_replays(&core.store, &id).await;
    let rows = core.store.history(&id, None, i64::MAX).await.unwrap();
    assert!(rows.len() <= 6, "{} rows", rows.len());
    let last = rows.last().unwrap();
    assert!(last.repeats > 45 && last.sentence.contains("times"), "{last:?}");
    // Other repeated events are limited per minute.
    let mut refused = false;
    for n in 0..200 {
        time.fetch_sub(1000, std::sync::atomic::Ordering::SeqCst);
        let event = Event::IdentityChanged {
            detail: n.to_string(),
        };
        refused |= matches!(
            core.advance(&id, event, &Actor::Agent).await,
            Err(AdvanceError::Refused(_))
        );
    }
    assert!(refused);
    assert!(core.store.history(&id, None, i64::MAX).await.unwrap().len() < 140);
    // In pages.
    let page = core.store.history(&id, Some(20), 10).await.unwrap();
    assert_eq!((page.len(), page.first().map(|r| r.seq)), (10, Some(10)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_replays(events in prop::collection::vec(events(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let time = Arc::new(std::sync::atomic::AtomicI64::new(1_795_000_000_000));
            let tick = time.clone();
            let clock = Clock::new(move || UnixMs(tick.fetch_add(1000, std::sync::atomic::Ordering::SeqCst)));
            let core = core(dir.path(), clock).await;
            let id: MachineId = "m-000000000001".parse().unwrap();
            enroll(&core, &id).await;
            for event in events {
                let before = core.store.machine(&id).await.unwrap().unwrap();
                match core.advance(&id, event, &"test".into()).await {
                    Ok(done) => assert_eq!(done.before, before.state),
                    // Refused: nothing may have changed.
                    Err(AdvanceError::Refused(_)) => {
                        assert_eq!(core.store.machine(&id).await.unwrap().unwrap(), before);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert_replays(&core.store, &id).await;
        });
    }
}
