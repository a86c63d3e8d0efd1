//! What was found about one cluster, or about one proxy of the pool.

use std::collections::BTreeMap;

use model::{Address, Epoch};

use crate::serving::Serving;

/// What was found about a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterReview {
    /// The epoch that the metadata has for it; `None` where the metadata does not have it.
    pub stored: Option<Epoch>,
    /// The epoch of the newest view of it that any proxy has; `None` where nobody has one.
    pub served: Option<Epoch>,
    /// How it is served; `None` where that cannot be told.
    pub serving: Option<Serving>,
    /// What keeps it from being taken over as it is served without an operator, one sentence each.
    pub obstacles: Vec<String>,
    /// What taking it over as it is served would change in the metadata, one sentence each; empty where both agree.
    pub by_proxies: Vec<String>,
    /// Primaries by the metadata that do not serve by the newest view, each with the proxy that may serve in its place.
    pub deposed: BTreeMap<Address, Address>,
    /// What going by the metadata would make of its nodes, one sentence for each shard.
    pub by_metadata: Vec<String>,
}

/// What was found about a proxy of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyReview {
    /// The epoch of its view; `None` where it does not answer.
    pub seen: Option<Epoch>,
    /// What keeps it from being taken for a free one without an operator; `None` where it holds nothing and serves
    /// nobody.
    pub obstacle: Option<String>,
}
