//! Who does not hear whom: coordinators that are dead, deaf, slow or stopped, and primaries that are cut off.

use control_core::{Command, Half};
use model::Address;

use crate::faults::{FAILOVER_MS_MAX, HEAL_MS_MAX, check_fault, primary, slot};
use crate::world::{World, cluster};

#[test]
fn control_plane_dead_for_a_minute() {
    let mut world = World::new(3, 2, 2, 2);
    world.coordinators.iter_mut().for_each(|coordinator| coordinator.is_running = false);
    for _ in 0..6_000 {
        world.step();
        assert!(world.is_served(), "at {:?}", world.now);
    }
    world.coordinators.iter_mut().for_each(|coordinator| coordinator.is_running = true);
    world.run(2_000);
    assert!(world.is_healed());
    assert!(world.state.failures.is_empty(), "a coordinator that slept takes nobody for dead");
}

#[test]
fn control_plane_cut_off_and_heard_again_one_by_one() {
    // The first proxy that is heard again must not make the others, silent as long as it was, dead.
    let mut world = World::new(3, 2, 2, 2);
    let proxies: Vec<Address> = world.proxies.keys().cloned().collect();
    world.deaf = (0..2).flat_map(|number| proxies.iter().map(move |proxy| (number, proxy.clone()))).collect();
    world.run(3_000);
    let before = world.commands.len();
    for proxy in &proxies {
        world.deaf.retain(|(_, deaf)| deaf != proxy);
        world.run(50);
        assert!(world.is_served());
    }
    world.run(2_000);
    assert!(world.is_healed());
    let fenced = |command: &&Command| matches!(command, Command::FenceShard { .. });
    assert_eq!(world.commands[before..].iter().find(fenced), None);
}

#[test]
fn primary_cut_off_alone_stops_by_itself() {
    let mut world = World::new(3, 2, 2, 1);
    let node = primary(&world, 0, Half::First);
    let (proxy, slot) = (world.proxy_of(&node), slot(&world, 0, Half::First));
    world.deaf.insert((0, proxy.clone()));
    world.cut.insert(proxy.clone());
    world.run_until(FAILOVER_MS_MAX, |world| world.server(slot).is_none());
    world.run_until(FAILOVER_MS_MAX, World::is_served);
    world.run(3_000);
    world.deaf.clear();
    world.cut.clear();
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn primary_that_only_coordinators_do_not_hear() {
    // Its replica is attached and it has clients: it serves until the replica is told to let go.
    check_fault("deaf", World::new(3, 2, 2, 1), |world| {
        let proxy = world.proxy_of(&primary(world, 0, Half::First));
        world.deaf.insert((0, proxy));
        world.run(1_500);
    });
}

#[test]
fn pushes_that_crawl() {
    // The replica is told late to let go, and its primary serves on: the promotion must wait for that.
    let mut world = World::new(3, 2, 2, 1);
    let node = primary(&world, 0, Half::First);
    let proxy = world.proxy_of(&node);
    world.coordinators[0].push_delay_ms = 60_000;
    world.deaf.insert((0, proxy));
    world.run(3_000);
    assert_eq!(primary(&world, 0, Half::First), node, "its replica is still attached");
    assert!(world.is_served());
    world.coordinators[0].push_delay_ms = 0;
    world.run(2_000);
    assert_ne!(primary(&world, 0, Half::First), node);
    assert!(world.is_served());
}

#[test]
fn one_of_three_coordinators_does_not_hear() {
    let mut world = World::new(3, 2, 2, 3);
    let settings = control_core::StoreSettings { failure_quorum: 2, ..world.state.settings.clone() };
    world.apply(Command::Configure(settings)).unwrap();
    let before = primary(&world, 0, Half::First);
    let proxy = world.proxy_of(&before);
    world.deaf.insert((1, proxy));
    for _ in 0..500 {
        world.step();
        assert!(world.is_served());
    }
    assert_eq!(primary(&world, 0, Half::First), before, "one report is not a quorum");
}

#[test]
fn a_view_from_before_makes_nobody_serve() {
    // One coordinator is stopped with a push on its way, across a failover and the restart of the old primary's
    // proxy; its view is the first that this one is given.
    let mut world = World::new(3, 2, 1, 2);
    let (node, slot) = (primary(&world, 0, Half::First), slot(&world, 0, Half::First));
    let proxy = world.proxy_of(&node);
    world.coordinators.iter_mut().for_each(|coordinator| coordinator.push_delay_ms = 100);
    world.start_proxy(&proxy);
    world.run(60);
    world.coordinators[0].is_frozen = true;
    world.coordinators[1].push_delay_ms = 0;
    world.kill_proxy(&proxy);
    world.run_until(FAILOVER_MS_MAX, |world| world.server(slot).is_some_and(|now| now != node));
    world.run(500);
    let pushed = world.state.clusters[&cluster()].epoch;
    world.coordinators[1].is_frozen = true;
    world.start_proxy(&proxy);
    world.coordinators[0].is_frozen = false;
    // Its old push goes out before it looks at anything.
    world.step();
    let has = world.proxies[&proxy].view_epoch;
    assert!(has.0 > 0 && has < pushed, "the old view came first: {has}");
    world.run(1_000);
    world.coordinators[1].is_frozen = false;
    world.coordinators[0].push_delay_ms = 0;
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn one_of_two_that_does_not_hear_makes_no_storm() {
    let mut world = World::new(3, 2, 2, 2);
    let proxy = world.proxy_of(&primary(&world, 0, Half::First));
    let before = world.commands.len();
    world.deaf.insert((1, proxy.clone()));
    world.run(40_000);
    let commands = &world.commands[before..];
    let failed = |command: &&Command| matches!(command, Command::FailOverProxy { .. });
    assert!(commands.iter().filter(failed).count() <= 1, "{commands:#?}");
    // The deaf one says so, the other vouches every few seconds; and there may be one failover and the way back.
    assert!(commands.len() <= 40, "{}: {commands:#?}", commands.len());
    assert!(world.is_served(), "{commands:#?}\n{:#?}", world.state);
    world.deaf.clear();
    world.run_until(HEAL_MS_MAX, World::is_healed);
    world.run_until(1_000, |world| world.state.failures.is_empty());
}

#[test]
fn a_proxy_that_dies_while_others_disagree_is_replaced() {
    let mut world = World::new(3, 2, 2, 2);
    world.deaf.insert((1, world.proxy_of(&primary(&world, 0, Half::First))));
    world.run(10_000);
    let node = primary(&world, 0, Half::First);
    let proxy = world.proxy_of(&node);
    world.deaf = [(1, proxy.clone())].into();
    world.run(10_000);
    assert_eq!(primary(&world, 0, Half::First), node, "it is heard by one");
    world.kill_proxy(&proxy);
    world.run_until(FAILOVER_MS_MAX, World::is_served);
}

#[test]
fn a_clock_that_is_wrong_changes_nothing() {
    for (coordinators, ahead_ms) in [(1, 90_000), (2, 90_000), (2, 3_600_000)] {
        let mut world = World::unwatched(3, 2, 2, coordinators);
        world.coordinators[0].set_ahead(ahead_ms);
        world.run(1_000);
        let before = world.commands.len();
        let node = primary(&world, 0, Half::First);
        world.kill_proxy(&world.proxy_of(&node).clone());
        world.run_until(FAILOVER_MS_MAX, |world| !world.is_served());
        world.run_until(FAILOVER_MS_MAX, World::is_served);
        world.run(10_000);
        let commands = &world.commands[before..];
        assert!(commands.len() < 40, "{ahead_ms}: {}: {commands:#?}", commands.len());
    }
}

#[test]
fn an_earlier_dispute_does_not_delay_a_failover() {
    let mut world = World::new(3, 2, 2, 2);
    let node = primary(&world, 0, Half::First);
    let proxy = world.proxy_of(&node);
    // One that does not hear dies after it has said so.
    world.deaf.insert((1, proxy.clone()));
    world.run(2_000);
    world.coordinators[1].is_running = false;
    world.deaf.clear();
    world.run(120_000);
    assert!(world.state.failures.is_empty(), "{:?}", world.state.failures);
    let proxy = world.proxy_of(&primary(&world, 0, Half::First));
    world.kill_proxy(&proxy);
    world.run_until(FAILOVER_MS_MAX, |world| !world.is_served());
    world.run_until(FAILOVER_MS_MAX, World::is_served);
}

/// One coordinator of two has a bad line to one proxy; the other hears it all the time.
#[test]
fn a_line_that_comes_and_goes_fences_once_at_most() {
    let mut world = World::new(3, 2, 1, 2);
    let proxy = world.proxy_of(&primary(&world, 0, Half::First));
    let before = world.commands.len();
    for _ in 0..20 {
        world.deaf.insert((1, proxy.clone()));
        world.run(1_000);
        world.deaf.remove(&(1, proxy.clone()));
        world.run(1_000);
    }
    let is_fence = |command: &&Command| matches!(command, Command::FenceShard { .. });
    let fences = world.commands[before..].iter().filter(is_fence).count();
    assert!(fences <= 1, "{fences} in 40 s");
}
