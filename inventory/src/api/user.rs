//! `/v1`: people and programs, with bearer tokens.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::header;
use http::request::Parts;
use inventory_api::conflict::{Conflicts, ResolveConflict};
use inventory_api::image::ImageManifest;
use inventory_api::loader::LoaderOverview;
use inventory_api::machine::{
    DeployOrder, DeployResponse, HistoryEntry, Journey, MachineDetail, MachineSummary, Profile, VerbResponse,
};
use inventory_api::network::{NetworkStatus, ReserveAddress};
use inventory_api::plan::InstallPlan;
use inventory_api::rescue::RescuePassword;
use inventory_api::{Mac, Problem};
use serde::Deserialize;

use super::{body, delivery, events};
use crate::import::Kind;
use crate::problem::{ApiError, internal, problem};
use crate::service::{Actor, Login, Service, Verb};
use crate::tls::{Peer, Seat};

/// A deploy request with its scripts.
const ORDER_BYTES: usize = 1024 * 1024;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/machines", get(machines))
        .route("/v1/machines/{key}", get(machine))
        .route("/v1/machines/{key}/history", get(history))
        .route("/v1/machines/{key}/plan", get(plan))
        .route(
            "/v1/machines/{key}/conflict",
            get(conflicts).post(resolve_conflict),
        )
        .route("/v1/machines/{key}/rescue", post(rescue))
        .route("/v1/machines/{key}/{verb}", post(verb))
        .route("/v1/images", get(images))
        .route(
            "/v1/profiles",
            get(profiles).merge(delivery::importing(Kind::Profiles)),
        )
        .route("/v1/journey/{mac}", get(journey))
        .route("/v1/journey/{mac}/loader", axum::routing::delete(forget_loader))
        .route("/v1/loaders", get(loaders))
        .route("/v1/loaders/{model}", axum::routing::delete(forget_model))
        .route("/v1/networks", get(networks))
        .route(
            "/v1/networks/{name}/reservations/{mac}",
            put(reserve).delete(unreserve),
        )
        .route(
            "/v1/networks/{name}/quarantine/{address}",
            axum::routing::delete(end_quarantine),
        )
        .route("/v1/events", get(events::stream))
        .with_state(service)
}

/// The bearer token of a request.
fn bearer(headers: &http::HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who sends a good token with the request.
pub(super) async fn login(service: &Service, headers: &http::HeaderMap) -> Result<Option<Login>, Problem> {
    match bearer(headers) {
        Some(token) => service.authenticate(token).await,
        None => Ok(None),
    }
}

/// Somebody with a token.
pub(super) struct User(pub Actor);

impl FromRequestParts<Arc<Service>> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<User, Response> {
        let login = login(service, &parts.headers)
            .await
            .map_err(|p| ApiError(p).into_response())?;
        if let Some(login) = login {
            if let Some(seat) = parts.extensions.get::<Seat>() {
                seat.known();
            }
            let may = login.may(&parts.method);
            return may
                .map(|()| User(login.actor))
                .map_err(|p| ApiError(p).into_response());
        }
        let token = bearer(&parts.headers);
        if token.is_some() {
            unknown_token(parts.extensions.get::<Peer>());
        }
        Err({
            let detail = match token {
                Some(_) => {
                    "the token is not one of this server, has expired or was revoked; `slipway token list` shows them, \
                     `slipway token create NAME` makes one"
                }
                None => "send `Authorization: Bearer TOKEN`; `slipway token create NAME` makes a token",
            };
            let mut response = ApiError(problem(401, "unauthorized", "Token needed", detail)).into_response();
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
            response
        })
    }
}

/// Somebody tries tokens, or one was revoked: with who it was, and not as often as they try.
pub(crate) fn unknown_token(peer: Option<&Peer>) {
    let peer = peer.map(|peer| peer.address.ip().to_canonical());
    tracing::warn!(
        ?peer,
        "refused: a token that is not one of this server, has expired or was revoked"
    );
}

pub(super) type Answer<T> = Result<Json<T>, ApiError>;

async fn health(State(service): State<Arc<Service>>) -> Answer<serde_json::Value> {
    service.health().await?;
    Ok(Json(serde_json::json!({ "ok": true })))
}

async fn machines(State(service): State<Arc<Service>>, _: User) -> Answer<Vec<MachineSummary>> {
    Ok(Json(service.machines().await?))
}

async fn machine(
    State(service): State<Arc<Service>>,
    _: User,
    Path(key): Path<String>,
) -> Answer<MachineDetail> {
    Ok(Json(service.machine(&key).await?))
}

async fn history(
    State(service): State<Arc<Service>>,
    _: User,
    Path(key): Path<String>,
    query: Result<Query<HistoryQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<Vec<HistoryEntry>> {
    let Query(query) = query.map_err(|e| problem(400, "bad-query", "Query not usable", e.body_text()))?;
    Ok(Json(service.history(&key, query.before).await?))
}

/// `?before=SEQ`: the page before that row.
#[derive(Deserialize)]
struct HistoryQuery {
    before: Option<i64>,
}

async fn plan(State(service): State<Arc<Service>>, _: User, Path(key): Path<String>) -> Answer<InstallPlan> {
    Ok(Json(service.plan(&key).await?))
}

async fn conflicts(
    State(service): State<Arc<Service>>,
    _: User,
    Path(key): Path<String>,
) -> Answer<Conflicts> {
    Ok(Json(service.conflicts(&key).await?))
}

async fn resolve_conflict(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
    request: Request,
) -> Answer<Conflicts> {
    let (_, decision) = body::read::<ResolveConflict>(request, 4096).await?;
    let work = async move { service.resolve_conflict(&key, &decision, &actor).await };
    Ok(Json(to_the_end(work).await?))
}

async fn rescue(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(key): Path<String>,
) -> Answer<RescuePassword> {
    let work = async move { service.make_rescue_password(&key, &actor).await };
    Ok(Json(to_the_end(work).await?))
}

async fn images(State(service): State<Arc<Service>>, _: User) -> Answer<Vec<ImageManifest>> {
    Ok(Json(service.images().await?))
}

async fn profiles(State(service): State<Arc<Service>>, _: User) -> Json<Vec<Profile>> {
    Json(service.profiles())
}

async fn networks(State(service): State<Arc<Service>>, _: User) -> Json<Vec<NetworkStatus>> {
    Json(service.networks())
}

async fn reserve(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path((network, mac)): Path<(String, String)>,
    request: Request,
) -> Answer<NetworkStatus> {
    let mac = mac_of(&mac)?;
    let (_, wanted) = body::read::<ReserveAddress>(request, 1024).await?;
    let work = async move { service.reserve(&network, mac, Some(wanted.address), &actor).await };
    Ok(Json(to_the_end(work).await?))
}

async fn unreserve(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path((network, mac)): Path<(String, String)>,
) -> Answer<NetworkStatus> {
    let mac = mac_of(&mac)?;
    let work = async move { service.reserve(&network, mac, None, &actor).await };
    Ok(Json(to_the_end(work).await?))
}

async fn end_quarantine(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path((network, address)): Path<(String, String)>,
) -> Answer<NetworkStatus> {
    let wrong =
        |e: std::net::AddrParseError| problem(400, "bad-address", "Address not usable", e.to_string());
    let address = address.parse().map_err(wrong)?;
    let work = async move { service.end_quarantine(&network, address, &actor).await };
    Ok(Json(to_the_end(work).await?))
}

fn mac_of(text: &str) -> Result<Mac, ApiError> {
    let wrong = |e: inventory_api::id::NameError| problem(400, "bad-mac", "MAC not usable", e.to_string());
    Ok(text.parse().map_err(wrong)?)
}

async fn journey(State(service): State<Arc<Service>>, _: User, Path(key): Path<String>) -> Answer<Journey> {
    Ok(Json(service.journey_of(&key).await?))
}

async fn forget_loader(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(mac): Path<String>,
) -> Answer<Journey> {
    let mac = mac_of(&mac)?;
    let work = async move { service.forget_loader(mac, &actor).await };
    Ok(Json(to_the_end(work).await?))
}

async fn loaders(State(service): State<Arc<Service>>, _: User) -> Json<LoaderOverview> {
    Json(service.loaders())
}

async fn forget_model(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path(model): Path<String>,
) -> Answer<LoaderOverview> {
    let work = async move { service.forget_model(&model, &actor).await };
    Ok(Json(to_the_end(work).await?))
}

#[derive(Deserialize)]
struct VerbQuery {
    #[serde(default)]
    dry_run: Option<String>,
}

async fn verb(
    State(service): State<Arc<Service>>,
    User(actor): User,
    Path((key, verb)): Path<(String, String)>,
    query: Result<Query<VerbQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|e| problem(400, "bad-query", "Query not usable", e.body_text()))?;
    let dry_run = match query.dry_run.as_deref() {
        None | Some("0" | "false") => false,
        Some("1" | "true" | "") => true,
        Some(_) => return Err(problem(400, "bad-query", "Query not usable", "dry_run is 1 or 0").into()),
    };
    if verb == "deploy" {
        let (_, order) = body::read::<DeployOrder>(request, ORDER_BYTES).await?;
        let work = async move { service.deploy(&key, order, dry_run, &actor).await };
        let response: DeployResponse = to_the_end(work).await?;
        return Ok(Json(response).into_response());
    }
    let Ok(verb) = verb.parse::<Verb>() else {
        let shown: String = verb.chars().take(40).collect();
        let all: Vec<_> = Verb::ALL.iter().map(Verb::to_string).collect();
        let detail = format!(
            "there is no verb {shown:?}; verbs are: deploy, {}",
            all.join(", ")
        );
        return Err(problem(404, "verb-unknown", "No such verb", detail).into());
    };
    if dry_run {
        return Err(problem(
            400,
            "bad-query",
            "Query not usable",
            "dry_run goes with deploy only",
        )
        .into());
    }
    let response: VerbResponse = to_the_end(async move { service.verb(&key, verb, &actor).await }).await?;
    Ok(Json(response).into_response())
}

/// Runs to its end even when the client goes.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(tokio::spawn(work).await.map_err(|e| internal(&e))??)
}
