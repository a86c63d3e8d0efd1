//! Allocation against the pools that it was designed for.

use std::collections::BTreeMap;

use model::Address;
use proptest::prelude::*;

use super::{allocate, allocate_in_order};
use crate::apply;
use crate::command::{Command, NewProxy};
use crate::state::{HostName, State};

/// A pool with that many proxies on each host.
fn pool(hosts: &[usize]) -> State {
    let mut state = State::default();
    let mut index = 0;
    for (host, count) in hosts.iter().enumerate() {
        for place in 0..*count {
            let address = |port: usize| {
                Address::new(&format!("10.0.0.{}", host + 1), u16::try_from(port).unwrap()).unwrap()
            };
            let nodes = vec![address(6000 + 2 * place), address(6001 + 2 * place)];
            let new = NewProxy { address: address(7000 + place), nodes, host: None, index: Some(index) };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
            index += 1;
        }
    }
    state
}

/// How often each two hosts were paired, or the code of the error.
fn pairs(hosts: &[usize], chunks: usize) -> Result<BTreeMap<(String, String), usize>, &'static str> {
    let mut pairs = BTreeMap::new();
    for chunk in allocate(&pool(hosts), chunks).map_err(|error| error.code())? {
        let mut hosts = chunk.map(|proxy| proxy.host().to_owned());
        hosts.sort();
        let [first, second] = hosts;
        *pairs.entry((first, second)).or_default() += 1;
    }
    Ok(pairs)
}

#[test]
fn what_a_pool_allows() {
    let check = |hosts: &[usize], chunks: usize, expected: Result<(), &str>| {
        assert_eq!(pairs(hosts, chunks).map(|_| ()), expected, "{chunks} chunks of {hosts:?}");
    };
    check(&[1, 1], 1, Ok(()));
    check(&[2], 1, Err("RESOURCE_NOT_BALANCE"));
    check(&[], 1, Err("NO_AVAILABLE_RESOURCE"));
    check(&[1, 1], 2, Err("NO_AVAILABLE_RESOURCE"));
    check(&[3, 2, 1], 3, Ok(()));
    check(&[4, 2, 1], 3, Ok(()));
    check(&[5, 2, 1], 4, Err("RESOURCE_NOT_BALANCE"));
    check(&[1, 1], usize::MAX, Err("NO_AVAILABLE_RESOURCE"));
}

#[test]
fn ordered_by_index() {
    let state = pool(&[2, 2]);
    let indices = |first: u64, chunks: usize| -> Result<Vec<u64>, &'static str> {
        let chunks = allocate_in_order(&state, chunks, first).map_err(|error| error.code())?;
        Ok(chunks.iter().flatten().map(|proxy| state.proxies[proxy].index.unwrap()).collect())
    };
    assert_eq!(indices(0, 2), Ok(vec![0, 1, 2, 3]));
    assert_eq!(indices(2, 1), Ok(vec![2, 3]));
    assert_eq!(indices(4, 1), Err("PROXY_RESOURCE_OUT_OF_ORDER"));
    assert_eq!(indices(0, 3), Err("NO_AVAILABLE_RESOURCE"));
}

proptest! {
    /// An even number of proxies of which no host has more than half is used up to the last one.
    #[test]
    fn none_left_over(mut hosts in proptest::collection::vec(1usize..8, 2..7)) {
        let total: usize = hosts.iter().sum();
        hosts[0] += total % 2;
        let total: usize = hosts.iter().sum();
        prop_assume!(hosts.iter().all(|count| count * 2 <= total));
        prop_assert!(allocate(&pool(&hosts), total / 2).is_ok());
    }

    /// On equal hosts each is used alike, and a lost host's load falls on the others alike.
    #[test]
    fn equal_hosts_share_alike(hosts in 2usize..8, each in 1usize..8, part in 1usize..=8) {
        let state = pool(&vec![each; hosts]);
        let chunks = (hosts * each / 2 * part / 8).max(1);
        let mut used: BTreeMap<HostName, usize> =
            state.proxies.values().map(|proxy| (proxy.host.clone(), 0)).collect();
        let mut falls_on: BTreeMap<(HostName, HostName), usize> = BTreeMap::new();
        for [first, second] in allocate(&state, chunks).unwrap() {
            let (first, second) = (state.proxies[&first].host.clone(), state.proxies[&second].host.clone());
            *used.get_mut(&first).unwrap() += 1;
            *used.get_mut(&second).unwrap() += 1;
            *falls_on.entry((first.clone(), second.clone())).or_default() += 1;
            *falls_on.entry((second, first)).or_default() += 1;
        }
        let (most, least) = (used.values().max().unwrap(), used.values().min().unwrap());
        prop_assert!(most - least <= 1, "{used:?}");
        for ((lost, _), count) in &falls_on {
            let fair = used[lost].div_ceil(hosts - 1);
            prop_assert!(*count <= fair + 1, "{lost}: {falls_on:?}");
        }
    }
}

/// Changes the record of a proxy, by host and place.
fn change(
    state: &mut State,
    host: usize,
    place: usize,
    change: impl FnOnce(&mut crate::state::Proxy),
) -> Address {
    let address: Address = format!("10.0.0.{}:{}", host + 1, 7000 + place).parse().unwrap();
    change(state.proxies.get_mut(&address).unwrap());
    address
}

#[test]
fn who_can_serve_at_once_comes_first_wherever_it_is() {
    // The first host has the most, all of them still to be emptied; one of the second is reported.
    let mut state = pool(&[3, 2, 2]);
    for place in 0..3 {
        change(&mut state, 0, place, |record| record.dirty = true);
    }
    let reported = change(&mut state, 1, 0, |_| {});
    let reporter = crate::state::ReporterId("tests".to_owned());
    let report = Command::ReportFailure { proxy: reported.clone(), reporter, now: crate::TimeMs(1) };
    apply(&mut state, report).unwrap();
    let taken = allocate(&state, 1).unwrap().concat();
    let is_ready = |proxy: &Address| !state.proxies.get(proxy).unwrap().dirty && *proxy != reported;
    assert!(taken.iter().all(is_ready), "{taken:?}");
    // Where they are not enough, the others are taken, too.
    assert_eq!(allocate(&state, 3).unwrap().len(), 3);
}

#[test]
fn nobody_is_taken_who_was_never_seen_idle_or_may_have_the_only_copy() {
    let mut state = pool(&[2, 2, 1]);
    let create = |state: &mut State, name: &str| {
        let (cluster, config) = (name.parse().unwrap(), BTreeMap::new());
        apply(state, Command::CreateCluster { cluster, node_number: 4, config, now: crate::TimeMs(1) })
            .map(drop)
    };
    create(&mut state, "x").unwrap();
    let cluster: model::ClusterName = "x".parse().unwrap();
    let failed = state.clusters.get(&cluster).unwrap().chunks[0].proxies[1].clone();
    let now = crate::TimeMs(2);
    let fail = Command::FailOverProxy { proxy: failed.clone(), force: false, decided_after: None, now };
    apply(&mut state, fail).unwrap();
    state.proxies.get_mut(&failed).unwrap().failed_since = None;
    assert_eq!(state.formers().into_iter().collect::<Vec<_>>(), [&failed], "it was replaced, and is back");
    let free: Vec<Address> = state.free().map(|(address, _)| address.clone()).collect();
    assert_eq!((free.len(), free.contains(&failed)), (2, false), "{free:?}");
    state.proxies.get_mut(&free[0]).unwrap().is_new = true;
    let refused = create(&mut state, "y").unwrap_err().to_string();
    assert!(refused.starts_with("2 proxies are needed and 1 are free; 2 more are in the pool"), "{refused}");
    state.proxies.get_mut(&free[0]).unwrap().is_new = false;
    // The place of another is not for it, but its own is, while its shard is served.
    create(&mut state, "y").unwrap();
    assert_eq!(state.free().count(), 0);
    let y: model::ClusterName = "y".parse().unwrap();
    let of = |state: &State, name: &model::ClusterName| {
        state.clusters.get(name).unwrap().chunks[0].proxies.clone()
    };
    let [one, other] = of(&state, &y);
    assert_eq!(super::replacement(&state, &one, &other), None);
    let [stays, new] = of(&state, &cluster);
    assert_eq!(super::replacement(&state, &new, &stays), Some(failed.clone()));
    let mut waiting = state.clone();
    let shard = &mut waiting.clusters.get_mut(&cluster).unwrap().chunks[0].shards[0];
    shard.comeback = Some(crate::state::Comeback::Waits);
    assert_eq!(super::replacement(&waiting, &new, &stays), None, "its shard waits for what it has");
}
