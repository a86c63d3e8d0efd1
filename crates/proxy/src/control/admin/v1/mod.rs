//! The calls for operators: one file for each subject. Each reads the picture, or asks one question.

pub(super) mod commands;
pub(super) mod sessions;
pub(super) mod settings;
pub(super) mod slowlog;
pub(super) mod view;

use std::time::Duration;

use tokio::sync::oneshot;

use super::error::ApiError;

/// How long an answer of another thread may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Waits for an answer.
async fn answer<T>(answered: oneshot::Receiver<T>) -> Result<T, ApiError> {
    match tokio::time::timeout(ANSWER_LIMIT, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(ApiError::unavailable()),
    }
}

/// A number behind the question mark.
fn number(
    parameters: &std::collections::HashMap<String, String>,
    name: &str,
    default: u64,
    accepted: std::ops::RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let Some(text) = parameters.get(name) else { return Ok(default) };
    match text.parse() {
        Ok(number) if accepted.contains(&number) => Ok(number),
        _ => {
            let (least, most) = accepted.into_inner();
            let text = format!("{text:?} is not accepted: a whole number from {least} to {most}");
            Err(ApiError::bad_value("INVALID_PARAMETER", name, text))
        }
    }
}
