//! The whole of the metadata, and how to find things in it.

use std::collections::{BTreeMap, BTreeSet};

use model::{Address, ClusterName, Epoch};
use serde::{Deserialize, Serialize};

use super::chunk::Shard;
use super::cluster::Cluster;
use super::lease_limit::LeaseLimit;
use super::names::{HostName, ReporterId};
use super::proxy::Proxy;
use super::settings::StoreSettings;
use super::table::Table;
use super::version::META_VERSION;
use crate::error::ApplyError;
use crate::time::TimeMs;

/// The whole of the metadata. Changed by [`crate::apply`] only. A copy costs little: it shares what does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of its form.
    pub version: String,
    /// The highest epoch that was ever given out. Every change that a proxy must hear of takes the next one,
    /// whatever cluster it is in, so that a proxy that goes from one cluster to another never goes back.
    pub global_epoch: Epoch,
    /// What an operator has set.
    pub settings: StoreSettings,
    /// Every cluster.
    pub clusters: Table<ClusterName, Cluster>,
    /// Every registered proxy.
    pub proxies: Table<Address, Proxy>,
    /// Who reported which proxy as failed, and when last.
    pub failures: Table<Address, BTreeMap<ReporterId, TimeMs>>,
    /// Other brokers that are given a copy of the metadata.
    pub replica_addresses: Vec<String>,
    /// Nodes of proxies that were removed before their nodes had been emptied, at most [`crate::UNCLEANED_NODES_MAX`]. They may
    /// still hold the keys of an earlier cluster, whatever proxy they come back with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub uncleaned_nodes: BTreeSet<Address>,
    /// How long the leases may be that primaries have.
    #[serde(default, skip_serializing_if = "LeaseLimit::is_usual")]
    pub lease_limit: LeaseLimit,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: META_VERSION.to_owned(),
            global_epoch: Epoch::default(),
            settings: StoreSettings::default(),
            clusters: Table::default(),
            proxies: Table::default(),
            failures: Table::default(),
            replica_addresses: Vec::new(),
            uncleaned_nodes: BTreeSet::new(),
            lease_limit: LeaseLimit::default(),
        }
    }
}

impl State {
    /// Takes the next epoch.
    pub(crate) fn next_epoch(&mut self) -> Epoch {
        self.global_epoch = self.global_epoch.next();
        self.global_epoch
    }

    /// A cluster by its name.
    ///
    /// # Errors
    /// [`ApplyError::ClusterNotFound`].
    pub fn cluster(&self, name: &ClusterName) -> Result<&Cluster, ApplyError> {
        self.clusters.get(name).ok_or_else(|| ApplyError::ClusterNotFound(name.clone()))
    }

    /// A cluster by its name, to be changed.
    pub(crate) fn cluster_mut(&mut self, name: &ClusterName) -> Result<&mut Cluster, ApplyError> {
        self.clusters.get_mut(name).ok_or_else(|| ApplyError::ClusterNotFound(name.clone()))
    }

    /// A proxy by its address.
    pub(crate) fn proxy(&self, address: &Address) -> Result<&Proxy, ApplyError> {
        self.proxies.get(address).ok_or_else(|| ApplyError::ProxyNotFound(address.clone()))
    }

    /// The proxies that can be given to any cluster.
    pub fn free(&self) -> impl Iterator<Item = (&Address, &Proxy)> {
        let formers = self.formers();
        self.proxies.iter().filter(move |(address, record)| record.is_free() && !formers.contains(address))
    }

    /// How many living proxies of the pool are given to nobody for now: nobody has seen that they are idle, or their nodes may
    /// hold the only copy of something.
    pub(crate) fn held_back_count(&self) -> usize {
        let in_pool = |record: &&Proxy| record.cluster.is_none() && record.failed_since.is_none();
        self.proxies.values().filter(in_pool).count() - self.free().count()
    }

    /// The proxies of the pool whose nodes may hold the only copy of a shard besides its primary's.
    pub(crate) fn formers(&self) -> BTreeSet<&Address> {
        let chunks = self.clusters.values().flat_map(|cluster| &cluster.chunks);
        chunks.flat_map(|chunk| &chunk.shards).filter_map(|shard| self.former(shard)).collect()
    }

    /// The proxy that was replaced while a node behind it had the shard's data, unless it has been put to use since: what
    /// it held is emptied then.
    pub(crate) fn former<'a>(&self, shard: &'a Shard) -> Option<&'a Address> {
        let is_used =
            |proxy: &&Address| self.proxies.get(*proxy).is_some_and(|record| record.cluster.is_some());
        shard.former.as_ref().filter(|proxy| !is_used(proxy))
    }

    /// The host of a registered proxy.
    pub(crate) fn host_of(&self, proxy: &Address) -> Option<&HostName> {
        self.proxies.get(proxy).map(|record| &record.host)
    }

    /// Whether a proxy counts as failed.
    #[must_use]
    pub fn is_failed(&self, proxy: &Address) -> bool {
        self.proxies.get(proxy).is_some_and(|record| record.failed_since.is_some())
    }

    /// Whether these metadata may be older than what is served: something is under review that they had known.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.clusters.values().any(|cluster| cluster.review)
            || self.proxies.values().any(|proxy| proxy.review && !proxy.is_new)
    }

    /// Whether any cluster or any proxy of the pool is under review.
    #[must_use]
    pub fn is_under_review(&self) -> bool {
        self.clusters.values().any(|cluster| cluster.review)
            || self.proxies.values().any(|proxy| proxy.review)
    }

    /// Whether nothing may be done to a proxy, because it or its cluster is under review.
    #[must_use]
    pub fn is_proxy_under_review(&self, proxy: &Address) -> bool {
        self.proxies.get(proxy).is_some_and(|record| match &record.cluster {
            Some(name) => self.clusters.get(name).is_some_and(|cluster| cluster.review),
            None => record.review,
        })
    }

    /// Whether a proxy counts as failed, or enough coordinators report it and none hears it. It has not failed where its
    /// shards have nowhere to go.
    #[must_use]
    pub fn is_gone(&self, proxy: &Address) -> bool {
        let reporters = self.failures.get(proxy).map_or(0, BTreeMap::len);
        let is_heard = self.proxies.get(proxy).is_some_and(|record| record.vouched.is_some());
        self.is_failed(proxy) || (reporters >= self.settings.failure_quorum.max(1) && !is_heard)
    }

    /// How many reports of a proxy's failure still count.
    #[must_use]
    pub fn reports(&self, proxy: &Address, now: TimeMs) -> usize {
        let counts = |at: &&TimeMs| now.since(**at) <= self.settings.failure_ttl_ms;
        self.failures.get(proxy).map_or(0, |reports| reports.values().filter(counts).count())
    }

    /// Proxies that enough reporters call failed and that have not been dealt with yet.
    #[must_use]
    pub fn reported(&self, now: TimeMs) -> BTreeSet<Address> {
        let quorum = self.settings.failure_quorum.max(1);
        let enough = |proxy: &&Address| self.reports(proxy, now) >= quorum && !self.is_failed(proxy);
        self.failures.keys().filter(enough).cloned().collect()
    }
}
