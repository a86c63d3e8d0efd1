//! The slow log.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use proxy_core::slowlog::{SlowEntry, SlowlogRequest};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::super::super::questions::DeskCall;
use super::super::super::reply_to::ReplyTo;
use super::super::error::{ApiError, ErrorBody};
use super::super::sources::Shared;
use super::{answer, number};

/// Entries in an answer, unless asked otherwise, and at most.
const ENTRIES_DEFAULT: u64 = 128;
const ENTRIES_MAX: u64 = 4096;

/// The slow log, newest entry first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct SlowlogShown {
    /// The entries.
    entries: Vec<EntryShown>,
}

/// A request that took too long.
#[derive(Debug, Serialize, ToSchema)]
struct EntryShown {
    /// Its number.
    id: u64,
    /// When it was done, in seconds since the Unix epoch.
    unix_s: u64,
    /// How long it took, in microseconds.
    us: u64,
    /// Its arguments, cut as Redis cuts them. Bytes that are not UTF-8 are replaced.
    args: Vec<String>,
    /// The client's address.
    client: String,
    /// The client's name; empty where it has none.
    name: String,
}

/// The newest entries.
#[utoipa::path(get, path = "/v1/slowlog", tag = "statistics",
    params(("limit" = Option<u64>, Query, description = "The most entries in the answer, 1 to 4096; 128 unless given")),
    responses((status = 200, body = SlowlogShown), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(in crate::control::admin) async fn entries(
    State(sources): Shared,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Json<SlowlogShown>, ApiError> {
    let limit = number(&parameters, "limit", ENTRIES_DEFAULT, 1..=ENTRIES_MAX)?;
    let (caller, answered) = oneshot::channel();
    let call = DeskCall::SlowEntries(usize::try_from(limit).unwrap_or(usize::MAX), caller);
    sources.desk.send(call).await.map_err(|_| ApiError::unavailable())?;
    let entries = answer(answered).await?.into_iter().map(|(id, entry)| shown(id, &entry)).collect();
    Ok(Json(SlowlogShown { entries }))
}

fn shown(id: u64, entry: &SlowEntry) -> EntryShown {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    EntryShown {
        id,
        unix_s: entry.unix_s,
        us: entry.us,
        args: entry.args.iter().map(|arg| text(arg)).collect(),
        client: entry.client.clone(),
        name: text(&entry.name),
    }
}

/// Forgets all entries.
#[utoipa::path(delete, path = "/v1/slowlog", tag = "statistics",
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 503, body = ErrorBody)))]
pub(in crate::control::admin) async fn forget(State(sources): Shared) -> Result<StatusCode, ApiError> {
    let (caller, answered) = oneshot::channel();
    let call = DeskCall::Slowlog(SlowlogRequest::Reset, ReplyTo::Caller(caller));
    sources.desk.send(call).await.map_err(|_| ApiError::unavailable())?;
    answer(answered).await?;
    Ok(StatusCode::NO_CONTENT)
}
