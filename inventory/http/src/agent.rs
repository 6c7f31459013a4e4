//! `/agent/v1`, as [`inventory_api::agent`] describes it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use inventory_api::agent::{
    AssignmentResponse, ClaimRequest, ClaimResponse, Permission, Progress, ReportRequest, ReportResponse,
    StepReport, Verification,
};
use inventory_api::rescue::{RescueRequest, RescueResponse, SHELL_PATH};
use inventory_api::routes::Method::Post;
use inventory_api::task::TaskReport;
use inventory_api::{MachineId, Problem, Sha256Digest};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::body::{self, Query, Sent};
use crate::problem::{Answer, ApiError};
use crate::routing::change;
use service::Service;
use service::problem::{internal, problem};
use tls::{Peer, Seat};

/// A claim: ticket and signing request.
const CLAIM: usize = 32 * 1024;
/// A report: with hundreds of disks and DIMMs it has some hundred kilobytes.
const REPORT: usize = 1024 * 1024;
/// Reports parsed at once: each takes milliseconds of CPU time, and the boot network must not wait for them.
static READING: Semaphore = Semaphore::const_new(2);
/// Step, progress, rescue and task.
const SMALL: usize = 64 * 1024;
/// A verification: names every account, job and script.
const VERIFICATION: usize = 1024 * 1024;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/agent/v1/claim", change(Post, claim))
        .route("/agent/v1/rescue", change(Post, rescue))
        .route(&format!("/agent/v1/{SHELL_PATH}"), get(rescue_shell))
        .route("/agent/v1/report", change(Post, report))
        .route("/agent/v1/assignment", get(assignment))
        .route("/agent/v1/step", change(Post, step))
        .route("/agent/v1/progress", change(Post, progress))
        .route("/agent/v1/verification", change(Post, verification))
        .route("/agent/v1/task", change(Post, task))
        .route("/agent/v1/images/{digest}", get(image))
        .layer(axum::middleware::from_fn_with_state(service.clone(), note))
        .with_state(service)
}

/// Records claims, reports and refusals in the machine's journey.
async fn note(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<Peer>()
        .map(|peer| peer.address.ip().to_canonical());
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    if let Some(peer) = peer {
        let refused = response.extensions().get::<Problem>();
        service.agent_answered(peer, &path, response.status().as_u16(), refused);
    }
    response
}

/// A machine with a valid certificate.
struct Machine(MachineId);

impl FromRequestParts<Arc<Service>> for Machine {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Machine, ApiError> {
        let peer = parts.extensions.get::<Peer>().cloned();
        let Some(certificate) = peer.as_ref().and_then(|p| p.certificate.clone()) else {
            return Err(problem(
                401,
                "certificate-missing",
                "No machine certificate",
                "only a machine with its certificate may ask this: claim a boot ticket first",
            )
            .into());
        };
        match service.machine_of_certificate(&certificate.serial).await? {
            Some(id) if id == certificate.machine => {
                if let Some(seat) = parts.extensions.get::<Seat>() {
                    seat.known();
                }
                Ok(Machine(id))
            }
            Some(_) | None => {
                let address = peer.as_ref().map(|p| p.address.ip().to_canonical());
                service
                    .superseded_certificate(&certificate.serial, address)
                    .await?;
                tracing::warn!(machine = %certificate.machine, serial = %certificate.serial,
                    peer = ?peer.map(|p| p.address), "a revoked certificate was refused");
                Err(problem(
                    403,
                    "certificate-revoked",
                    "Machine certificate no longer good",
                    "this machine certificate was revoked or replaced by a newer one: boot the machine again",
                )
                .into())
            }
        }
    }
}

/// What a machine with a certificate sends.
type Told<T, const LIMIT: usize = SMALL> = (Machine, Sent<T, LIMIT>);
type Done<T> = Result<Json<T>, Problem>;

async fn claim(
    service: Arc<Service>,
    (Extension(peer), headers, Sent(claim)): (Extension<Peer>, HeaderMap, Sent<ClaimRequest, CLAIM>),
) -> Done<ClaimResponse> {
    let page = page_base(&headers).map(|base| format!("{base}/machines"));
    let address = peer.address.ip().to_canonical();
    service.claim(&claim, address, page.as_deref()).await.map(Json)
}

async fn rescue(
    service: Arc<Service>,
    (Extension(peer), Sent(asks)): (Extension<Peer>, Sent<RescueRequest, SMALL>),
) -> Done<RescueResponse> {
    let address = peer.address.ip().to_canonical();
    service.rescue(&asks, address).await.map(Json)
}

/// The shell of the rescue system. It is not secret, but the machine runs it as root, so it is served over
/// TLS.
async fn rescue_shell(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    let shell = service.rescue_shell(peer.address.ip().to_canonical()).await?;
    Ok(file(shell, request).await)
}

/// Base URL of the pages: the address under which the machine reached us.
fn page_base(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = host.len() <= 255
        && host
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'[' | b']'));
    plain.then(|| format!("https://{host}"))
}

/// A report and its bytes.
struct Reported {
    bytes: Bytes,
    sent: ReportRequest,
}

impl<S: Sync> FromRequest<S> for Reported {
    type Rejection = ApiError;

    /// Parses a report off the async threads.
    async fn from_request(request: Request, _: &S) -> Result<Reported, ApiError> {
        let bytes = body::whole(request, REPORT).await?;
        let _turn = READING.acquire().await.map_err(|e| internal(&e))?;
        let read = tokio::task::spawn_blocking(move || {
            let sent = lifecycle::bounds::read_report(&bytes).map_err(|e| body::not_json(&e))?;
            Ok(Reported { bytes, sent })
        });
        read.await.map_err(|e| internal(&e))?
    }
}

async fn report(
    service: Arc<Service>,
    (Machine(id), headers, report): (Machine, HeaderMap, Reported),
) -> Done<ReportResponse> {
    let mut answer = service.report(&id, &report.bytes, &report.sent).await?;
    // The id, not the serial number, which two machines may share.
    answer.page_url = page_base(&headers).map(|base| format!("{base}/p/{id}"));
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct AssignmentQuery {
    #[serde(default)]
    wait: u64,
    #[serde(default)]
    seen: Option<u64>,
}

async fn assignment(
    State(service): State<Arc<Service>>,
    Machine(id): Machine,
    Query(query): Query<AssignmentQuery>,
) -> Answer<AssignmentResponse> {
    let wait = Duration::from_secs(query.wait);
    Ok(Json(service.assignment(&id, query.seen, wait).await?))
}

async fn step(service: Arc<Service>, (Machine(id), Sent(step)): Told<StepReport>) -> Done<Permission> {
    service.step(&id, step).await.map(Json)
}

async fn task(service: Arc<Service>, (Machine(id), Sent(report)): Told<TaskReport>) -> Done<Permission> {
    service.task_report(&id, report).await.map(Json)
}

async fn progress(
    service: Arc<Service>,
    (Machine(id), Sent(sent)): Told<Progress>,
) -> Result<StatusCode, Problem> {
    service.progress(&id, sent).await.map(|()| StatusCode::NO_CONTENT)
}

async fn verification(
    service: Arc<Service>,
    (Machine(id), Sent(sent)): Told<Verification, VERIFICATION>,
) -> Result<StatusCode, Problem> {
    service
        .verification(&id, sent)
        .await
        .map(|()| StatusCode::NO_CONTENT)
}

async fn image(
    State(service): State<Arc<Service>>,
    Machine(id): Machine,
    Path(digest): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let digest: Sha256Digest = digest.parse().map_err(|e: inventory_api::id::NameError| {
        problem(400, "bad-digest", "Digest not usable", e.to_string())
    })?;
    let image = service.image_of_plan(&id, digest).await?;
    Ok(file(&image.path, request).await)
}

async fn file(path: &std::path::Path, request: Request) -> Response {
    match ServeFile::new(path).oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}
