//! A cluster as `clusters/meta` and `clusters/info` answer it.

use model::{Address, ClusterConfig, ClusterName, Epoch, ReplPeer, Role, SlotAssignment, SlotTag};
use serde::{Deserialize, Serialize};

use crate::state::{CHUNK_NODES, Chunk, Cluster, Half, ShardId, State};
use crate::views::{node_role, node_slots};

/// `clusters/meta/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMeta {
    /// Its name.
    pub name: ClusterName,
    /// The epoch of its views.
    pub epoch: Epoch,
    /// Its nodes, chunk by chunk.
    pub nodes: Vec<NodeMeta>,
    /// Its settings.
    pub config: ClusterConfig,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMeta {
    /// The node.
    pub address: Address,
    /// The proxy that fronts it.
    pub proxy_address: Address,
    /// The cluster.
    pub cluster_name: ClusterName,
    /// What it owns or imports; nothing for a replica.
    pub slots: Vec<SlotAssignment>,
    /// Its role, and the other end of its replication.
    pub repl: ReplMeta,
}

/// A node's part in replication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplMeta {
    /// Whether it takes writes.
    pub role: Role,
    /// The other end.
    pub peers: Vec<ReplPeer>,
}

/// `clusters/info/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Its name.
    pub name: ClusterName,
    /// How many nodes it has.
    pub node_number: usize,
    /// How many of them are in chunks with slots.
    pub node_number_with_slots: usize,
    /// Whether slots move or are about to.
    pub is_migrating: bool,
}

/// A cluster with all its nodes; `None` if there is no such cluster.
#[must_use]
pub fn cluster_meta(state: &State, name: &ClusterName) -> Option<ClusterMeta> {
    let cluster = state.clusters.get(name)?;
    let nodes = (0..cluster.chunks.len())
        .flat_map(|chunk| Half::BOTH.map(|half| half_nodes(name, cluster, chunk, half)))
        .flatten()
        .collect();
    Some(ClusterMeta { name: name.clone(), epoch: cluster.epoch, nodes, config: cluster.config.clone() })
}

/// A cluster in numbers; `None` if there is no such cluster.
#[must_use]
pub fn cluster_info(state: &State, name: &ClusterName) -> Option<ClusterInfo> {
    let cluster = state.clusters.get(name)?;
    let with_slots = cluster.chunks.iter().filter(|chunk| !chunk.is_without_slots()).count();
    Some(ClusterInfo {
        name: name.clone(),
        node_number: cluster.node_count(),
        node_number_with_slots: with_slots * CHUNK_NODES,
        is_migrating: !cluster.migrations.is_empty(),
    })
}

/// The two nodes of one half of a chunk.
pub(super) fn half_nodes(name: &ClusterName, cluster: &Cluster, place: usize, half: Half) -> [NodeMeta; 2] {
    let chunk: &Chunk = &cluster.chunks[place];
    [half, half.other()].map(|shard| {
        let address = chunk.node(shard, half);
        let role = node_role(name, chunk, address, shard);
        NodeMeta {
            address: address.clone(),
            proxy_address: chunk.proxy(half).clone(),
            cluster_name: name.clone(),
            slots: owned_or_imported(node_slots(cluster, ShardId { chunk: place, shard }, half)),
            repl: ReplMeta { role: role.role, peers: role.peers },
        }
    })
}

/// `/api/v3` knows no slots of replicas.
pub(super) fn owned_or_imported(mut slots: Vec<SlotAssignment>) -> Vec<SlotAssignment> {
    slots.retain(|slots| slots.tag != SlotTag::Replica);
    slots
}
