//! What commands are made of besides themselves: a proxy to be registered, and what was seen that a command stands on.

use model::{Address, Epoch};
use serde::{Deserialize, Serialize};

use crate::state::HostName;

/// A proxy to be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProxy {
    /// Where it listens.
    #[serde(rename = "proxy_address")]
    pub address: Address,
    /// The nodes that it fronts; two.
    pub nodes: Vec<Address>,
    /// Its failure domain; the host of its address unless given.
    #[serde(default)]
    pub host: Option<HostName>,
    /// Its place in the order, where proxies are ordered.
    #[serde(default)]
    pub index: Option<u64>,
}

/// How it is known that a primary behind a fence has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// Its proxy says that it has a view without its slots.
    Heard {
        /// The epoch of that view.
        epoch: Epoch,
    },
    /// Nothing was heard; its last lease has run out, and the replica has let go for as long.
    LeaseOver {
        /// How long leases last, in milliseconds.
        lease_ms: u64,
    },
}
