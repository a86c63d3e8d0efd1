//! A coordinator that goes on with metadata from long ago, because it can read no newer ones.

use sim::{Fault, Process, Setup, World, heals};

use crate::stories::{check, control, cut_off, kill_host, places};

/// One coordinator of two cannot read any more, and has read last that a proxy of the pool is to be emptied. That one serves
/// the cluster later, and its process starts anew.
pub(crate) fn a_blind_coordinator_knows_an_old_pool(world: &mut World) {
    let [(old, _), _] = places(world, 0);
    kill_host(world, old);
    world.run(2_000);
    let address = world.address(old).clone();
    let is_to_be_emptied = |world: &World| {
        let record = &world.state.proxies[&address];
        record.cluster.is_none() && record.dirty && record.failed_since.is_none()
    };
    for process in [Process::Node(2 * old), Process::Node(2 * old + 1), Process::Proxy(old)] {
        world.strike(&Fault::Start(process));
    }
    // Nobody can have it emptied before the second coordinator has read of that, and sees nothing of what follows.
    while !is_to_be_emptied(world) {
        world.run(1);
    }
    cut_off(world, old);
    world.run(250);
    let [seeing, blind] = [0, 1].map(|number| control(world.hosts(), number));
    world.strike(&Fault::Cut(blind, seeing));
    // Nor does it hear of the others, whose views would tell it that what it has read is old.
    for host in (0..world.hosts()).filter(|host| *host != old) {
        world.strike(&Fault::Cut(blind, host));
        world.strike(&Fault::Cut(host, blind));
    }
    world.strike(&Fault::Join(old, seeing));
    world.strike(&Fault::Join(seeing, old));
    world.strike(&Fault::Join(old, blind));
    world.strike(&Fault::Join(blind, old));
    // It is emptied, takes the place of another, and brings its primary home.
    world.run(4_000);
    let other = (0..world.hosts()).find(|host| *host != old).expect("there are more");
    kill_host(world, other);
    world.run(12_000);
    assert!(world.members().contains(&old), "it serves: {}", world.picture());
    for _ in 0..4 {
        world.strike(&Fault::Start(Process::Proxy(old)));
        world.run(1_500);
    }
}

#[test]
fn a_blind_coordinator_empties_nobody() {
    let setup = blind_setup();
    check(&setup, 0..6, |world| {
        a_blind_coordinator_knows_an_old_pool(world);
        world.strike(&Fault::Heal);
        heals(world);
        world.take_stock();
    });
}

/// A chunk with one spare, and two coordinators on one broker.
pub(crate) fn blind_setup() -> Setup {
    Setup { hosts: 3, chunks: 1, coordinators: 2, brokers: 1, ..Setup::default() }
}
