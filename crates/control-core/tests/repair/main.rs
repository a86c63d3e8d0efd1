//! Repair, played out against imitated proxies and nodes: what each fault costs, and that never two nodes
//! serve one slot.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod process;
mod world;

use control_core::{Command, FenceReason, Half, State, SyncState, apply};
use model::{Address, Slot};
use proptest::prelude::*;
use world::{World, cluster, host_of};

/// How long a failover may take: detection, the last lease, and the turns between.
const FAILOVER_MS_MAX: u64 = 1_000;
/// How long until all is as before: replacement, resynchronisation, and the quiet before a handover.
const HEAL_MS_MAX: u64 = 12_000;

fn primary(world: &World, chunk: usize, shard: Half) -> Address {
    world.state.clusters[&cluster()].chunks[chunk].primary(shard).clone()
}

fn replica(world: &World, chunk: usize, shard: Half) -> Address {
    world.state.clusters[&cluster()].chunks[chunk].replica(shard).clone()
}

fn slot(world: &World, chunk: usize, shard: Half) -> Slot {
    world.state.clusters[&cluster()].chunks[chunk].shard(shard).slots.ranges()[0].first()
}

/// Breaks something, and checks that all slots are served again in time and all heals in the end.
fn check_fault(name: &str, world: World, fault: impl Fn(&mut World)) -> World {
    check_slow_fault(name, world, HEAL_MS_MAX, fault)
}

fn check_slow_fault(name: &str, mut world: World, heal_ms_max: u64, fault: impl Fn(&mut World)) -> World {
    assert!(world.is_healed(), "{name}: the world is not well before the fault");
    fault(&mut world);
    let took = world.run_until(FAILOVER_MS_MAX, World::is_served);
    println!("{name}: all slots served again after {took} ms");
    world.run_until(heal_ms_max, World::is_healed);
    world
}

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
fn replica_that_nobody_has_seen_in_sync_is_not_promoted() {
    let mut world = World::unwatched(3, 2, 2, 1);
    let node = primary(&world, 0, Half::First);
    world.kill_node(&node);
    world.run(5_000);
    assert_eq!(primary(&world, 0, Half::First), node);
    world.start_node(&node, true);
    world.run_until(HEAL_MS_MAX, World::is_healed);
}

#[test]
fn one_of_three_coordinators_does_not_hear() {
    let mut world = World::new(3, 2, 2, 3);
    let settings = control_core::Settings { failure_quorum: 2, ..world.state.settings.clone() };
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
    let force = Command::FailOverShard {
        cluster: cluster(),
        primary: node.clone(),
        fence: None,
        force: false,
        behind_bytes: None,
        now: world.now,
    };
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

#[derive(Clone, Debug)]
enum Fault {
    KillProxy(usize),
    KillNode(usize),
    Deafen(usize, usize),
    Cut(usize),
    Stop(usize),
    Delay(usize, u64),
    DelayPushes(usize, u64),
    Freeze(usize),
    Thaw(usize),
    StartProxy(usize),
    /// An operator's order, or one that a coordinator sent long ago.
    FailOverProxy(usize),
    Heal,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (0usize..8).prop_map(Fault::KillProxy),
        (0usize..16).prop_map(Fault::KillNode),
        (0usize..3, 0usize..8).prop_map(|(coordinator, proxy)| Fault::Deafen(coordinator, proxy)),
        (0usize..8).prop_map(Fault::Cut),
        (0usize..3).prop_map(Fault::Stop),
        (0usize..3, 0u64..900).prop_map(|(coordinator, delay)| Fault::Delay(coordinator, delay)),
        (0usize..3, 0u64..900).prop_map(|(coordinator, delay)| Fault::DelayPushes(coordinator, delay)),
        (0usize..3).prop_map(Fault::Freeze),
        (0usize..3).prop_map(Fault::Thaw),
        (0usize..8).prop_map(Fault::StartProxy),
        (0usize..8).prop_map(Fault::FailOverProxy),
        Just(Fault::Heal),
    ]
}

fn strike(world: &mut World, fault: &Fault) {
    let proxies: Vec<Address> = world.proxies.keys().cloned().collect();
    match fault {
        Fault::KillProxy(place) => world.kill_proxy(&proxies[*place]),
        Fault::KillNode(place) => {
            let node = world.proxies[&proxies[place / 2]].nodes[place % 2].address.clone();
            world.kill_node(&node);
        }
        Fault::Deafen(coordinator, place) => {
            world.deaf.insert((*coordinator, proxies[*place].clone()));
        }
        Fault::Cut(place) => {
            world.cut.insert(proxies[*place].clone());
        }
        Fault::Stop(number) => world.coordinators[*number].is_running = false,
        Fault::Delay(number, delay) => world.coordinators[*number].delay_ms = *delay,
        Fault::DelayPushes(number, delay) => world.coordinators[*number].push_delay_ms = *delay,
        Fault::Freeze(number) => world.coordinators[*number].is_frozen = true,
        Fault::Thaw(number) => world.coordinators[*number].is_frozen = false,
        Fault::StartProxy(place) => {
            world.kill_proxy(&proxies[*place]);
            world.start_proxy(&proxies[*place]);
        }
        Fault::FailOverProxy(place) => fail_over(world, &proxies[*place]),
        Fault::Heal => heal(world),
    }
}

fn fail_over(world: &mut World, proxy: &Address) {
    let order =
        Command::FailOverProxy { proxy: proxy.clone(), force: false, decided_after: None, now: world.now };
    // Nothing is promoted where no replica is fit.
    let _ = world.apply(order);
}

fn heal(world: &mut World) {
    world.deaf.clear();
    world.cut.clear();
    for coordinator in &mut world.coordinators {
        (coordinator.is_running, coordinator.is_frozen) = (true, false);
        (coordinator.delay_ms, coordinator.push_delay_ms) = (0, 0);
    }
    for proxy in world.proxies.keys().cloned().collect::<Vec<_>>() {
        let nodes = world.proxies[&proxy].nodes.iter().filter(|node| !node.is_running);
        for node in nodes.map(|node| node.address.clone()).collect::<Vec<_>>() {
            world.start_node(&node, true);
        }
        if !world.proxies[&proxy].is_running {
            world.start_proxy(&proxy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever breaks, in whatever order: at no time do two nodes serve one slot (the world checks it at
    /// each step), when all is mended all heals, and the commands replayed give the same state.
    #[test]
    fn random_faults(faults in proptest::collection::vec((fault(), 0u64..3_000), 1..8), quorum in 1usize..3) {
        let mut world = World::new(4, 2, 3, 3);
        let settings = control_core::Settings { failure_quorum: quorum, ..world.state.settings.clone() };
        world.apply(Command::Configure(settings)).unwrap();
        for (fault, pause_ms) in &faults {
            strike(&mut world, fault);
            world.run(*pause_ms);
        }
        heal(&mut world);
        world.run_until(60_000, World::is_healed);
        let mut replayed = State::default();
        for command in world.commands.clone() {
            apply(&mut replayed, command).unwrap();
        }
        prop_assert_eq!(&replayed, &world.state);
    }
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

#[test]
fn a_view_from_before_makes_nobody_serve() {
    // One coordinator is stopped with a push on its way, across a failover and the restart of the old primary's
    // proxy; its view is the first that this one is given.
    let mut world = World::new(3, 2, 1, 2);
    let (node, slot) = (primary(&world, 0, Half::First), slot(&world, 0, Half::First));
    let proxy = world.proxy_of(&node);
    world.coordinators[0].push_delay_ms = 100;
    world.start_proxy(&proxy);
    world.run(60);
    world.coordinators[0].is_frozen = true;
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

#[test]
fn pushes_that_crawl_while_one_coordinator_is_deaf() {
    let mut world = World::new(4, 2, 3, 3);
    let settings = control_core::Settings { failure_quorum: 1, ..world.state.settings.clone() };
    world.apply(Command::Configure(settings)).unwrap();
    for fault in [Fault::DelayPushes(2, 581), Fault::DelayPushes(1, 571), Fault::Deafen(0, 0)] {
        strike(&mut world, &fault);
    }
    world.run(900);
    heal(&mut world);
    world.run_until(60_000, World::is_healed);
}
