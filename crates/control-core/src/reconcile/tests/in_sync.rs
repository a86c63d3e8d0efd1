//! When a replica counts as in sync.

use super::*;

/// What the primary's proxy says of the primary.
type Said = fn(&mut NodeHealth);

#[test]
fn a_replica_is_in_sync_with_a_node_that_is_a_primary() {
    let cases: [(&str, Said, bool); 5] = [
        ("it serves", |_| {}, true),
        ("it waits for its role", |node| node.restarted = true, false),
        (
            "it is a replica itself",
            |node| {
                (node.role, node.primary) = (Role::Replica, Some(address(9, 6379)));
                node.link = Some(LinkState::Up);
            },
            false,
        ),
        ("it reads its data", |node| node.state = NodeState::Loading, false),
        ("it is gone", |node| node.state = NodeState::Down { for_ms: 100 }, false),
    ];
    for (case, said, expected) in cases {
        let mut scene = Scene::new();
        scene.shard(1, Half::First).replica = SyncState::OutOfSync;
        scene.observed.note_state(&scene.state, read_now(scene.now), scene.now);
        // The replica follows, by an answer to what was asked later.
        scene.now = TimeMs(scene.now.0 + 50);
        scene.hear_all();
        let chunk = scene.chunk(1);
        let primary = chunk.primary(Half::First).clone();
        let health = scene.health(chunk.primary_proxy(Half::First));
        said(health.nodes.iter_mut().find(|node| node.address == primary).unwrap());
        let (cluster, replica) = (name(), chunk.replica(Half::First).clone());
        let noted = Action::Apply(Command::SetReplicaSync { cluster, replica, sync: SyncState::InSync });
        assert_eq!(scene.actions().contains(&noted), expected, "{case}: {:?}", scene.actions());
    }
}
