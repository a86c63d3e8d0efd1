//! What is said of primaries without an attached replica.

use super::*;
use crate::query::{unattached, unserved};

/// What is otherwise.
type Change = fn(&mut Shard);

/// A scene in which the replica of a primary follows and is not attached, and all answer every 50 ms for that long; and what
/// the primary's proxy says of its lease.
fn alone_for(ms: u64, lease_ms: Option<u64>) -> Scene {
    let mut scene = Scene::new();
    let chunk = scene.chunk(1);
    let (proxy, primary) = (chunk.primary_proxy(Half::First), chunk.primary(Half::First));
    let health = scene.health(proxy);
    (health.lease_ms, health.lease_longest_ms) = (lease_ms, 400);
    health.nodes.iter_mut().find(|node| node.address == *primary).unwrap().attached = false;
    let said = scene.observed.proxies.iter();
    let said: Vec<_> = said.map(|(proxy, seen)| (proxy.clone(), seen.health.clone().unwrap())).collect();
    let begun = scene.now;
    for after_ms in (0..=ms).step_by(50) {
        scene.now = TimeMs(begun.0 + after_ms);
        scene.observed.note_state(&scene.state, read_now(scene.now), scene.now);
        for (proxy, health) in &said {
            scene.observed.note_answer(proxy, health.clone(), scene.now, scene.now);
        }
    }
    scene
}

#[test]
fn a_replica_that_is_in_sync_and_not_attached_is_told_of() {
    let told = |scene: &Scene| {
        let found = unattached(&scene.state, &scene.observed, scene.now);
        found.into_iter().map(|shard| (shard.primary, shard.for_ms)).collect::<Vec<_>>()
    };
    let primary = |scene: &Scene| scene.chunk(1).primary(Half::First).clone();
    for (ms, is_told) in [(2_950, false), (3_000, true), (9_000, true)] {
        let scene = alone_for(ms, Some(350));
        let expected = if is_told { vec![(primary(&scene), ms)] } else { Vec::new() };
        assert_eq!(told(&scene), expected, "{ms} ms");
    }
    // Nobody wonders about these.
    let changes: [(&str, Change); 2] = [
        ("its replica is not in sync", |shard| shard.replica = SyncState::OutOfSync),
        ("it has no slots", |shard| shard.slots = model::SlotRanges::default()),
    ];
    for (case, change) in changes {
        let mut scene = alone_for(9_000, Some(350));
        change(scene.shard(1, Half::First));
        assert_eq!(told(&scene), [], "{case}");
    }
    let mut scene = alone_for(9_000, Some(350));
    scene.fence(1, FenceReason::Handover);
    assert_eq!(told(&scene), [], "it is being handed over");
    // It is attached again.
    let mut scene = alone_for(9_000, Some(350));
    scene.hear_all();
    assert_eq!(told(&scene), []);
}

#[test]
fn a_primary_with_neither_lease_nor_replica_serves_nobody() {
    for (ms, lease_ms, is_told) in [
        (1_000, Some(350), false),
        (250, Some(0), false),
        (300, Some(0), true),
        // Its proxy is of a version that does not tell.
        (1_000, None, false),
    ] {
        let scene = alone_for(ms, lease_ms);
        let found = unserved(&scene.state, &scene.observed, scene.now);
        let primaries: Vec<Address> = found.into_iter().map(|shard| shard.primary).collect();
        let expected = if is_told { vec![scene.chunk(1).primary(Half::First).clone()] } else { Vec::new() };
        assert_eq!(primaries, expected, "{ms} ms, {lease_ms:?}");
    }
}
