//! A caller that goes away parts nothing: state, history and what follows are all there, or nothing is.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use config::Config;
use files::import::{Format, Kind};
use inventory_api::machine::{Actor, Verb};
use inventory_api::task::{Task, TaskOutcome, TaskReport};
use inventory_api::{Mac, MachineId, UnixMs};
use lifecycle::{Event, State};
use netboot::{BootClient, BootSource as _};
use service::boot::Boot;
use service::core::{Clock, Core, Memory};
use service::{Service, Turn};
use store::{Store, StoreError};
use tls::Authority;
use tokio::sync::Notify;
use tokio::time::timeout;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Drops its work at its suspension point number `left`.
struct DroppedAt {
    work: Option<Work<()>>,
    left: usize,
}

impl Future for DroppedAt {
    /// Whether the work came to its end first.
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let left = self.left;
        let Some(work) = self.work.as_mut().filter(|_| left > 0) else {
            self.work = None;
            return Poll::Ready(false);
        };
        let polled = work.as_mut().poll(cx).map(|()| true);
        self.left -= 1;
        polled
    }
}

/// One change of a service, and how to see in the store that it was made.
struct Change {
    name: &'static str,
    work: fn(Service, MachineId, usize) -> Work<()>,
    made: fn(Store, MachineId, usize) -> Work<bool>,
    /// Whether it is announced.
    announced: bool,
}

fn mac(n: usize) -> Mac {
    let [_, .., high, low] = n.to_be_bytes();
    Mac([2, 0, 0, 1, high, low])
}

fn person() -> Actor {
    Actor::from("alice")
}

const CHANGES: [Change; 7] = [
    Change {
        name: "a verb of a person",
        work: |service, id, _| {
            Box::pin(async move {
                let _ = service.verb(id.as_str(), Verb::Commission, &person()).await;
            })
        },
        made: |store, id, _| {
            Box::pin(async move { store.machine(&id).await.unwrap().unwrap().state != State::New })
        },
        announced: true,
    },
    Change {
        name: "an event of the clock",
        work: |service, id, _| {
            Box::pin(async move {
                let _ = service
                    .core()
                    .advance(&id, Event::Commission, &Actor::Clock)
                    .await;
            })
        },
        made: |store, id, _| {
            Box::pin(async move { store.machine(&id).await.unwrap().unwrap().state != State::New })
        },
        announced: true,
    },
    Change {
        name: "a machine is forgotten",
        work: |service, id, _| {
            Box::pin(async move {
                let _ = service.verb(id.as_str(), Verb::Forget, &person()).await;
            })
        },
        made: |store, id, _| Box::pin(async move { store.machine(&id).await.unwrap().is_none() }),
        announced: true,
    },
    Change {
        name: "a fault is fixed",
        work: |service, id, _| {
            Box::pin(async move {
                let _ = service.fixed(id.as_str(), "a new cable", &person()).await;
            })
        },
        made: |store, id, _| Box::pin(async move { !store.notes(&id, 1).await.unwrap().is_empty() }),
        announced: true,
    },
    Change {
        name: "an agent ends its task",
        work: |service, id, _| {
            Box::pin(async move {
                let id = &id;
                let number = service.core().store.tasks(id, 1).await.unwrap()[0].id;
                let outcome = TaskOutcome::Done {
                    detail: "done".to_owned(),
                    burn_in: None,
                };
                let _ = service.task_report(id, TaskReport { id: number, outcome }).await;
            })
        },
        made: |store, id, _| Box::pin(async move { store.tasks(&id, 1).await.unwrap()[0].outcome.is_some() }),
        announced: true,
    },
    Change {
        name: "a boot script for an unknown machine",
        work: |service, _, n| {
            Box::pin(async move {
                let client = BootClient {
                    mac: mac(n),
                    ip: Some([10, 0, 0, 9].into()),
                    network: "lab".to_owned(),
                    server: [10, 0, 0, 1].into(),
                    firmware_asked: Some(UnixMs(1_795_000_000_000)),
                };
                Boot::new(service.core().clone(), 1, HashMap::new())
                    .script(&client)
                    .await;
            })
        },
        made: |store, _, n| Box::pin(async move { store.machine_by_mac(mac(n)).await.unwrap().is_some() }),
        announced: true,
    },
    Change {
        name: "a file is imported",
        work: |service, _, n| {
            Box::pin(async move {
                let file = format!(r#"[{{"name": "profile-{n}"}}]"#);
                let (bytes, actor) = (file.as_bytes(), person());
                let imported = service.import(Kind::Profiles, bytes, Format::Json, &actor);
                imported.await.unwrap();
            })
        },
        made: |store, _, n| {
            Box::pin(async move {
                let name = format!("profile-{n}");
                store.hardware_profile(&name).await.unwrap().is_some()
            })
        },
        announced: false,
    },
];

async fn enrolled(core: &Arc<Core>, number: usize) -> MachineId {
    let id: MachineId = format!("m-{number:012x}").parse().unwrap();
    let new = id.clone();
    let work = async move |mut turn: Turn| {
        turn.enroll(&new, "lab").await?;
        let now = UnixMs(1_795_000_000_000);
        turn.add_task(&new, &Task::Recheck {}, "alice", now).await?;
        turn.commit().await
    };
    core.turn(&Actor::Boot, work).await.unwrap();
    id
}

async fn assert_whole(service: &Service, change: &Change, number: usize, point: usize) -> (bool, bool) {
    let core = service.core();
    let id = enrolled(core, number).await;
    let mut news = service.changes();
    let dropped = DroppedAt {
        work: Some((change.work)(service.clone(), id.clone(), number)),
        left: point,
    };
    let ended = dropped.await;
    // The only write connection: whoever had it before is through.
    drop(core.store.begin().await.unwrap());
    let made = (change.made)(core.store.clone(), id.clone(), number).await;
    let at = format!("{}, dropped at point {point}", change.name);
    if change.announced {
        let patience = Duration::from_millis(if made { 20_000 } else { 20 });
        let told = timeout(patience, news.recv()).await.is_ok();
        assert_eq!(
            told, made,
            "{at}: made, but not announced (or the other way round)"
        );
    }
    if let Some(row) = core.store.machine(&id).await.unwrap() {
        let last = core.store.history(&id, None, 1).await.unwrap().pop().unwrap();
        assert_eq!((row.history_seq, row.state), (last.seq, last.state), "{at}");
    }
    (ended, made)
}

async fn service_in(dir: &std::path::Path) -> Service {
    let clock = Clock::new(|| UnixMs(1_795_000_000_000));
    let mut config = Config::new(dir.to_owned());
    config.boot.enrolments_per_minute = 10_000;
    Service::new(Arc::new(Core {
        config,
        store: Store::open(&dir.join("s.db")).await.unwrap(),
        authority: Authority::open(&dir.join("ca"), clock.now()).unwrap(),
        clock,
        memory: Memory::default(),
        stop: Default::default(),
    }))
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_is_made_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let service = service_in(dir.path()).await;
    // How often a change suspends depends on the threads of the database: several rounds meet all points.
    let (mut number, mut nothing, mut whole) = (0, 0, 0);
    for change in CHANGES.iter().cycle().take(5 * CHANGES.len()) {
        for point in 0.. {
            number += 1;
            let (ended, made) = assert_whole(&service, change, number, point).await;
            if ended {
                assert!(made, "{}", change.name);
                break;
            }
            if made {
                whole += 1;
            } else {
                nothing += 1;
            }
        }
    }
    assert!(nothing > 0 && whole > 0, "{nothing} and {whole}");
}

#[tokio::test]
async fn a_panic_ends_the_server_even_if_the_caller_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let service = service_in(dir.path()).await;
    let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (core, at, held) = (service.core().clone(), begun.clone(), gate.clone());
    let caller = tokio::spawn(async move {
        let work = async move |turn: Turn| {
            at.notify_one();
            held.notified().await;
            assert!(turn.machines_of_serial("").await?.len() > 1, "a panic on purpose");
            Ok::<(), StoreError>(())
        };
        core.turn(&person(), work).await
    });
    begun.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.notify_one();
    let told = service.core().memory.panicked.notified();
    timeout(Duration::from_secs(20), told).await.unwrap();
}
