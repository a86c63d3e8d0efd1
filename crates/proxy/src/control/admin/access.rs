//! Who may call: everybody asks for metrics and health; everything else is for operators.
//!
//! With a `control_password` it is the bearer token. Without one the caller must be on this machine, and must not be a
//! web page: a browser there would carry out what any page tells it to. So a request that a page sent (`Origin`) is
//! refused, and so is one to a host name, because a page's own name may lead here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use proxy_core::authority;
use proxy_core::settings::Password;

use super::error::ApiError;
use super::sources::Sources;

/// What is open to everybody.
const OPEN: [&str; 5] = ["/", "/metrics", "/healthz", "/readyz", "/openapi.json"];

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Lets pass who may.
pub(super) async fn check(
    State(sources): State<Arc<Sources>>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match permit(sources.control_password().as_ref(), ends, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let is_unknown = error.status == StatusCode::UNAUTHORIZED;
            let mut response = error.into_response();
            if is_unknown {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

fn permit(password: Option<&Password>, ends: Ends, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(password) = password else {
        return authority::of_place(ends.peer, ends.local)
            .map_err(|_| {
                let text = "set `control_password` for this proxy and give it as a bearer token, or call from this \
                    proxy's own host; without a password no other host may";
                ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN", text)
            })
            .and_then(|()| no_web_page(headers));
    };
    match bearer(headers) {
        Some(given) if password.is(given.as_bytes()) => Ok(()),
        Some(_) => {
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "this is not the control password"))
        }
        None => {
            let text = "give `control_password` as a bearer token";
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text))
        }
    }
}

fn no_web_page(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |text: &str| Err(ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN", text));
    if headers.contains_key(header::ORIGIN) {
        return refused("web pages may not call while no `control_password` is set");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_plain_host(host) {
        return refused("call by IP address or as localhost while no `control_password` is set");
    }
    Ok(())
}

/// Whether a Host header names an IP address or localhost, with or without a port.
fn is_plain_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits() {
        let near = ("127.0.0.1:4000", "127.0.0.1:5300");
        let far = ("10.0.0.2:4000", "10.0.0.1:5300");
        let local: &[(&str, &str)] = &[("host", "127.0.0.1:5300")];
        let bearer: &[(&str, &str)] = &[("host", "proxy-1.example"), ("authorization", "Bearer op")];
        for (password, (peer, own), headers, expected) in [
            ("", near, local, None),
            ("", near, &[("host", "localhost")], None),
            ("", near, &[("host", "[::1]:5300")], None),
            ("", far, local, Some(403)),
            ("", far, bearer, Some(403)),
            ("", near, &[("host", "evil.example:5300")], Some(403)),
            ("", near, &[], Some(403)),
            ("", near, &[("host", "127.0.0.1"), ("origin", "http://evil.example")], Some(403)),
            ("op", near, local, Some(401)),
            ("op", far, bearer, None),
            ("op", far, &[("authorization", "bearer  op ")], None),
            ("op", far, &[("authorization", "Bearer ops")], Some(401)),
            ("op", far, &[("authorization", "Basic op")], Some(401)),
        ] {
            let ends = Ends { peer: peer.parse().unwrap(), local: own.parse().unwrap() };
            let named = headers.iter().map(|(name, value)| {
                (name.parse::<header::HeaderName>().unwrap(), HeaderValue::from_static(value))
            });
            let outcome = permit(Password::new(password.as_bytes()).as_ref(), ends, &named.collect());
            let status = outcome.err().map(|error| error.status.as_u16());
            assert_eq!(status, expected, "{password:?} {peer} {headers:?}");
        }
    }
}
