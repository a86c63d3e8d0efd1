//! Processes and hosts that die, and nodes that come back with or without what they had.

use std::collections::BTreeMap;

use control_core::{Command, Half, Proxy};
use model::Address;

use crate::faults::{FAILOVER_MS_MAX, HEAL_MS_MAX, check_fault, check_slow_fault, primary, slot};
use crate::world::{STEP_MS, World, cluster, host_of};

#[test]
fn dead_proxy() {
    let world = check_fault("dead proxy", World::new(3, 2, 2, 1), |world| {
        let dead = world.proxy_of(&primary(world, 0, Half::First));
        world.kill_proxy(&dead);
    });
    let used = world.state.clusters[&cluster()].chunks.iter().flat_map(|chunk| &chunk.proxies);
    assert!(used.into_iter().all(|proxy| world.proxies[proxy].is_running), "the dead proxy was replaced");
}

#[test]
fn dead_node_behind_a_living_proxy() {
    let dead = primary(&World::new(3, 2, 2, 1), 0, Half::First);
    // It does not come back: after a while its proxy is replaced, once the other primary there has moved.
    let world = check_slow_fault("dead node", World::new(3, 2, 2, 1), 60_000, |world| {
        world.kill_node(&dead);
        world.run(100);
    });
    assert!(world.slots().into_iter().all(|slot| world.server(slot).as_ref() != Some(&dead)));
}

#[test]
fn a_node_that_hangs_is_replaced_whoever_of_two_hears_of_it_first() {
    // At another time each: who is behind must not take back what the other has decided.
    for step in 0..5 {
        let mut world = World::new(3, 2, 2, 2);
        world.run(STEP_MS * step);
        let (node, before) = (primary(&world, 0, Half::First), world.commands.len());
        world.freeze_node(&node);
        world.run_until(FAILOVER_MS_MAX, |world| !world.is_served());
        world.run_until(1_000 + FAILOVER_MS_MAX, World::is_served);
        assert_ne!(primary(&world, 0, Half::First), node, "step {step}");
        let lifted = |command: &&Command| matches!(command, Command::LiftFence { .. });
        assert_eq!(world.commands[before..].iter().find(lifted), None, "step {step}");
        world.thaw_node(&node);
        world.run_until(HEAL_MS_MAX, World::is_healed);
    }
}

#[test]
fn who_has_failed_comes_back_only_when_it_is_heard_again() {
    for step in 0..5 {
        let mut world = World::new(3, 2, 2, 3);
        world.run(STEP_MS * step);
        let spare = world.state.proxies.iter().find(|(_, record)| record.is_free()).unwrap().0.clone();
        world.kill_proxy(&spare);
        world.run_until(FAILOVER_MS_MAX, |world| world.state.is_failed(&spare));
        world.run(2_000);
        let returned = |command: &&Command| matches!(command, Command::ProxyReturned { .. });
        assert_eq!(world.commands.iter().find(returned), None, "step {step}");
        world.start_proxy(&spare);
        world.run_until(1_000, |world| !world.state.is_failed(&spare));
    }
}

#[test]
fn node_that_lost_its_memory() {
    let lossy = |has_data: bool| {
        move |world: &mut World| {
            let node = primary(world, 1, Half::Second);
            world.kill_node(&node);
            world.start_node(&node, has_data);
        }
    };
    let world = check_fault("restarted without data", World::new(3, 2, 2, 1), lossy(false));
    // At most what was not replicated when it died: one step.
    for slot in world.slots() {
        assert!(world.lost(slot) <= 1, "slot {slot}");
    }
    check_fault("restarted with data", World::new(3, 2, 2, 1), lossy(true));
}

#[test]
fn loading_primary() {
    let mut world = World::new(3, 2, 2, 1);
    let node = primary(&world, 0, Half::First);
    world.node_mut(&node).is_loading = true;
    world.run_until(FAILOVER_MS_MAX, World::is_served);
    assert_ne!(primary(&world, 0, Half::First), node);
    world.node_mut(&node).is_loading = false;
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn dead_host() {
    check_fault("dead host", World::new(4, 3, 3, 1), |world| {
        let lost = host_of(&world.proxy_of(&primary(world, 0, Half::First)));
        let proxies: Vec<Address> =
            world.proxies.keys().filter(|proxy| host_of(proxy) == lost).cloned().collect();
        proxies.iter().for_each(|proxy| world.kill_proxy(proxy));
    });
}

#[test]
fn no_spare_and_the_proxy_comes_back_empty() {
    let mut world = World::new(2, 1, 1, 1);
    let dead = world.proxy_of(&primary(&world, 0, Half::First));
    world.kill_proxy(&dead);
    world.run_until(FAILOVER_MS_MAX, World::is_served);
    world.run(3_000);
    assert!(world.state.is_failed(&dead));
    world.start_proxy(&dead);
    world.run_until(HEAL_MS_MAX, World::is_healed);
    assert!(!world.state.is_failed(&dead));
}

#[test]
fn both_halves_dead_and_back() {
    // Whoever comes first must not take the other's place with an empty node.
    let mut world = World::new(3, 2, 2, 1);
    let chunk = world.state.clusters[&cluster()].chunks[0].clone();
    chunk.proxies.iter().for_each(|proxy| world.kill_proxy(proxy));
    world.run(5_000);
    assert_eq!(
        world.state.clusters[&cluster()].chunks[0].proxies,
        chunk.proxies,
        "the last copies keep their place"
    );
    world.start_proxy(&chunk.proxies[1]);
    world.run(2_000);
    world.start_proxy(&chunk.proxies[0]);
    world.run_until(HEAL_MS_MAX, World::is_healed);
    for slot in world.slots() {
        assert!(world.lost(slot) <= 1, "slot {slot}");
    }
}

#[test]
fn a_node_that_fails_again_and_again_is_promoted_less_and_less_often() {
    let mut world = World::new(3, 2, 1, 2);
    let node = primary(&world, 0, Half::First);
    let begun = world.now;
    let mut losses = 0;
    while world.now.since(begun) < 60_000 {
        if primary(&world, 0, Half::First) == node && world.node(&node).is_running {
            // It dies a while after it has become the primary, and comes back with what it had.
            world.run(1_000);
            world.kill_node(&node);
            world.run(500);
            world.start_node(&node, true);
            losses += 1;
        }
        world.run(100);
    }
    assert!((2..=6).contains(&losses), "{losses} in a minute");
    // Left alone, it goes home in the end.
    world.run_until(120_000, World::is_healed);
}

#[test]
fn a_proxy_that_is_dead_on_arrival_is_replaced() {
    for both in [false, true] {
        let mut world = World::unwatched(3, 2, 2, 2);
        let dead = world.state.clusters[&cluster()].chunks[0].proxies[0].clone();
        world.kill_proxy(&dead);
        if both {
            let nodes: Vec<_> = world.proxies[&dead].nodes.iter().map(|node| node.address.clone()).collect();
            nodes.iter().for_each(|node| world.kill_node(node));
        }
        world.run_until(FAILOVER_MS_MAX, World::is_served);
        world.run_until(HEAL_MS_MAX, World::is_healed);
        assert!(world.state.clusters[&cluster()].place_of(&dead).is_none(), "it has its place still");
    }
}

#[test]
fn a_primary_that_has_served_alone_is_waited_for() {
    let mut world = World::unwatched(3, 2, 1, 1);
    let node = primary(&world, 0, Half::First);
    let replica = world.state.clusters[&cluster()].chunks[0].replica(Half::First).clone();
    world.kill_node(&replica);
    world.run(3_000);
    assert!(!world.written[&slot(&world, 0, Half::First)].is_empty(), "it has served");
    world.kill_node(&node);
    world.kill_proxy(&world.proxy_of(&node).clone());
    world.start_node(&replica, false);
    world.run(5_000);
    assert_eq!(primary(&world, 0, Half::First), node, "its replica has nothing");
}

/// A cluster of proxies that coordinators have known for long, in the pool.
fn of_known_proxies() -> World {
    let mut world = World::new(3, 2, 2, 2);
    world.apply(Command::DeleteCluster { cluster: cluster() }).unwrap();
    world.run_until(HEAL_MS_MAX, |world| world.state.proxies.values().all(Proxy::is_free));
    let (node_number, config, now) = (8, BTreeMap::new(), world.now);
    world.apply(Command::CreateCluster { cluster: cluster(), node_number, config, now }).unwrap();
    world
}

#[test]
fn what_dies_in_the_moment_in_which_it_gets_its_place_is_replaced() {
    for node_alone in [false, true] {
        let mut world = of_known_proxies();
        let node = primary(&world, 0, Half::First);
        let dead = world.proxy_of(&node);
        world.kill_node(&node);
        if !node_alone {
            world.kill_proxy(&dead);
        }
        world.run_until(2 * FAILOVER_MS_MAX, World::is_served);
        assert_ne!(primary(&world, 0, Half::First), node);
        if !node_alone {
            world.run_until(HEAL_MS_MAX, World::is_healed);
            assert!(world.state.clusters[&cluster()].place_of(&dead).is_none(), "it has its place still");
        }
    }
}

#[test]
fn a_coordinator_that_starts_later_knows_that_a_primary_has_served() {
    let mut world = World::unwatched(3, 2, 1, 1);
    let node = primary(&world, 0, Half::First);
    let replica = world.state.clusters[&cluster()].chunks[0].replica(Half::First).clone();
    world.kill_node(&replica);
    let slot = slot(&world, 0, Half::First);
    world.run_until(FAILOVER_MS_MAX, |world| world.written.contains_key(&slot));
    // Before anybody could say more of the replica than that it is new.
    world.kill_node(&node);
    world.kill_proxy(&world.proxy_of(&node).clone());
    world.forget_everything(0);
    world.start_node(&replica, false);
    world.run(5_000);
    assert_eq!(primary(&world, 0, Half::First), node, "its replica has nothing");
}
