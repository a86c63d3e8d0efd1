//! What the metadata's queries say, in the types of the HTTP API.

use std::time::Instant;

use api::v3;
use api::v4::{Job, JobKind, JobProgress, JobState, Jobs};
use axum::http::StatusCode;
use control_core::query::{ClusterInfo, ClusterMeta, NodeMeta, ProxyMeta};
use control_core::{Cluster, Half, MigrationOutcome, ShardId, State};
use model::ClusterName;

use super::error::ApiError;
use super::migration_speed::MigrationSpeed;

/// `clusters/meta`.
pub(super) fn cluster(meta: ClusterMeta) -> v3::Cluster {
    let nodes = meta.nodes.into_iter().map(node).collect();
    v3::Cluster { name: meta.name, epoch: meta.epoch, nodes, config: meta.config }
}

/// `clusters/info`.
pub(super) fn info(info: ClusterInfo) -> v3::ClusterInfo {
    v3::ClusterInfo {
        name: info.name,
        node_number: info.node_number,
        node_number_with_slots: info.node_number_with_slots,
        is_migrating: info.is_migrating,
    }
}

/// `proxies/meta`.
pub(super) fn proxy(meta: ProxyMeta) -> v3::Proxy {
    let peer = |peer: control_core::query::PeerMeta| v3::Peer {
        proxy_address: peer.proxy_address,
        cluster_name: peer.cluster_name,
        slots: peer.slots,
    };
    v3::Proxy {
        address: meta.address,
        epoch: meta.epoch,
        nodes: meta.nodes.into_iter().map(node).collect(),
        free_nodes: meta.free_nodes,
        peers: meta.peers.into_iter().map(peer).collect(),
        clusters_config: meta.clusters_config,
    }
}

fn node(meta: NodeMeta) -> v3::Node {
    v3::Node {
        address: meta.address,
        proxy_address: meta.proxy_address,
        cluster_name: meta.cluster_name,
        slots: meta.slots,
        repl: v3::Replication { role: meta.repl.role, peers: meta.repl.peers },
    }
}

/// The number of a shard in its cluster, from 0.
pub(super) fn shard_number(id: ShardId) -> usize {
    id.chunk * Half::BOTH.len() + id.shard.index()
}

/// That a cluster has no shard of that number.
pub(super) fn no_such_shard(number: usize, cluster: &Cluster) -> ApiError {
    let count = cluster.chunks.len() * Half::BOTH.len();
    let text = format!("there is no shard {number}: the cluster has {count}, numbered from 0");
    ApiError::new(StatusCode::NOT_FOUND, "SHARD_NOT_FOUND", text).of_field("shard")
}

/// `jobs`, in the order of the clusters; in each what has ended, then what runs and waits.
pub(super) fn jobs(state: &State, speed: &MigrationSpeed, now: Instant) -> Jobs {
    let mut all = Jobs { jobs: Vec::new(), progress: Vec::new() };
    for (name, cluster) in &state.clusters {
        let jobs = cluster_jobs(name, cluster);
        if jobs.is_empty() {
            continue;
        }
        let slots =
            |wanted: JobState| jobs.iter().filter(|job| job.state == wanted).map(|job| job.slot_count).sum();
        let estimate = speed.estimate(name, now);
        all.progress.push(JobProgress {
            cluster: name.clone(),
            is_paused: cluster.paused,
            slots_per_minute: estimate.map(|estimate| estimate.slots_per_minute),
            seconds_left: estimate.filter(|_| !cluster.paused).map(|estimate| estimate.seconds_left),
            slots_waiting: slots(JobState::Waiting) + slots(JobState::Paused),
            slots_running: slots(JobState::Running),
            slots_committed: slots(JobState::Committed),
        });
        all.jobs.extend(jobs);
    }
    all
}

fn cluster_jobs(name: &ClusterName, cluster: &Cluster) -> Vec<Job> {
    let ended = cluster.finished.iter().map(|done| Job {
        cluster: name.clone(),
        kind: JobKind::Migration,
        state: match done.outcome {
            MigrationOutcome::Committed => JobState::Committed,
            MigrationOutcome::Cancelled => JobState::Cancelled,
        },
        slots: done.ranges.to_string(),
        slot_count: done.ranges.count(),
        source: Some(done.meta.source_node.clone()),
        target: Some(done.meta.target_node.clone()),
        attempt: Some(done.meta.epoch),
    });
    let waiting = if cluster.paused { JobState::Paused } else { JobState::Waiting };
    let running = cluster.migrations.iter().map(|migration| {
        let primary = |id: ShardId| cluster.chunks[id.chunk].primary(id.shard).clone();
        Job {
            cluster: name.clone(),
            kind: JobKind::Migration,
            state: if migration.attempt.is_some() { JobState::Running } else { waiting },
            slots: migration.ranges.to_string(),
            slot_count: migration.ranges.count(),
            source: Some(primary(migration.source)),
            target: Some(primary(migration.target)),
            attempt: migration.attempt,
        }
    });
    let scaling = cluster.scaling.map(|job| Job {
        cluster: name.clone(),
        kind: JobKind::Scaling,
        state: waiting,
        slots: String::new(),
        slot_count: 0,
        source: None,
        target: None,
        attempt: Some(job.epoch),
    });
    ended.chain(running).chain(scaling).collect()
}
