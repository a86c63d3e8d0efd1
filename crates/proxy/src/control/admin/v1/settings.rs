//! Settings: all with their values, and changes of those that can change while the proxy runs.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use proxy_core::local::Assignment;
use proxy_core::settings::{Settings, SettingsError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::super::super::orders::Order;
use super::super::super::reply_to::ReplyTo;
use super::super::error::{ApiError, ErrorBody};
use super::super::sources::Shared;
use super::answer;

/// All settings, by the names that CONFIG GET has.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct SettingsShown {
    /// The settings.
    settings: BTreeMap<String, SettingShown>,
}

/// One setting.
#[derive(Debug, Serialize, ToSchema)]
struct SettingShown {
    /// Its value as CONFIG GET shows it; `***` for a secret that is set.
    value: String,
    /// Whether PATCH can change it.
    changeable: bool,
}

/// The settings that hold.
#[utoipa::path(get, path = "/v1/settings", tag = "settings",
    responses((status = 200, body = SettingsShown), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn settings(State(sources): Shared) -> Json<SettingsShown> {
    Json(shown(&sources.picture.borrow().settings))
}

fn shown(settings: &Settings) -> SettingsShown {
    let shown = settings.shown().map(|setting| {
        let shown = SettingShown { value: setting.value, changeable: setting.is_changeable };
        (setting.name.to_owned(), shown)
    });
    SettingsShown { settings: shown.collect() }
}

/// Changes settings, or none of them where one is refused; answers with all when every worker goes by them. They hold
/// until the process ends.
#[utoipa::path(patch, path = "/v1/settings", tag = "settings",
    request_body(content = BTreeMap<String, String>, description = "Names and new values: texts, numbers or booleans"),
    responses((status = 200, body = SettingsShown),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST, or INVALID_SETTING with its name in `key`"),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "REFUSED by the process"), (status = 503, body = ErrorBody)))]
pub(in crate::control::admin) async fn change(
    State(sources): Shared,
    body: Bytes,
) -> Result<Json<SettingsShown>, ApiError> {
    let pairs = pairs(&body)?;
    // Looked at here for an error with parts; what the control thread says counts.
    let mut tried = (*sources.picture.borrow().settings).clone();
    let given: Vec<(&[u8], &[u8])> = pairs.iter().map(|pair| (&*pair.name, &*pair.value)).collect();
    tried.set_all(&given).map_err(|error| refusal(error, &tried))?;
    let (caller, answered) = oneshot::channel();
    let order = Order::Settings(pairs, ReplyTo::Caller(caller));
    sources.orders.send(order).await.map_err(|_| ApiError::unavailable())?;
    let reply = answer(answered).await?;
    if let Some(error) = reply.strip_prefix(b"-") {
        let text = String::from_utf8_lossy(error).trim_end().to_owned();
        return Err(ApiError::new(StatusCode::CONFLICT, "REFUSED", text));
    }
    Ok(Json(shown(&sources.picture.borrow().settings)))
}

fn pairs(body: &[u8]) -> Result<Vec<Assignment>, ApiError> {
    let invalid = |text: String| ApiError::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", text);
    let object: BTreeMap<String, Value> = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the body is no JSON object: {error}")))?;
    if object.is_empty() {
        return Err(invalid("the body names no setting".to_owned()));
    }
    let pair = |(name, value): (String, Value)| {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            _ => {
                let text = "not accepted: a text, a number, true or false";
                return Err(ApiError::bad_value("INVALID_SETTING", &name, text));
            }
        };
        Ok(Assignment { name: name.into_bytes().into(), value: text.into_bytes().into() })
    };
    object.into_iter().map(pair).collect()
}

fn refusal(error: SettingsError, settings: &Settings) -> ApiError {
    match error {
        SettingsError::Unknown(name) => {
            let changeable = settings.shown().filter(|setting| setting.is_changeable);
            let names: Vec<&str> = changeable.map(|setting| setting.name).collect();
            let text = format!("there is no such setting; accepted: {}", names.join(", "));
            ApiError::bad_value("INVALID_SETTING", &name, text)
        }
        SettingsError::Refused { name, reason } => ApiError::bad_value("INVALID_SETTING", &name, reason),
    }
}
