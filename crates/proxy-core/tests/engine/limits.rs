//! What a session or a node that does not read can make the proxy hold.

use proxy_core::engine::Policy;
use proxy_core::engine::buffers::{READ_BYTES, READ_BYTES_LARGE};

use crate::views::{BOTH, ONE, Owner, tag};
use crate::world::World;

#[test]
fn replies_that_a_session_is_owed() {
    for max in [2, 10, 100] {
        let mut world = World::new(ONE, Policy { outstanding_max: max, ..Policy::default() });
        let client = world.accept();
        (0..1_000).for_each(|_| world.clients[client].incr("a"));
        let link = world.links()[0];
        world.connects(link);
        for _ in 0..200 {
            world.client_sends(client, 100);
            world.end_turn();
            world.pass(100);
        }
        let executed = world.node(crate::views::NODES[0]).executed;
        assert_eq!(executed, max as usize, "before any reply was read");
        world.finish();
    }
}

/// Replies of so many bytes each to a client that reads none: how many of their bytes the proxy takes.
fn taken_for_a_silent_client(len: usize, policy: Policy) -> usize {
    let mut world = World::new(ONE, policy);
    let client = world.accept();
    (0..400).for_each(|_| world.clients[client].get(len, "a"));
    world.clients[client].window = 0;
    let mut taken = 0;
    for _ in 0..400 {
        world.client_sends(client, usize::MAX);
        for link in world.links() {
            world.connects(link);
            taken += world.node_sends(link, usize::MAX);
        }
        world.end_turn();
        world.pass(100);
        let held = world.engine.session_output(world.clients[client].id).len();
        assert!(held <= taken);
    }
    world.finish();
    taken
}

#[test]
fn replies_that_a_client_does_not_read() {
    let policy = Policy {
        session_output_bytes: 100_000,
        stall_us_max: u64::MAX,
        stall_us_retire: u64::MAX,
        ..Policy::default()
    };
    for len in [1_000, 20_000, 60_000, 900_000] {
        let taken = taken_for_a_silent_client(len, policy);
        let most = policy.session_output_bytes + READ_BYTES_LARGE;
        assert!(taken <= most, "{taken} bytes of replies of {len} bytes");
    }
}

#[test]
fn replies_that_wait_for_an_earlier_one() {
    let policy = Policy {
        session_output_bytes: 100_000,
        session_parked_bytes: 500_000,
        stall_us_max: u64::MAX,
        stall_us_retire: u64::MAX,
        ..Policy::default()
    };
    for len in [20_000, 900_000] {
        let mut world = World::new(BOTH, policy);
        let client = world.accept();
        world.clients[client].get(3, &tag(Owner::First, 0));
        (0..200).for_each(|_| world.clients[client].get(len, &tag(Owner::Second, 0)));
        for link in world.links() {
            world.connects(link);
        }
        let second = world.links()[1];
        let mut taken = 0;
        for _ in 0..600 {
            world.client_sends(client, usize::MAX);
            taken += world.node_sends(second, usize::MAX);
            world.end_turn();
            world.pass(100);
        }
        let most = policy.session_parked_bytes + READ_BYTES_LARGE;
        assert!(taken <= most, "{taken} bytes of replies of {len} bytes");
        world.finish();
    }
}

#[test]
fn requests_that_a_node_does_not_take() {
    let policy = Policy { backend_output_bytes: 100_000, ..Policy::default() };
    let mut world = World::new(ONE, policy);
    for _ in 0..4 {
        let client = world.accept();
        (0..100).for_each(|_| world.clients[client].set(10_000, "a"));
    }
    world.node_window = 0;
    let mut taken = 0;
    for _ in 0..100 {
        for client in 0..4 {
            taken += world.client_sends(client, usize::MAX);
        }
        world.flow_nodes();
        world.pass(100);
    }
    // What every session may have read of the next requests comes on top.
    assert!(taken <= policy.backend_output_bytes + 4 * 2 * READ_BYTES, "{taken} bytes were read");
    world.finish();
}
