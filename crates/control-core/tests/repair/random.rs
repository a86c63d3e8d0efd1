//! Faults of all kinds in any order.

use control_core::{Command, State, apply};
use model::Address;
use proptest::prelude::*;

use crate::faults::fail_over;
use crate::world::World;

#[derive(Clone, Debug)]
enum Fault {
    KillProxy(usize),
    KillNode(usize),
    FreezeNode(usize),
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
        (0usize..16).prop_map(Fault::FreezeNode),
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
    let node =
        |world: &World, place: usize| world.proxies[&proxies[place / 2]].nodes[place % 2].address.clone();
    match fault {
        Fault::KillProxy(place) => world.kill_proxy(&proxies[*place]),
        Fault::KillNode(place) => world.kill_node(&node(world, *place)),
        Fault::FreezeNode(place) => world.freeze_node(&node(world, *place)),
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

fn heal(world: &mut World) {
    world.deaf.clear();
    world.cut.clear();
    for coordinator in &mut world.coordinators {
        (coordinator.is_running, coordinator.is_frozen) = (true, false);
        (coordinator.delay_ms, coordinator.push_delay_ms) = (0, 0);
    }
    for proxy in world.proxies.keys().cloned().collect::<Vec<_>>() {
        let nodes: Vec<Address> =
            world.proxies[&proxy].nodes.iter().map(|node| node.address.clone()).collect();
        nodes.iter().for_each(|node| world.thaw_node(node));
        let nodes = world.proxies[&proxy].nodes.iter().filter(|node| !node.is_running);
        for node in nodes.map(|node| node.address.clone()).collect::<Vec<_>>() {
            world.start_node(&node, true);
        }
        if !world.proxies[&proxy].is_running {
            world.start_proxy(&proxy);
        }
    }
}

/// How many worlds are broken; each takes about a fifth of a second.
#[expect(clippy::disallowed_methods, reason = "the person who runs the test says how many")]
fn cases() -> u32 {
    std::env::var("REPAIR_CASES").map_or(24, |text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    /// Whatever breaks, in whatever order: at no time do two nodes serve one slot (the world checks it at
    /// each step), when all is mended all heals, and the commands replayed give the same state.
    #[test]
    fn random_faults(faults in proptest::collection::vec((fault(), 0u64..3_000), 1..8), quorum in 1usize..3) {
        let mut world = World::new(4, 2, 3, 3);
        let settings = control_core::StoreSettings { failure_quorum: quorum, ..world.state.settings.clone() };
        world.apply(Command::Configure(settings)).unwrap();
        for (fault, pause_ms) in &faults {
            strike(&mut world, fault);
            world.run(*pause_ms);
        }
        heal(&mut world);
        world.run_until(600_000, World::is_healed);
        let mut replayed = State::default();
        for command in world.commands.clone() {
            apply(&mut replayed, command).unwrap();
        }
        prop_assert_eq!(&replayed, &world.state);
    }
}

#[test]
fn pushes_that_crawl_while_one_coordinator_is_deaf() {
    let mut world = World::new(4, 2, 3, 3);
    let settings = control_core::StoreSettings { failure_quorum: 1, ..world.state.settings.clone() };
    world.apply(Command::Configure(settings)).unwrap();
    for fault in [Fault::DelayPushes(2, 581), Fault::DelayPushes(1, 571), Fault::Deafen(0, 0)] {
        strike(&mut world, &fault);
    }
    world.run(900);
    heal(&mut world);
    world.run_until(600_000, World::is_healed);
}
