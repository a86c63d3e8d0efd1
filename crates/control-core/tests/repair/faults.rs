//! How a fault is played: where things are that can break, and how soon all must be well again.

use control_core::{Command, Half};
use model::{Address, Slot};

use crate::world::{World, cluster};

/// How long a failover may take: detection, the last lease, and the turns between.
pub(crate) const FAILOVER_MS_MAX: u64 = 1_000;
/// How long until all is as before: replacement, resynchronisation, and the quiet before a handover.
pub(crate) const HEAL_MS_MAX: u64 = 12_000;

pub(crate) fn primary(world: &World, chunk: usize, shard: Half) -> Address {
    world.state.clusters[&cluster()].chunks[chunk].primary(shard).clone()
}

pub(crate) fn replica(world: &World, chunk: usize, shard: Half) -> Address {
    world.state.clusters[&cluster()].chunks[chunk].replica(shard).clone()
}

pub(crate) fn slot(world: &World, chunk: usize, shard: Half) -> Slot {
    world.state.clusters[&cluster()].chunks[chunk].shard(shard).slots.ranges()[0].first()
}

/// Breaks something, and checks that all slots are served again in time and all heals in the end.
pub(crate) fn check_fault(name: &str, world: World, fault: impl Fn(&mut World)) -> World {
    check_slow_fault(name, world, HEAL_MS_MAX, fault)
}

pub(crate) fn check_slow_fault(
    name: &str,
    mut world: World,
    heal_ms_max: u64,
    fault: impl Fn(&mut World),
) -> World {
    assert!(world.is_healed(), "{name}: the world is not well before the fault");
    fault(&mut world);
    let took = world.run_until(FAILOVER_MS_MAX, World::is_served);
    println!("{name}: all slots served again after {took} ms");
    world.run_until(heal_ms_max, World::is_healed);
    world
}

/// An operator's order that another takes the proxy's place.
pub(crate) fn fail_over(world: &mut World, proxy: &Address) {
    let order =
        Command::FailOverProxy { proxy: proxy.clone(), force: false, decided_after: None, now: world.now };
    // Nothing is promoted where no replica is fit.
    let _ = world.apply(order);
}
