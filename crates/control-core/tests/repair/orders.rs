//! What operators order: a handover, a failover by hand, another cluster on the same nodes.

use control_core::{Command, FenceReason, Half};

use crate::faults::{FAILOVER_MS_MAX, HEAL_MS_MAX, fail_over, primary, slot};
use crate::world::{World, cluster};

#[test]
fn handover_loses_nothing_and_is_short() {
    let mut world = World::new(3, 2, 2, 2);
    let (before, slot) = (primary(&world, 1, Half::First), slot(&world, 1, Half::First));
    let handover = Command::FenceShard {
        cluster: cluster(),
        primary: before.clone(),
        reason: FenceReason::Handover,
        now: world.now,
    };
    world.apply(handover).unwrap();
    world.run_until(FAILOVER_MS_MAX, |world| world.server(slot).is_none());
    let took = world.run_until(200, |world| world.server(slot).is_some());
    println!("handover: {took} ms without service");
    assert_ne!(primary(&world, 1, Half::First), before);
    assert_eq!(world.lost(slot), 0);
    world.run_until(HEAL_MS_MAX, World::is_healed);
    assert_eq!(primary(&world, 1, Half::First), before, "and home again");
    assert_eq!(world.lost(slot), 0);
}

#[test]
fn a_living_proxy_that_is_failed_over_stops_first() {
    // With a spare in its place, and without one; it hears of it, or serves on by what it was told before. The world sees
    // to it at each step that not two serve.
    for (each, hears) in [(2, true), (2, false), (1, true), (1, false)] {
        let mut world = World::new(3, each, 1, 2);
        let (node, slot) = (primary(&world, 0, Half::First), slot(&world, 0, Half::First));
        let proxy = world.proxy_of(&node);
        if !hears {
            (0..2).for_each(|number| _ = world.deaf.insert((number, proxy.clone())));
        }
        fail_over(&mut world, &proxy);
        assert_ne!(primary(&world, 0, Half::First), node, "the metadata have changed at once");
        assert_eq!(world.server(slot), Some(node.clone()), "the old primary has not heard");
        world.run_until(FAILOVER_MS_MAX, |world| world.server(slot).is_some_and(|now| now != node));
        world.deaf.clear();
        // It has not failed, and says so.
        world.run_until(HEAL_MS_MAX, World::is_healed);
    }
}

#[test]
fn a_dead_proxy_that_is_failed_over_is_waited_for_no_longer_than_its_lease() {
    let mut world = World::new(3, 2, 1, 2);
    let (node, slot) = (primary(&world, 0, Half::First), slot(&world, 0, Half::First));
    let proxy = world.proxy_of(&node);
    world.kill_proxy(&proxy);
    fail_over(&mut world, &proxy);
    let took = world.run_until(FAILOVER_MS_MAX, |world| world.server(slot).is_some());
    println!("failed over by hand: served after {took} ms");
    assert!(took <= 600, "{took} ms");
    // The other shard of the new primary's proxy goes on meanwhile: its lease is not kept back.
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn no_cluster_reads_what_another_left() {
    // All proxies go from one cluster to the next at once, with their nodes as they were.
    let mut world = World::new(2, 2, 2, 2);
    let last = world.written.values().flatten().max().copied().unwrap();
    world.apply(Command::DeleteCluster { cluster: cluster() }).unwrap();
    let config = std::collections::BTreeMap::new();
    let create =
        Command::CreateCluster { cluster: "next".parse().unwrap(), node_number: 8, config, now: world.now };
    world.apply(create).unwrap();
    assert!(world.state.proxies.values().all(|proxy| proxy.dirty));
    world.run_until(FAILOVER_MS_MAX, World::is_served);
    world.run(500);
    for slot in world.slots() {
        let data = &world.node(&world.server(slot).unwrap()).data;
        assert!(!data.is_empty() && data.iter().all(|write| *write > last), "slot {slot}");
    }
    assert!(world.state.proxies.values().all(|proxy| !proxy.dirty));
}
