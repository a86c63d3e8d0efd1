//! The routes, each in the router and in the OpenAPI document by one and the same line.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use service::build_info::BUILD;
use service::metrics::CONTENT_TYPE;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Access};
use super::actor;
use super::error::ApiError;
use super::late;
use super::limits::{self, Limits};
use super::shared::{Broker, Shared};
use super::v3::{clusters, proxies, scaling, whole};
use super::v4;

/// The OpenAPI document of all calls.
#[must_use]
pub fn document() -> OpenApi {
    routes().split_for_parts().1
}

/// Everything that the server answers.
pub(super) fn app(broker: Arc<Broker>, access: Access, limits: Limits, body_bytes_max: usize) -> Router {
    let stalls = limits.stalls();
    let (router, document) = routes().split_for_parts();
    router
        .route("/api/openapi.json", get(async move || axum::Json(document)))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(actor::note))
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(from_fn_with_state(Arc::new(access), access::check))
        .layer(from_fn_with_state(stalls, late::check))
        .layer(from_fn_with_state(Arc::new(limits), limits::hold))
        .with_state(broker)
}

fn routes() -> OpenApiRouter<Arc<Broker>> {
    let info = InfoBuilder::new()
        .title("Undermoon broker")
        .version(BUILD.version)
        .description(Some(
            "The metadata of proxies and clusters. An answer that is not a success carries a code in `error`.",
        ))
        .build();
    // Which of the two a call asks for depends on the configuration.
    let security = [SecurityRequirement::default(), SecurityRequirement::new("bearer", [""; 0])];
    let mut document = OpenApiBuilder::new().info(info).security(Some(security)).build();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    OpenApiRouter::with_openapi(document)
        .merge(v3_routes())
        .routes(routes!(v4::events::events))
        .routes(routes!(v4::jobs::jobs))
        .routes(routes!(v4::jobs::cancel_jobs))
        .routes(routes!(v4::jobs::pause_jobs))
        .routes(routes!(v4::jobs::resume_jobs))
        .routes(routes!(v4::health::health))
        .routes(routes!(v4::health::cluster_health))
        .routes(routes!(v4::health::overview))
        .routes(routes!(v4::failover::fail_over))
        .routes(routes!(v4::failover::serve))
        .routes(routes!(v4::replace::replace))
        .routes(routes!(v4::plan::plan))
        .routes(routes!(v4::review::review, v4::review::decide))
        .routes(routes!(v4::state::state))
        .routes(routes!(v4::state::command))
        .routes(routes!(v4::observations::observe))
        .routes(routes!(scrape))
}

fn v3_routes() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(whole::version))
        .routes(routes!(whole::dump))
        .routes(routes!(whole::restore))
        .routes(routes!(clusters::names))
        .routes(routes!(clusters::meta))
        .routes(routes!(clusters::info))
        .routes(routes!(clusters::create))
        .routes(routes!(clusters::delete))
        .routes(routes!(scaling::add_nodes))
        .routes(routes!(scaling::grow_to))
        .routes(routes!(scaling::remove_free_nodes))
        .routes(routes!(scaling::expand))
        .routes(routes!(scaling::shrink))
        .routes(routes!(scaling::scale))
        .routes(routes!(scaling::commit))
        .routes(routes!(clusters::configure))
        .routes(routes!(clusters::balance))
        .routes(routes!(proxies::addresses))
        .routes(routes!(proxies::meta))
        .routes(routes!(proxies::failed))
        .routes(routes!(proxies::register))
        .routes(routes!(proxies::remove))
        .routes(routes!(proxies::report))
        .routes(routes!(proxies::reported))
        .routes(routes!(proxies::fail_over))
        .routes(routes!(proxies::hosts_cannot_fail))
        .routes(routes!(whole::epoch))
        .routes(routes!(whole::raise_epoch))
        .routes(routes!(whole::recover_epoch))
        .routes(routes!(whole::config))
        .routes(routes!(whole::set_config))
}

/// Counters and gauges for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "broker",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn scrape(State(broker): Shared) -> impl IntoResponse {
    match broker.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => {
            let text = "the metrics cannot be written";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "EXTERNAL", text).into_response()
        }
    }
}

async fn unknown() -> ApiError {
    let text = "there is no such call; /api/openapi.json lists all";
    ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", text)
}

async fn wrong_method() -> ApiError {
    let text = "the call does not take this method; /api/openapi.json lists all";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", text)
}
