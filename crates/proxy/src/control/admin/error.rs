//! How calls are refused: one status, one code, and words for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// The code, for programs.
    error: &'static str,
    /// What is wrong and what to do, for people.
    message: String,
    /// The parameter or setting that is wrong, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// A call that is refused.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    /// A refusal with a code and words.
    pub(super) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        ApiError { status, body: ErrorBody { error, message: message.into(), key: None } }
    }

    /// A value that cannot be taken, and which it is.
    pub(super) fn bad_value(error: &'static str, key: &str, message: impl Into<String>) -> Self {
        let mut refusal = ApiError::new(StatusCode::BAD_REQUEST, error, message);
        refusal.body.key = Some(key.to_owned());
        refusal
    }

    /// The proxy is about to end, or too busy to answer.
    pub(super) fn unavailable() -> Self {
        let text = "the proxy cannot answer now: it is ending, or too much is asked of it; ask again";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", text)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
