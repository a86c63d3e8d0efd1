//! The types of `/api/v3`, in the shapes that Undermoon's own tools read and write.

use std::collections::BTreeMap;

use model::{Address, ClusterConfig, ClusterName, Epoch, ReplPeer, Role, SlotAssignment};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::{ReplPeerSchema, SlotAssignmentSchema};

/// Answer of `clusters/names`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Names {
    /// The clusters, in order.
    #[schema(value_type = Vec<String>)]
    pub names: Vec<ClusterName>,
}

/// Answer of `proxies/addresses`, `proxies/failed/addresses` and `failures`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Addresses {
    /// The proxies, in order.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<Address>,
}

/// Answer of `clusters/meta/{cluster}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterAnswer {
    /// The cluster; null if there is none of that name.
    pub cluster: Option<Cluster>,
}

/// A cluster with all its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ClusterName,
    /// The epoch of its views.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// Its nodes, four for each chunk.
    pub nodes: Vec<Node>,
    /// Its settings.
    #[schema(value_type = BTreeMap<String, String>)]
    pub config: ClusterConfig,
}

/// A Redis server of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Where it listens.
    #[schema(value_type = String)]
    pub address: Address,
    /// The proxy that fronts it.
    #[schema(value_type = String)]
    pub proxy_address: Address,
    /// Its cluster.
    #[schema(value_type = String)]
    pub cluster_name: ClusterName,
    /// The slots that it owns or imports; empty for a replica.
    #[schema(value_type = Vec<SlotAssignmentSchema>)]
    pub slots: Vec<SlotAssignment>,
    /// Its part in replication.
    pub repl: Replication,
}

/// A node's part in replication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replication {
    /// `master` or `replica`.
    #[schema(value_type = String)]
    pub role: Role,
    /// The other end.
    #[schema(value_type = Vec<ReplPeerSchema>)]
    pub peers: Vec<ReplPeer>,
}

/// Answer of `clusters/info/{cluster}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterInfo {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ClusterName,
    /// How many nodes it has.
    pub node_number: usize,
    /// How many of them are in chunks with slots.
    pub node_number_with_slots: usize,
    /// Whether slots move.
    pub is_migrating: bool,
}

/// Answer of `proxies/meta/{address}` and `proxies/failover/{address}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProxyAnswer {
    /// The proxy; null if there is none.
    pub proxy: Option<Proxy>,
}

/// A proxy and what it should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proxy {
    /// Where it listens.
    #[schema(value_type = String)]
    pub address: Address,
    /// The epoch of its view.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// Its nodes while it serves a cluster.
    pub nodes: Vec<Node>,
    /// Its nodes while it is in the pool.
    #[schema(value_type = Vec<String>)]
    pub free_nodes: Vec<Address>,
    /// The other proxies of its cluster.
    pub peers: Vec<Peer>,
    /// The settings of its cluster.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, String>>)]
    pub clusters_config: BTreeMap<ClusterName, ClusterConfig>,
}

/// Another proxy of the same cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Where it listens.
    #[schema(value_type = String)]
    pub proxy_address: Address,
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster_name: ClusterName,
    /// What its nodes own or import.
    #[schema(value_type = Vec<SlotAssignmentSchema>)]
    pub slots: Vec<SlotAssignment>,
}

/// Body of POST `clusters/meta/{cluster}` and PATCH `clusters/nodes/{cluster}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeNumber {
    /// How many nodes, a multiple of 4.
    pub node_number: usize,
}

/// Body of PUT `clusters/nodes/{cluster}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterNodeNumber {
    /// How many nodes in the end, a multiple of 4.
    pub cluster_node_number: usize,
}

/// Body of PUT `clusters/migrations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrationTask {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster_name: ClusterName,
    /// The slots, with the tag `Migrating`.
    #[schema(value_type = SlotAssignmentSchema)]
    pub slot_range: SlotAssignment,
}

/// Body of POST `proxies/meta`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProxy {
    /// Where it listens.
    #[schema(value_type = String)]
    pub proxy_address: Address,
    /// The two nodes that it fronts.
    #[schema(value_type = Vec<String>)]
    pub nodes: Vec<Address>,
    /// Its failure domain; the host of its address unless given.
    #[serde(default)]
    pub host: Option<String>,
    /// Its place in the order, where proxies are ordered.
    #[serde(default)]
    pub index: Option<u64>,
}

/// Answer of POST `resources/failures/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostsCannotFail {
    /// The hosts whose loss the pool could not make up for.
    pub hosts_cannot_fail: Vec<String>,
}

/// Body and answer of `config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerSettings {
    /// Other brokers that are given a copy of the metadata after each change.
    pub replica_addresses: Vec<String>,
}
