//! The proxy's metrics for Prometheus: the workers' counters and the control thread's picture, read at each scrape.
//!
//! Names begin with `undermoon_proxy_`. Nothing here costs anything while a request is served.

use std::fmt;
use std::sync::Arc;

use keeper::{Health, NodeLink, NodeRole, NodeStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use proxy_core::stats::{BackendTotals, CommandTotals, LatencyCounts, Snapshot, Totals, WorkerStats};
use tokio::sync::watch;

use super::picture::Picture;

/// What is read for a scrape.
#[derive(Debug, Clone)]
pub(super) struct ProxyCollector {
    pub(super) stats: Vec<Arc<WorkerStats>>,
    pub(super) picture: watch::Receiver<Picture>,
}

/// Name, help, kind, value.
type Row<T> = (&'static str, &'static str, MetricType, fn(&T) -> u64);

const COUNTER: MetricType = MetricType::Counter;
const GAUGE: MetricType = MetricType::Gauge;

const TOTALS: &[Row<Totals>] = &[
    ("proxy_sessions", "Open client connections", GAUGE, |t| t.sessions),
    ("proxy_sessions_accepted", "Client connections accepted", COUNTER, |t| t.sessions_accepted),
    ("proxy_sessions_rejected", "Client connections refused because of maxclients", COUNTER, |t| {
        t.sessions_rejected
    }),
    (
        "proxy_sessions_dropped",
        "Client connections closed because they held the most memory while memory_max was exceeded",
        COUNTER,
        |t| t.sessions_dropped,
    ),
    (
        "proxy_sessions_timed_out",
        "Client connections closed because they were idle for session_timeout",
        COUNTER,
        |t| t.sessions_timed_out,
    ),
    (
        "proxy_closes_refused",
        "Times that a node refused CLIENT KILL of a connection that was given up",
        COUNTER,
        |t| t.closes_refused,
    ),
    ("proxy_protocol_errors", "Client connections closed for a protocol error", COUNTER, |t| {
        t.protocol_errors
    }),
    ("proxy_client_bytes_in", "Bytes read from clients", COUNTER, |t| t.bytes_in),
    ("proxy_client_bytes_out", "Bytes written to clients", COUNTER, |t| t.bytes_out),
    ("proxy_requests", "Requests taken from clients", COUNTER, |t| t.requests),
    ("proxy_turns", "Turns of the workers' event loops that had work", COUNTER, |t| t.turns),
    ("proxy_batches", "Batches of requests written to nodes; one batch is one system call", COUNTER, |t| {
        t.batches
    }),
    ("proxy_batched_requests", "Requests written to nodes in batches", COUNTER, |t| t.batched_requests),
    ("proxy_slow_requests", "Requests that took longer than slowlog_log_slower_than", COUNTER, |t| {
        t.slow_requests
    }),
];

const COMMANDS: &[Row<CommandTotals>] = &[
    ("proxy_command_calls", "Requests that were forwarded or answered", COUNTER, |c| c.calls),
    ("proxy_command_rejected", "Requests refused before they were executed", COUNTER, |c| c.rejected),
    ("proxy_command_failed", "Requests whose reply was an error", COUNTER, |c| c.failed),
];

const BACKENDS: &[Row<BackendTotals>] = &[
    ("proxy_backend_connections", "Connections to the node that are open or being opened", GAUGE, |b| {
        b.connections
    }),
    ("proxy_backend_connected", "Connections to the node that are usable", GAUGE, |b| b.connected),
    ("proxy_backend_requests", "Requests sent to the node", COUNTER, |b| b.requests),
    ("proxy_backend_replies", "Replies received from the node", COUNTER, |b| b.replies),
    ("proxy_backend_errors", "Error replies received from the node", COUNTER, |b| b.errors),
    ("proxy_backend_lost", "Requests that failed because their connection to the node broke", COUNTER, |b| {
        b.lost
    }),
    (
        "proxy_backend_timeouts",
        "Requests that the node did not answer within backend_timeout",
        COUNTER,
        |b| b.timeouts,
    ),
    (
        "proxy_backend_reconnects",
        "Reconnections to the node: connections made after the first",
        COUNTER,
        |b| b.reconnects,
    ),
    ("proxy_backend_connect_failures", "Attempts to connect to the node that failed", COUNTER, |b| {
        b.connect_failures
    }),
    ("proxy_backend_batches", "Batches of requests written to the node", COUNTER, |b| b.batches),
    ("proxy_backend_bytes_out", "Bytes written to the node", COUNTER, |b| b.bytes_out),
    ("proxy_backend_bytes_in", "Bytes read from the node", COUNTER, |b| b.bytes_in),
];

const PICTURE: &[Row<Picture>] = &[
    ("proxy_epoch", "Epoch of the view in force", GAUGE, |p| p.epoch.0),
    ("proxy_roles_epoch", "Epoch of the replication roles in force", GAUGE, |p| p.roles_epoch.0),
    ("proxy_ready", "1 while the proxy serves clients of a cluster, else 0", GAUGE, |p| {
        u64::from(p.is_ready())
    }),
];

const NODES: &[Row<NodeStatus>] = &[
    ("proxy_node_loading", "1 while the node loads its data, else 0", GAUGE, |n| u64::from(n.loading)),
    ("proxy_node_primary", "1 if the node is a primary, 0 if it is a replica", GAUGE, |n| {
        u64::from(n.role == NodeRole::Primary)
    }),
    (
        "proxy_node_link_up",
        "1 if the node is a primary or a replica whose link to its primary is up, else 0",
        GAUGE,
        |n| {
            u64::from(!matches!(
                n.role,
                NodeRole::Replica { link: NodeLink::Mute | NodeLink::Syncing | NodeLink::Down { .. }, .. }
            ))
        },
    ),
    ("proxy_node_offset", "Offset of the node in its replication stream, in bytes", GAUGE, |n| n.offset),
    ("proxy_node_replicas", "Replicas connected to the node", GAUGE, |n| u64::from(n.replicas)),
];

impl Collector for ProxyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = Snapshot::of(self.stats.iter().map(|stats| &**stats));
        let picture = self.picture.borrow().clone();
        plain(&mut encoder, TOTALS, &snapshot.totals)?;
        plain(&mut encoder, PICTURE, &picture)?;
        nodes(&mut encoder, &picture)?;
        commands(&mut encoder, &snapshot, &picture)?;
        backends(&mut encoder, &snapshot)?;
        errors(&mut encoder, &snapshot)
    }
}

fn plain<T>(encoder: &mut DescriptorEncoder<'_>, rows: &[Row<T>], of: &T) -> fmt::Result {
    for (name, help, kind, value) in rows {
        number(&mut encoder.encode_descriptor(name, help, None, *kind)?, *kind, value(of))?;
    }
    Ok(())
}

/// One metric for each row, with one line for each thing and its labels.
fn families<L: EncodeLabelSet, T>(
    encoder: &mut DescriptorEncoder<'_>,
    rows: &[Row<T>],
    things: &[(L, &T)],
) -> fmt::Result {
    for (name, help, kind, value) in rows {
        let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
        for (labels, thing) in things {
            number(&mut metric.encode_family(labels)?, *kind, value(thing))?;
        }
    }
    Ok(())
}

fn number(metric: &mut MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    match kind {
        MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
        // Offsets, epochs and sizes stay far below 2^63.
        _ => metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
}

fn nodes(encoder: &mut DescriptorEncoder<'_>, picture: &Picture) -> fmt::Result {
    let named: Vec<_> = picture.nodes.iter().map(|(address, shown)| (address.to_string(), shown)).collect();
    let mut up =
        encoder.encode_descriptor("proxy_node_up", "1 while the node answers, else 0", None, GAUGE)?;
    for (node, shown) in &named {
        let labels = [("node", node.as_str())];
        up.encode_family(&labels)?.encode_gauge(&i64::from(shown.health.status().is_some()))?;
    }
    let help = "1 while the node is busy, else 0: it answers nobody or replies BUSY, and its process works";
    let mut busy = encoder.encode_descriptor("proxy_node_busy", help, None, GAUGE)?;
    for (node, shown) in &named {
        let labels = [("node", node.as_str())];
        busy.encode_family(&labels)?.encode_gauge(&i64::from(matches!(shown.health, Health::Busy(_))))?;
    }
    let seen: Vec<_> = named
        .iter()
        .filter_map(|(node, shown)| Some(([("node", node.as_str())], shown.health.status()?)))
        .collect();
    families(encoder, NODES, &seen)
}

fn commands(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot, picture: &Picture) -> fmt::Result {
    let name = |id: usize| {
        if id < picture.shared.table.len() {
            u16::try_from(id)
                .map_or("other", |id| &*picture.shared.table.by_id(proxy_core::command::CommandId(id)).name)
        } else {
            "other"
        }
    };
    let used: Vec<_> =
        snapshot.commands.iter().map(|(id, totals)| ([("command", name(*id))], totals)).collect();
    families(encoder, COMMANDS, &used)?;
    let help = "Seconds from reading a request to having its reply";
    let name = "proxy_command_duration_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, totals) in used.iter().filter(|(_, totals)| totals.timed > 0) {
        histogram(&mut metric.encode_family(labels)?, totals.us, &totals.latency)?;
    }
    Ok(())
}

fn backends(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let named: Vec<_> =
        snapshot.backends.values().map(|b| (b.address.to_string(), b.db.to_string(), b)).collect();
    let things: Vec<_> =
        named.iter().map(|(node, db, b)| ([("node", node.as_str()), ("db", db.as_str())], *b)).collect();
    families(encoder, BACKENDS, &things)
}

fn errors(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Error replies sent to clients, by code";
    let mut metric = encoder.encode_descriptor("proxy_error_replies", help, None, COUNTER)?;
    for (code, count) in &snapshot.errors {
        let labels = [("code", &**code)];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
    }
    Ok(())
}

/// A histogram in seconds. Two of our buckets make one, so that each is a doubling.
fn histogram(metric: &mut MetricEncoder<'_>, sum_us: u64, counts: &LatencyCounts) -> fmt::Result {
    let all: Vec<(u64, u64)> = counts.buckets().collect();
    let doublings: Vec<(f64, u64)> = all
        .chunks(2)
        .map(|pair| {
            let upper_us = pair.last().map_or(u64::MAX, |(upper, _)| *upper);
            let upper = if upper_us == u64::MAX { f64::INFINITY } else { seconds(upper_us) };
            (upper, pair.iter().map(|(_, count)| count).sum())
        })
        .collect();
    metric.encode_histogram::<NoLabelSet>(seconds(sum_us), counts.total(), &doublings, None)
}

/// A loss of precision begins at 2^53 µs, which is 285 years.
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use proxy_core::command::CommandTable;
    use proxy_core::engine::{Abandonments, NodeLives, Shared, WriteFences};
    use proxy_core::settings::Settings;
    use service::metrics::Metrics;

    use super::*;
    use crate::control::node_status::NodeSeen;

    fn shared(table: Arc<CommandTable>) -> Shared {
        Shared {
            table,
            settings: Arc::new(Settings::new("127.0.0.1:1".parse().unwrap())),
            backend_password: None,
            server_version: "7.0.15".into(),
            view: None,
            lives: NodeLives::default(),
            abandonments: Abandonments::default(),
            fences: WriteFences::default(),
        }
    }

    #[test]
    fn a_scrape_shows_what_was_counted() {
        let table = Arc::new(CommandTable::builtin());
        let get = table.lookup(b"get").unwrap().id;
        let stats = Arc::new(WorkerStats::new());
        stats.requests.add(3);
        stats.command(get).calls.add(2);
        stats.command(get).record(5);
        stats.command(get).record(3_000_000_000);
        stats.count_error(b"-MOVED 1 a:1\r\n");
        stats.add_backend("10.0.0.1:6379".parse().unwrap(), 3).bytes_in.add(9);
        let mut picture = Picture::new(shared(table));
        picture.epoch = model::Epoch(7);
        let up = NodeStatus { offset: 42, ..NodeStatus::default() };
        picture.nodes = vec![
            (
                "10.0.0.1:6379".parse().unwrap(),
                NodeSeen { health: Health::Up(Box::new(up)), ..NodeSeen::default() },
            ),
            (
                "10.0.0.1:6380".parse().unwrap(),
                NodeSeen { health: Health::Down("gone".to_owned()), ..NodeSeen::default() },
            ),
            (
                "10.0.0.1:6381".parse().unwrap(),
                NodeSeen { health: Health::Busy("no answer".to_owned()), ..NodeSeen::default() },
            ),
        ];
        let (_sender, picture) = watch::channel(picture);
        let mut metrics = Metrics::new();
        metrics.registry().register_collector(Box::new(ProxyCollector { stats: vec![stats], picture }));
        let text = metrics.encode().unwrap();
        for line in [
            "undermoon_proxy_requests_total 3",
            "undermoon_proxy_epoch 7",
            "undermoon_proxy_ready 0",
            "undermoon_proxy_command_calls_total{command=\"get\"} 2",
            "undermoon_proxy_command_duration_seconds_count{command=\"get\"} 2",
            "undermoon_proxy_command_duration_seconds_bucket{le=\"0.000007\",command=\"get\"} 1",
            "undermoon_proxy_command_duration_seconds_bucket{le=\"+Inf\",command=\"get\"} 2",
            "undermoon_proxy_error_replies_total{code=\"MOVED\"} 1",
            "undermoon_proxy_backend_bytes_in_total{node=\"10.0.0.1:6379\",db=\"3\"} 9",
            "undermoon_proxy_node_up{node=\"10.0.0.1:6379\"} 1",
            "undermoon_proxy_node_up{node=\"10.0.0.1:6380\"} 0",
            "undermoon_proxy_node_up{node=\"10.0.0.1:6381\"} 0",
            "undermoon_proxy_node_busy{node=\"10.0.0.1:6380\"} 0",
            "undermoon_proxy_node_busy{node=\"10.0.0.1:6381\"} 1",
            "undermoon_proxy_node_offset{node=\"10.0.0.1:6379\"} 42",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
        }
        assert!(
            !text.contains("proxy_node_offset{node=\"10.0.0.1:6380\"}"),
            "nothing is known of a node that is down"
        );
    }
}
