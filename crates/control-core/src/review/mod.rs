//! What the proxies know, compared with metadata that may be older: after a restore, a recovery of epochs, or when a proxy
//! is ahead of the store.
//!
//! The newest view of a cluster says who serves which slots; it is believed where those who serve by it say so themselves.
//! Nothing here changes anything: what comes out are sentences for an operator, and commands that end a review.

mod compare;
mod found;
mod proxies;
mod serving;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use model::{Address, ClusterName, Epoch};

use crate::command::Command;
use crate::state::State;
use crate::time::TimeMs;
pub use found::{AskedProxies, Found, NodeContents};
pub use verdict::{ClusterReview, ProxyReview};

/// What was found about everything that is under review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Each cluster that is under review, or is served and not in the metadata.
    pub clusters: BTreeMap<ClusterName, ClusterReview>,
    /// Each proxy of the pool that is under review.
    pub proxies: BTreeMap<Address, ProxyReview>,
    /// The highest epoch that any proxy has.
    pub highest: Epoch,
}

/// Compares what is under review with what the proxies answered.
#[must_use]
pub fn review(state: &State, asked: &AskedProxies) -> Review {
    let answers = || asked.iter().filter_map(|(address, found)| Some((address, found.as_ref()?)));
    let highest = answers().map(|(_, found)| found.epoch()).max().unwrap_or_default();
    let mut names: BTreeSet<ClusterName> =
        state.clusters.iter().filter(|(_, cluster)| cluster.review).map(|(name, _)| name.clone()).collect();
    // Clusters that were created since. A proxy that is not under review gets its views in the usual way.
    let unknown = answers()
        .filter(|(address, _)| state.is_proxy_under_review(address))
        .filter_map(|(_, found)| found.cluster())
        .filter(|name| !state.clusters.contains_key(*name));
    names.extend(unknown.cloned());
    let clusters: BTreeMap<ClusterName, ClusterReview> = names
        .into_iter()
        .map(|name| {
            let review = compare::cluster(state, &name, asked, highest);
            (name, review)
        })
        .collect();
    let proxies = proxies::pool(state, asked, &clusters);
    Review { clusters, proxies, highest }
}

impl Review {
    /// The commands that need nobody's word: clusters that are taken over as they are served, and proxies of the pool that
    /// hold nothing.
    #[must_use]
    pub fn automatic(&self, now: TimeMs) -> Vec<Command> {
        let clusters = self.clusters.iter().filter(|(_, found)| found.obstacles.is_empty());
        let clusters = clusters.filter_map(|(name, _)| self.adopt(name, now));
        let proxies = self.proxies.iter().filter(|(_, found)| found.obstacle.is_none());
        clusters.chain(proxies.filter_map(|(proxy, _)| self.settle(proxy))).collect()
    }

    /// Those of [`Review::automatic`] that concern proxies which were registered and had not been looked at: nothing that was
    /// known is decided by them.
    #[must_use]
    pub fn automatic_for_new(&self, state: &State) -> Vec<Command> {
        let is_new = |proxy: &Address| state.proxies.get(proxy).is_some_and(|record| record.is_new);
        let proxies = self.proxies.iter().filter(|(proxy, found)| found.obstacle.is_none() && is_new(proxy));
        proxies.filter_map(|(proxy, _)| self.settle(proxy)).collect()
    }

    /// Takes a cluster over as it is served; `None` where it cannot be told how it is.
    #[must_use]
    pub fn adopt(&self, cluster: &ClusterName, now: TimeMs) -> Option<Command> {
        let found = self.clusters.get(cluster)?;
        let (read, serving) = (found.stored, Box::new(found.serving.clone()?));
        Some(Command::Adopt { cluster: cluster.clone(), read, serving, highest: self.highest, now })
    }

    /// Takes a cluster as the metadata has it; `None` where the metadata does not have the cluster.
    #[must_use]
    pub fn trust(&self, cluster: &ClusterName, now: TimeMs) -> Option<Command> {
        let found = self.clusters.get(cluster)?;
        found.stored?;
        let deposed = found.deposed.clone();
        Some(Command::TrustMetadata { cluster: cluster.clone(), highest: self.highest, deposed, now })
    }

    /// Takes a proxy for one of the pool, which is to be emptied; `None` where it does not answer.
    #[must_use]
    pub fn settle(&self, proxy: &Address) -> Option<Command> {
        let seen = self.proxies.get(proxy)?.seen?;
        Some(Command::SettleProxy { proxy: proxy.clone(), seen })
    }
}

#[cfg(test)]
mod tests;
