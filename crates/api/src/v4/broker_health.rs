//! How a broker is, and what it keeps.

use model::Epoch;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether the metadata can be read and changed now.
    pub healthy: bool,
    /// What is wrong, if anything: why the store cannot be used, or which clusters it has lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The store: `embedded` or `etcd`.
    pub store: String,
    /// The version of the program.
    pub version: String,
    /// The number of the last change.
    pub change: u64,
    /// The highest epoch that was ever given out.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// How many clusters there are.
    pub clusters: usize,
    /// How many proxies are registered.
    pub proxies: usize,
    /// How many of them could be given to a cluster.
    pub free_proxies: usize,
    /// How many of them count as failed.
    pub failed_proxies: usize,
}
