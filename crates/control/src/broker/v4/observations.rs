//! What coordinators see, for those who ask how everything is.

use api::ErrorBody;
use api::v4::Observations;
use axum::extract::State;
use axum::http::StatusCode;

use super::super::error::ApiError;
use super::super::input::Message;
use super::super::shared::{Done, Shared};

/// Takes what a coordinator sees at the moment: shown in `health` and `overview` for three seconds, and kept nowhere. A
/// coordinator says it to every broker.
#[utoipa::path(post, path = "/api/v4/observations", tag = "coordinators", request_body = Observations,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(crate) async fn observe(State(broker): Shared, message: Message<Observations>) -> Done {
    if broker.metadata.board().note(message.content) {
        return Ok(());
    }
    let text = "too many coordinators speak at a time; retry later";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", text))
}
