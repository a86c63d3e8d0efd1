//! What was heard of a primary before the metadata said more of its shard.

use super::*;

/// The first primary of a chunk is another process, and has nothing.
fn restart(scene: &mut Scene, chunk: &Chunk) {
    let primary = chunk.primary(Half::First).clone();
    let health = scene.health(chunk.primary_proxy(Half::First));
    let node = health.nodes.iter_mut().find(|node| node.address == primary).unwrap();
    (node.restarted, node.keys) = (true, Some(0));
}

/// A replica follows, so its primary serves: that it had waited was heard before.
#[test]
fn a_primary_is_not_fenced_by_what_was_heard_before_its_replica_was_in_sync() {
    for is_heard_again in [false, true] {
        let mut scene = Scene::new();
        scene.shard(1, Half::First).replica = SyncState::OutOfSync;
        scene.hear_again();
        let chunk = scene.chunk(1);
        restart(&mut scene, &chunk);
        let (cluster, replica) = (name(), chunk.replica(Half::First).clone());
        scene.apply(Command::SetReplicaSync { cluster, replica, sync: SyncState::InSync });
        if is_heard_again {
            scene.hear_again();
        }
        let fences = |action: &Action| matches!(action, Action::Apply(Command::FenceShard { .. }));
        assert_eq!(scene.actions().iter().any(fences), is_heard_again, "{:?}", scene.actions());
    }
}

/// One coordinator has a primary decided on, sees it serve and says so. Another last heard of it when it waited; and the
/// replica, which has all of what the primary has written since, seems to have more than the primary.
#[test]
fn a_primary_that_serves_again_is_not_judged_by_what_was_heard_before() {
    for is_heard_again in [false, true] {
        let mut scene = Scene::new();
        scene.shard(1, Half::First).replica = SyncState::OutOfSync;
        scene.hear_again();
        let chunk = scene.chunk(1);
        let (cluster, primary) = (name(), chunk.primary(Half::First).clone());
        restart(&mut scene, &chunk);
        let keys = crate::command::KeysSeen { primary: Some(0), replica: Some(0), keeps_log: false };
        let (comeback, process) = (crate::state::Comeback::Serves, None);
        scene.apply(Command::DecideComeback {
            cluster: cluster.clone(),
            primary: primary.clone(),
            comeback,
            process,
            keys,
            by_operator: false,
        });
        scene.apply(Command::EndComeback { cluster, primary, process: None });
        if is_heard_again {
            // It has restarted once more.
            scene.hear_again();
        }
        let decides = |action: &Action| {
            matches!(action, Action::Apply(Command::DecideComeback { .. } | Command::FailOverShard { .. }))
        };
        assert_eq!(scene.actions().iter().any(decides), is_heard_again, "{:?}", scene.actions());
    }
}
