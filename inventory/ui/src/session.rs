//! Sign-in. The server keeps the token and authenticates it again with every request, so revoking a token
//! ends its sessions at once. The browser only has a random session name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Ui;
use super::page::{PageError, Shell, Who};
use service::{Actor, Login, Service};
use tls::Seat;

/// `__Host-`: browsers accept it only with `Secure`, `Path=/` and no `Domain`.
const COOKIE: &str = "__Host-slipway";
/// A working day; after that the user pastes the token again.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// One more evicts the oldest.
const MAX_SESSIONS: usize = 1000;

/// Open sessions, in memory: a restart signs everybody out.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

struct Session {
    token: String,
    since: Instant,
}

fn key(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

impl Sessions {
    /// Opens a session and returns its name, for the cookie.
    pub(crate) fn open(&self, token: &str, now: Instant) -> String {
        let name = hex::encode(rand::random::<[u8; 32]>());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, s| now.duration_since(s.since) < LIFETIME);
        if open.len() >= MAX_SESSIONS
            && let Some(oldest) = open.iter().min_by_key(|(_, s)| s.since).map(|(k, _)| *k)
        {
            open.remove(&oldest);
        }
        open.insert(
            key(&name),
            Session {
                token: token.to_owned(),
                since: now,
            },
        );
        name
    }

    /// The session's token; `None`: unknown or expired.
    fn token(&self, name: &str, now: Instant) -> Option<String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get(&key(name))?;
        (now.duration_since(session.since) < LIFETIME).then(|| session.token.clone())
    }

    pub(crate) fn close(&self, name: &str) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key(name));
    }
}

/// `Set-Cookie` value for a session.
pub(crate) fn cookie(name: &str) -> String {
    format!(
        "{COOKIE}={name}; Path=/; Max-Age={}; HttpOnly; Secure; SameSite=Strict",
        LIFETIME.as_secs()
    )
}

/// `Set-Cookie` value that removes the cookie.
pub(crate) fn no_cookie() -> String {
    format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict")
}

/// The session name from the cookie; `None`: no cookie, or its length is wrong.
pub(crate) fn name(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .filter(|name| name.len() == 64)
}

/// The signed-in user; `None`: no session, or its token is no longer valid.
pub(crate) async fn actor(ui: &Ui, headers: &HeaderMap) -> Result<Option<Login>, PageError> {
    let Some(token) = name(headers).and_then(|n| ui.sessions.token(n, Instant::now())) else {
        return Ok(None);
    };
    Ok(ui.service.authenticate(&token).await?)
}

/// Extractor: a request of a signed-in user, with its path parameters.
pub(crate) struct SignedIn<P = ()> {
    ui: Ui,
    pub(crate) service: Arc<Service>,
    pub(crate) actor: Actor,
    pub(crate) path: P,
}

impl<P> SignedIn<P> {
    /// The page frame for this user.
    pub(crate) fn shell(&self, title: &str, section: &'static str) -> Shell {
        self.ui.shell(title, section, Some(&self.actor))
    }
}

impl<P: DeserializeOwned + Send> FromRequestParts<Ui> for SignedIn<P> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ui: &Ui) -> Result<SignedIn<P>, Response> {
        match actor(ui, &parts.headers).await {
            Ok(Some(login)) => {
                if let Some(seat) = parts.extensions.get::<Seat>() {
                    seat.known();
                }
                if let Some(who) = parts.extensions.get::<Who>() {
                    let _ = who.0.set(login.actor.clone());
                }
                if let Err(problem) = login.may(&parts.method) {
                    return Err(PageError::from(problem).into_response());
                }
                let path = Path::from_request_parts(parts, ui).await;
                let Path(path) = path.map_err(IntoResponse::into_response)?;
                Ok(SignedIn {
                    ui: ui.clone(),
                    service: ui.service.clone(),
                    actor: login.actor,
                    path,
                })
            }
            Ok(None) if parts.headers.contains_key("hx-request") => {
                // htmx would follow a plain redirect and swap the sign-in page into the table.
                Err((StatusCode::OK, [("hx-redirect", "/sign-in")]).into_response())
            }
            Ok(None) if parts.method == axum::http::Method::GET => {
                let next = parts.uri.path_and_query().map_or("/machines", |p| p.as_str());
                Err(Redirect::to(&format!("/sign-in?next={}", encode(next))).into_response())
            }
            Ok(None) => Err(Redirect::to("/sign-in").into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// Percent-encodes a query value; `/` stays as it is.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// Where to go after the sign-in: a path on this server, never another host (`//evil`, `/\evil`). Anything
/// else becomes `/machines`.
pub(crate) fn safe_next(next: &str) -> &str {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= 512
        && next.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
    if ours { next } else { "/machines" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_open_expire_and_close() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let a = sessions.open("secret", start);
        assert_eq!(a.len(), 64);
        assert_eq!(sessions.token(&a, start).as_deref(), Some("secret"));
        assert_eq!(sessions.token(&a, start + LIFETIME), None);
        assert_eq!(sessions.token("x", start), None);
        sessions.close(&a);
        assert_eq!(sessions.token(&a, start), None);
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let first = sessions.open("t", start);
        for i in 1..=MAX_SESSIONS {
            sessions.open("t", start + Duration::from_secs(i as u64));
        }
        assert_eq!(sessions.open.lock().unwrap().len(), MAX_SESSIONS);
        assert_eq!(sessions.token(&first, start), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        let value = format!("a=b; {COOKIE}={}; c=d", "e".repeat(64));
        headers.insert(header::COOKIE, value.parse().unwrap());
        assert_eq!(name(&headers), Some("e".repeat(64).as_str()));
        headers.insert(header::COOKIE, format!("{COOKIE}=short").parse().unwrap());
        assert_eq!(name(&headers), None);
    }

    #[test]
    fn after_the_sign_in_one_stays_here() {
        assert_eq!(safe_next("/machines/m-1?x=1"), "/machines/m-1?x=1");
        for bad in ["https://evil", "//evil", "/\\evil", "", "machines", "/a\nb", "/ä"] {
            assert_eq!(safe_next(bad), "/machines", "{bad}");
        }
    }
}
