//! Named worlds: each a fault that was there once, or a rule whose breach a checker must find.

use control_core::{Command, FenceReason, Half};
use sim::{Fault, Process, Setup, World, heals};

/// The machine of the first coordinator and the first broker in a world of so many hosts.
pub(crate) const fn control(hosts: usize, number: usize) -> usize {
    hosts + number
}

/// The proxy and the node of a shard's primary, then of its replica, by their places.
pub(crate) fn places(world: &World, shard: usize) -> [(usize, usize); 2] {
    let (chunk, half) = world.shard(shard);
    [(chunk.primary_proxy(half), chunk.primary(half)), (chunk.replica_proxy(half), chunk.replica(half))].map(
        |(proxy, node)| {
            (world.place_of(proxy).expect("it is there"), world.node_place(node).expect("it is there"))
        },
    )
}

/// Ends a whole machine.
pub(crate) fn kill_host(world: &mut World, host: usize) {
    for process in [Process::Proxy(host), Process::Node(2 * host), Process::Node(2 * host + 1)] {
        world.strike(&Fault::Kill(process));
    }
}

/// Cuts a host off from all coordinators, but not from other hosts.
pub(crate) fn cut_off(world: &mut World, host: usize) {
    for number in 0..world.coordinator_count() {
        let control = control(world.hosts(), number);
        world.strike(&Fault::Cut(host, control));
        world.strike(&Fault::Cut(control, host));
    }
}

/// A story in which all must hold: how long it took until all was served again is up to the story.
pub(crate) fn check(setup: &Setup, seeds: std::ops::Range<u64>, story: impl Fn(&mut World)) {
    for seed in seeds {
        let mut world = World::new(setup.clone(), seed);
        story(&mut world);
        assert!(world.checks.is_well(), "seed {seed}: {}", world.picture());
    }
}

fn serves_again(world: &mut World, limit_ms: u64) {
    let all = |world: &World| (0..world.shards()).all(|shard| world.is_served(shard));
    assert!(world.run_until(limit_ms, all), "not served within {limit_ms} ms: {}", world.picture());
}

/// One chunk without spares, one host of which dies: the other has no replica, and lives by its leases.
pub(crate) fn a_host_dies(world: &mut World) {
    kill_host(world, 1);
    world.run(15_000);
}

#[test]
fn the_survivor_of_a_chunk_keeps_its_lease() {
    for coordinators in [1, 2] {
        let setup = Setup { hosts: 2, chunks: 1, coordinators, brokers: coordinators, ..Setup::default() };
        check(&setup, 0..4, a_host_dies);
    }
}

/// Somebody's own replica follows a primary, whose proxy is cut off from the coordinators.
pub(crate) fn a_foreign_replica_and_a_partition(world: &mut World) {
    world.strike(&Fault::ForeignReplica(0));
    world.run(1_000);
    let [(proxy, _), _] = places(world, 0);
    cut_off(world, proxy);
    world.run(3_000);
}

#[test]
fn another_replica_keeps_no_primary_in_service() {
    check(&Setup::default(), 0..5, |world| {
        a_foreign_replica_and_a_partition(world);
        world.strike(&Fault::Heal);
        heals(world);
        world.take_stock();
    });
}

/// A planned failover while the replica that is to take over hangs, and another replica does not.
pub(crate) fn a_handover_to_a_replica_that_hangs(world: &mut World) {
    world.strike(&Fault::ForeignReplica(0));
    world.run(1_000);
    let [_, (_, replica)] = places(world, 0);
    world.strike(&Fault::Stop(Process::Node(replica)));
    world.run(30);
    let cluster = "db".parse().expect("a name");
    let (chunk, half) = world.shard(0);
    let (primary, now) = (chunk.primary(half).clone(), control_core::TimeMs(0));
    let order = Command::FenceShard { cluster, primary, reason: FenceReason::Planned, now };
    world.order(order).expect("it may be ordered");
    world.run(800);
    world.strike(&Fault::Continue(Process::Node(replica)));
    world.run(2_000);
}

#[test]
fn a_planned_failover_loses_nothing() {
    check(&Setup::default(), 0..5, |world| {
        a_handover_to_a_replica_that_hangs(world);
        heals(world);
        world.take_stock();
    });
}

#[test]
fn a_replica_that_hangs_in_a_partition_is_not_taken_for_detached() {
    check(&Setup::default(), 0..6, |world| {
        let [(proxy, _), (_, replica)] = places(world, 0);
        world.strike(&Fault::Stop(Process::Node(replica)));
        cut_off(world, proxy);
        world.run(900);
        world.strike(&Fault::Continue(Process::Node(replica)));
        world.run(3_000);
        world.strike(&Fault::Heal);
        heals(world);
    });
}

/// One coordinator of two hears everybody but one proxy; brokers' clocks are apart.
pub(crate) fn one_coordinator_is_deaf_to_one_proxy(world: &mut World) {
    let control = control(world.hosts(), 0);
    world.strike(&Fault::Cut(0, control));
    world.run(20_000);
}

#[test]
fn a_coordinator_that_is_deaf_to_one_proxy_makes_no_storm() {
    check(&Setup::default(), 0..6, |world| {
        let before = world.changes();
        one_coordinator_is_deaf_to_one_proxy(world);
        let changes = world.changes() - before;
        assert!(changes <= 30, "{changes} changes in 20 s: {}", world.picture());
    });
}

/// The same for a proxy that has failed and been replaced: one coordinator has it return again and again, and the other has
/// it fail, each by another broker, and the brokers' clocks are apart.
#[test]
fn a_proxy_that_returned_for_one_coordinator_makes_no_storm() {
    check(&Setup::default(), 0..6, |world| {
        cut_off(world, 0);
        world.run(3_000);
        let control = control(world.hosts(), 1);
        world.strike(&Fault::Join(0, control));
        world.strike(&Fault::Join(control, 0));
        let before = world.changes();
        world.run(20_000);
        let changes = world.changes() - before;
        assert!(changes <= 30, "{changes} changes in 20 s: {}", world.picture());
    });
}

#[test]
fn clocks_that_are_apart_hold_up_no_failover() {
    let setup = Setup { date_ms_max: 300_000, ..Setup::default() };
    check(&setup, 0..6, |world| {
        kill_host(world, 0);
        serves_again(world, 1_500);
        heals(world);
    });
}

#[test]
fn replicas_of_primaries_without_slots_do_not_flap() {
    let setup = Setup { hosts: 6, chunks: 2, ..Setup::default() };
    check(&setup, 0..5, |world| {
        let (cluster, now) = ("db".parse().expect("a name"), control_core::TimeMs(0));
        world.order(Command::AddNodes { cluster, node_number: 4, now }).expect("there are two more hosts");
        world.run(5_000);
        let before = world.changes();
        world.run(20_000);
        let changes = world.changes() - before;
        assert!(changes <= 2, "{changes} changes in 20 s: {}", world.picture());
    });
}

/// A machine is paused with all that is on it, and goes on when others have taken over.
pub(crate) fn a_machine_is_paused(world: &mut World) {
    let [(proxy, _), _] = places(world, 0);
    world.strike(&Fault::Pause(proxy));
    world.run(2_000);
    world.strike(&Fault::Resume(proxy));
    world.run(1_000);
}

#[test]
fn a_machine_that_was_paused_acknowledges_nothing_late() {
    check(&Setup::default(), 0..6, |world| {
        a_machine_is_paused(world);
        heals(world);
        world.take_stock();
    });
}

/// A node is busy for ten seconds, as with a script, and goes on.
fn is_busy(world: &mut World, node: usize) {
    let before = world.changes();
    world.strike(&Fault::Work(node));
    world.run(10_000);
    world.strike(&Fault::Continue(Process::Node(node)));
    world.run(7_000);
    assert_eq!(world.changes(), before, "nobody takes over: {}", world.picture());
    serves_again(world, 0);
}

#[test]
fn a_primary_that_is_busy_stays_the_primary() {
    check(&Setup::default(), 0..6, |world| {
        let [(_, primary), _] = places(world, 0);
        is_busy(world, primary);
        world.take_stock();
    });
}

#[test]
fn a_replica_that_is_busy_stays_in_sync() {
    check(&Setup::default(), 0..6, |world| {
        let [_, (_, replica)] = places(world, 0);
        is_busy(world, replica);
        world.take_stock();
    });
}

#[test]
fn a_primary_that_was_stopped_while_it_was_busy_is_dead() {
    check(&Setup::default(), 0..6, |world| {
        let [(_, primary), _] = places(world, 0);
        world.strike(&Fault::Work(primary));
        world.run(3_000);
        world.strike(&Fault::Stop(Process::Node(primary)));
        serves_again(world, 2_500);
        heals(world);
        world.take_stock();
    });
}

/// A primary comes back without what it had.
pub(crate) fn a_primary_forgets(world: &mut World) {
    let [(_, primary), _] = places(world, 0);
    world.strike(&Fault::StartEmpty(primary));
    world.run(3_000);
}

#[test]
fn a_primary_that_forgot_is_replaced() {
    check(&Setup::default(), 0..6, |world| {
        a_primary_forgets(world);
        heals(world);
        world.take_stock();
    });
}

/// A primary forgets, and the proxy of its replica hangs at that moment: it cannot be told to let go.
#[test]
fn nobody_is_promoted_who_has_not_let_go() {
    check(&Setup::default(), 0..6, |world| {
        let [(_, primary), (proxy, replica)] = places(world, 0);
        world.strike(&Fault::StartEmpty(primary));
        world.run(16);
        world.strike(&Fault::Stop(Process::Proxy(proxy)));
        for _ in 0..25 {
            world.run(10);
            let [(_, now_primary), _] = places(world, 0);
            assert!(
                now_primary != replica || world.follows(replica).is_none(),
                "promoted, and follows still: {}",
                world.picture()
            );
        }
        world.strike(&Fault::Continue(Process::Proxy(proxy)));
        heals(world);
        world.take_stock();
    });
}

/// The proxy of a replica hangs, so that its node is never told to let go, and is replaced. The primary's proxy hangs before
/// it hears of that, and wakes up when the new replica may have been promoted: the old one acknowledges still.
#[test]
fn a_replica_that_was_replaced_keeps_no_primary_in_service() {
    for hangs_after_ms in (560..=760).step_by(20) {
        check(&Setup::default(), 0..4, |world| {
            let [(proxy, _), (replica_proxy, _)] = places(world, 0);
            world.strike(&Fault::Stop(Process::Proxy(replica_proxy)));
            world.run(hangs_after_ms);
            world.strike(&Fault::Stop(Process::Proxy(proxy)));
            world.run(2_500);
            world.strike(&Fault::Continue(Process::Proxy(proxy)));
            world.run(500);
            world.strike(&Fault::Continue(Process::Proxy(replica_proxy)));
            heals(world);
            world.take_stock();
        });
    }
}

/// A proxy is cut off, with its lease and its replica. Of two coordinators one has a clock that runs three times as fast as it
/// should, so it finds the lease to be over when it is not. It asks a broker whose clock is right.
#[test]
fn a_coordinator_whose_clock_is_wrong_promotes_nobody_too_soon() {
    let setup = Setup { brokers: 1, hurried_coordinator: Some(1), ..Setup::default() };
    check(&setup, 0..12, |world| {
        let [(proxy, primary), _] = places(world, 0);
        cut_off(world, proxy);
        world.run(3_000);
        assert_ne!(places(world, 0)[0].1, primary, "another is promoted all the same: {}", world.picture());
        world.strike(&Fault::Heal);
        heals(world);
    });
}

/// Half of all hosts, one of each chunk, at once: each fence raises the epoch, and all that are left live by their leases.
#[test]
fn a_rack_is_lost() {
    let setup = Setup { hosts: 8, chunks: 4, ..Setup::default() };
    check(&setup, 0..5, |world| {
        let chunks: Vec<usize> = (0..4)
            .map(|chunk| {
                let (chunk, _) = world.shard(2 * chunk);
                world.place_of(chunk.proxy(Half::First)).expect("it is there")
            })
            .collect();
        chunks.into_iter().for_each(|host| kill_host(world, host));
        serves_again(world, 2_000);
        world.run(10_000);
    });
}

/// A rule that does not hold, whose breach a push that is never tried again shows.
pub(crate) fn proxies_start_anew(world: &mut World) {
    for host in 0..world.hosts() {
        world.strike(&Fault::Stop(Process::Proxy(host)));
        world.run(700);
        world.strike(&Fault::Start(Process::Proxy(host)));
        world.run(700);
    }
    world.strike(&Fault::Heal);
    heals(world);
}

#[test]
fn proxies_that_start_anew_are_given_what_they_need() {
    check(&Setup::default(), 0..5, proxies_start_anew);
}
