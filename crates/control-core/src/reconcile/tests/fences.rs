//! What is seen of fences.

use super::*;

/// One command fences both shards, of whose old primary nobody knows whether it has stopped.
fn both_deposed() -> Scene {
    let mut scene = Scene::new();
    scene.shard(1, Half::Second).primary = Half::First;
    scene.hear_all();
    let (proxy, now) = (scene.chunk(1).proxies[0].clone(), scene.now);
    scene.apply(Command::FailOverProxy { proxy: proxy.clone(), force: false, decided_after: None, now });
    let fences = Half::BOTH.map(|shard| scene.shard(1, shard).fence.unwrap().epoch);
    assert_eq!(fences[0], fences[1], "they share an epoch");
    scene.observed.proxies.get_mut(&proxy).unwrap().answered = None;
    scene
}

/// The shards of the chunk whose fences are lifted, and which of them a broker's own clock lets be lifted.
fn lifted(scene: &Scene, clock: &crate::fence_clock::FenceClock, at: model::Moment) -> Vec<(Half, bool)> {
    let chunk = scene.chunk(1);
    let lift = |action: Action| match action {
        Action::Apply(ref command @ Command::LiftFence { ref primary, .. }) => {
            let shard = Half::BOTH.into_iter().find(|shard| chunk.primary(*shard) == primary)?;
            Some((shard, clock.check(&scene.state, command, None, at).is_ok()))
        }
        _ => None,
    };
    scene.actions().into_iter().filter_map(lift).collect()
}

#[test]
fn what_is_seen_of_a_fence_says_nothing_of_another_with_its_epoch() {
    for hangs in Half::BOTH {
        let mut scene = both_deposed();
        let (chunk, epoch) = (scene.chunk(1), scene.state.clusters[&name()].epoch);
        let mut clock = crate::fence_clock::FenceClock::default();
        let at = |now: TimeMs| model::Moment(std::time::Duration::from_millis(now.0));
        let begun = scene.now;
        for _ in 0..10 {
            scene.now = TimeMs(scene.now.0 + 100);
            let mut health = scene.health(&chunk.proxies[1]).clone();
            (health.view_epoch, health.roles_epoch) = (epoch, epoch);
            // The node of one shard hangs: it has not let go of the old primary.
            let letting_go = chunk.node(hangs.other(), Half::Second);
            for node in health.nodes.iter_mut().filter(|node| node.address == *letting_go) {
                (node.role_epoch, node.role, node.primary, node.link) =
                    (Some(epoch), Role::Primary, None, None);
            }
            scene.observed.note_answer(&chunk.proxies[1], health, scene.now, scene.now);
            scene.observed.note_state(&scene.state, read_now(scene.now), scene.now);
            clock.note(&scene.state, at(scene.now));
        }
        assert!(scene.now.since(begun) >= 1_000);
        assert_eq!(lifted(&scene, &clock, at(scene.now)), [(hangs.other(), true)], "{hangs:?} hangs");
    }
}
