//! What all pages share: the frame around them, errors as pages, colours.

use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, middleware};
use inventory_api::check::Verdict;
use inventory_api::machine::{MachineState, MachineSummary};
use inventory_api::{Problem, UnixMs};

use super::{Ui, session};
use service::Actor;
use service::problem::problem;
use words::text::Moment;

/// Rows shown per table.
pub(crate) const MAX_ROWS: usize = 500;

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

pub(crate) type Page = Result<Response, PageError>;

/// The signed-in user, for error pages; set once the session has been checked.
#[derive(Clone, Default)]
pub(crate) struct Who(pub(crate) Arc<OnceLock<Actor>>);

/// The frame of every page: title, menu, user, clock.
pub(crate) struct Shell {
    /// Title of the browser window.
    pub(crate) title: String,
    /// Label of the current menu entry; empty: none.
    pub(crate) section: &'static str,
    /// The signed-in user; `None` on the sign-in page.
    pub(crate) actor: Option<String>,
    /// The server's clock: the browser's may be wrong.
    pub(crate) now: UnixMs,
}

impl Shell {
    /// Address, icon and label of the menu entries.
    pub(crate) fn menu(&self) -> [(&'static str, &'static str, &'static str); 6] {
        [
            ("/machines", "server-2", "Machines"),
            ("/orders", "package", "Orders"),
            ("/racks", "server", "Racks"),
            ("/networks", "network", "Networks"),
            ("/images", "disc", "Images"),
            ("/profiles", "list-details", "Profiles"),
        ]
    }

    pub(crate) fn moment(&self, at: &UnixMs) -> Moment {
        Moment::new(*at, self.now)
    }
}

impl Ui {
    pub(crate) fn shell(&self, title: &str, section: &'static str, actor: Option<&Actor>) -> Shell {
        Shell {
            title: title.to_owned(),
            section,
            actor: actor.map(ToString::to_string),
            now: self.service.core().clock.now(),
        }
    }
}

#[derive(Template)]
#[template(path = "page/error.html")]
struct ErrorPage {
    shell: Shell,
    problem: Problem,
}

/// Layer that renders a [`Problem`] as a page, with the signed-in user in the menu.
pub(crate) async fn problems(State(ui): State<Ui>, mut request: Request, next: middleware::Next) -> Response {
    let who = Who::default();
    request.extensions_mut().insert(who.clone());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let shell = ui.shell(&problem.title, "", who.0.get());
    (status, html(ErrorPage { shell, problem })).into_response()
}

/// 404: no such page or no such action.
pub(crate) fn nothing_here(detail: &str) -> Problem {
    problem(404, "not-found", "There is nothing here", detail)
}

pub(crate) fn html(page: impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            let words = "this page could not be rendered: look at the server's log";
            (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
        }
    }
}

/// The answer to a form: a redirect, so that a reload does not send the form again.
pub(crate) fn go_to(path: &str) -> Page {
    Ok(Redirect::to(path).into_response())
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

/// Colour of a state, by its Tabler name.
pub(crate) fn state_color(state: &MachineState) -> &'static str {
    match state {
        MachineState::New => "azure",
        MachineState::Commissioning | MachineState::Deploying | MachineState::Releasing => "blue",
        MachineState::Ready => "teal",
        MachineState::Deployed => "green",
        MachineState::Failed => "red",
        MachineState::Quarantined => "orange",
        MachineState::Retired | MachineState::Unknown(_) => "secondary",
    }
}

/// Colour of a machine's state. A machine that is ready with the wrong hardware is red.
pub(crate) fn shown_color(m: &MachineSummary) -> &'static str {
    match (&m.status.state, m.verdict) {
        (MachineState::Ready, Some(Verdict::Fail)) => "red",
        (state, _) => state_color(state),
    }
}

/// "deployed" -> "Deployed".
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.as_str().chars()).collect()
}

/// The value as text; an en dash if it is absent.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| v.to_string())
}
