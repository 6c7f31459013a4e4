//! `GET /v1/events`: ids of machines as they change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use inventory_api::machine::Changed;
use tokio::sync::broadcast::error::RecvError;

use super::user::User;
use crate::service::Service;

pub(super) async fn stream(
    State(service): State<Arc<Service>>,
    _: User,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = service.core().stop.clone();
    let changes = service.changes();
    let stream = futures::stream::unfold((changes, stop), |(mut changes, stop)| async move {
        let event = tokio::select! {
            () = stop.cancelled() => return None,
            changed = changes.recv() => match changed {
                // The stream has no data that could fail to serialize; if it did, the page asks anew.
                Ok(machine) => Event::default()
                    .event("changed")
                    .json_data(Changed { machine })
                    .unwrap_or_else(|_| Event::default().event("lagged").data("{}")),
                Err(RecvError::Lagged(_)) => Event::default().event("lagged").data("{}"),
                Err(RecvError::Closed) => return None,
            },
        };
        Some((Ok(event), (changes, stop)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
