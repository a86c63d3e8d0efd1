//! Primaries that lose their memory while their replica is away.

use control_core::Half;
use model::Address;

use crate::faults::{HEAL_MS_MAX, primary, replica, slot};
use crate::world::World;

/// A primary that loses its memory while its replica, which has everything, is away for a moment: whoever then serves
/// has every write that the replica had. For a client that has asked WAIT those are its acknowledged writes.
fn check_memory_lost(name: &str, away: impl Fn(&mut World, &Address), back: impl Fn(&mut World, &Address)) {
    for away_at_ms in [0, 100, 200, 300, 400, 500, 700] {
        for away_for_ms in [200, 400, 800, 2_000] {
            let mut world = World::new(3, 2, 1, 2);
            let (node, copy) = (primary(&world, 0, Half::First), replica(&world, 0, Half::First));
            let slot = slot(&world, 0, Half::First);
            let replicated = world.node(&copy).data.clone();
            world.kill_node(&node);
            world.start_node(&node, false);
            world.run(away_at_ms);
            away(&mut world, &copy);
            world.run(away_for_ms);
            back(&mut world, &copy);
            world.run_until(HEAL_MS_MAX, World::is_healed);
            let served = world.node(&world.server(slot).unwrap()).data.clone();
            let is_there = replicated.iter().all(|write| served.contains(write));
            assert!(is_there, "{name}: away at {away_at_ms} ms for {away_for_ms} ms: writes are lost");
        }
    }
}

#[test]
fn memory_lost_while_nobody_hears_the_replica() {
    let deafen = |world: &mut World, copy: &Address| {
        let proxy = world.proxy_of(copy);
        (0..2).for_each(|number| _ = world.deaf.insert((number, proxy.clone())));
    };
    check_memory_lost("deaf", deafen, |world, _| world.deaf.clear());
}

#[test]
fn memory_lost_while_the_replica_hangs() {
    let hang = |world: &mut World, copy: &Address| world.kill_node(copy);
    check_memory_lost("hangs", hang, |world, copy| world.node_mut(copy).is_running = true);
}

#[test]
fn memory_lost_while_the_replicas_proxy_restarts() {
    let kill = |world: &mut World, copy: &Address| {
        let proxy = world.proxy_of(copy);
        world.kill_proxy(&proxy);
    };
    check_memory_lost("restarts", kill, |world, copy| {
        let proxy = world.proxy_of(copy);
        world.start_proxy(&proxy);
    });
}
