//! `/v1`: orders, racks, hardware profiles, parts, and tasks for agents.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use http::{HeaderMap, header};
use inventory_api::burn_in::BurnInRequest;
use inventory_api::import::ImportReport;
use inventory_api::task::Task;
use serde::Deserialize;

use super::body;
use super::user::{Answer, DELETE, POST, User, changes, changes_by, lists, reads, to_the_end};
use crate::problem::ApiError;
use files::export;
use files::import::{Format, Kind, MAX_BYTES};
use service::Service;
use service::problem::problem;

/// A note, a number of seconds, a profile name, a burn-in.
const SMALL_BYTES: usize = 16 * 1024;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/orders", lists(|s, ()| async move { s.orders().await }))
        .route("/v1/orders", importing(Kind::Orders))
        .route(
            "/v1/orders/{number}",
            reads(|s, number: String| async move { s.order(&number).await }),
        )
        .route(
            "/v1/orders/{number}",
            changes(DELETE, |s, actor, number: String| async move {
                s.remove_order(&number, &actor).await
            }),
        )
        .route("/v1/orders/{number}/delivery.csv", get(order_csv))
        .route("/v1/racks", lists(|s, ()| async move { s.racks().await }))
        .route("/v1/racks", importing(Kind::Racks))
        .route(
            "/v1/racks/{room}/{rack}",
            reads(|s, (room, rack): (String, String)| async move { s.rack(&room, &rack).await }),
        )
        .route(
            "/v1/racks/{room}/{rack}",
            changes(DELETE, |s, actor, (room, rack): (String, String)| async move {
                s.remove_places(&room, &rack, None, &actor).await
            }),
        )
        .route(
            "/v1/racks/{room}/{rack}/{unit}",
            changes(
                DELETE,
                |s, actor, (room, rack, unit): (String, String, u32)| async move {
                    s.remove_places(&room, &rack, Some(unit), &actor).await
                },
            ),
        )
        .route("/v1/rechecks", reads(|s, ()| async move { s.rechecks().await }))
        .route(
            "/v1/hardware-profiles",
            lists(|s, ()| async move { s.hardware_profiles().await }),
        )
        .route("/v1/hardware-profiles", importing(Kind::Profiles))
        .route(
            "/v1/hardware-profiles/{name}",
            reads(|s, name: String| async move { s.hardware_profile(&name).await }),
        )
        .route(
            "/v1/hardware-profiles/{name}",
            changes(DELETE, |s, actor, name: String| async move {
                s.remove_hardware_profile(&name, &actor).await
            }),
        )
        .route(
            "/v1/hardware-profiles/{name}/machines",
            reads(|s, name: String| async move { s.profile_machines(&name).await }),
        )
        .route(
            "/v1/parts/{serial}",
            lists(|s, serial: String| async move { s.parts(&serial).await }),
        )
        .route(
            "/v1/machines/{key}/golden",
            changes_by(
                POST,
                SMALL_BYTES,
                |s, actor, key: String, asked: Golden| async move {
                    s.golden(&key, &asked.name, asked.accept_unhealthy, &actor).await
                },
            ),
        )
        .route(
            "/v1/machines/{key}/recheck",
            changes(POST, |s, actor, key: String| async move {
                s.recheck(&key, &actor).await
            }),
        )
        .route(
            "/v1/machines/{key}/identify",
            changes_by(
                POST,
                SMALL_BYTES,
                |s, actor, key: String, Identify { seconds }| async move {
                    s.ask_task(&key, Task::Identify { seconds }, &actor).await
                },
            ),
        )
        .route(
            "/v1/machines/{key}/burn-in",
            changes_by(
                POST,
                SMALL_BYTES,
                |s, actor, key: String, request: BurnInRequest| async move {
                    s.ask_task(&key, Task::BurnIn { request }, &actor).await
                },
            ),
        )
        .route(
            "/v1/machines/{key}/fixed",
            changes_by(
                POST,
                SMALL_BYTES,
                |s, actor, key: String, Fixed { text }| async move { s.fixed(&key, &text, &actor).await },
            ),
        )
        .with_state(service)
}

fn format_of(headers: &HeaderMap) -> Result<Format, ApiError> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    Format::of_media_type(kind).ok_or_else(|| {
        problem(
            415,
            "media-type",
            "Format not known",
            "send the file with Content-Type: text/csv or application/json",
        )
        .into()
    })
}

/// Route for `POST` of a file of this kind.
pub(super) fn importing(kind: Kind) -> MethodRouter<Arc<Service>> {
    post(
        async move |State(service): State<Arc<Service>>,
                    User(actor): User,
                    headers: HeaderMap,
                    request: Request|
                    -> Answer<ImportReport> {
            let format = format_of(&headers)?;
            let bytes = body::whole(request, MAX_BYTES).await?;
            to_the_end(async move { service.import(kind, &bytes, format, &actor).await })
                .await
                .map(Json)
        },
    )
}

async fn order_csv(
    State(service): State<Arc<Service>>,
    _: User,
    Path(number): Path<String>,
) -> Result<Response, ApiError> {
    let delivery = service.order(&number).await?;
    Ok((export::CSV_HEADERS, export::delivery(&delivery)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    name: String,
    /// Accept a machine that is not healthy.
    #[serde(default)]
    accept_unhealthy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identify {
    seconds: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    text: String,
}
