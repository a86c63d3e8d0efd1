//! What a coordinator looks at, and what it reads there.

use model::{Address, ClusterName, Epoch};

use crate::diagnose::{
    NodeCondition, ProxyCondition, node_condition, node_health, proxy_condition, proxy_health,
};
use crate::observed::Observed;
use crate::state::{Chunk, Half, State};
use crate::time::TimeMs;

/// What is looked at.
pub(super) struct Watch<'a> {
    pub(super) state: &'a State,
    pub(super) observed: &'a Observed,
    pub(super) now: TimeMs,
}

impl Watch<'_> {
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
