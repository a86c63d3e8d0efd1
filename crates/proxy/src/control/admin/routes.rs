//! The routes, each in the router and in the OpenAPI document by one and the same line.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use service::build_info::BUILD;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::sources::Sources;
use super::v1::{commands, sessions, settings, slowlog, view};
use super::{access, probes};

/// The longest body of a request.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Everything that the server answers.
pub(super) fn router(sources: Arc<Sources>) -> Router {
    let (router, document) = documented().split_for_parts();
    router
        .route("/", get(async || probes::HELP))
        .route("/openapi.json", get(async move || axum::Json(document)))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(sources.clone(), access::check))
        .with_state(sources)
}

fn documented() -> OpenApiRouter<Arc<Sources>> {
    let info = InfoBuilder::new()
        .title("Undermoon proxy")
        .version(BUILD.version)
        .description(Some(
            "What a proxy is and does. With a control_password it is the bearer token; without one, callers must be on \
             the proxy's own host. A refusal carries a code in `error`.",
        ))
        .build();
    // Which of the two a call asks for depends on the configuration.
    let security = [SecurityRequirement::default(), SecurityRequirement::new("bearer", [""; 0])];
    let mut document = OpenApiBuilder::new().info(info).security(Some(security)).build();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    OpenApiRouter::with_openapi(document)
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(view::view))
        .routes(routes!(view::roles))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::close))
        .routes(routes!(commands::backends))
        .routes(routes!(commands::commands))
        .routes(routes!(slowlog::entries, slowlog::forget))
        .routes(routes!(settings::settings, settings::change))
        .routes(routes!(view::drain))
}

async fn unknown() -> ApiError {
    let text = "there is no such call; /openapi.json lists all";
    ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", text)
}

async fn wrong_method() -> ApiError {
    let text = "the call does not take this method; /openapi.json lists all";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", text)
}
