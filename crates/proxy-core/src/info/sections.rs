//! The sections of INFO that have the same fields whatever was done.

use model::Role;

use super::InfoContext;
use crate::cluster_replies::FaceReplies;

/// Lines `field:value`.
fn lines(fields: &[(&str, &dyn std::fmt::Display)]) -> String {
    fields.iter().map(|(field, value)| format!("{field}:{value}\r\n")).collect()
}

pub(super) fn server(context: &InfoContext<'_>) -> String {
    let process = &context.process;
    let port = context.cluster.map_or(context.settings.announce_address.port(), FaceReplies::port);
    let uptime_s = (context.now_us / 1000).saturating_sub(process.started_ms) / 1000;
    lines(&[
        ("redis_version", &context.nodes.version),
        ("redis_git_sha1", &"00000000"),
        ("redis_git_dirty", &0),
        ("redis_build_id", &"0000000000000000"),
        ("redis_mode", &"cluster"),
        ("os", &process.os),
        ("arch_bits", &usize::BITS),
        ("multiplexing_api", &"epoll"),
        ("process_id", &process.id),
        ("run_id", &process.run_id),
        ("tcp_port", &port),
        ("server_time_usec", &context.now_us),
        ("uptime_in_seconds", &uptime_s),
        ("uptime_in_days", &(uptime_s / 86_400)),
        ("hz", &10),
        ("configured_hz", &10),
        ("executable", &"undermoon"),
        ("config_file", &""),
        ("io_threads_active", &u8::from(context.settings.workers > 1)),
    ])
}

pub(super) fn clients(context: &InfoContext<'_>) -> String {
    lines(&[
        ("connected_clients", &context.snapshot.totals.sessions),
        ("cluster_connections", &0),
        ("maxclients", &context.settings.maxclients),
        ("blocked_clients", &context.process.blocked_clients),
        ("tracking_clients", &0),
        ("clients_in_timeout_table", &0),
    ])
}

pub(super) fn memory(context: &InfoContext<'_>) -> String {
    let (rss, peak) = (context.process.rss_bytes, context.process.rss_peak_bytes);
    lines(&[
        ("used_memory", &rss),
        ("used_memory_human", &human(rss)),
        ("used_memory_rss", &rss),
        ("used_memory_rss_human", &human(rss)),
        ("used_memory_peak", &peak),
        ("used_memory_peak_human", &human(peak)),
        ("used_memory_lua", &0),
        ("number_of_cached_scripts", &context.nodes.saves.cached_scripts),
        ("maxmemory", &0),
        ("maxmemory_human", &"0B"),
        ("maxmemory_policy", &"noeviction"),
        ("mem_fragmentation_ratio", &"1.00"),
    ])
}

/// What the nodes do: BGSAVE and BGREWRITEAOF go to them.
pub(super) fn persistence(context: &InfoContext<'_>) -> String {
    let saves = &context.nodes.saves;
    let status = |is_ok: bool| if is_ok { "ok" } else { "err" };
    lines(&[
        ("loading", &u8::from(saves.loading)),
        ("async_loading", &u8::from(saves.async_loading)),
        ("rdb_changes_since_last_save", &saves.changes_since_save),
        ("rdb_bgsave_in_progress", &u8::from(saves.saving)),
        ("rdb_last_bgsave_status", &status(saves.last_save_ok)),
        ("aof_enabled", &u8::from(saves.aof_enabled)),
        ("aof_rewrite_in_progress", &u8::from(saves.rewriting)),
        ("aof_rewrite_scheduled", &u8::from(saves.rewrite_scheduled)),
        ("aof_last_bgrewrite_status", &status(saves.last_rewrite_ok)),
        ("aof_last_write_status", &status(saves.last_write_ok)),
    ])
}

pub(super) fn stats(context: &InfoContext<'_>) -> String {
    let (totals, rates) = (&context.snapshot.totals, &context.rates);
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    lines(&[
        ("total_connections_received", &totals.sessions_accepted),
        ("total_commands_processed", &totals.requests),
        ("instantaneous_ops_per_sec", &rates.ops_per_s),
        ("total_net_input_bytes", &totals.bytes_in),
        ("total_net_output_bytes", &totals.bytes_out),
        ("instantaneous_input_kbps", &kilobytes(rates.bytes_in_per_s)),
        ("instantaneous_output_kbps", &kilobytes(rates.bytes_out_per_s)),
        ("rejected_connections", &totals.sessions_rejected),
        ("client_output_buffer_limit_disconnections", &totals.sessions_dropped),
        ("total_error_replies", &context.snapshot.errors_total()),
    ])
}

pub(super) fn replication(context: &InfoContext<'_>) -> String {
    let Some(cluster) = context.cluster else {
        return lines(&[("role", &"master"), ("connected_slaves", &0)]) + &replication_ids(context);
    };
    let mut text = match (cluster.role(), cluster.primary()) {
        (Role::Replica, Some(primary)) => lines(&[
            ("role", &"slave"),
            ("master_host", &primary.host()),
            ("master_port", &primary.port()),
            ("master_link_status", &if context.nodes.links_up { "up" } else { "down" }),
            ("master_last_io_seconds_ago", &0),
            ("master_sync_in_progress", &0),
            ("slave_read_repl_offset", &context.nodes.offset),
            ("slave_repl_offset", &context.nodes.offset),
            ("slave_priority", &100),
            ("slave_read_only", &1),
            ("replica_announced", &1),
        ]),
        _ => lines(&[("role", &"master")]),
    };
    text += &lines(&[("connected_slaves", &cluster.replicas().count())]);
    for (number, replica) in cluster.replicas().enumerate() {
        let (host, port, offset) = (replica.host(), replica.port(), context.nodes.offset);
        // How far other proxies' nodes are is not known here.
        text += &format!("slave{number}:ip={host},port={port},state=online,offset={offset},lag=0\r\n");
    }
    text + &replication_ids(context)
}

/// The proxy itself replicates nothing; its history is that of this run, and as far as its nodes are.
fn replication_ids(context: &InfoContext<'_>) -> String {
    lines(&[
        ("master_failover_state", &"no-failover"),
        ("master_replid", &context.process.run_id),
        ("master_replid2", &"0000000000000000000000000000000000000000"),
        ("master_repl_offset", &context.nodes.offset),
        ("second_repl_offset", &-1),
        ("repl_backlog_active", &0),
        ("repl_backlog_size", &0),
        ("repl_backlog_first_byte_offset", &0),
        ("repl_backlog_histlen", &0),
    ])
}

pub(super) fn cpu(context: &InfoContext<'_>) -> String {
    let seconds = |us: u64| format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    lines(&[
        ("used_cpu_sys", &seconds(context.process.system_cpu_us)),
        ("used_cpu_user", &seconds(context.process.user_cpu_us)),
    ])
}

/// The proxy has none.
pub(super) fn modules(_: &InfoContext<'_>) -> String {
    String::new()
}

pub(super) fn cluster(_: &InfoContext<'_>) -> String {
    lines(&[("cluster_enabled", &1)])
}

pub(super) fn keyspace(context: &InfoContext<'_>) -> String {
    context.nodes.keyspace.to_owned()
}

/// What Redis has no field for.
pub(super) fn undermoon(context: &InfoContext<'_>) -> String {
    let totals = &context.snapshot.totals;
    let complete = context.cluster.is_some_and(FaceReplies::is_complete);
    lines(&[
        ("undermoon_version", &context.process.version),
        ("announce_address", &context.settings.announce_address),
        ("workers", &context.settings.workers),
        ("cluster_members", &context.cluster.map_or(0, FaceReplies::members)),
        ("cluster_complete", &u8::from(complete)),
        ("turns", &totals.turns),
        ("batches", &totals.batches),
        ("batched_requests", &totals.batched_requests),
        ("slow_requests", &totals.slow_requests),
        ("protocol_errors", &totals.protocol_errors),
        ("timed_out_connections", &totals.sessions_timed_out),
    ])
}

/// Redis's short form of a number of bytes.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let unit = (bytes.ilog2() / 10) as usize;
    format!("{:.2}{}", bytes as f64 / (1_u64 << (10 * unit)) as f64, UNITS[unit - 1])
}
