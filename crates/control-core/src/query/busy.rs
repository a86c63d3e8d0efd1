//! Which shards wait for a primary that is busy, as one coordinator sees it.

use model::{Address, ClusterName, NodeState};

use crate::diagnose::{NodeCondition, node_condition, node_health};
use crate::observed::Observed;
use crate::state::{Half, State};
use crate::time::TimeMs;

/// A shard with slots whose primary is busy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BusyShard {
    /// The cluster.
    pub cluster: ClusterName,
    /// The primary.
    pub primary: Address,
    /// For how long it has answered nobody, in milliseconds.
    pub for_ms: u64,
}

/// The shards whose primary is busy: their requests wait, and nobody takes over.
#[must_use]
pub fn busy(state: &State, observed: &Observed, now: TimeMs) -> Vec<BusyShard> {
    let mut found = Vec::new();
    for (cluster, held) in &state.clusters {
        for chunk in &held.chunks {
            for shard in Half::BOTH.into_iter().filter(|shard| !chunk.shard(*shard).slots.is_empty()) {
                let (primary, proxy) = (chunk.primary(shard), chunk.primary_proxy(shard));
                if node_condition(observed, proxy, primary, now) != NodeCondition::Busy {
                    continue;
                }
                if let Some(NodeState::Busy { for_ms }) =
                    node_health(observed, proxy, primary).map(|health| health.state)
                {
                    found.push(BusyShard { cluster: cluster.clone(), primary: primary.clone(), for_ms });
                }
            }
        }
    }
    found
}
