//! Who may call: a bearer token for changes and one for reading.
//!
//! The token for changes also reads. Where only that one is set, reading is open; where only the one for reading
//! is set, configuration refuses. While there is no token for changes, none is taken from a web page: a browser on this
//! network would carry out what any page tells it to. Tokens are compared without telling by the time it takes how much was right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use service::config::Secret;
use subtle::ConstantTimeEq as _;

use super::error::ApiError;

/// What may be read without a token.
const OPEN: [&str; 2] = ["/api/openapi.json", "/api/v4/health"];
/// POST calls that change nothing.
const READS_BY_POST: [&str; 2] = ["/api/v3/resources/failures/check", "/api/v4/plan"];

/// The call by which coordinators change the metadata.
const COMMANDS: &str = "/api/v4/commands";
/// How long a refusal counts as a problem: coordinators try again more often.
const DENIAL_KEPT: Duration = Duration::from_secs(20);

/// The tokens that are accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    pub(super) write: Option<Secret>,
    pub(super) read: Option<Secret>,
}

/// Coordinators whose commands were refused because they did not have the token for changes: they can fail nobody over.
#[derive(Debug, Default)]
pub(super) struct DeniedCommands {
    last: Mutex<Option<Instant>>,
    count: AtomicU64,
}

impl DeniedCommands {
    fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// What is wrong, if there was one lately.
    pub(super) fn problem(&self) -> Option<String> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|last| last.elapsed() <= DENIAL_KEPT).map(|last| {
            let ago = last.elapsed().as_secs();
            format!(
                "a coordinator was refused a change {ago} s ago because it lacks the write token: it can do no failover; \
                 set its broker_token"
            )
        })
    }
}

/// Who may call, and who was refused.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) tokens: Tokens,
    pub(super) denied: Arc<DeniedCommands>,
}

/// Lets pass who may.
pub(super) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let reads = is_read(request.method(), request.uri().path());
    let (path, headers) = (request.uri().path(), request.headers());
    let is_open = reads || access.tokens.write.is_some();
    let outcome = permit(&access.tokens, reads, path, bearer(headers))
        .and_then(|()| if is_open { Ok(()) } else { no_web_page(headers) });
    match outcome {
        Ok(()) => next.run(request).await,
        Err(error) => {
            if request.uri().path() == COMMANDS {
                access.denied.note();
            }
            let mut response = error.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

fn is_read(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) || READS_BY_POST.contains(&path)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn permit(tokens: &Tokens, reads: bool, path: &str, given: Option<&str>) -> Result<(), ApiError> {
    if reads && OPEN.contains(&path) {
        return Ok(());
    }
    let is = |token: &Option<Secret>| match (token, given) {
        (Some(token), Some(given)) => token.expose().as_bytes().ct_eq(given.as_bytes()).into(),
        _ => false,
    };
    let (may_write, may_read) = (is(&tokens.write), is(&tokens.read));
    let allowed = match (reads, &tokens.write, &tokens.read) {
        (false, None, _) | (true, _, None) => true,
        (false, Some(_), _) => may_write,
        (true, _, Some(_)) => may_read || may_write,
    };
    if allowed {
        return Ok(());
    }
    if may_read {
        let text = "this token may only read";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN", text));
    }
    let text = if given.is_some() { "this token is not known" } else { "a bearer token is needed" };
    Err(ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text))
}

/// Refuses what a web page had a browser send: with each change that says where the page is from, whatever name led here.
fn no_web_page(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        let text = "web pages may change nothing while no write_token is set";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN", text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use service::config::Secret;

    use super::{Tokens, no_web_page, permit};

    #[test]
    fn web_pages_change_nothing() {
        for (name, value, expected) in [
            ("origin", "http://evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-origin", false),
            ("user-agent", "curl", true),
            ("host", "broker.example:7799", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            assert_eq!(no_web_page(&headers).is_ok(), expected, "{name}: {value}");
        }
    }

    #[test]
    fn permits() {
        fn check(tokens: (&str, &str), reads: bool, given: Option<&str>, expected: Option<&str>) {
            let secret = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
            let tokens = Tokens { write: secret(tokens.0), read: secret(tokens.1) };
            let refused = permit(&tokens, reads, "/api/v3/epoch", given).err();
            assert_eq!(refused.as_ref().map(super::ApiError::code), expected, "{tokens:?} {reads} {given:?}");
        }
        check(("", ""), true, None, None);
        check(("", ""), false, Some("x"), None);
        check(("w", ""), true, None, None);
        check(("w", ""), false, None, Some("UNAUTHORIZED"));
        check(("w", ""), false, Some("x"), Some("UNAUTHORIZED"));
        check(("w", ""), false, Some("ww"), Some("UNAUTHORIZED"));
        check(("w", ""), false, Some("w"), None);
        check(("w", "r"), true, None, Some("UNAUTHORIZED"));
        check(("w", "r"), true, Some("r"), None);
        check(("w", "r"), true, Some("w"), None);
        check(("w", "r"), false, Some("r"), Some("FORBIDDEN"));
        check(("w", "r"), false, Some("w"), None);
        check(("w", "r"), true, Some(""), Some("UNAUTHORIZED"));
    }

    #[test]
    fn what_is_open() {
        let tokens = Tokens { write: Some(Secret::new("w")), read: Some(Secret::new("r")) };
        assert!(permit(&tokens, true, "/api/v4/health", None).is_ok());
        assert!(permit(&tokens, false, "/api/v4/health", None).is_err());
    }
}
