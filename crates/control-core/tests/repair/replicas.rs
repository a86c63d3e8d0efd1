//! Replicas: which of them may take over, and what they are told.

use control_core::{Command, FenceReason, Half, SyncState};

use crate::faults::{FAILOVER_MS_MAX, HEAL_MS_MAX, primary, replica, slot};
use crate::world::{STEP_MS, World, cluster};

#[test]
fn replica_that_nobody_has_seen_in_sync_is_not_promoted() {
    let mut world = World::unwatched(3, 2, 2, 1);
    let node = primary(&world, 0, Half::First);
    let shard = |world: &World| world.state.clusters[&cluster()].chunks[0].shard(Half::First).clone();
    world.run_until(FAILOVER_MS_MAX, |world| !shard(world).is_unbegun);
    assert_eq!(shard(&world).replica, SyncState::Fresh);
    world.kill_node(&node);
    world.run(5_000);
    assert_eq!(primary(&world, 0, Half::First), node);
    world.start_node(&node, true);
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn replica_out_of_sync_is_not_promoted() {
    let mut world = World::new(2, 1, 1, 1);
    let (node, slot) = (primary(&world, 0, Half::First), slot(&world, 0, Half::First));
    let cut = world.proxy_of(&replica(&world, 0, Half::First));
    world.cut.insert(cut);
    world.run_until(7_000, |world| {
        world.state.clusters[&cluster()].chunks[0].shard(Half::First).replica == SyncState::OutOfSync
    });
    assert_eq!(world.server(slot), Some(node.clone()), "a lease is enough to serve without a replica");
    world.kill_node(&node);
    world.run(5_000);
    assert_eq!(world.server(slot), None, "no service is better than writes lost by the thousand");
    let force = Command::fail_over_unfenced(cluster(), node.clone(), false, world.now);
    assert_eq!(world.apply(force).unwrap_err().code(), "PROXY_NOT_SYNC");
    world.cut.clear();
    world.start_node(&node, true);
    // It is another process now. As no replica is fit, it is told to make do with what it has on disk.
    world.run_until(HEAL_MS_MAX, World::is_healed);
    assert_eq!(world.lost(slot), 0);
}

#[test]
fn broken_link_alone_changes_no_role() {
    let mut world = World::new(3, 2, 2, 1);
    let proxy = world.proxy_of(&replica(&world, 0, Half::First));
    let before = world.state.clusters[&cluster()].chunks.iter().map(|c| c.shards.clone().map(|s| s.primary));
    let before: Vec<_> = before.collect();
    world.cut.insert(proxy);
    world.run(8_000);
    let after = world.state.clusters[&cluster()].chunks.iter().map(|c| c.shards.clone().map(|s| s.primary));
    assert_eq!(after.collect::<Vec<_>>(), before);
    assert!(world.is_served());
    world.cut.clear();
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn what_becomes_of_a_replica_is_noted_once() {
    for step in 0..5 {
        let mut world = World::new(3, 2, 2, 3);
        world.run(STEP_MS * step);
        let (node, before) = (replica(&world, 0, Half::First), world.commands.len());
        world.node_mut(&node).is_loading = true;
        world.run(500);
        world.node_mut(&node).is_loading = false;
        world.run(500);
        let noted = world.commands[before..].iter().map(|command| match command {
            Command::SetReplicaSync { replica, sync, .. } if *replica == node => *sync,
            other => panic!("step {step}: {other:?}"),
        });
        assert_eq!(noted.collect::<Vec<_>>(), [SyncState::OutOfSync, SyncState::InSync], "step {step}");
    }
}

#[test]
fn writes_are_not_stopped_for_a_replica_that_nothing_reaches() {
    for step in 0..5 {
        let mut world = World::new(3, 2, 2, 2);
        let (node, slot) = (primary(&world, 0, Half::First), slot(&world, 0, Half::First));
        let copy = replica(&world, 0, Half::First);
        world.kill_node(&node);
        world.run_until(FAILOVER_MS_MAX, |world| world.server(slot) == Some(copy.clone()));
        world.start_node(&node, true);
        // It could go home soon; and not long before that nothing reaches it any more.
        world.run(4_400 + STEP_MS * step);
        let cut = world.proxy_of(&node);
        world.cut.insert(cut);
        for _ in 0..400 {
            world.step();
            assert_eq!(world.server(slot), Some(copy.clone()), "step {step}, at {:?}", world.now);
        }
        world.cut.clear();
        world.run_until(HEAL_MS_MAX, World::is_healed);
    }
}

#[test]
fn a_replica_that_lets_go_keeps_its_primary_as_a_peer() {
    // By that its proxy knows a node that started anew meanwhile, and replicates nobody of its shard.
    let mut world = World::new(3, 2, 1, 2);
    let (node, copy) = (primary(&world, 0, Half::First), replica(&world, 0, Half::First));
    let (cluster, now) = (cluster(), world.now);
    let fence = Command::FenceShard { cluster, primary: node.clone(), reason: FenceReason::Dead, now };
    world.apply(fence).unwrap();
    let (roles, _) = control_core::desired_view(&world.state, &world.proxy_of(&copy)).unwrap();
    let told = roles.roles.iter().find(|role| role.node == copy).unwrap();
    assert_eq!(told.role, model::Role::Primary);
    assert_eq!(told.peers[0].node, node);
}
