//! Conditions of a shard: each row is one thing that is wrong.

use std::collections::BTreeMap;

use model::{Address, Epoch, LinkState, NodeHealth, NodeState, ProxyHealth, Role};

use super::{Asked, Level, cannot_serve, is_served, is_settled, shard_condition};
use crate::apply;
use crate::command::{Command, NewProxy};
use crate::state::{FenceReason, Half, ReporterId, ShardId, State, SyncState};
use crate::time::TimeMs;

const NOW: TimeMs = TimeMs(1_000_000);
const SHARD: ShardId = ShardId { chunk: 0, shard: Half::First };

fn address(host: u8, port: u16) -> Address {
    Address::new(&format!("10.0.0.{host}"), port).unwrap()
}

/// A cluster of one chunk whose replicas were seen to be in sync; node 10.0.0.1:1 is the primary of the shard.
fn cluster() -> State {
    let mut state = State::default();
    for host in [1, 2] {
        let nodes = vec![address(host, 1), address(host, 2)];
        let new = NewProxy { address: address(host, 5299), nodes, host: None, index: None };
        apply(&mut state, Command::RegisterProxy(new)).unwrap();
    }
    let cluster = || "db".parse().unwrap();
    let create =
        Command::CreateCluster { cluster: cluster(), node_number: 4, config: BTreeMap::new(), now: NOW };
    apply(&mut state, create).unwrap();
    for replica in [address(2, 2), address(1, 2)] {
        apply(&mut state, Command::SetReplicaSync { cluster: cluster(), replica, sync: SyncState::InSync })
            .unwrap();
    }
    state
}

fn node(address: Address, role: Role, primary: Option<Address>) -> NodeHealth {
    let link = primary.as_ref().map(|_| LinkState::Up);
    let (state, restarted, replicated, attached) = (NodeState::Up, false, false, false);
    let (offset, role_epoch) = (7, None);
    let (run_id, keys, keeps_log) = (None, None, false);
    NodeHealth {
        address,
        state,
        restarted,
        role,
        primary,
        link,
        offset,
        replicated,
        attached,
        role_epoch,
        run_id,
        keys,
        keeps_log,
    }
}

/// Both proxies answer, and all is well.
fn answers() -> Asked {
    let health = |nodes: [NodeHealth; 2]| {
        let (view_epoch, roles_epoch, finished) = (Epoch(9), Epoch(9), Vec::new());
        let lease_longest_ms = 0;
        Some(ProxyHealth {
            view_epoch,
            roles_epoch,
            lease_longest_ms,
            nodes: nodes.to_vec(),
            finished,
            ..ProxyHealth::default()
        })
    };
    let replica = |host, of| node(address(host, 2), Role::Replica, Some(address(of, 1)));
    let primary = |host| node(address(host, 1), Role::Primary, None);
    Asked::from([
        (address(1, 5299), health([primary(1), replica(1, 2)])),
        (address(2, 5299), health([primary(2), replica(2, 1)])),
    ])
}

fn check(state: &State, asked: &Asked, level: Level, words: &[&str]) {
    let cluster = state.clusters.values().next().unwrap();
    let found = shard_condition(state, cluster, SHARD, asked, NOW);
    assert_eq!(found.level, level, "{found:?}");
    assert_eq!(found.problems.len(), words.len(), "{found:?}");
    for (problem, part) in found.problems.iter().zip(words) {
        assert!(problem.contains(part), "{part:?} in {problem:?}");
    }
}

#[test]
fn by_the_metadata() {
    let none = Asked::new();
    check(&cluster(), &none, Level::Well, &[]);
    let with = |command: Command, level, words: &[&str]| {
        let mut state = cluster();
        apply(&mut state, command).unwrap();
        check(&state, &none, level, words);
    };
    let db = || "db".parse().unwrap();
    let sync = |sync| Command::SetReplicaSync { cluster: db(), replica: address(2, 2), sync };
    with(sync(SyncState::OutOfSync), Level::Degraded, &["10.0.0.2:2 is not in sync"]);
    with(sync(SyncState::Fresh), Level::Degraded, &["not yet seen"]);
    let fence = |reason| Command::FenceShard { cluster: db(), primary: address(1, 1), reason, now: NOW };
    with(fence(FenceReason::Dead), Level::Down, &["10.0.0.1:1 is gone, 10.0.0.2:2 is about to take over"]);
    with(fence(FenceReason::Handover), Level::Degraded, &["handing over to 10.0.0.2:2"]);
    let report = |host| {
        let reporter = ReporterId("c".to_owned());
        Command::ReportFailure { proxy: address(host, 5299), reporter, now: NOW }
    };
    with(report(1), Level::Down, &["primary's proxy 10.0.0.1:5299 is reported as failed by 1"]);
    // One that another coordinator hears may serve all the same.
    let mut heard = cluster();
    apply(&mut heard, report(1)).unwrap();
    let (proxy, reporter) = (address(1, 5299), ReporterId("d".to_owned()));
    apply(&mut heard, Command::ProxyReturned { proxy, reporter, now: NOW }).unwrap();
    check(&heard, &none, Level::Degraded, &["is reported as failed by 1, and heard by d"]);
    with(report(2), Level::Degraded, &["replica's proxy 10.0.0.2:5299 is reported"]);
    // The other half takes over; what is left is without a replica.
    let fail = |host| Command::FailOverProxy {
        proxy: address(host, 5299),
        force: false,
        decided_after: None,
        now: NOW,
    };
    let waits = "primary 10.0.0.2:2 waits until 10.0.0.1:5299 has stopped";
    with(fail(1), Level::Down, &["replica's proxy 10.0.0.1:5299 counts as failed", waits, "not in sync"]);
    let mut state = cluster();
    apply(&mut state, fail(1)).unwrap();
    apply(&mut state, fail(2)).unwrap();
    check(&state, &none, Level::Down, &["primary's proxy", "replica's proxy", waits, "not in sync"]);
}

#[test]
fn by_what_proxies_answer() {
    let with = |change: fn(&mut Asked), level, words: &[&str]| {
        let mut asked = answers();
        change(&mut asked);
        check(&cluster(), &asked, level, words);
    };
    /// The primary when the host is 1, its replica when it is 2.
    fn node(asked: &mut Asked, host: u8) -> &mut NodeHealth {
        let nodes = &mut asked.get_mut(&address(host, 5299)).unwrap().as_mut().unwrap().nodes;
        &mut nodes[usize::from(host) - 1]
    }
    with(|_| {}, Level::Well, &[]);
    with(|asked| asked.insert(address(1, 5299), None).map(drop).unwrap(), Level::Down, &["does not answer"]);
    with(
        |asked| asked.insert(address(2, 5299), None).map(drop).unwrap(),
        Level::Degraded,
        &["does not answer"],
    );
    with(|asked| node(asked, 1).state = NodeState::Down { for_ms: 5 }, Level::Down, &["for 5 ms"]);
    with(|asked| node(asked, 2).state = NodeState::Down { for_ms: 5 }, Level::Degraded, &["for 5 ms"]);
    with(|asked| node(asked, 1).state = NodeState::Unseen { for_ms: 5 }, Level::Down, &["for 5 ms"]);
    with(|asked| node(asked, 1).state = NodeState::Busy { for_ms: 5 }, Level::Degraded, &["is busy"]);
    with(|asked| node(asked, 1).state = NodeState::Loading, Level::Down, &["from disk"]);
    with(|asked| node(asked, 1).restarted = true, Level::Down, &["restarted"]);
    with(|asked| node(asked, 1).role = Role::Replica, Level::Down, &["still a replica"]);
    with(|asked| node(asked, 2).link = Some(LinkState::Syncing), Level::Degraded, &["copying all data"]);
    with(|asked| node(asked, 2).link = Some(LinkState::Down { for_ms: 9 }), Level::Degraded, &["for 9 ms"]);
    with(|asked| node(asked, 2).primary = None, Level::Degraded, &["does not replicate the primary"]);
    with(
        |asked| node(asked, 1).address = address(9, 9),
        Level::Down,
        &["does not know of primary 10.0.0.1:1"],
    );
}

#[test]
fn whether_a_primary_takes_writes() {
    fn check(change: impl Fn(&mut State, &mut Asked), expected: Option<bool>, why: &str) {
        let (mut state, mut asked) = (cluster(), answers());
        change(&mut state, &mut asked);
        let cluster = state.clusters.values().next().unwrap();
        assert_eq!(is_served(cluster, SHARD, &asked), expected, "{why}");
    }
    fn proxy(asked: &mut Asked) -> &mut ProxyHealth {
        asked.get_mut(&address(1, 5299)).unwrap().as_mut().unwrap()
    }
    check(|_, _| (), Some(true), "all is well");
    check(|_, asked| drop(asked.remove(&address(1, 5299))), None, "nobody has asked");
    check(|_, asked| drop(asked.insert(address(1, 5299), None)), Some(false), "no answer");
    check(|_, asked| proxy(asked).view_epoch = Epoch(1), Some(false), "an older view");
    check(|_, asked| proxy(asked).lease_ms = Some(0), Some(false), "neither a lease nor a replica");
    check(
        |_, asked| {
            proxy(asked).lease_ms = Some(0);
            proxy(asked).nodes[0].attached = true;
        },
        Some(true),
        "an attached replica",
    );
    check(|_, asked| proxy(asked).nodes[0].role = Role::Replica, Some(false), "still a replica");
    check(|_, asked| proxy(asked).nodes[0].state = NodeState::Loading, Some(false), "its data are not there");
    check(|_, asked| proxy(asked).nodes.clear(), Some(false), "its proxy does not know it");
    let (cluster, primary) = (|| "db".parse().unwrap(), address(1, 1));
    let fence = Command::FenceShard { cluster: cluster(), primary, reason: FenceReason::Planned, now: NOW };
    check(
        |state, asked| {
            apply(state, fence.clone()).unwrap();
            proxy(asked).view_epoch = Epoch(100);
        },
        Some(false),
        "it is handing over",
    );
}

#[test]
fn why_a_node_cannot_serve() {
    fn check(change: fn(&mut Asked), expected: Option<&str>) {
        let mut asked = answers();
        change(&mut asked);
        let found = cannot_serve(&asked, &address(2, 5299), &address(2, 2));
        assert_eq!(found.as_deref(), expected);
    }
    fn node(asked: &mut Asked) -> &mut NodeHealth {
        &mut asked.get_mut(&address(2, 5299)).unwrap().as_mut().unwrap().nodes[1]
    }
    check(|_| (), None);
    check(|asked| drop(asked.remove(&address(2, 5299))), None);
    check(
        |asked| drop(asked.insert(address(2, 5299), None)),
        Some("the proxy 10.0.0.2:5299 of 10.0.0.2:2 does not answer"),
    );
    check(
        |asked| node(asked).state = NodeState::Unseen { for_ms: 7 },
        Some("10.0.0.2:2 has not answered its proxy for 7 ms"),
    );
    check(
        |asked| node(asked).address = address(9, 9),
        Some("proxy 10.0.0.2:5299 does not know of 10.0.0.2:2"),
    );
}

#[test]
fn whether_both_proxies_have_the_present_view() {
    fn check(change: impl Fn(&mut Asked), expected: Option<bool>) {
        let (state, mut asked) = (cluster(), answers());
        change(&mut asked);
        assert_eq!(is_settled(state.clusters.values().next().unwrap(), SHARD, &asked), expected);
    }
    check(|_| (), Some(true));
    for host in [1, 2] {
        check(
            |asked| asked.get_mut(&address(host, 5299)).unwrap().as_mut().unwrap().view_epoch = Epoch(1),
            Some(false),
        );
        check(|asked| drop(asked.insert(address(host, 5299), None)), None);
        check(|asked| drop(asked.remove(&address(host, 5299))), None);
    }
}
