//! How a cluster is served, as its proxies say it: what a review may take over.

use model::{Address, ClusterConfig, SlotRanges};
use serde::{Deserialize, Serialize};

use crate::state::Half;

/// How a cluster is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Its chunks.
    pub chunks: Vec<ServingChunk>,
    /// Its settings.
    pub config: ClusterConfig,
}

/// Two proxies that back each other up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServingChunk {
    /// The proxy of each half.
    pub proxies: [Address; 2],
    /// The two shards.
    pub shards: [ServingShard; 2],
}

/// A shard as it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServingShard {
    /// Its slots.
    pub slots: SlotRanges,
    /// Where its primary is.
    pub primary: Half,
    /// Whether its replica was seen following it.
    pub in_sync: bool,
    /// A proxy that may serve the slots, too: the primary is not served before that one has stopped.
    pub deposed: Option<Address>,
}
