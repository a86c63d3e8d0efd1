//! A living proxy that an operator takes out of its cluster: what takes its place, and when that is refused.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod pool;

use std::collections::BTreeMap;

use control_core::{
    ApplyError, Chunk, Command, FailedOver, FenceReason, Half, Reply, ReporterId, State, SyncState, TimeMs,
    apply,
};
use model::{Address, ClusterName};
use pool::{address, new_proxy};

fn name() -> ClusterName {
    "db".parse().unwrap()
}

fn chunk(state: &State) -> &Chunk {
    &state.clusters.get(&name()).unwrap().chunks[0]
}

/// A cluster of one chunk, in sync, whose second proxy has both primaries; and so many more hosts.
fn drained(spares: usize) -> State {
    let mut state = State::default();
    for host in 1..=2 {
        apply(&mut state, Command::RegisterProxy(new_proxy(host, 0))).unwrap();
    }
    let now = TimeMs(1);
    let create = Command::CreateCluster { cluster: name(), node_number: 4, config: BTreeMap::new(), now };
    apply(&mut state, create).unwrap();
    sync(&mut state);
    let primary = chunk(&state).primary(Half::First).clone();
    let fence =
        Command::FenceShard { cluster: name(), primary: primary.clone(), reason: FenceReason::Planned, now };
    apply(&mut state, fence).unwrap();
    let promote = Command::FailOverShard {
        cluster: name(),
        primary,
        fence: chunk(&state).shard(Half::First).fence.map(|fence| fence.epoch),
        force: false,
        behind_bytes: Some(0),
        empty_primary: None,
        process: None,
        stopped: None,
        now,
    };
    apply(&mut state, promote).unwrap();
    sync(&mut state);
    for host in 3..3 + spares {
        apply(&mut state, Command::RegisterProxy(new_proxy(host, 0))).unwrap();
    }
    state
}

fn sync(state: &mut State) {
    for half in Half::BOTH {
        let replica = chunk(state).replica(half).clone();
        apply(state, Command::SetReplicaSync { cluster: name(), replica, sync: SyncState::InSync }).unwrap();
    }
}

fn replace(state: &mut State, proxy: &Address) -> Result<Reply, ApplyError> {
    apply(state, Command::ReplaceProxy { proxy: proxy.clone() })
}

#[test]
fn another_takes_its_place_and_its_nodes_are_kept_until_that_is_filled() {
    let mut state = drained(1);
    let (old, partner) = (chunk(&state).proxies[0].clone(), chunk(&state).proxies[1].clone());
    let (before, new) = (state.clusters[&name()].epoch, address(3, 7000));
    let reply = replace(&mut state, &old).unwrap();
    let expected =
        FailedOver { cluster: Some(name()), replacement: Some(new.clone()), ..FailedOver::default() };
    assert_eq!(reply, Reply::FailedOver(expected));
    assert_eq!(chunk(&state).proxies, [new.clone(), partner]);
    assert_eq!(chunk(&state).nodes[0], state.proxies[&new].nodes);
    assert!(state.clusters[&name()].epoch > before, "both proxies get a view");
    for half in Half::BOTH {
        let shard = chunk(&state).shard(half);
        assert_eq!((shard.primary, shard.replica), (Half::Second, SyncState::OutOfSync));
        assert_eq!(shard.former.as_ref(), Some(&old));
    }
    let record = &state.proxies[&old];
    assert_eq!((&record.cluster, record.dirty, record.failed_since), (&None, true, None));
    assert!(state.free().all(|(free, _)| *free != old), "its nodes have the only other copy");
    sync(&mut state);
    assert!(state.free().any(|(free, _)| *free == old));
}

#[test]
fn what_might_lose_something_is_refused() {
    fn check(spares: usize, change: impl Fn(&mut State), half: Half, code: &str) {
        let mut state = drained(spares);
        change(&mut state);
        let (before, proxy) = (state.clone(), chunk(&state).proxy(half).clone());
        let refused = replace(&mut state, &proxy).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(state == before, "{refused}: nothing is changed");
    }
    check(1, |_| (), Half::Second, "HAS_PRIMARIES");
    check(0, |_| (), Half::First, "NO_AVAILABLE_RESOURCE");
    // That is known before anything is handed over.
    check(0, |_| (), Half::Second, "NO_AVAILABLE_RESOURCE");
    let beside = |state: &mut State| {
        let host = chunk(state).proxies[1].host().rsplit_once('.').unwrap().1.parse().unwrap();
        apply(state, Command::RegisterProxy(new_proxy(host, 1))).unwrap();
    };
    check(0, beside, Half::First, "RESOURCE_NOT_BALANCE");
    let report = |state: &mut State| {
        let (proxy, reporter, now) = (chunk(state).proxies[1].clone(), ReporterId("c".to_owned()), TimeMs(2));
        apply(state, Command::ReportFailure { proxy, reporter, now }).unwrap();
    };
    check(1, report, Half::First, "NOT_REPLACEABLE");
    let fence = |state: &mut State| {
        let primary = chunk(state).primary(Half::Second).clone();
        let (reason, now) = (FenceReason::Dead, TimeMs(2));
        apply(state, Command::FenceShard { cluster: name(), primary, reason, now }).unwrap();
    };
    check(1, fence, Half::First, "NOT_REPLACEABLE");

    let mut state = drained(1);
    let refused = |state: &mut State, proxy| replace(state, &proxy).unwrap_err().code();
    assert_eq!(refused(&mut state, address(3, 7000)), "NOT_REPLACEABLE", "no cluster has it");
    assert_eq!(refused(&mut state, address(9, 7000)), "PROXY_NOT_FOUND");
}
