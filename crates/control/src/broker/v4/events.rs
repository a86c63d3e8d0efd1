//! What has changed.

use api::ErrorBody;
use api::v4::EventPage;
use axum::Json;
use axum::extract::State;

use super::super::error::ApiError;
use super::super::input::{Parameters, parameter};
use super::super::shared::Shared;

/// How many events one page holds unless asked otherwise, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

/// What has changed, oldest first. Give `next` of one page as `after` of the following one.
#[utoipa::path(get, path = "/api/v4/events", tag = "events",
    params(("after" = Option<u64>, Query, description = "The cursor; 0 is the beginning"),
        ("limit" = Option<usize>, Query, description = "How many at most; 100 unless given, 1000 in any case")),
    responses((status = 200, body = EventPage), (status = 400, body = ErrorBody)))]
pub(crate) async fn events(
    State(broker): Shared,
    parameters: Parameters,
) -> Result<Json<EventPage>, ApiError> {
    let after = parameter(&parameters, "after")?.unwrap_or(0);
    let limit = parameter(&parameters, "limit")?.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    Ok(Json(broker.metadata.events(after, limit)))
}
