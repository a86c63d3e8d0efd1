//! What a coordinator looks at, and what it reads there.

use std::collections::BTreeSet;

use model::{Address, ClusterName, Epoch, RunId};

use crate::diagnose::{
    NodeCondition, ProxyCondition, node_condition, node_health, proxy_condition, proxy_health,
};
use crate::observed::{Observed, ProxyObservation};
use crate::state::{Chunk, Cluster, Half, State};
use crate::time::TimeMs;

/// What is looked at.
pub(super) struct Watch<'a> {
    pub(super) state: &'a State,
    pub(super) observed: &'a Observed,
    pub(super) now: TimeMs,
    /// Clusters and proxies of the pool that are ahead of these metadata, which are old, or were read a moment ago.
    pub(super) ahead: Ahead,
}

/// What is ahead of the metadata.
#[derive(Default)]
pub(super) struct Ahead {
    clusters: BTreeSet<ClusterName>,
    pool: BTreeSet<Address>,
}

impl Ahead {
    /// Looks for proxies whose views are newer than any that the metadata can have given them: they, with the epoch of
    /// their views, and what is not to be touched for that.
    pub(super) fn find(state: &State, observed: &Observed) -> (Self, Vec<(Address, Epoch)>) {
        let (mut ahead, mut proxies) = (Self::default(), Vec::new());
        for (address, record) in &state.proxies {
            let Some(health) = proxy_health(observed, address) else { continue };
            let cluster = record.cluster.as_ref().and_then(|name| Some((name, state.clusters.get(name)?)));
            let given = cluster.map_or(record.epoch, |(_, cluster)| cluster.epoch.max(record.epoch));
            if health.view_epoch <= given {
                continue;
            }
            match cluster {
                Some((name, _)) => drop(ahead.clusters.insert(name.clone())),
                None => drop(ahead.pool.insert(address.clone())),
            }
            if !state.is_proxy_under_review(address) {
                proxies.push((address.clone(), health.view_epoch));
            }
        }
        (ahead, proxies)
    }
}

impl<'a> Watch<'a> {
    /// The clusters for which something may be done: those whose metadata are not older than what their proxies know.
    pub(super) fn trusted(&self) -> impl Iterator<Item = (&'a ClusterName, &'a Cluster)> {
        let clusters = self.state.clusters.iter();
        clusters.filter(|(name, cluster)| !cluster.review && !self.ahead.clusters.contains(*name))
    }

    /// Whether something may be done to a proxy.
    pub(super) fn is_trusted(&self, proxy: &Address) -> bool {
        let is_ahead = match self.state.proxies.get(proxy).and_then(|record| record.cluster.as_ref()) {
            Some(name) => self.ahead.clusters.contains(name),
            None => self.ahead.pool.contains(proxy),
        };
        !is_ahead && !self.state.is_proxy_under_review(proxy)
    }
}

impl Watch<'_> {
    /// Whether nothing speaks for it that these metadata are older than what proxies were given: each proxy that they name was
    /// asked, or has been silent for long, and none is ahead of them or under review. Until then a proxy that has just
    /// started, and so knows nothing, may have a role of which these metadata do not know.
    pub(super) fn is_beyond_doubt(&self) -> bool {
        let is_asked = |proxy: &Address| {
            let seen = self.observed.proxies.get(proxy);
            // One that could not be asked just now may be asked a moment later.
            let is_long =
                |seen: &ProxyObservation| self.now.since(seen.heard()) >= self.observed.timing.proxy_dead_ms;
            seen.is_some_and(|seen| seen.is_unaskable && is_long(seen))
                || self.proxy(proxy) != ProxyCondition::Unknown
        };
        self.ahead.clusters.is_empty()
            && self.ahead.pool.is_empty()
            && !self.state.is_in_doubt()
            && self.state.proxies.keys().all(is_asked)
    }

    pub(super) fn proxy(&self, proxy: &Address) -> ProxyCondition {
        proxy_condition(self.observed, proxy, self.now)
    }

    pub(super) fn is_alive(&self, proxy: &Address) -> bool {
        self.proxy(proxy) == ProxyCondition::Alive
    }

    /// Whether what is known of a proxy is newer than something that another coordinator has decided and this one first
    /// saw at `seen`. That one may have known more: only what was asked later can prove it wrong.
    pub(super) fn is_newer(&self, proxy: &Address, seen: TimeMs) -> bool {
        let asked = self.observed.proxies.get(proxy).and_then(|observation| observation.asked);
        asked.is_some_and(|asked| asked > seen)
    }

    /// The process of a proxy that answered last, where it tells.
    pub(super) fn process(&self, proxy: &Address) -> Option<RunId> {
        proxy_health(self.observed, proxy).and_then(|health| health.run_id.clone())
    }

    /// Whether the metadata were read after the process of a proxy that answers now was first heard. What they say is then
    /// newer than all that an earlier process of it was given, and what this one is given later has a higher epoch. One that
    /// started after the reading has forgotten what it had, so nothing tells whether the metadata are older than that.
    pub(super) fn is_read_since_start(&self, proxy: &Address) -> bool {
        let since = self.observed.proxies.get(proxy).and_then(|seen| seen.process_since);
        since.zip(self.observed.read_at).is_some_and(|(since, read_at)| since < read_at)
    }

    pub(super) fn primary(&self, chunk: &Chunk, shard: Half) -> NodeCondition {
        node_condition(self.observed, chunk.primary_proxy(shard), chunk.primary(shard), self.now)
    }

    /// The cluster that a proxy serves.
    pub(super) fn cluster_of(&self, proxy: &Address) -> Option<&ClusterName> {
        self.state.proxies.get(proxy)?.cluster.as_ref()
    }

    pub(super) fn replica(&self, chunk: &Chunk, shard: Half) -> NodeCondition {
        node_condition(self.observed, chunk.replica_proxy(shard), chunk.replica(shard), self.now)
    }

    /// Whether the replica of a primary acknowledges now, by its proxy. A link over which nothing gets through any more looks
    /// whole for seconds; a handover over it would stop writes in vain.
    pub(super) fn is_attached(&self, chunk: &Chunk, shard: Half) -> bool {
        let health = node_health(self.observed, chunk.primary_proxy(shard), chunk.primary(shard));
        health.is_some_and(|health| health.attached)
    }

    /// The epoch of the view that a living proxy has.
    pub(super) fn view_epoch(&self, proxy: &Address) -> Option<Epoch> {
        proxy_health(self.observed, proxy).filter(|_| self.is_alive(proxy)).map(|health| health.view_epoch)
    }
}
