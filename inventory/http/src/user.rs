//! `/v1`: people and programs, with bearer tokens.

use std::net::AddrParseError;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use axum::{Json, Router};
use http::header;
use http::request::Parts;
use inventory_api::Problem;
use inventory_api::conflict::ResolveConflict;
use inventory_api::machine::{
    DeployOrder, DeployResponse, HistoryEntry, MachineFilter, MachineSummary, VerbResponse,
};
use inventory_api::network::ReserveAddress;
use inventory_api::page::{Page, PageQuery};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{body, delivery, events};
use crate::problem::ApiError;
use files::import::Kind;
use service::problem::{internal, problem};
use service::{Actor, Listed, Login, Service, Verb, bad_query, mac_of, page, unknown_token};
use tls::{Peer, Seat};

/// A deploy request, with its scripts.
const ORDER_BYTES: usize = 1024 * 1024;

pub(super) const DELETE: MethodFilter = MethodFilter::DELETE;
pub(super) const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/machines", get(machines))
        .route(
            "/v1/machines/{key}",
            reads(|s, key: String| async move { s.machine(&key).await }),
        )
        .route("/v1/machines/{key}/history", get(history))
        .route(
            "/v1/machines/{key}/plan",
            reads(|s, key: String| async move { s.plan(&key).await }),
        )
        .route(
            "/v1/machines/{key}/conflict",
            reads(|s, key: String| async move { s.conflicts(&key).await }),
        )
        .route(
            "/v1/machines/{key}/conflict",
            changes_by(
                POST,
                4096,
                |s, actor, key: String, decision: ResolveConflict| async move {
                    s.resolve_conflict(&key, &decision, &actor).await
                },
            ),
        )
        .route(
            "/v1/machines/{key}/rescue",
            changes(POST, |s, actor, key: String| async move {
                s.make_rescue_password(&key, &actor).await
            }),
        )
        .route("/v1/machines/{key}/{verb}", post(verb))
        .route("/v1/images", lists(|s, ()| async move { s.images().await }))
        .route("/v1/profiles", lists(|s, ()| async move { Ok(s.profiles()) }))
        .route("/v1/profiles", delivery::importing(Kind::Profiles))
        .route(
            "/v1/journey/{mac}",
            reads(|s, mac: String| async move { s.journey_of(&mac).await }),
        )
        .route(
            "/v1/journey/{mac}/loader",
            changes(DELETE, |s, actor, mac: String| async move {
                s.forget_loader(mac_of(&mac)?, &actor).await
            }),
        )
        .route("/v1/loaders", reads(|s, ()| async move { Ok(s.loaders()) }))
        .route(
            "/v1/loaders/{model}",
            changes(DELETE, |s, actor, model: String| async move {
                s.forget_model(&model, &actor).await
            }),
        )
        .route("/v1/networks", lists(|s, ()| async move { Ok(s.networks()) }))
        .route(
            "/v1/networks/{name}/reservations/{mac}",
            changes_by(
                PUT,
                1024,
                |s, actor, (network, mac): (String, String), wanted: ReserveAddress| async move {
                    s.reserve(&network, mac_of(&mac)?, Some(wanted.address), &actor)
                        .await
                },
            ),
        )
        .route(
            "/v1/networks/{name}/reservations/{mac}",
            changes(DELETE, |s, actor, (network, mac): (String, String)| async move {
                s.reserve(&network, mac_of(&mac)?, None, &actor).await
            }),
        )
        .route(
            "/v1/networks/{name}/quarantine/{address}",
            changes(
                DELETE,
                |s, actor, (network, address): (String, String)| async move {
                    let address = address.parse().map_err(|e: AddrParseError| {
                        problem(400, "bad-address", "Address not usable", e.to_string())
                    })?;
                    s.end_quarantine(&network, address, &actor).await
                },
            ),
        )
        .route("/v1/events", get(events::stream))
        .with_state(service)
}

/// Route for `GET` of one answer from the service.
pub(super) fn reads<P, T, F>(
    ask: impl Fn(Arc<Service>, P) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Service>>
where
    P: DeserializeOwned + Send + 'static,
    T: Serialize + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    get(
        async move |State(service): State<Arc<Service>>, _: User, Path(path): Path<P>| -> Answer<T> {
            Ok(Json(ask(service, path).await?))
        },
    )
}

/// Route for `GET` of a list in pages.
pub(super) fn lists<P, T, F>(
    ask: impl Fn(Arc<Service>, P) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Service>>
where
    P: DeserializeOwned + Send + 'static,
    T: Listed + Serialize + 'static,
    F: Future<Output = Result<Vec<T>, Problem>> + Send + 'static,
{
    get(
        async move |State(service): State<Arc<Service>>,
                    _: User,
                    Path(path): Path<P>,
                    Asked(query): Asked<PageQuery>|
                    -> Answer<Page<T>> { Ok(Json(page(ask(service, path).await?, &query)?)) },
    )
}

/// The query of a request, with our own problem if it is unusable.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked<T>, ApiError> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|Query(asked)| Asked(asked))
            .map_err(|e| bad_query(e.body_text()).into())
    }
}

/// Route for a change. It runs to its end even if the client disconnects.
pub(super) fn changes<P, T, F>(
    method: MethodFilter,
    work: impl Fn(Arc<Service>, Actor, P) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Service>>
where
    P: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    on(
        method,
        async move |State(service): State<Arc<Service>>,
                    User(actor): User,
                    Path(path): Path<P>|
                    -> Answer<T> { to_the_end(work(service, actor, path)).await.map(Json) },
    )
}

/// Like [`changes`], with a JSON body of at most `limit` bytes.
pub(super) fn changes_by<P, B, T, F>(
    method: MethodFilter,
    limit: usize,
    work: impl Fn(Arc<Service>, Actor, P, B) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Service>>
where
    P: DeserializeOwned + Send + 'static,
    B: DeserializeOwned + 'static,
    T: Serialize + Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    on(
        method,
        async move |State(service): State<Arc<Service>>,
                    User(actor): User,
                    Path(path): Path<P>,
                    request: Request|
                    -> Answer<T> {
            let (_, asked) = body::read(request, limit).await?;
            to_the_end(work(service, actor, path, asked)).await.map(Json)
        },
    )
}

fn bearer(headers: &http::HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The holder of the request's token. `None`: no token, or not a valid one.
pub(super) async fn login(service: &Service, headers: &http::HeaderMap) -> Result<Option<Login>, Problem> {
    match bearer(headers) {
        Some(token) => service.authenticate(token).await,
        None => Ok(None),
    }
}

/// The holder of a valid token that allows the request's method.
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
            unknown_token(parts.extensions.get::<Peer>().map(|peer| peer.address.ip()));
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

pub(super) type Answer<T> = Result<Json<T>, ApiError>;

async fn health(State(service): State<Arc<Service>>) -> Answer<serde_json::Value> {
    service.health().await?;
    Ok(Json(serde_json::json!({ "ok": true })))
}

async fn history(
    State(service): State<Arc<Service>>,
    _: User,
    Path(key): Path<String>,
    Asked(rows): Asked<HistoryQuery>,
    Asked(query): Asked<PageQuery>,
) -> Answer<Page<HistoryEntry>> {
    Ok(Json(service.history(&key, rows.before, &query).await?))
}

async fn machines(
    State(service): State<Arc<Service>>,
    _: User,
    Asked(filter): Asked<MachineFilter>,
    Asked(query): Asked<PageQuery>,
) -> Answer<Page<MachineSummary>> {
    Ok(Json(service.machines(&filter, &query).await?.into()))
}

/// `?before=SEQ`: only older rows.
#[derive(Deserialize)]
struct HistoryQuery {
    before: Option<i64>,
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
    Asked(query): Asked<VerbQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let dry_run = match query.dry_run.as_deref() {
        None | Some("0" | "false") => false,
        Some("1" | "true" | "") => true,
        Some(_) => return Err(bad_query("dry_run is 1 or 0").into()),
    };
    let Ok(verb) = verb.parse::<Verb>() else {
        let shown: String = verb.chars().take(40).collect();
        let all: Vec<_> = Verb::ALL.iter().map(Verb::to_string).collect();
        let detail = format!("there is no verb {shown:?}; verbs are: {}", all.join(", "));
        return Err(problem(404, "verb-unknown", "No such verb", detail).into());
    };
    if verb == Verb::Deploy {
        let (_, order) = body::read::<DeployOrder>(request, ORDER_BYTES).await?;
        let work = async move { service.deploy(&key, order, dry_run, &actor).await };
        let response: DeployResponse = to_the_end(work).await?;
        return Ok(Json(response).into_response());
    }
    if dry_run {
        return Err(bad_query("dry_run goes with deploy only").into());
    }
    let response: VerbResponse = to_the_end(async move { service.verb(&key, verb, &actor).await }).await?;
    Ok(Json(response).into_response())
}

/// Runs to its end even if the client disconnects: what follows a commit must not be skipped.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(tokio::spawn(work).await.map_err(|e| internal(&e))??)
}
