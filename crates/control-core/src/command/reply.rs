//! What commands answer.

use model::{Address, ClusterName, Epoch};
use serde::{Deserialize, Serialize};

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// The proxy was registered already; its failure, if any, is cleared. `/api/v3` answers ALREADY_EXISTED.
    AlreadyExisted,
    /// What became of a failed proxy.
    FailedOver(FailedOver),
    /// The global epoch, after it was raised.
    Epoch(Epoch),
}

/// What became of a failed proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedOver {
    /// The cluster that it was in; `None` if it was in the pool.
    pub cluster: Option<ClusterName>,
    /// The nodes that became primaries.
    pub promoted: Vec<Address>,
    /// The primaries behind it whose replicas could not be promoted: their slots stay without service.
    pub stuck: Vec<Address>,
    /// What has its place now: the proxy itself where proxies are ordered; `None` if the pool had nothing
    /// that fits, where `/api/v3` answers NO_AVAILABLE_RESOURCE.
    pub replacement: Option<Address>,
}
