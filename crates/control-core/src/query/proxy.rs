//! A proxy as `proxies/meta` answers it.

use std::collections::BTreeMap;

use model::{Address, ClusterConfig, ClusterName, Epoch, SlotAssignment};
use serde::{Deserialize, Serialize};

use super::cluster::{NodeMeta, half_nodes, owned_or_imported};
use crate::state::State;
use crate::views::desired_view;

/// `proxies/meta/{address}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyMeta {
    /// Where it listens.
    pub address: Address,
    /// The epoch of the view that it should have.
    pub epoch: Epoch,
    /// Its nodes, while it serves a cluster.
    pub nodes: Vec<NodeMeta>,
    /// Its nodes, while it is in the pool.
    pub free_nodes: Vec<Address>,
    /// The other proxies of its cluster.
    pub peers: Vec<PeerMeta>,
    /// The settings of its cluster.
    pub clusters_config: BTreeMap<ClusterName, ClusterConfig>,
}

/// Another proxy of the same cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerMeta {
    /// Where it listens.
    pub proxy_address: Address,
    /// The cluster.
    pub cluster_name: ClusterName,
    /// What its nodes own or import.
    pub slots: Vec<SlotAssignment>,
}

/// A proxy with what it should know; `None` if it is not registered.
#[must_use]
pub fn proxy_meta(state: &State, address: &Address) -> Option<ProxyMeta> {
    let record = state.proxies.get(address)?;
    let (_, view) = desired_view(state, address)?;
    let view = view.view;
    let mut meta = ProxyMeta {
        address: address.clone(),
        epoch: view.epoch,
        nodes: Vec::new(),
        free_nodes: Vec::new(),
        peers: Vec::new(),
        clusters_config: BTreeMap::new(),
    };
    let place = record.cluster.as_ref().and_then(|name| {
        let cluster = state.clusters.get(name)?;
        Some((name, cluster, cluster.place_of(address)?))
    });
    let Some((name, cluster, (place, half))) = place else {
        meta.free_nodes = record.nodes.to_vec();
        return Some(meta);
    };
    meta.nodes = half_nodes(name, cluster, place, half).to_vec();
    meta.clusters_config.insert(name.clone(), cluster.config.clone());
    let peers = view.peers.into_iter().map(|peer| PeerMeta {
        proxy_address: peer.address,
        cluster_name: name.clone(),
        slots: owned_or_imported(peer.slots),
    });
    meta.peers = peers.collect();
    Some(meta)
}
