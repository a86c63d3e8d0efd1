//! How a call fails.

use std::fmt::Write as _;

use crate::error::ErrorBody;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The broker refuses; calling again gives the same, unless the code is RETRY.
    #[error("{}{}", body.error, message(body))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        body: ErrorBody,
    },
    /// No broker can be reached; nothing was changed. Call again later.
    #[error("no broker can be reached ({})", list(tried))]
    Unreachable {
        /// The brokers, each with what went wrong.
        tried: Vec<(String, String)>,
    },
    /// The connection was lost after the call was sent: it may have been carried out. Look before calling again.
    #[error("the call to {endpoint} was lost on the way, it may have been carried out: {reason}")]
    Unknown {
        /// The broker.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// Something answered that is not a broker of this version.
    #[error("{endpoint} did not answer as a broker does: {reason}")]
    BadAnswer {
        /// The broker.
        endpoint: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The client cannot be made with these options.
    #[error("{0}")]
    Options(String),
}

impl ClientError {
    /// The code with which the broker refused, if it did.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { body, .. } => Some(&body.error),
            _ => None,
        }
    }
}

fn message(body: &ErrorBody) -> String {
    let mut text = String::new();
    if let Some(message) = &body.message {
        let _ = write!(text, ": {message}");
    }
    if let Some(field) = &body.field {
        let _ = write!(text, " (field `{field}`)");
    }
    text
}

fn list(tried: &[(String, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(endpoint, reason)| format!("{endpoint}: {reason}")).collect();
    each.join("; ")
}
