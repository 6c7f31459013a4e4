//! `GET /v1/events`: ids of changed machines, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use inventory_api::MachineId;
use inventory_api::machine::Changed;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::user::{self, User};
use service::Service;

/// How often the token is checked again.
const ASK: Duration = Duration::from_secs(5);

struct Stream {
    service: Arc<Service>,
    headers: HeaderMap,
    changes: broadcast::Receiver<MachineId>,
    ask: tokio::time::Interval,
}

pub(super) async fn stream(
    State(service): State<Arc<Service>>,
    _: User,
    headers: HeaderMap,
) -> Sse<impl futures::Stream<Item = Result<Event, Infallible>>> {
    let stream = Stream {
        changes: service.changes(),
        service,
        headers,
        ask: tokio::time::interval(ASK),
    };
    let events = futures::stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Stream {
    /// The next event. `None`: the server stops, or the token is no longer valid.
    async fn next(&mut self) -> Option<Event> {
        let stop = self.service.core().stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                _ = self.ask.tick() => {
                    if !matches!(user::login(&self.service, &self.headers).await, Ok(Some(_))) {
                        return None;
                    }
                }
                changed = self.changes.recv() => return match changed {
                    // An id cannot fail to serialize; if it did, the page would read everything again.
                    Ok(machine) => Some(
                        Event::default()
                            .event("changed")
                            .json_data(Changed { machine })
                            .unwrap_or_else(|_| Event::default().event("lagged").data("{}")),
                    ),
                    Err(RecvError::Lagged(_)) => Some(Event::default().event("lagged").data("{}")),
                    Err(RecvError::Closed) => None,
                },
            }
        }
    }
}
