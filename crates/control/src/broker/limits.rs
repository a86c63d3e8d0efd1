//! Limits on requests: how many at a time, and how long each may take. Counts them, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::ApiError;
use crate::stalls::Stalls;

/// The call that can wait, and its parameter that says so.
const STATE: &str = "/api/v4/state";
const WAIT: &str = "wait_ms=";

/// How many requests were answered, by the hundreds of their status.
#[derive(Debug, Default)]
pub(super) struct RequestCounts {
    pub(super) succeeded: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// The limits, and what they count.
#[derive(Debug)]
pub(super) struct Limits {
    permits: Semaphore,
    /// Calls that only wait for a change take none of the others' permits: anybody who may read can make many of them.
    waiting: Semaphore,
    time: Duration,
    counts: Arc<RequestCounts>,
    stalls: Stalls,
}

impl Limits {
    /// At most `requests_max` requests at a time and as many that only wait, each for `time`.
    pub(super) fn new(requests_max: usize, time: Duration, counts: Arc<RequestCounts>) -> Self {
        let permits = || Semaphore::new(requests_max);
        Self { permits: permits(), waiting: permits(), time, counts, stalls: Stalls::default() }
    }

    /// When this process stood still.
    pub(super) fn stalls(&self) -> Stalls {
        self.stalls.clone()
    }
}

/// Whether a request may be answered only after a while, when something has changed.
fn waits(request: &Request) -> bool {
    let names_a_wait = |query: &str| query.split('&').any(|pair| pair.starts_with(WAIT));
    request.uri().path() == STATE && request.uri().query().is_some_and(names_a_wait)
}

/// Refuses what is too much, and ends what takes too long.
pub(super) async fn hold(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let permits = if waits(&request) { &limits.waiting } else { &limits.permits };
    let response = match permits.try_acquire() {
        Ok(_permit) => match timeout(limits.time, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let text = "the request took too long; the broker may still carry it out";
                ApiError::new(StatusCode::GATEWAY_TIMEOUT, "EXTERNAL_TIMEOUT", text).into_response()
            }
        },
        Err(_) => {
            let text = "too many requests at a time; retry later";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", text).into_response()
        }
    };
    let status = response.status();
    let counter = if status.is_server_error() {
        &limits.counts.failed
    } else if status.is_client_error() {
        &limits.counts.refused
    } else {
        &limits.counts.succeeded
    };
    counter.fetch_add(1, Ordering::Relaxed);
    response
}
