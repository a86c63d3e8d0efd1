//! How well clusters are served, for people and for dashboards.

use model::{Address, ClusterName, Epoch, RunId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::broker_health::Health;

/// How well something is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Well,
    /// It is served, and would not survive every next failure, or is about to change.
    Degraded,
    /// Nobody knows whether some slots are served: no coordinator speaks, or none can ask.
    Unknown,
    /// Some slots are without service.
    Down,
}

/// Answer of `clusters/{cluster}/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterHealth {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ClusterName,
    /// The epoch of its views.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// That of its worst shard.
    pub level: Level,
    /// How many slots are not in a shard that is down.
    pub slots_served: usize,
    /// Its shards in the order of their numbers.
    pub shards: Vec<ShardHealth>,
}

/// How a shard is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardHealth {
    /// Its number in the cluster, from 0.
    pub shard: usize,
    /// Its slots, such as `0-100 200`.
    pub slots: String,
    /// How many slots that is.
    pub slot_count: usize,
    /// How well it is served.
    pub level: Level,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// The node that takes its writes.
    pub primary: NodePlace,
    /// The node that follows.
    pub replica: NodePlace,
    /// Whether the replica may take over.
    pub sync: Sync,
    /// Set while the primary is being taken out of service.
    pub fence: Option<FenceShown>,
    /// The process of the primary (`run_id` of its INFO) with which the shard waits for an operator, after it came back with
    /// less than its replica may have; left out where it does not wait, or that is not known.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_with: Option<RunId>,
    /// Whether the primary takes writes by the present view, as its proxy has just said; known only when it was asked,
    /// and left out otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<bool>,
    /// Whether both proxies of the shard have the present view, as they have just said; left out where not both did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<bool>,
    /// How many bytes of the primary's stream the replica lacks; known only when both proxies were asked.
    pub behind_bytes: Option<u64>,
}

/// A node, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodePlace {
    /// The node.
    #[schema(value_type = String)]
    pub node: Address,
    /// The proxy that fronts it.
    #[schema(value_type = String)]
    pub proxy: Address,
    /// The failure domain that it is in.
    pub host: String,
    /// How far it is in the replication stream, in bytes; known only when its proxy was asked.
    pub offset: Option<u64>,
}

/// What is known of a replica's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Both nodes are new and nobody has looked yet.
    Fresh,
    /// It was seen following its primary, and has not been seen otherwise since.
    InSync,
    /// It may lack data, and is promoted by force only.
    OutOfSync,
}

/// A primary that must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FenceShown {
    /// Names it.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// Why.
    pub reason: FenceReason,
}

/// Why a primary must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceReason {
    /// It is gone; the replica takes over with what it has.
    Dead,
    /// It is well; the replica takes over once it has everything.
    Handover,
}

/// Answer of `overview`: everything in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// That of the worst cluster; down if the broker is not healthy.
    pub level: Level,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// The broker that answers.
    pub broker: Health,
    /// The clusters by name.
    pub clusters: Vec<ClusterSummary>,
    /// The failure domains by name.
    pub hosts: Vec<HostSummary>,
}

/// A cluster in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ClusterName,
    /// That of its worst shard.
    pub level: Level,
    /// How many nodes it has.
    pub node_number: usize,
    /// How many slots are not in a shard that is down.
    pub slots_served: usize,
    /// How many of its shards are not well.
    pub shards_not_well: usize,
    /// Whether slots move or are about to.
    pub is_migrating: bool,
}

/// A failure domain in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostSummary {
    /// Its name.
    pub host: String,
    /// How many proxies are there.
    pub proxies: usize,
    /// How many of them could be given to a cluster.
    pub free: usize,
    /// How many of them count as failed.
    pub failed: usize,
    /// How many primaries are there.
    pub primaries: usize,
    /// Whether the pool could make up for its loss.
    pub can_fail: bool,
}
