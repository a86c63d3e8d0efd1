//! How many keys the two nodes of a shard were seen to have.

use serde::{Deserialize, Serialize};

/// How many keys the two nodes of a shard have; `None` where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysSeen {
    /// The primary.
    pub primary: Option<u64>,
    /// The replica.
    pub replica: Option<u64>,
    /// The primary kept a log of all changes on disk when it was first seen since its start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_log: bool,
}
