//! What the workers counted: by command, and by node.

use axum::Json;
use axum::extract::State;
use proxy_core::command::CommandId;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error::ErrorBody;
use super::super::sources::Shared;

/// Statistics by command, since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct CommandsShown {
    /// The commands that were used, by name.
    commands: Vec<CommandShown>,
}

/// One command.
#[derive(Debug, Serialize, ToSchema)]
struct CommandShown {
    /// Its name, as `get` or `client|list`.
    name: String,
    /// Requests that were forwarded or answered.
    calls: u64,
    /// Requests refused before they were executed.
    rejected: u64,
    /// Requests whose reply was an error.
    failed: u64,
    /// Time of all of them together, in microseconds.
    total_us: u64,
    /// Half of them took no longer, in microseconds; `null` where none was timed.
    p50_us: Option<u64>,
    /// 99 of 100 took no longer, in microseconds; `null` where none was timed.
    p99_us: Option<u64>,
}

/// Statistics by node, since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::control::admin) struct BackendsShown {
    /// For each node and database.
    backends: Vec<BackendShown>,
}

/// The connections to one node for one database.
#[derive(Debug, Serialize, ToSchema)]
struct BackendShown {
    /// The node, or the proxy that requests are forwarded to.
    node: String,
    /// The database.
    db: u32,
    /// Connections, open or being opened.
    connections: u64,
    /// Connections that are usable.
    connected: u64,
    /// Requests sent.
    requests: u64,
    /// Replies received.
    replies: u64,
    /// Replies that were errors.
    errors: u64,
    /// Requests that failed because a connection did.
    lost: u64,
    /// Requests not answered in time.
    timeouts: u64,
    /// Connections made after the first.
    reconnects: u64,
    /// Attempts to connect that failed.
    connect_failures: u64,
    /// Writes, each of one batch.
    batches: u64,
    /// Bytes written.
    bytes_out: u64,
    /// Bytes read.
    bytes_in: u64,
    /// 99 of 100 requests took no longer, in microseconds; `null` where none was timed.
    p99_us: Option<u64>,
}

/// Statistics by command, since the start of the process.
#[utoipa::path(get, path = "/v1/commands", tag = "statistics",
    responses((status = 200, body = CommandsShown), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn commands(State(sources): Shared) -> Json<CommandsShown> {
    let table = sources.picture.borrow().shared.table.clone();
    let name = |id: usize| {
        let command = u16::try_from(id).ok().and_then(|id| table.get(CommandId(id)));
        command.map_or_else(|| "other".to_owned(), |command| command.name.to_string())
    };
    let snapshot = sources.snapshot();
    let mut commands: Vec<CommandShown> = snapshot
        .commands
        .iter()
        .map(|(id, totals)| CommandShown {
            name: name(*id),
            calls: totals.calls,
            rejected: totals.rejected,
            failed: totals.failed,
            total_us: totals.us,
            p50_us: totals.latency.percentile_us(0.5),
            p99_us: totals.latency.percentile_us(0.99),
        })
        .collect();
    commands.sort_by(|one, other| one.name.cmp(&other.name));
    Json(CommandsShown { commands })
}

/// Statistics by node, since the start of the process.
#[utoipa::path(get, path = "/v1/backends", tag = "statistics",
    responses((status = 200, body = BackendsShown), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(in crate::control::admin) async fn backends(State(sources): Shared) -> Json<BackendsShown> {
    let snapshot = sources.snapshot();
    let backends = snapshot.backends.values().map(|totals| BackendShown {
        node: totals.address.to_string(),
        db: totals.db,
        connections: totals.connections,
        connected: totals.connected,
        requests: totals.requests,
        replies: totals.replies,
        errors: totals.errors,
        lost: totals.lost,
        timeouts: totals.timeouts,
        reconnects: totals.reconnects,
        connect_failures: totals.connect_failures,
        batches: totals.batches,
        bytes_out: totals.bytes_out,
        bytes_in: totals.bytes_in,
        p99_us: totals.latency.percentile_us(0.99),
    });
    Json(BackendsShown { backends: backends.collect() })
}
