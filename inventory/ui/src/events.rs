//! `GET /events`: tells an open page that something it shows has changed. The page then fetches itself and
//! morphs into the new version.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use inventory_api::MachineId;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Ui;
use super::session::{self, SignedIn};

/// Changes within this time become one event: otherwise, the progress of many machines would keep the browser
/// rendering all the time.
const QUIET: Duration = Duration::from_millis(400);
/// Longest wait for a change before an event is sent anyway. Each event after the first also checks the
/// session.
const AT_LEAST: Duration = Duration::from_secs(20);

/// The machine that the page shows; `None`: any machine.
#[derive(Deserialize)]
pub(crate) struct Of {
    machine: Option<MachineId>,
}

struct Watch {
    changes: Receiver<MachineId>,
    machine: Option<MachineId>,
    ui: Ui,
    headers: HeaderMap,
    first: bool,
}

pub(crate) async fn stream(
    State(ui): State<Ui>,
    _: SignedIn,
    Query(of): Query<Of>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watch = Watch {
        changes: ui.service.changes(),
        machine: of.machine,
        ui,
        headers,
        first: true,
    };
    let events = futures::stream::unfold(watch, |mut w| async move {
        // The first event is sent at once: changes before a (re)connection were missed.
        if !std::mem::take(&mut w.first) {
            let _ = tokio::time::timeout(AT_LEAST, changed(&mut w.changes, w.machine.as_ref())).await;
            tokio::time::sleep(QUIET).await;
            w.changes = w.changes.resubscribe();
            // Signed out or revoked: end the stream; the page's next request leads to the sign-in.
            if !matches!(session::actor(&w.ui, &w.headers).await, Ok(Some(_))) {
                return None;
            }
        }
        Some((Ok(Event::default().event("machine-changed").data("")), w))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Waits for a change of `machine`, or of any machine if `None`. Lagging behind counts as a change. Never
/// returns once the service has ended.
async fn changed(changes: &mut Receiver<MachineId>, machine: Option<&MachineId>) {
    loop {
        match changes.recv().await {
            Ok(id) if machine.is_some_and(|m| *m != id) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // Shutting down: wait until the connection is closed instead of spinning.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
