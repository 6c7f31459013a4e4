//! Security headers on every response, and the origin check of every request that changes something.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// No inline script or style, nothing from other hosts. Tabler's icons in CSS are `data:` images.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let embedded = request.uri().path().starts_with("/static/");
    let mut response = if same_origin(request.method(), request.headers(), request.uri().host()) {
        next.run(request).await
    } else {
        (
            StatusCode::FORBIDDEN,
            "this request did not come from a page of this server",
        )
            .into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: browsers would then send `Origin: null` with forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if !embedded {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Whether a request only reads or comes from our own page. The cookie is `SameSite=Strict` already; this
/// check also stops other origins of the same site (another port of the same host).
fn same_origin(method: &Method, headers: &HeaderMap, authority: Option<&str>) -> bool {
    if method == Method::GET || method == Method::HEAD {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .or(authority);
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    match (origin, host) {
        (Some(origin), Some(host)) => origin
            .strip_prefix("https://")
            .is_some_and(|o| o.eq_ignore_ascii_case(host)),
        // Some browsers omit Origin on a same-origin form and send this instead.
        (None, _) => headers.get("sec-fetch-site").is_some_and(|v| v == "same-origin"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn only_our_own_page_may_change_something() {
        let ours = [("host", "s:8443"), ("origin", "https://s:8443")];
        assert!(same_origin(&Method::POST, &headers(&ours), None));
        assert!(same_origin(&Method::GET, &headers(&[]), None));
        assert!(same_origin(
            &Method::POST,
            &headers(&[("host", "s"), ("sec-fetch-site", "same-origin")]),
            None
        ));
        for wrong in [
            &[("host", "s:8443"), ("origin", "https://evil")][..],
            &[("host", "s:8443"), ("origin", "https://s:9000")],
            &[("host", "s:8443"), ("origin", "http://s:8443")],
            &[("host", "s:8443"), ("origin", "null")],
            &[("host", "s:8443")],
            &[("origin", "https://s:8443")],
            &[("host", "s:8443"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(!same_origin(&Method::POST, &headers(wrong), None), "{wrong:?}");
        }
    }
}
