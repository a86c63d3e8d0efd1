//! The failover of shards by an operator's order: what is asked for, and what came of it.

use model::{Address, ClusterName, Epoch, RunId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of POST `clusters/{cluster}/failover`: exactly one of `node`, `proxy` and `shard`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailoverRequest {
    /// Either node of the shard.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Address>,
    /// A proxy: all shards whose primary is behind it.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Address>,
    /// The shard by its number in the cluster, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<usize>,
    /// Promote at once, whatever the replica lacks: what it does not have is lost.
    #[serde(default)]
    pub force: bool,
}

/// Body of POST `clusters/{cluster}/serve`: exactly one of `node` and `shard`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeRequest {
    /// Either node of the shard.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Address>,
    /// The shard by its number in the cluster, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<usize>,
    /// The process of the primary that this was decided of (`run_id` of its INFO; `waits_with` in the health of the shard):
    /// refused when the shard waits with another by now.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<RunId>,
}

/// Answer of POST `clusters/{cluster}/failover`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailoverAnswer {
    /// The shards; empty when the proxy has no primary.
    pub shards: Vec<ShardFailover>,
}

/// What becomes of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardFailover {
    /// Its number in the cluster.
    pub shard: usize,
    /// The node that was its primary.
    #[schema(value_type = String)]
    pub from: Address,
    /// The node that is to be its primary.
    #[schema(value_type = String)]
    pub to: Address,
    /// How far it is.
    pub state: FailoverState,
    /// Names the handover: while `health` shows this fence, it is under way.
    #[schema(value_type = Option<u64>)]
    pub fence: Option<Epoch>,
    /// The proxy of the old primary, where it has to stop before the new one is served.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<Address>,
    /// Why the new primary cannot serve, in words, where its proxy has just said so or did not answer. Only with `force`:
    /// else the replica is promoted only when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How far a failover is that an operator asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailoverState {
    /// The primary is asked to stop; a coordinator promotes the replica when it has everything.
    HandingOver,
    /// The replica is the primary by the metadata. It is not served before the old primary has stopped, and a coordinator has
    /// seen that.
    Waiting,
    /// The replica is the primary.
    Done,
}

/// Answer of POST `proxies/{address}/replace`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplaceAnswer {
    /// The cluster that it served.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// The proxy in its place.
    #[schema(value_type = String)]
    pub replacement: Address,
}
