//! What is remembered of the replica of a primary that came back with less.

use super::comeback::{came_back_with, commands};
use super::*;

/// What is decided of the primary when its proxy has answered once more, and done.
fn decide(scene: &mut Scene) -> Option<crate::state::Comeback> {
    scene.hear_again();
    let found = commands(scene);
    let [Command::DecideComeback { comeback, .. }] = &found[..] else { return None };
    let comeback = *comeback;
    scene.apply(found[0].clone());
    Some(comeback)
}

/// Another answer about a node of the first shard of the second chunk.
fn node(scene: &mut Scene, of_primary: bool, change: &dyn Fn(&mut NodeHealth)) {
    let chunk = scene.chunk(1);
    let (proxy, address) = if of_primary {
        (chunk.primary_proxy(Half::First), chunk.primary(Half::First))
    } else {
        (chunk.replica_proxy(Half::First), chunk.replica(Half::First))
    };
    change(scene.health(proxy).nodes.iter_mut().find(|node| node.address == *address).unwrap());
}

#[test]
fn what_the_replica_was_seen_to_have_is_remembered() {
    use crate::state::Comeback::{Serves, Waits};
    let mut scene = came_back_with(5);
    // It waits at first because its replica reads its data.
    node(&mut scene, false, &|node| node.state = NodeState::Loading);
    assert_eq!(decide(&mut scene), Some(Waits));
    assert!(!scene.shard(1, Half::First).replica_has_keys);
    node(&mut scene, false, &|node| node.state = NodeState::Up);
    assert_eq!(decide(&mut scene), Some(Waits), "now it is known to have keys");
    assert!(scene.shard(1, Half::First).replica_has_keys);
    assert_eq!(decide(&mut scene), None, "that is said once");
    // Another process of the primary, while the node of the replica is dead.
    node(&mut scene, false, &|node| node.state = NodeState::Down { for_ms: 60_000 });
    node(&mut scene, true, &|node| node.run_id = Some("second".parse().unwrap()));
    assert_eq!(decide(&mut scene), Some(Waits));
    assert!(scene.shard(1, Half::First).replica_has_keys);
    // A coordinator that has not seen it is not followed.
    let primary = scene.chunk(1).primary(Half::First).clone();
    let decision = |comeback, replica, by_operator| {
        let (cluster, primary, process) = (name(), primary.clone(), Some("second".parse().unwrap()));
        let keys = crate::command::KeysSeen { primary: Some(5), replica, keeps_log: false };
        Command::DecideComeback { cluster, primary, comeback, process, keys, by_operator }
    };
    assert!(apply(&mut scene.state.clone(), decision(Serves, None, false)).is_err());
    assert!(apply(&mut scene.state.clone(), decision(Serves, None, true)).is_ok(), "an operator may");
    // It takes another's place, which still has them.
    scene.shard(1, Half::First).former = Some("10.9.9.9:5299".parse().unwrap());
    node(&mut scene, false, &|node| (node.state, node.keys) = (NodeState::Up, Some(0)));
    assert_eq!(decide(&mut scene), None, "it goes on to wait");
    assert!(apply(&mut scene.state.clone(), decision(Serves, Some(0), false)).is_err());
    scene.shard(1, Half::First).former = None;
    assert_eq!(decide(&mut scene), Some(Serves), "the replica itself has none");
    assert!(!scene.shard(1, Half::First).replica_has_keys);
}

#[test]
fn a_decision_of_an_operator_is_about_one_process() {
    use crate::state::Comeback::{Serves, Waits};
    let mut scene = came_back_with(5);
    assert_eq!(decide(&mut scene), Some(Waits));
    let (primary, keys) = (scene.chunk(1).primary(Half::First).clone(), crate::command::KeysSeen::default());
    let process = Some("first".parse().unwrap());
    scene.apply(Command::DecideComeback {
        cluster: name(),
        primary: primary.clone(),
        comeback: Serves,
        process,
        keys,
        by_operator: true,
    });
    // Before it serves it starts anew, and the replica is dead.
    let chunk = scene.chunk(1);
    let dead = scene.health(chunk.replica_proxy(Half::First));
    dead.nodes.iter_mut().find(|node| node.address == *chunk.replica(Half::First)).unwrap().state =
        NodeState::Down { for_ms: 60_000 };
    let again = scene.health(chunk.primary_proxy(Half::First));
    again.nodes.iter_mut().find(|node| node.address == primary).unwrap().run_id =
        Some("second".parse().unwrap());
    assert_eq!(decide(&mut scene), Some(Waits));
}

/// What an operator says is about the process that the shard waits with when he says it.
#[test]
fn a_decision_of_an_operator_that_names_no_process_is_about_the_one_that_waits() {
    use crate::state::Comeback::{Serves, Waits};
    let mut scene = came_back_with(5);
    assert_eq!(decide(&mut scene), Some(Waits));
    let primary = scene.chunk(1).primary(Half::First).clone();
    let serve = |process: Option<&str>| Command::DecideComeback {
        cluster: name(),
        primary: primary.clone(),
        comeback: Serves,
        process: process.map(|process| process.parse().unwrap()),
        keys: crate::command::KeysSeen::default(),
        by_operator: true,
    };
    let another = apply(&mut scene.state.clone(), serve(Some("second")));
    assert!(another.is_err(), "the operator has looked at another process");
    let mut named = scene.state.clone();
    apply(&mut named, serve(Some("first"))).unwrap();
    scene.apply(serve(None));
    assert_eq!(scene.state, named);
    let again = scene.health(scene.chunk(1).primary_proxy(Half::First));
    let again = again.nodes.iter_mut().find(|node| node.address == primary).unwrap();
    (again.run_id, again.keys) = (Some("second".parse().unwrap()), Some(0));
    assert_eq!(decide(&mut scene), Some(Waits), "the next process has nothing");
}

/// A log that is switched on later does not tell what was read at the start.
#[test]
fn a_log_that_begins_while_a_primary_waits_does_not_count() {
    use crate::state::Comeback::Waits;
    let mut scene = came_back_with(1000);
    assert_eq!(decide(&mut scene), Some(Waits));
    let primary = scene.chunk(1).primary(Half::First).clone();
    let own = scene.health(scene.chunk(1).primary_proxy(Half::First));
    own.nodes.iter_mut().find(|node| node.address == primary).unwrap().keeps_log = true;
    assert_eq!(decide(&mut scene), None, "it goes on to wait");
}

/// A replica that was in sync when its primary came back lacks nothing, also when it counts as out of sync later because
/// it is dead.
#[test]
fn a_replica_that_was_in_sync_is_not_passed_over_once_it_is_dead_for_long() {
    use crate::state::Comeback::{Serves, Waits};
    let mut scene = came_back_with(5);
    scene.shard(1, Half::First).replica = SyncState::InSync;
    scene.hear_all();
    let chunk = scene.chunk(1);
    node(&mut scene, true, &|node| {
        (node.restarted, node.keys, node.run_id) = (true, Some(5), Some("first".parse().unwrap()));
        node.keeps_log = true;
    });
    node(&mut scene, false, &|node| node.state = NodeState::Down { for_ms: 60_000 });
    assert_eq!(decide(&mut scene), Some(Waits));
    let replica = chunk.replica(Half::First).clone();
    scene.apply(Command::SetReplicaSync { cluster: name(), replica, sync: SyncState::OutOfSync });
    assert_eq!(decide(&mut scene), None, "it goes on to wait");
    node(&mut scene, true, &|node| node.run_id = Some("second".parse().unwrap()));
    assert_eq!(decide(&mut scene), Some(Waits));
    let (primary, process) = (chunk.primary(Half::First).clone(), Some("second".parse().unwrap()));
    let (keys, by_operator) =
        (crate::command::KeysSeen { primary: Some(5), replica: None, keeps_log: false }, false);
    let late =
        Command::DecideComeback { cluster: name(), primary, comeback: Serves, process, keys, by_operator };
    assert!(apply(&mut scene.state.clone(), late).is_err(), "another coordinator has not seen it in sync");
}

/// Both hosts lose power, and the one of the primary is back first.
#[test]
fn a_log_that_was_kept_when_it_came_back_counts_when_the_replica_is_back() {
    use crate::state::Comeback::{Serves, Waits};
    for (keeps_log, expected) in [(true, Some(Serves)), (false, None)] {
        let mut scene = came_back_with(5);
        node(&mut scene, true, &|node| node.keeps_log = keeps_log);
        scene.shard(1, Half::First).replica = SyncState::InSync;
        node(&mut scene, false, &|node| node.state = NodeState::Down { for_ms: 60_000 });
        assert_eq!(decide(&mut scene), Some(Waits), "a replica in sync may be back soon");
        // What is switched on while it waits tells nothing.
        node(&mut scene, true, &|node| node.keeps_log = true);
        scene.shard(1, Half::First).replica = SyncState::OutOfSync;
        node(&mut scene, false, &|node| {
            (node.state, node.restarted, node.keys, node.keeps_log) = (NodeState::Up, true, Some(5), true);
        });
        assert_eq!(decide(&mut scene), expected, "{keeps_log}");
    }
}
