//! The caller of `/v1`: the holder of a bearer token.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use inventory_api::Problem;

use crate::problem::ApiError;
use service::problem::problem;
use service::{Actor, Login, Service, unknown_token};
use tls::{Peer, Seat};

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The holder of the request's token. `None`: no token, or not a valid one.
pub(crate) async fn login(service: &Service, headers: &HeaderMap) -> Result<Option<Login>, Problem> {
    match bearer(headers) {
        Some(token) => service.authenticate(token).await,
        None => Ok(None),
    }
}

/// The holder of a valid token that allows the request's method.
pub(crate) struct User(pub(crate) Actor);

impl FromRequestParts<Arc<Service>> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<User, Response> {
        let refused = |problem| ApiError(problem).into_response();
        if let Some(login) = login(service, &parts.headers).await.map_err(refused)? {
            if let Some(seat) = parts.extensions.get::<Seat>() {
                seat.known();
            }
            login.may(&parts.method).map_err(refused)?;
            return Ok(User(login.actor));
        }
        let detail = if bearer(&parts.headers).is_some() {
            unknown_token(parts.extensions.get::<Peer>().map(|peer| peer.address.ip()));
            "the token is not one of this server, has expired or was revoked; `slipway token list` shows them, \
             `slipway token create NAME` makes one"
        } else {
            "send `Authorization: Bearer TOKEN`; `slipway token create NAME` makes a token"
        };
        let mut response = refused(problem(401, "unauthorized", "Token needed", detail));
        let challenge = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        Err(response)
    }
}
