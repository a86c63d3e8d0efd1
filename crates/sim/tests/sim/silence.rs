//! Worlds with one broker, which knows of all readings: the lease of a proxy that fell silent is over as soon as its last
//! token allows.

use sim::{Fault, Setup, World};

use crate::stories::{check, control, cut_off, kill_host, places};

/// Both coordinators read at the one broker, which is on the machine of the first.
pub(crate) fn one_broker() -> Setup {
    Setup { brokers: 1, ..Setup::default() }
}

/// The first coordinator does not hear a proxy. The second does, and can say so to nobody: it is cut off from the broker
/// right before the proxy counts as dead. The proxy has leases that the second has granted until then.
pub(crate) fn one_is_deaf_and_the_other_is_cut_off(world: &mut World) {
    let [(proxy, _), _] = places(world, 0);
    let [first, second] = [0, 1].map(|number| control(world.hosts(), number));
    let cut = |world: &mut World, one: usize, other: usize| {
        world.strike(&Fault::Cut(one, other));
        world.strike(&Fault::Cut(other, one));
    };
    cut(world, proxy, first);
    world.run(240);
    cut(world, second, first);
    world.run(3_000);
}

#[test]
fn who_reads_no_more_may_have_granted_until_then() {
    check(&one_broker(), 0..20, |world| {
        let [(_, primary), _] = places(world, 0);
        one_is_deaf_and_the_other_is_cut_off(world);
        assert_ne!(places(world, 0)[0].1, primary, "another is promoted: {}", world.picture());
    });
}

/// A proxy is cut off from all coordinators, with its nodes and their replication.
pub(crate) fn a_proxy_is_cut_off(world: &mut World) {
    let [(proxy, _), _] = places(world, 0);
    cut_off(world, proxy);
    world.run(3_000);
}

#[test]
fn a_proxy_that_is_cut_off_is_replaced_in_time() {
    check(&one_broker(), 0..20, a_proxy_is_cut_off);
}

/// Both waits run beside each other: the lease since the last token, and the replica's since it has let go.
#[test]
fn a_dead_host_is_replaced_before_a_lease_has_passed_since_its_fence() {
    for (setup, limit_ms) in [(one_broker(), 650), (Setup::default(), 950)] {
        check(&setup, 0..20, |world| {
            let [(host, _), _] = places(world, 0);
            kill_host(world, host);
            let is_served = world.run_until(limit_ms, |world| world.is_served(0));
            assert!(is_served, "not served within {limit_ms} ms: {}", world.picture());
        });
    }
}
