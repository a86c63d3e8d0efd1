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
