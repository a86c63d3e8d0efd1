//! What is open to everybody: metrics, liveness, readiness.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use service::metrics::CONTENT_TYPE;

use super::sources::Shared;

/// The text at the root.
pub(super) const HELP: &str = "\
An Undermoon server proxy.

/metrics        counters and gauges for Prometheus
/healthz        200 while the process works
/readyz         200 while every slot of this proxy has a node that answers, else 503 and the reason
/openapi.json   the calls for operators
";

/// Counters and gauges for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "probes",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(sources): Shared) -> Response {
    match sources.scrapes.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")).into_response(),
    }
}

/// Whether the process works.
#[utoipa::path(get, path = "/healthz", tag = "probes",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether every slot that this proxy owns has a node that answers; if not, the reason.
#[utoipa::path(get, path = "/readyz", tag = "probes",
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = String, content_type = "text/plain")))]
pub(super) async fn readyz(State(sources): Shared) -> (StatusCode, String) {
    let picture = sources.picture.borrow();
    if picture.draining {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned())
    } else if picture.is_ready() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", picture.readiness))
    }
}
