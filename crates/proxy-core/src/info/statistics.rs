//! The sections of INFO that have a line for each command, error code or backend in use.

use super::InfoContext;
use crate::command::CommandId;
use crate::stats::{CommandTotals, LatencyCounts};

/// `cmdstat_get:calls=…`. One request in some is timed, so `usec` is what all of them would have taken.
pub(super) fn commands(context: &InfoContext<'_>) -> String {
    each_command(context, |name, command| {
        let per_call = if command.timed == 0 { 0.0 } else { command.us as f64 / command.timed as f64 };
        let (calls, rejected, failed) = (command.calls, command.rejected, command.failed);
        let us = (per_call * calls as f64).round();
        Some(format!(
            "cmdstat_{name}:calls={calls},usec={us:.0},usec_per_call={per_call:.2},\
             rejected_calls={rejected},failed_calls={failed}\r\n"
        ))
    })
}

/// `latency_percentiles_usec_get:p50=…`.
pub(super) fn latencies(context: &InfoContext<'_>) -> String {
    each_command(context, |name, command| {
        let percentiles = percentiles(&command.latency)?;
        Some(format!("latency_percentiles_usec_{name}:{percentiles}\r\n"))
    })
}

/// `errorstat_ERR:count=…`.
pub(super) fn errors(context: &InfoContext<'_>) -> String {
    let counted = context.snapshot.errors.iter();
    counted.map(|(code, count)| format!("errorstat_{code}:count={count}\r\n")).collect()
}

/// `backend_10.0.0.1:6379/0:connections=…`, in the manner of `cmdstat_`. The name holds colons, so who parses it
/// splits at the last one.
pub(super) fn backends(context: &InfoContext<'_>) -> String {
    let mut text = String::new();
    for backend in context.snapshot.backends.values() {
        let latency = percentiles(&backend.latency).map(|text| format!(",{text}")).unwrap_or_default();
        text += &format!(
            "backend_{}/{}:connections={},connected={},requests={},replies={},errors={},lost={},timeouts={},\
             reconnects={},connect_failures={},batches={},bytes_out={},bytes_in={}{latency}\r\n",
            backend.address,
            backend.db,
            backend.connections,
            backend.connected,
            backend.requests,
            backend.replies,
            backend.errors,
            backend.lost,
            backend.timeouts,
            backend.reconnects,
            backend.connect_failures,
            backend.batches,
            backend.bytes_out,
            backend.bytes_in,
        );
    }
    text
}

/// A line for each command in use, under its full name.
fn each_command(context: &InfoContext<'_>, line: impl Fn(&str, &CommandTotals) -> Option<String>) -> String {
    let mut text = String::new();
    for (id, command) in &context.snapshot.commands {
        // The last place of the statistics may be shared by several commands, or be beyond this table.
        let known = u16::try_from(*id).ok().filter(|id| usize::from(*id) < context.table.len());
        let name = known.map_or("other", |id| &context.table.by_id(CommandId(id)).name);
        text += &line(name, command).unwrap_or_default();
    }
    text
}

/// Redis's three percentiles, in µs with Redis's three decimals.
fn percentiles(latency: &LatencyCounts) -> Option<String> {
    let points = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
    let parts: Option<Vec<String>> = points
        .iter()
        .map(|(name, fraction)| latency.percentile_us(*fraction).map(|us| format!("{name}={us}.000")))
        .collect();
    parts.map(|parts| parts.join(","))
}
