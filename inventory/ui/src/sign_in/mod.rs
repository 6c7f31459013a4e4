//! Signing in with an API token, and out again.

use std::time::Instant;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;

use super::Ui;
use super::page::{Page, Shell, go_to, html};
use super::session;
use tls::Peer;

#[derive(Template)]
#[template(path = "sign_in/sign_in.html")]
struct SignInPage<'a> {
    shell: Shell,
    /// Where to go afterwards: a path on this server.
    next: &'a str,
    /// Whether the last attempt was refused.
    refused: bool,
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

pub(crate) async fn page(State(ui): State<Ui>, Query(q): Query<Next>, headers: HeaderMap) -> Page {
    let next = session::safe_next(&q.next);
    if session::actor(&ui, &headers).await?.is_some() {
        return go_to(next);
    }
    Ok(html(SignInPage {
        shell: ui.shell("Sign in", "", None),
        next,
        refused: false,
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
    let next = session::safe_next(&form.next);
    let token = form.token.trim();
    let Some(login) = ui.service.authenticate(token).await? else {
        service::unknown_token(Some(peer.address.ip()));
        let page = html(SignInPage {
            shell: ui.shell("Sign in", "", None),
            next,
            refused: true,
        });
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    tracing::info!(actor = %login.actor, "signed in to the page");
    let cookie = session::cookie(&ui.sessions.open(token, Instant::now()));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
}

pub(crate) async fn sign_out(State(ui): State<Ui>, headers: HeaderMap) -> Response {
    if let Some(name) = session::name(&headers) {
        ui.sessions.close(name);
    }
    let cookie = [(header::SET_COOKIE, session::no_cookie())];
    (cookie, Redirect::to("/sign-in")).into_response()
}
