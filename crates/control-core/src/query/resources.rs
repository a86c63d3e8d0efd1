//! Whether the pool could make up for the loss of any one host.

use std::collections::BTreeMap;

use crate::state::{Half, HostName, State};

/// The hosts whose loss the pool could not make up for: some proxy there would have no free one to take its
/// place, on a host that is neither lost nor its partner's. None where proxies are ordered: there the proxies
/// themselves are started elsewhere, and nothing of the pool is needed.
#[must_use]
pub fn hosts_cannot_fail(state: &State) -> Vec<HostName> {
    if state.settings.ordered_proxies {
        return Vec::new();
    }
    let mut free: BTreeMap<&HostName, usize> = BTreeMap::new();
    for (_, proxy) in state.free() {
        *free.entry(&proxy.host).or_default() += 1;
    }
    // What is lost with each host, by the host of the partner, where the new proxy must not be.
    let mut lost: BTreeMap<&HostName, BTreeMap<&HostName, usize>> = BTreeMap::new();
    for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
        for half in Half::BOTH {
            let hosts = [half, half.other()].map(|half| state.host_of(chunk.proxy(half)));
            if let [Some(host), Some(partner)] = hosts {
                *lost.entry(host).or_default().entry(partner).or_default() += 1;
            }
        }
    }
    let total: usize = free.values().sum();
    let on = |host: &HostName| free.get(host).copied().unwrap_or(0);
    // Each need can be met by every host but one. By Hall's theorem they can be met together when each group
    // of needs finds enough: those that avoid the same host look at the others, and any wider group at all.
    let cannot_fail = lost.iter().filter(|(host, needed)| {
        let left = total - on(host);
        needed.values().sum::<usize>() > left
            || needed.iter().any(|(partner, count)| *partner != **host && *count > left - on(partner))
    });
    cannot_fail.map(|(host, _)| (*host).clone()).collect()
}
