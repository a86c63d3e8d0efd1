//! What coordinators need: the whole of the metadata, and any command.

use std::sync::Arc;
use std::time::Duration;

use api::ErrorBody;
use api::v4::{CommandAnswer, StateAnswer};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use control_core::{Command, Reply};

use super::super::error::ApiError;
use super::super::input::{Message, Parameters, parameter, unknown_field};
use super::super::shared::Shared;
use crate::reading_note;
use crate::store::{HistoryId, Mark, Metadata, Snapshot};

/// How long a call may wait for a change at most, in milliseconds.
const WAIT_MAX_MS: u64 = 30_000;

/// The whole of the metadata if it is not what the caller knows, or null after the time that is given: how
/// coordinators learn of changes at once.
///
/// The answer is confirmed by the store: it is never older than the beginning of the call, whichever broker is
/// asked, so that it may be relied on for granting leases. While the store cannot be used there is none.
#[utoipa::path(get, path = "/api/v4/state", tag = "coordinators",
    params(("after" = Option<u64>, Query, description = "`change` of the answer that the caller knows"),
        ("history" = Option<String>, Query, description = "`history` of that answer; without it everything is new"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for something new; 30000 at most"),
        ("x-undermoon-reading" = Option<String>, Header, description = "`<reader> <number> <proxy>=<number>,…`: a coordinator's \
            process, which of its readings this is, and the proxies that gave it no token since an earlier one began; `none` \
            where it grants no lease by the answer. Without it `leases_left_ms` may be longer for a time")),
    responses((status = 200, body = StateAnswer<Object>), (status = 400, body = ErrorBody),
        (status = 500, body = ErrorBody, description = "EXTERNAL: the store cannot be used")))]
pub(crate) async fn state(
    State(broker): Shared,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Json<StateAnswer<control_core::State>>, ApiError> {
    let said = headers.get(api::READING_HEADER).and_then(|said| said.to_str().ok());
    let is_reading = said != Some(api::GRANTS_NOTHING);
    if is_reading {
        // Before anything is looked at: whatever this reading lets grant, it is known of.
        broker.metadata.note_reading(said.and_then(reading_note::read));
    }
    let wait = parameter::<u64>(&parameters, "wait_ms")?.unwrap_or(0).min(WAIT_MAX_MS);
    let after = parameter::<u64>(&parameters, "after")?;
    let history = parameter::<HistoryId>(&parameters, "history")?;
    let known = after.zip(history).map(|(change, history)| Mark { history, change });
    let confirmed = broker.metadata.confirmed().await?;
    let Some(known) = known.filter(|known| *known == confirmed.mark()) else {
        return Ok(answer(&broker.metadata, &confirmed, true));
    };
    if wait == 0 {
        return Ok(answer(&broker.metadata, &confirmed, false));
    }
    let newer = broker.metadata.newer_than(known, Duration::from_millis(wait)).await;
    let (snapshot, is_news) = newer.map_or((confirmed, false), |newer| (newer, true));
    Ok(answer(&broker.metadata, &snapshot, is_news))
}

fn answer(
    metadata: &Metadata,
    snapshot: &Arc<Snapshot>,
    is_news: bool,
) -> Json<StateAnswer<control_core::State>> {
    let state = is_news.then(|| snapshot.state.clone());
    let leases_left_ms = metadata.leases_left(&snapshot.state);
    let (history, change) = (snapshot.history.to_string(), snapshot.change);
    Json(StateAnswer { history, change, state, leases_left_ms })
}

/// Applies a command of the metadata's own, in its JSON form, with the broker's time in it.
#[utoipa::path(post, path = "/api/v4/commands", tag = "coordinators", request_body = Object,
    responses((status = 200, body = CommandAnswer<Object>), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(crate) async fn command(
    State(broker): Shared,
    message: Message<Command>,
) -> Result<Json<CommandAnswer<Reply>>, ApiError> {
    let command = message.content;
    // What a newer coordinator adds to a command is for newer brokers. But of a dump nothing may be lost.
    if let (Command::Restore(_), Some(field)) = (&command, message.unknown) {
        return Err(unknown_field(field));
    }
    Ok(Json(CommandAnswer { reply: broker.apply(command).await? }))
}
