//! The texts of UMCTL INFO, INFOREPL and STATS: sections and lines `field:value`, as INFO has them.

use std::fmt::Write as _;

use keeper::{DesiredRole, Health, Keeper, Metadata, NodeLink, NodeRole, Readiness};
use proxy_core::stats::Snapshot;

/// Cluster, replication and migration.
pub(super) fn all(keeper: &Keeper, readiness: &Readiness) -> String {
    let cluster = keeper.metadata();
    let mut text = clusters(cluster, readiness);
    text += "\r\n";
    text += &replication(keeper);
    text += "\r\n# Migration\r\n";
    let migrations = cluster.migrations();
    line(&mut text, "migrations", &migrations.len());
    for (number, migration) in migrations.iter().enumerate() {
        line(&mut text, &format!("migration{number}"), migration);
    }
    text
}

fn clusters(cluster: &Metadata, readiness: &Readiness) -> String {
    let mut text = "# Cluster\r\n".to_owned();
    line(&mut text, "ready", &u8::from(readiness.is_ready()));
    line(&mut text, "epoch", &cluster.epoch());
    if let Some(view) = cluster.view() {
        line(&mut text, "name", &view.cluster);
        line(&mut text, "slots", &view.owned_locally().count());
        line(&mut text, "local_nodes", &view.local.len());
        line(&mut text, "peers", &view.peers.len());
        for (field, value) in view.config.iter() {
            line(&mut text, field, &value);
        }
    }
    text
}

/// The nodes, what they are to be and what they are.
pub(super) fn replication(keeper: &Keeper) -> String {
    let cluster = keeper.metadata();
    let mut text = "# Replication\r\n".to_owned();
    line(&mut text, "epoch", &cluster.roles_epoch());
    for (number, (address, health)) in keeper.nodes().enumerate() {
        let wanted = match cluster.desired_role(address) {
            None => "any".to_owned(),
            Some(DesiredRole::Primary) => "master".to_owned(),
            Some(DesiredRole::ReplicaOf(primary)) => format!("replica of {primary}"),
        };
        let value = format!("address={address},wanted={wanted},state={}{}", health.word(), seen(health));
        line(&mut text, &format!("node{number}"), &value);
    }
    text
}

fn seen(health: &Health) -> String {
    let Some(status) = health.status() else { return String::new() };
    let offset = status.offset;
    match &status.role {
        NodeRole::Primary => format!(",role=master,replicas={},offset={offset}", status.replicas),
        NodeRole::Replica { host, port, link } => {
            let link = if *link == NodeLink::Up { "up" } else { "down" };
            format!(",role=replica,master={host}:{port},link={link},offset={offset}")
        }
    }
}

/// Sums over the workers since the start.
pub(super) fn statistics(snapshot: &Snapshot) -> Vec<String> {
    let totals = &snapshot.totals;
    [
        ("sessions", totals.sessions),
        ("sessions_accepted", totals.sessions_accepted),
        ("sessions_rejected", totals.sessions_rejected),
        ("sessions_dropped", totals.sessions_dropped),
        ("sessions_timed_out", totals.sessions_timed_out),
        ("protocol_errors", totals.protocol_errors),
        ("requests", totals.requests),
        ("error_replies", snapshot.errors_total()),
        ("slow_requests", totals.slow_requests),
        ("batches", totals.batches),
        ("batched_requests", totals.batched_requests),
        ("bytes_in", totals.bytes_in),
        ("bytes_out", totals.bytes_out),
    ]
    .map(|(name, value)| format!("{name}:{value}"))
    .into()
}

/// Writing to a String cannot fail.
fn line(text: &mut String, field: &str, value: &dyn std::fmt::Display) {
    let _ = write!(text, "{field}:{value}\r\n");
}
