//! The shards of a cluster, and what moves between them.

use control_core::{Cluster, FenceReason, State, SyncState};
use model::Address;
use serde::Serialize;

/// A shard with its two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::ctl) struct ShardLine {
    /// Its number in the cluster, from 0.
    pub shard: usize,
    /// The chunk that it is in, from 0.
    pub chunk: usize,
    /// Its slots, such as `0-8191`; empty for none.
    pub slots: String,
    /// How many slots that is.
    pub slot_count: usize,
    /// Its primary.
    pub primary: NodePlace,
    /// Its replica.
    pub replica: NodePlace,
    /// What is known of the replica.
    pub sync: SyncWord,
    /// Whether the primary is where it is at home.
    pub at_home: bool,
    /// Why the primary is being taken out of service, if it is.
    pub fence: Option<FenceWord>,
    /// How many bytes of its primary's stream the replica lacks, where the proxies were asked and answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_bytes: Option<u64>,
}

/// A node and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::ctl) struct NodePlace {
    /// The node.
    pub node: Address,
    /// The proxy that fronts it.
    pub proxy: Address,
    /// The failure domain of both.
    pub host: String,
    /// Whether the proxy counts as failed.
    pub failed: bool,
}

/// What is known of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::ctl) enum SyncWord {
    /// Both nodes are new and no coordinator has looked yet.
    New,
    /// It follows its primary.
    InSync,
    /// It lacks data.
    OutOfSync,
}

impl SyncWord {
    pub(in crate::ctl) const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InSync => "in sync",
            Self::OutOfSync => "out of sync",
        }
    }
}

/// Why a primary is being taken out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::ctl) enum FenceWord {
    /// It is gone.
    Dead,
    /// Its replica takes over as was asked for.
    Handover,
}

/// Slots that are to move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::ctl) struct MoveLine {
    /// The slots.
    pub slots: String,
    /// How many.
    pub slot_count: usize,
    /// The node that has them.
    pub source: Address,
    /// The node that gets them.
    pub target: Address,
    /// Whether it has begun.
    pub running: bool,
}

/// Every shard of a cluster, in order.
pub(in crate::ctl) fn shard_lines(state: &State, cluster: &Cluster) -> Vec<ShardLine> {
    let line = |(number, id): (usize, control_core::ShardId)| {
        let (chunk, shard) = (&cluster.chunks[id.chunk], cluster.shard(id));
        let place = |node: &Address, proxy: &Address| NodePlace {
            node: node.clone(),
            proxy: proxy.clone(),
            host: host(state, proxy),
            failed: state.is_failed(proxy),
        };
        ShardLine {
            shard: number,
            chunk: id.chunk,
            slots: shard.slots.to_string(),
            slot_count: shard.slots.count(),
            primary: place(chunk.primary(id.shard), chunk.primary_proxy(id.shard)),
            replica: place(chunk.replica(id.shard), chunk.replica_proxy(id.shard)),
            sync: match shard.replica {
                SyncState::Fresh => SyncWord::New,
                SyncState::InSync => SyncWord::InSync,
                SyncState::OutOfSync => SyncWord::OutOfSync,
            },
            at_home: shard.primary == id.shard,
            fence: shard.fence.map(|fence| match fence.reason {
                FenceReason::Dead => FenceWord::Dead,
                FenceReason::Handover | FenceReason::Planned => FenceWord::Handover,
            }),
            behind_bytes: None,
        }
    };
    cluster.shard_ids().enumerate().map(line).collect()
}

/// What moves between the shards of a cluster.
pub(in crate::ctl) fn move_lines(cluster: &Cluster) -> Vec<MoveLine> {
    let primary = |id: control_core::ShardId| cluster.chunks[id.chunk].primary(id.shard).clone();
    let line = |migration: &control_core::Migration| MoveLine {
        slots: migration.ranges.to_string(),
        slot_count: migration.ranges.count(),
        source: primary(migration.source),
        target: primary(migration.target),
        running: migration.attempt.is_some(),
    };
    cluster.migrations.iter().map(line).collect()
}

fn host(state: &State, proxy: &Address) -> String {
    state.proxies.get(proxy).map_or_else(String::new, |record| record.host.to_string())
}
