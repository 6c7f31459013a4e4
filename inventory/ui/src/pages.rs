//! Page handlers: call the service, build a view from its answer, render it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form, middleware};
use inventory_api::machine::{Deployment, Journey, MachineDetail};
use inventory_api::page::PageQuery;
use inventory_api::{Problem, UnixMs};
use serde::Deserialize;

use super::Ui;
use super::session::{self, SignedIn};
use super::view::act::{ActPage, DeployPage, DeployPlanPage};
use super::view::hardware::HardwareView;
use super::view::lists::{ImagesPage, ProfilesPage};
use super::view::machine::{Body, Head, MachinePage, Overview, Tab, VerificationView};
use super::view::machines::{self, MachinesPage};
use super::view::plan::{PlanView, disk_key};
use super::view::{ErrorPage, Shell, SignInPage};
use service::core::Clock;
use service::problem::problem;
use service::{Actor, BAD_TOKEN, Service, Verb};
use tls::Peer;

/// A problem to be shown as a page: the layer [`problems`], around all routes, renders it. Without that layer
/// it would be an empty 500.
pub(crate) struct PageError(Problem);

impl From<Problem> for PageError {
    fn from(problem: Problem) -> PageError {
        PageError(problem)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, Extension(self.0)).into_response()
    }
}

/// The signed-in user, for error pages; set once the session has been checked.
#[derive(Clone, Default)]
pub(crate) struct Who(pub(crate) Arc<OnceLock<Actor>>);

/// Layer that renders a [`Problem`] as a page, with the signed-in user in the menu.
pub(super) async fn problems(mut request: Request, next: middleware::Next) -> Response {
    let who = Who::default();
    request.extensions_mut().insert(who.clone());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut page = html(ErrorPage {
        shell: shell(problem.title.clone(), "", who.0.get()),
        status: status.as_u16(),
        problem,
    });
    *page.status_mut() = status;
    page
}

pub(super) type Page = Result<Response, PageError>;

/// 404: no such page or no such action.
pub(super) fn nothing_here(detail: &str) -> Problem {
    problem(404, "not-found", "There is nothing here", detail)
}

pub(super) fn now() -> UnixMs {
    Clock::system().now()
}

pub(super) fn shell(title: impl Into<String>, section: &'static str, actor: Option<&Actor>) -> Shell {
    Shell {
        title: title.into(),
        section,
        actor: actor.map(|a| a.to_string()),
        now: now(),
    }
}

pub(super) fn html(page: impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "this page could not be rendered: look at the server's log",
            )
                .into_response()
        }
    }
}

pub(crate) async fn root() -> Redirect {
    Redirect::to("/machines")
}

/// Fallback of the whole port: a problem document for API paths, else a page.
pub(crate) async fn not_found(
    State(ui): State<Ui>,
    Extension(who): Extension<Who>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let missing = nothing_here("The address may be mistyped, or what it showed is gone.");
    if ["/v1", "/agent"].iter().any(|p| uri.path().starts_with(p)) {
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let text = serde_json::to_string(&missing).unwrap_or_default();
        return (StatusCode::NOT_FOUND, kind, text).into_response();
    }
    if let Ok(Some(login)) = session::actor(&ui, &headers).await {
        let _ = who.0.set(login.actor);
    }
    PageError(missing).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in_page(State(ui): State<Ui>, Query(q): Query<Next>, headers: HeaderMap) -> Page {
    let next = session::safe_next(&q.next).to_owned();
    if session::actor(&ui, &headers).await?.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    Ok(html(SignInPage {
        shell: shell("Sign in", "", None),
        next,
        error: None,
    }))
}

/// The form of the sign-in page. The token is a secret: no Debug.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    token: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in(
    State(ui): State<Ui>,
    Extension(peer): Extension<Peer>,
    Form(form): Form<SignIn>,
) -> Page {
    let next = session::safe_next(&form.next).to_owned();
    let token = form.token.trim();
    let known = ui.service.authenticate(token).await?;
    match known {
        Some(login) => {
            tracing::info!(actor = %login.actor, "signed in to the page");
            let name = ui.sessions.open(token, Instant::now());
            Ok((
                [(header::SET_COOKIE, session::cookie(&name))],
                Redirect::to(&next),
            )
                .into_response())
        }
        None => {
            service::unknown_token(Some(peer.address.ip()));
            let error = Some(
                "That token is not valid. Check that all of it was copied, and with `slipway token list` that it has \
                 not expired and was not revoked.",
            );
            let mut page = html(SignInPage {
                shell: shell("Sign in", "", None),
                next,
                error,
            });
            *page.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(page)
        }
    }
}

pub(crate) async fn sign_out(State(ui): State<Ui>, headers: HeaderMap) -> Response {
    if let Some(name) = session::name(&headers) {
        ui.sessions.close(name);
    }
    (
        [(header::SET_COOKIE, session::no_cookie())],
        Redirect::to("/sign-in"),
    )
        .into_response()
}

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    state: Option<String>,
    #[serde(default)]
    q: String,
    page: Option<String>,
}

pub(crate) async fn machines(at: SignedIn, Query(query): Query<ListQuery>) -> Page {
    let filter = machines::filter(query.state.as_deref(), &query.q);
    let mut ask = PageQuery {
        limit: None,
        page_token: query.page.filter(|token| !token.is_empty()),
    };
    let found = match at.service.machines(&filter, &ask).await {
        // The token belongs to another filter: the text was edited on a later page. Show the first page.
        Err(problem) if problem.code == BAD_TOKEN => None,
        found => Some(found?),
    };
    // So too if the machines of this page no longer match.
    let found = match found.filter(|found| !found.machines.is_empty()) {
        Some(found) => found,
        None => {
            ask.page_token = None;
            at.service.machines(&filter, &ask).await?
        }
    };
    if found.previous.is_none() {
        ask.page_token = None;
    }
    let counts = at.service.machine_counts().await?;
    let shell = at.shell("Machines", "Machines");
    let mut page = MachinesPage::new(shell, found, &counts, &filter, ask.page_token);
    page.missing = at.service.missing().into_iter().map(|one| one.sentence).collect();
    Ok(html(page))
}

/// Page of the history: the rows before this sequence number; `None`: the newest.
#[derive(Deserialize)]
pub(crate) struct Older {
    before: Option<i64>,
}

pub(crate) async fn machine_overview(at: SignedIn<String>) -> Page {
    let tab = Tab::Overview.key().to_owned();
    let at = SignedIn {
        path: (at.path, tab),
        service: at.service,
        actor: at.actor,
    };
    machine(at, Query(Older { before: None })).await
}

pub(crate) async fn machine(at: SignedIn<(String, String)>, Query(older): Query<Older>) -> Page {
    let (id, tab) = &at.path;
    let tab: Tab = tab
        .parse()
        .map_err(|()| nothing_here("A machine has no such page."))?;
    let d = at.service.machine(id).await?;
    let now = now();
    let rows = PageQuery {
        limit: Some(200),
        page_token: None,
    };
    let body = match tab {
        Tab::Overview => {
            let history = at.service.history(id, None, &rows).await?.items;
            let journeys = journeys(&at.service, &d).await?;
            let mut boots: Vec<_> = journeys.into_iter().flat_map(|j| j.events).collect();
            boots.sort_by_key(|e| e.at);
            Body::Overview(Box::new(Overview::new(&d, &history, &boots, now)))
        }
        Tab::Hardware => Body::Hardware(HardwareView::new(d.report.as_ref(), d.reported_at, now)),
        Tab::Plan => Body::Plan(d.plan.as_ref().map(PlanView::new)),
        Tab::Verification => Body::Verification(VerificationView::new(d.verification.as_ref())),
        Tab::History => Body::History(at.service.history(id, older.before, &rows).await?.items),
        Tab::Network => Body::Network(journeys(&at.service, &d).await?),
    };
    let shell = at.shell(d.machine.name(), "Machines");
    Ok(html(MachinePage {
        shell,
        head: Head::new(&d),
        tab,
        body,
    }))
}

/// NICs of one machine whose journeys are read; the boot NIC comes first.
const MAX_NICS: usize = 8;

async fn journeys(service: &Service, d: &MachineDetail) -> Result<Vec<Journey>, Problem> {
    let mut all = Vec::new();
    for (i, mac) in d.machine.macs.iter().take(MAX_NICS).enumerate() {
        let journey = service.journey(*mac).await?;
        // A silent NIC gets no card, except the boot NIC: its silence is worth showing.
        if i == 0 || !journey.events.is_empty() {
            all.push(journey);
        }
    }
    Ok(all)
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    profile: Option<String>,
    /// Key of the disk that was shown, when confirming.
    disk: Option<String>,
}

/// `GET /machines/{id}/do/{verb}`: shows what will happen, to be confirmed.
pub(crate) async fn ask(at: SignedIn<(String, String)>, Query(choice): Query<Choice>) -> Page {
    let (id, verb) = &at.path;
    let d = at.service.machine(id).await?;
    let shell = at.shell(d.machine.name(), "Machines");
    let verb = parse_verb(verb)?;
    if verb == Verb::Deploy {
        let Some(profile) = choice.profile else {
            return Ok(html(DeployPage::new(shell, &d, &at.service.profiles())));
        };
        let order = Deployment::Profile {
            profile: profile.clone(),
        };
        let planned = at.service.deploy(id, order, true, &at.actor).await?;
        return Ok(html(DeployPlanPage::new(
            shell,
            &d,
            &profile,
            planned.plan.as_ref(),
        )));
    }
    ActPage::new(shell, &d, verb)
        .map(html)
        .ok_or_else(|| no_verb().into())
}

fn no_verb() -> Problem {
    nothing_here("There is no such thing to do with a machine.")
}

fn parse_verb(verb: &str) -> Result<Verb, Problem> {
    verb.parse().map_err(|()| no_verb())
}

/// `POST /machines/{id}/do/{verb}`: does what was confirmed.
pub(crate) async fn act(at: SignedIn<(String, String)>, Form(choice): Form<Choice>) -> Page {
    let (id, verb) = &at.path;
    let verb = parse_verb(verb)?;
    if verb == Verb::Deploy {
        let Some(profile) = choice.profile else {
            return Err(problem(
                400,
                "no-profile",
                "No profile was chosen",
                "Go back and choose what to deploy.",
            )
            .into());
        };
        let order = Deployment::Profile { profile };
        // The user confirmed a disk. If the plan would now take another one, refuse, so that they look again.
        let planned = at.service.deploy(id, order.clone(), true, &at.actor).await?;
        let disk = planned.plan.as_ref().map(|p| disk_key(&p.disk));
        if disk != choice.disk {
            let detail = "Since the plan was shown, the machine or the profile has changed and another disk would be written. Nothing was done: look at the new plan and confirm it.";
            return Err(problem(409, "plan-changed", "The plan has changed", detail).into());
        }
        at.service.deploy(id, order, false, &at.actor).await?;
    } else {
        at.service.verb(id, verb, &at.actor).await?;
        if verb == Verb::Forget {
            return Ok(Redirect::to("/machines").into_response());
        }
    }
    Ok(Redirect::to(&format!("/machines/{id}")).into_response())
}

pub(crate) async fn images(at: SignedIn) -> Page {
    let images = at.service.images().await?;
    Ok(html(ImagesPage {
        shell: at.shell("Images", "Images"),
        images: &images,
    }))
}

pub(crate) async fn profiles(at: SignedIn) -> Page {
    Ok(html(ProfilesPage::new(
        at.shell("Profiles", "Profiles"),
        &at.service.profiles(),
    )))
}
