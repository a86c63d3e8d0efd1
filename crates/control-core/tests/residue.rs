//! What an earlier cluster has left in a node: it is emptied before another cluster gets it, whatever was done to the
//! proxy in between.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod pool;

use std::collections::BTreeMap;

use control_core::{
    ApplyError, Command, NewProxy, POOL_CLUSTER, Reply, State, TimeMs, UNCLEANED_NODES_MAX, apply,
    desired_view,
};
use model::{Address, ClusterName};
use pool::{address, new_proxy};

fn name() -> ClusterName {
    "db".parse().unwrap()
}

/// Two proxies that had a cluster, which is gone.
fn after_a_cluster() -> State {
    let mut state = State::default();
    for host in 1..=2 {
        apply(&mut state, Command::RegisterProxy(new_proxy(host, 0))).unwrap();
    }
    let (config, now) = (BTreeMap::new(), TimeMs(1));
    apply(&mut state, Command::CreateCluster { cluster: name(), node_number: 4, config, now }).unwrap();
    apply(&mut state, Command::DeleteCluster { cluster: name() }).unwrap();
    state
}

fn is_dirty(state: &State, proxy: &Address) -> bool {
    state.proxies.get(proxy).unwrap().dirty
}

#[test]
fn a_proxy_that_leaves_and_comes_back_is_emptied_first() {
    let moved = NewProxy { address: address(1, 7009), ..new_proxy(1, 0) };
    let swapped = NewProxy { nodes: vec![address(1, 6001), address(1, 6901)], ..new_proxy(1, 0) };
    let fresh = NewProxy { nodes: vec![address(1, 6900), address(1, 6901)], ..new_proxy(1, 0) };
    for (back, dirty) in [(new_proxy(1, 0), true), (moved, true), (swapped, true), (fresh, false)] {
        let mut state = after_a_cluster();
        apply(&mut state, Command::RemoveProxy { proxy: address(1, 7000) }).unwrap();
        apply(&mut state, Command::RegisterProxy(back.clone())).unwrap();
        assert_eq!(is_dirty(&state, &back.address), dirty, "{back:?}");
        state.check().unwrap();
        // A cluster that it is given to is not served by it before it is empty.
        let (config, now) = (BTreeMap::new(), TimeMs(2));
        apply(&mut state, Command::CreateCluster { cluster: name(), node_number: 4, config, now }).unwrap();
        let (_, view) = desired_view(&state, &back.address).unwrap();
        assert_eq!(view.view.cluster.as_str() == POOL_CLUSTER, dirty, "{back:?}");
    }
}

#[test]
fn one_that_is_empty_leaves_nothing() {
    let mut state = after_a_cluster();
    let proxy = address(1, 7000);
    let epoch = state.proxies.get(&proxy).unwrap().epoch;
    apply(&mut state, Command::ProxyCleaned { proxy: proxy.clone(), epoch }).unwrap();
    apply(&mut state, Command::RemoveProxy { proxy: proxy.clone() }).unwrap();
    assert!(state.uncleaned_nodes.is_empty());
    apply(&mut state, Command::RegisterProxy(new_proxy(1, 0))).unwrap();
    assert!(!is_dirty(&state, &proxy));
    assert!(state.uncleaned_nodes.is_empty());
}

#[test]
fn a_restore_forgets_nothing_of_it() {
    let mut state = after_a_cluster();
    let dump = State { global_epoch: state.global_epoch, ..State::default() };
    apply(&mut state, Command::RemoveProxy { proxy: address(1, 7000) }).unwrap();
    assert!(matches!(apply(&mut state, Command::Restore(Box::new(dump))), Ok(Reply::Epoch(_))));
    apply(&mut state, Command::RegisterProxy(new_proxy(1, 0))).unwrap();
    assert!(is_dirty(&state, &address(1, 7000)));
}

#[test]
fn not_more_are_remembered_than_there_is_room_for() {
    let mut state = after_a_cluster();
    for number in 0..UNCLEANED_NODES_MAX - 1 {
        state.uncleaned_nodes.insert(address(100 + number % 100, 10_000 + number / 100));
    }
    let (before, proxy) = (state.clone(), address(1, 7000));
    let refused = apply(&mut state, Command::RemoveProxy { proxy: proxy.clone() });
    assert_eq!(refused, Err(ApplyError::TooManyUncleaned(proxy)));
    assert_eq!(state, before);
}
