//! `/v1`: orders, racks, hardware profiles, parts, and what is asked of agents.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use http::{HeaderMap, header};
use inventory_api::burn_in::BurnInRequest;
use inventory_api::check::HardwareProfile;
use inventory_api::delivery::{OrderDelivery, OrderSummary, ProfileSummary, RackDelivery, RackView};
use inventory_api::import::{ImportReport, Rechecks, Removed};
use inventory_api::parts::PartLife;
use inventory_api::task::{Task, TaskStatus};
use serde::Deserialize;

use super::body;
use super::user::{Answer, User, to_the_end};
use crate::export;
use crate::import::{Format, Kind, MAX_BYTES};
use crate::problem::{ApiError, problem};
use crate::service::{ProfileMachines, Service};

/// A note, a number of seconds, a burn-in.
const SMALL_BYTES: usize = 16 * 1024;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/orders", get(orders).merge(importing(Kind::Orders)))
        .route("/v1/orders/{number}", get(order).delete(remove_order))
        .route("/v1/orders/{number}/delivery.csv", get(order_csv))
        .route("/v1/racks", get(racks).merge(importing(Kind::Racks)))
        .route("/v1/racks/{room}/{rack}", get(rack).delete(remove_rack))
        .route("/v1/racks/{room}/{rack}/{unit}", delete(remove_place))
        .route("/v1/rechecks", get(rechecks))
        .route(
            "/v1/hardware-profiles",
            get(hardware_profiles).merge(importing(Kind::Profiles)),
        )
        .route(
            "/v1/hardware-profiles/{name}",
            get(hardware_profile).delete(remove_profile),
        )
        .route("/v1/parts/{serial}", get(parts))
        .route("/v1/hardware-profiles/{name}/machines", get(profile_machines))
        .route("/v1/machines/{key}/golden", post(golden))
        .route("/v1/machines/{key}/recheck", post(recheck))
        .route("/v1/machines/{key}/identify", post(identify))
        .route("/v1/machines/{key}/burn-in", post(burn_in))
        .route("/v1/machines/{key}/fixed", post(fixed))
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

/// `POST` of a file of this kind.
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

async fn rechecks(State(service): State<Arc<Service>>, _: User) -> Answer<Rechecks> {
    Ok(Json(service.rechecks().await?))
}

async fn remove_order(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(number): Path<String>,
) -> Answer<Removed> {
    to_the_end(async move { service.remove_order(&number, &actor).await })
        .await
        .map(Json)
}

async fn remove_profile(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(name): Path<String>,
) -> Answer<Removed> {
    to_the_end(async move { service.remove_hardware_profile(&name, &actor).await })
        .await
        .map(Json)
}

async fn remove_rack(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path((room, rack)): Path<(String, String)>,
) -> Answer<Removed> {
    to_the_end(async move { service.remove_places(&room, &rack, None, &actor).await })
        .await
        .map(Json)
}

async fn remove_place(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path((room, rack, unit)): Path<(String, String, u32)>,
) -> Answer<Removed> {
    to_the_end(async move { service.remove_places(&room, &rack, Some(unit), &actor).await })
        .await
        .map(Json)
}

async fn orders(State(service): State<Arc<Service>>, _: User) -> Answer<Vec<OrderSummary>> {
    Ok(Json(service.orders().await?))
}

async fn order(
    State(service): State<Arc<Service>>,
    _: User,
    Path(number): Path<String>,
) -> Answer<OrderDelivery> {
    Ok(Json(service.order(&number).await?))
}

async fn order_csv(
    State(service): State<Arc<Service>>,
    _: User,
    Path(number): Path<String>,
) -> Result<Response, ApiError> {
    let delivery = service.order(&number).await?;
    Ok(export::csv_response(export::delivery(&delivery)))
}

async fn racks(State(service): State<Arc<Service>>, _: User) -> Answer<Vec<RackDelivery>> {
    Ok(Json(service.racks().await?))
}

async fn rack(
    State(service): State<Arc<Service>>,
    _: User,
    Path((room, rack)): Path<(String, String)>,
) -> Answer<RackView> {
    Ok(Json(service.rack(&room, &rack).await?))
}

async fn hardware_profiles(State(service): State<Arc<Service>>, _: User) -> Answer<Vec<ProfileSummary>> {
    Ok(Json(service.hardware_profiles().await?))
}

async fn hardware_profile(
    State(service): State<Arc<Service>>,
    _: User,
    Path(name): Path<String>,
) -> Answer<HardwareProfile> {
    Ok(Json(service.hardware_profile(&name).await?))
}

async fn profile_machines(
    State(service): State<Arc<Service>>,
    _: User,
    Path(name): Path<String>,
) -> Answer<ProfileMachines> {
    Ok(Json(service.profile_machines(&name).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    name: String,
    /// Make it although the machine is not healthy.
    #[serde(default)]
    accept_unhealthy: bool,
}

async fn golden(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
    request: Request,
) -> Answer<ImportReport> {
    let (_, asked): (_, Golden) = body::read(request, SMALL_BYTES).await?;
    to_the_end(async move {
        let accept = asked.accept_unhealthy;
        service.golden(&key, &asked.name, accept, &actor).await
    })
    .await
    .map(Json)
}

async fn parts(
    State(service): State<Arc<Service>>,
    _: User,
    Path(serial): Path<String>,
) -> Answer<Vec<PartLife>> {
    Ok(Json(service.parts(&serial).await?))
}

async fn recheck(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
) -> Answer<Option<TaskStatus>> {
    to_the_end(async move { service.recheck(&key, &actor).await })
        .await
        .map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identify {
    seconds: u8,
}

async fn identify(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
    request: Request,
) -> Answer<TaskStatus> {
    let (_, Identify { seconds }) = body::read(request, SMALL_BYTES).await?;
    to_the_end(async move { service.ask_task(&key, Task::Identify { seconds }, &actor).await })
        .await
        .map(Json)
}

async fn burn_in(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
    request: Request,
) -> Answer<TaskStatus> {
    let (_, request) = body::read::<BurnInRequest>(request, SMALL_BYTES).await?;
    to_the_end(async move { service.ask_task(&key, Task::BurnIn { request }, &actor).await })
        .await
        .map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    text: String,
}

async fn fixed(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
    request: Request,
) -> Answer<Option<TaskStatus>> {
    let (_, Fixed { text }) = body::read(request, SMALL_BYTES).await?;
    to_the_end(async move { service.fixed(&key, &text, &actor).await })
        .await
        .map(Json)
}
