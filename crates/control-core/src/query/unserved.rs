//! Which shards nobody serves, as one coordinator sees it: also where the metadata cannot say so, because nothing can be
//! done about it.

use model::{Address, ClusterName};

use crate::diagnose::{NodeCondition, node_condition, proxy_health};
use crate::observed::Observed;
use crate::state::{Half, State};
use crate::time::TimeMs;

/// A primary that has just got its slots has its first lease after two probes.
const STOPPED_MS_MIN: u64 = 300;

/// A shard with slots whose primary does not serve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unserved {
    /// The cluster.
    pub cluster: ClusterName,
    /// The node that the metadata has as the primary.
    pub primary: Address,
    /// Why it does not, in words.
    pub why: String,
}

/// The shards that nobody serves. One of which nothing is known is not among them.
#[must_use]
pub fn unserved(state: &State, observed: &Observed, now: TimeMs) -> Vec<Unserved> {
    let mut found = Vec::new();
    for (cluster, held) in &state.clusters {
        for chunk in &held.chunks {
            for shard in Half::BOTH.into_iter().filter(|shard| !chunk.shard(*shard).slots.is_empty()) {
                let (primary, proxy) = (chunk.primary(shard), chunk.primary_proxy(shard));
                let is_fenced = chunk.shard(shard).fence.is_some();
                let why = match node_condition(observed, proxy, primary, now) {
                    NodeCondition::Unreachable => format!("its proxy {proxy} does not answer"),
                    NodeCondition::Dead => "it does not answer its proxy".to_owned(),
                    NodeCondition::Loading => "it loads its data".to_owned(),
                    NodeCondition::Restarted => {
                        "it is another process than before, and may lack data".to_owned()
                    }
                    NodeCondition::Following | NodeCondition::Syncing | NodeCondition::LinkBroken { .. } => {
                        "it is still a replica".to_owned()
                    }
                    NodeCondition::Primary if has_no_view(observed, proxy) => {
                        format!("its proxy {proxy} has no view")
                    }
                    // One that is being handed over is to have none.
                    NodeCondition::Primary if !is_fenced && is_stopped(observed, primary, now) => {
                        format!(
                            "its proxy {proxy} has no lease and it has no attached replica: it refuses all requests"
                        )
                    }
                    // A busy one is waited for.
                    NodeCondition::Primary | NodeCondition::Busy | NodeCondition::Unknown => continue,
                };
                found.push(Unserved { cluster: cluster.clone(), primary: primary.clone(), why });
            }
        }
    }
    found
}

/// Whether a primary has had neither a lease nor an attached replica for longer than it takes to get one.
fn is_stopped(observed: &Observed, primary: &Address, now: TimeMs) -> bool {
    let since = observed.alone.get(primary).and_then(|seen| seen.stopped_since);
    since.is_some_and(|since| now.since(since) >= STOPPED_MS_MIN)
}

fn has_no_view(observed: &Observed, proxy: &Address) -> bool {
    proxy_health(observed, proxy).is_some_and(|health| health.view_epoch.0 == 0)
}
