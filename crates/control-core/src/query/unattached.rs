//! Which replicas are in sync by their own word, and not attached at their primaries, as one coordinator sees it.

use model::{Address, ClusterName};

use crate::diagnose::{NodeCondition, node_condition, proxy_health};
use crate::observed::Observed;
use crate::state::{Half, State, SyncState};
use crate::time::TimeMs;

/// A replica that follows is attached within two heartbeats; one that was given everything anew, within two seconds.
const UNATTACHED_MS_MIN: u64 = 3_000;

/// A shard with slots whose replica follows, and whose primary's proxy has not had its word of that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unattached {
    /// The cluster.
    pub cluster: ClusterName,
    /// The primary.
    pub primary: Address,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// The shards whose replica follows and is not attached: their primaries serve by their leases alone.
#[must_use]
pub fn unattached(state: &State, observed: &Observed, now: TimeMs) -> Vec<Unattached> {
    let mut found = Vec::new();
    for (cluster, held) in &state.clusters {
        for chunk in &held.chunks {
            for shard in Half::BOTH {
                let (primary, proxy) = (chunk.primary(shard), chunk.primary_proxy(shard));
                let Some(alone) = observed.alone.get(primary) else { continue };
                let (record, for_ms) = (chunk.shard(shard), now.since(alone.since));
                let is_meant =
                    !record.slots.is_empty() && record.fence.is_none() && record.replica == SyncState::InSync;
                // Without leases nobody is asked.
                let has_leases =
                    proxy_health(observed, proxy).is_some_and(|health| health.lease_longest_ms > 0);
                let replica = node_condition(observed, chunk.replica_proxy(shard), chunk.replica(shard), now);
                let follows = node_condition(observed, proxy, primary, now) == NodeCondition::Primary
                    && replica == NodeCondition::Following;
                if is_meant && has_leases && follows && for_ms >= UNATTACHED_MS_MIN {
                    found.push(Unattached { cluster: cluster.clone(), primary: primary.clone(), for_ms });
                }
            }
        }
    }
    found
}
