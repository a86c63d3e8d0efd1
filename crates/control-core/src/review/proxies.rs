//! Proxies of the pool: whether they serve somebody, or hold anything.

use std::collections::BTreeMap;

use model::{Address, ClusterName};

use super::found::{AskedProxies, Found};
use super::verdict::{ClusterReview, ProxyReview};
use crate::state::{Proxy, State};

/// Looks at each proxy of the pool that is under review.
pub(super) fn pool(
    state: &State,
    asked: &AskedProxies,
    clusters: &BTreeMap<ClusterName, ClusterReview>,
) -> BTreeMap<Address, ProxyReview> {
    let in_pool = state.proxies.iter().filter(|(_, record)| record.review && record.cluster.is_none());
    in_pool
        .map(|(address, record)| {
            let found = asked.get(address).and_then(Option::as_ref);
            let obstacle = match found {
                None => Some("it does not answer".to_owned()),
                Some(found) => obstacle((address, record), found, clusters),
            };
            (address.clone(), ProxyReview { seen: found.map(Found::epoch), obstacle })
        })
        .collect()
}

fn obstacle(
    (address, record): (&Address, &Proxy),
    found: &Found,
    clusters: &BTreeMap<ClusterName, ClusterReview>,
) -> Option<String> {
    if let Some(name) = found.cluster() {
        return Some(format!("it has a view of cluster {name}, of epoch {}", found.health.view_epoch));
    }
    // A cluster that waits for an operator may be served by it.
    let served_by = |review: &ClusterReview| {
        let mut chunks = review.serving.iter().flat_map(|serving| &serving.chunks);
        chunks.any(|chunk| chunk.proxies.contains(address))
    };
    if let Some((name, _)) = clusters.iter().find(|(_, review)| served_by(review)) {
        return Some(format!("cluster {name} counts on it"));
    }
    let held: Vec<String> = record
        .nodes
        .iter()
        .filter_map(|node| match found.keys(node) {
            None => Some(format!("node {node} does not answer")),
            Some(0) => None,
            Some(keys) => Some(format!("node {node} has {keys} keys")),
        })
        .collect();
    (!held.is_empty()).then(|| format!("{}; as a free proxy it would be emptied", held.join(", ")))
}
