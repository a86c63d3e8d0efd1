//! How calls are refused: one status, one code, and words for people.

use api::ErrorBody;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control_core::ApplyError;
use model::ConfigError;

use crate::store::ChangeError;

/// A call that is refused.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) body: ErrorBody,
}

impl ApiError {
    /// A refusal with a code and words.
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody { error: code.to_owned(), message: Some(message.into()), field: None },
        }
    }

    /// This refusal, with the name of the field that is wrong.
    pub(super) fn of_field(mut self, field: impl Into<String>) -> Self {
        self.body.field = Some(field.into());
        self
    }

    /// Input that cannot be taken, with a code of `/api/v3` or INVALID_REQUEST.
    pub(super) fn bad_input(code: &str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message).of_field(field)
    }

    /// The code.
    #[cfg(test)]
    pub(super) fn code(&self) -> &str {
        &self.body.error
    }
}

impl From<ApplyError> for ApiError {
    fn from(error: ApplyError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let refusal = Self::new(status, error.code(), error.to_string());
        match error {
            ApplyError::InvalidNodeNumber { .. } => refusal.of_field("node_number"),
            // Of the addresses, only those of nodes are looked into.
            ApplyError::InvalidProxyAddress { .. } => refusal.of_field("nodes"),
            ApplyError::EpochTooLarge(_) => refusal.of_field("epoch"),
            ApplyError::MissingProxyIndex(_) => refusal.of_field("index"),
            ApplyError::UnknownConfig(field) => refusal.of_field(field),
            ApplyError::InvalidConfig(ConfigError { field, .. }) => refusal.of_field(field),
            _ => refusal,
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let text = error.to_string();
        match error {
            ChangeError::Refused(error) => error.into(),
            ChangeError::Conflict => Self::new(StatusCode::CONFLICT, "RETRY", text),
            ChangeError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", text),
            ChangeError::Unavailable(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "EXTERNAL", text),
            ChangeError::Unknown(_) => Self::new(StatusCode::GATEWAY_TIMEOUT, "EXTERNAL_TIMEOUT", text),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
