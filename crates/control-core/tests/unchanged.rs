//! Changes that are made only where the cluster is as the caller has seen it.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod pool;

use std::collections::BTreeMap;

use control_core::{Command, State, TimeMs, apply};
use model::{ClusterName, Epoch};
use pool::{address, new_proxy};

fn name() -> ClusterName {
    "db".parse().unwrap()
}

fn create(state: &mut State) -> Epoch {
    let (config, now) = (BTreeMap::new(), TimeMs(1));
    apply(state, Command::CreateCluster { cluster: name(), node_number: 4, config, now }).unwrap();
    state.clusters[&name()].epoch
}

fn delete_at(epoch: Epoch) -> Command {
    let command = Box::new(Command::DeleteCluster { cluster: name() });
    Command::IfUnchanged { cluster: name(), epoch, command }
}

#[test]
fn a_later_cluster_of_the_same_name_is_not_meant() {
    let mut state = State::default();
    for host in 1..=4 {
        apply(&mut state, Command::RegisterProxy(new_proxy(host, 0))).unwrap();
    }
    assert!(state.proxies.contains_key(&address(1, 7000)));
    let first = create(&mut state);
    apply(&mut state, Command::DeleteCluster { cluster: name() }).unwrap();
    let missing = apply(&mut state, delete_at(first)).unwrap_err();
    assert_eq!(missing.code(), "CLUSTER_NOT_FOUND");
    let second = create(&mut state);
    let before = state.clone();
    let refused = apply(&mut state, delete_at(first)).unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("CHANGED", 412));
    assert!(state == before, "nothing is changed");
    apply(&mut state, delete_at(second)).unwrap();
    assert!(state.clusters.is_empty());
}

#[test]
fn what_is_refused_without_the_condition_is_refused_with_it() {
    let mut state = State::default();
    for host in 1..=2 {
        apply(&mut state, Command::RegisterProxy(new_proxy(host, 0))).unwrap();
    }
    let epoch = create(&mut state);
    state.clusters.get_mut(&name()).unwrap().review = true;
    let scale = Command::Scale { cluster: name(), node_number: 8, now: TimeMs(1) };
    let guarded = Command::IfUnchanged { cluster: name(), epoch, command: Box::new(scale) };
    assert_eq!(apply(&mut state, guarded).unwrap_err().code(), "UNDER_REVIEW");
}
