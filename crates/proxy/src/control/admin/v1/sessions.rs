//! The clients of this proxy.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use proxy_core::command::CommandTable;
use proxy_core::profile::Profile;
use resp::Protocol;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::super::process;
use super::super::error::{ApiError, ErrorBody};
use super::super::sources::Shared;
use super::number;
use crate::worker::SessionLine;

/// Sessions in one answer, unless asked otherwise, and at most.
const PAGE_DEFAULT: u64 = 100;
const PAGE_MAX: u64 = 1000;

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct SessionsPage {
    /// The sessions, oldest first.
    sessions: Vec<SessionShown>,
    /// Give it as `after` for the next page; `null` on the last.
    next: Option<u64>,
    /// How many sessions there are.
    total: usize,
}

/// One session.
#[derive(Debug, Serialize, ToSchema)]
struct SessionShown {
    /// Its number, as CLIENT ID has it.
    id: u64,
    /// The client's end.
    peer: String,
    /// Our end.
    local: String,
    /// CLIENT SETNAME.
    name: String,
    /// Whom it authenticated as.
    user: String,
    /// Whether it has given the control password.
    operator: bool,
    /// Seconds since it connected.
    age_s: u64,
    /// Seconds since its last request.
    idle_s: u64,
    /// Its database.
    db: u32,
    /// Version of the protocol, 2 or 3.
    protocol: u8,
    /// The last command; `null` before the first.
    command: Option<String>,
    /// Bytes received and not understood yet.
    input_bytes: usize,
    /// Bytes of replies not sent yet.
    output_bytes: usize,
}

/// The sessions, oldest first, in pages.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions",
    params(("after" = Option<u64>, Query, description = "Sessions with higher numbers only; 0 unless given"),
        ("limit" = Option<u64>, Query, description = "The most sessions in the answer, 1 to 1000; 100 unless given")),
    responses((status = 200, body = SessionsPage), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn list(
    State(sources): Shared,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Json<SessionsPage>, ApiError> {
    let after = number(&parameters, "after", 0, 0..=u64::MAX)?;
    let limit = number(&parameters, "limit", PAGE_DEFAULT, 1..=PAGE_MAX)?;
    let table = sources.picture.borrow().shared.table.clone();
    let looking = sources.session_looks.acquire().await;
    let mut sessions = sources.line.sessions().await;
    drop(looking);
    let total = sessions.len();
    sessions.retain(|session| session.profile.id > after);
    sessions.sort_unstable_by_key(|session| session.profile.id);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = sessions.len() > limit;
    sessions.truncate(limit);
    let next = sessions.last().filter(|_| has_more).map(|session| session.profile.id);
    let now_ms = process::unix_us() / 1000;
    let sessions = sessions.iter().map(|session| shown(session, &table, now_ms)).collect();
    Ok(Json(SessionsPage { sessions, next, total }))
}

fn shown(session: &SessionLine, table: &CommandTable, now_ms: u64) -> SessionShown {
    let profile = &session.profile;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    SessionShown {
        id: profile.id,
        peer: profile.peer.to_string(),
        local: profile.local.to_string(),
        name: text(profile.name()),
        user: text(profile.user()),
        operator: profile.operator,
        age_s: now_ms.saturating_sub(profile.created_ms) / 1000,
        idle_s: now_ms.saturating_sub(profile.last_used_ms) / 1000,
        db: profile.db,
        protocol: if profile.protocol == Protocol::Resp3 { 3 } else { 2 },
        command: session
            .command
            .and_then(|command| table.get(command))
            .map(|command| command.name.to_string()),
        input_bytes: session.input_bytes,
        output_bytes: session.output_bytes,
    }
}

/// Closes a session, as CLIENT KILL ID does.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = u64, Path, description = "The session's number")),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(in crate::control::admin) async fn close(
    State(sources): Shared,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let Ok(id) = id.parse::<u64>() else {
        let text = format!("{id:?} is not accepted: the number of a session");
        return Err(ApiError::bad_value("INVALID_PARAMETER", "id", text));
    };
    let picks = Arc::new(move |profile: &Profile| profile.id == id);
    let closed: usize = sources.line.kill(None, &(picks as _), false).all().await.into_iter().sum();
    match closed {
        0 => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "SESSION_NOT_FOUND",
            format!("there is no session {id}"),
        )),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
