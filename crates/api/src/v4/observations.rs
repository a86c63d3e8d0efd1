//! What coordinators see at the moment. It is not kept: it is true for as long as it is said.

use model::{Address, ClusterName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of POST `observations`: what one coordinator sees now. It replaces what that one said before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Observations {
    /// What the coordinator calls itself.
    pub coordinator: String,
    /// Tells its process from another of the same name.
    pub process: u64,
    /// Shards that nobody serves.
    pub unserved: Vec<UnservedShard>,
    /// Proxies that it cannot ask how they are, for a reason of its own.
    #[schema(value_type = Vec<String>)]
    pub unaskable: Vec<Address>,
    /// Shards whose primary is busy: it answers nobody for now, and its process works. Left out where there is none, because
    /// earlier brokers do not know it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<BusyShard>,
    /// Shards whose replica follows and is not attached at its primary. Left out where there is none, as `busy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unattached: Vec<UnattachedShard>,
    /// Proxies that live and have not taken what they are to have. Left out where there is none, as `busy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateProxy>,
    /// Clusters that the metadata had in an earlier history and does not have in this one. Left out where there is none, as
    /// `busy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub missing: Vec<ClusterName>,
}

/// A proxy that answers, and has an older view or older roles than the metadata has for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LateProxy {
    /// The proxy.
    #[schema(value_type = String)]
    pub proxy: Address,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// Why this coordinator could not give it that when it last tried; null where it was not its turn, or that was taken.
    #[serde(default)]
    pub why: Option<String>,
}

/// A shard whose replica is in sync by its own word, and whose primary's proxy has not had that word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnattachedShard {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// The primary.
    #[schema(value_type = String)]
    pub primary: Address,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// A shard whose primary is busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BusyShard {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// The primary.
    #[schema(value_type = String)]
    pub primary: Address,
    /// For how long it has answered nobody, in milliseconds.
    pub for_ms: u64,
}

/// A shard that nobody serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnservedShard {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// The node that the metadata has as the primary.
    #[schema(value_type = String)]
    pub primary: Address,
    /// Why it does not serve, in words.
    pub why: String,
}
