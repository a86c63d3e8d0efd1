//! Whether the pool could make up for the loss of any one host.

use std::collections::{BTreeMap, BTreeSet};

use model::Address;

use crate::state::{Half, HostName, State};

/// The hosts whose loss the pool could not make up for: some proxy there would have no free one to take its
/// place, on a host that is neither lost nor its partner's.
#[must_use]
pub fn hosts_cannot_fail(state: &State) -> Vec<HostName> {
    let hosts: BTreeSet<&HostName> = state.proxies.values().map(|proxy| &proxy.host).collect();
    hosts.into_iter().filter(|host| !can_be_replaced(state, host)).cloned().collect()
}

/// Whether every proxy in use on the host can be given a free one of its own.
fn can_be_replaced(state: &State, lost: &HostName) -> bool {
    let mut free: BTreeMap<&HostName, usize> = BTreeMap::new();
    for proxy in state.proxies.values().filter(|proxy| proxy.is_free() && proxy.host != *lost) {
        *free.entry(&proxy.host).or_default() += 1;
    }
    // What is lost, by the host of the partner, where the new one must not be.
    let mut needed: BTreeMap<&HostName, usize> = BTreeMap::new();
    for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
        for half in Half::BOTH {
            let host = |proxy: &Address| state.host_of(proxy);
            if let (Some(host), Some(partner)) = (host(chunk.proxy(half)), host(chunk.proxy(half.other())))
                && host == lost
            {
                *needed.entry(partner).or_default() += 1;
            }
        }
    }
    // Each need can be met by every host but one. By Hall's theorem they can be met together when each group
    // of needs finds enough: those that avoid the same host look at the others, and any wider group at all.
    let total_free: usize = free.values().sum();
    let total_needed: usize = needed.values().sum();
    total_needed <= total_free
        && needed
            .iter()
            .all(|(avoided, count)| *count <= total_free - free.get(*avoided).copied().unwrap_or(0))
}
