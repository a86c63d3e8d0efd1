//! How evenly clusters lie over the hosts, and where the load of a lost host goes.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod pool;

use std::collections::BTreeMap;

use control_core::{Command, Half, HostName, NewProxy, Reply, State, TimeMs, apply, query};
use model::{Address, ClusterName};
use pool::{address, new_proxy};
use proptest::prelude::*;

/// A count for each host, by its number.
type PerHost = BTreeMap<usize, usize>;

/// A pool with that many proxies on each host, which is named by its number.
fn pool(proxies: &[usize]) -> State {
    let mut state = State::default();
    for (host, count) in proxies.iter().enumerate() {
        for place in 0..*count {
            let at = |port: usize| {
                Address::new(&format!("10.0.{}.1", host + 1), u16::try_from(port).unwrap()).unwrap()
            };
            let nodes = vec![at(6000 + 2 * place), at(6001 + 2 * place)];
            let new = NewProxy { address: at(7000 + place), nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
    }
    state
}

fn host_of(proxy: &Address) -> usize {
    proxy.host().split('.').nth(2).unwrap().parse::<usize>().unwrap() - 1
}

/// Creates clusters of these numbers of chunks and adds as many to every second one, as far as the pool allows;
/// gives back how many chunks there are.
fn fill(state: &mut State, clusters: &[usize]) -> usize {
    let now = TimeMs(0);
    for (number, chunks) in clusters.iter().enumerate() {
        let cluster: ClusterName = format!("c{number}").parse().unwrap();
        let (node_number, config) = (chunks * 4, BTreeMap::new());
        let is_made =
            apply(state, Command::CreateCluster { cluster: cluster.clone(), node_number, config, now })
                .is_ok();
        if is_made && number % 2 == 1 {
            let _ = apply(state, Command::AddNodes { cluster, node_number, now });
        }
    }
    state.check().unwrap();
    state.clusters.values().map(|cluster| cluster.chunks.len()).sum()
}

/// How many primaries each host has.
fn primaries(state: &State, hosts: usize) -> PerHost {
    let mut count: PerHost = (0..hosts).map(|host| (host, 0)).collect();
    for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
        for shard in Half::BOTH {
            *count.get_mut(&host_of(chunk.primary_proxy(shard))).unwrap() += 1;
        }
    }
    count
}

/// Takes every proxy of a host out of service, those in use or those in the pool first.
fn lose(state: &mut State, host: usize, in_use_first: bool) {
    let on_host = |proxy: &&Address| host_of(proxy) == host;
    let mut proxies: Vec<Address> = state.proxies.keys().filter(on_host).cloned().collect();
    proxies.sort_by_key(|proxy| state.proxies[proxy].cluster.is_some() != in_use_first);
    for proxy in proxies {
        apply(state, Command::FailOverProxy { proxy, force: false, decided_after: None, now: TimeMs(1) })
            .unwrap();
    }
    state.check().unwrap();
}

proptest! {
    /// Of two hosts, one has more primaries than the other by at most what the pool forces: by as many as it has
    /// more proxies, and one.
    #[test]
    fn primaries_lie_as_evenly_as_the_pool(
        proxies in proptest::collection::vec(1usize..8, 2..8),
        clusters in proptest::collection::vec(1usize..4, 1..6),
    ) {
        let mut state = pool(&proxies);
        fill(&mut state, &clusters);
        let count = primaries(&state, proxies.len());
        for (one, other) in (0..proxies.len()).flat_map(|one| (0..proxies.len()).map(move |other| (one, other))) {
            let forced = proxies[one].saturating_sub(proxies[other]);
            prop_assert!(count[&one] <= count[&other] + forced + 1, "{one}, {other}: {count:?} of {proxies:?}");
        }
    }

    /// On equal hosts, the primaries of any one that is lost go to the others, to each its fair share and at most
    /// one more; and what is free on the others replaces it.
    #[test]
    fn a_lost_hosts_load_is_shared(
        (hosts, each) in (3usize..8, 2usize..9),
        clusters in proptest::collection::vec(1usize..5, 1..8),
        in_use_first in any::<bool>(),
    ) {
        let mut state = pool(&vec![each; hosts]);
        prop_assume!(fill(&mut state, &clusters) > 0);
        let before = primaries(&state, hosts);
        for lost in 0..hosts {
            let mut state = state.clone();
            lose(&mut state, lost, in_use_first);
            let after = primaries(&state, hosts);
            prop_assert_eq!(after[&lost], 0, "host {} still has primaries", lost);
            let fair = before[&lost].div_ceil(hosts - 1);
            for host in (0..hosts).filter(|host| *host != lost) {
                let taken = after[&host] - before[&host];
                prop_assert!(taken <= fair + 1, "{host} takes {taken} of the {} of {lost}", before[&lost]);
            }
        }
    }

    /// After the loss of any one host, each survivor takes over its fair share of primaries and at most one
    /// more, and the pool replaces what was lost where `hosts_cannot_fail` does not say otherwise.
    #[test]
    fn host_loss_spreads(hosts in 3usize..7, each in 2usize..5, chunks in 1usize..6) {
        let mut state = State::default();
        for host in 1..=hosts {
            for place in 0..each {
                apply(&mut state, Command::RegisterProxy(new_proxy(host, place))).unwrap();
            }
        }
        let (cluster, now): (ClusterName, _) = ("db".parse().unwrap(), TimeMs(0));
        let create = Command::CreateCluster { cluster: cluster.clone(), node_number: chunks * 4, config: BTreeMap::new(), now };
        prop_assume!(apply(&mut state, create).is_ok());
        let cannot_fail = query::hosts_cannot_fail(&state);
        for lost in 1..=hosts {
            let mut state = state.clone();
            let primaries = |state: &State| {
                let mut count: BTreeMap<HostName, usize> = BTreeMap::new();
                for chunk in &state.clusters[&cluster].chunks {
                    for shard in Half::BOTH {
                        *count.entry(state.proxies[chunk.primary_proxy(shard)].host.clone()).or_default() += 1;
                    }
                }
                count
            };
            let before = primaries(&state);
            let lost_host = HostName(address(lost, 1).host().to_owned());
            let proxies: Vec<Address> = (0..each).map(|place| address(lost, 7000 + place)).collect();
            // The spares of the lost host are noticed first or last; here first, so that none is taken.
            let (used, spare): (Vec<_>, Vec<_>) = proxies.into_iter().partition(|proxy| state.proxies[proxy].cluster.is_some());
            let mut is_replaced = true;
            for proxy in spare.into_iter().chain(used) {
                let reply = apply(&mut state, Command::FailOverProxy { proxy, force: false, decided_after: None, now }).unwrap();
                let Reply::FailedOver(outcome) = reply else { panic!("{reply:?}") };
                prop_assert!(outcome.stuck.is_empty());
                is_replaced &= outcome.cluster.is_none() || outcome.replacement.is_some();
            }
            state.check().unwrap();
            let gone = before.get(&lost_host).copied().unwrap_or(0);
            let fair = gone.div_ceil(hosts - 1);
            for (host, count) in primaries(&state) {
                prop_assert!(host != lost_host);
                let had = before.get(&host).copied().unwrap_or(0);
                prop_assert!(count <= had + fair + 1, "{} takes over {} of {}", host, count - had, gone);
            }
            prop_assert_eq!(is_replaced, !cannot_fail.contains(&lost_host), "{}", lost_host);
        }
    }
}
