//! A session's requests are executed in their order, whichever way each of them goes.

use proxy_core::engine::Policy;

use crate::client::Allowed;
use crate::views::{BOTH, FIRST_ONLY, NODES, Owner, PEER, tag};
use crate::world::World;

/// A proxy that forwards to others.
fn forwarding(view: &str) -> World {
    World::with_settings(Some(view), Policy::default(), |settings| settings.active_redirection = true)
}

/// Has the client send, and everything but replies move.
fn send(world: &mut World, client: usize) {
    world.client_sends(client, usize::MAX);
    world.end_turn();
    for link in world.links() {
        world.connects(link);
    }
    world.end_turn();
}

#[test]
fn what_was_forwarded_is_answered_before_the_slot_is_served_here() {
    let mut world = forwarding(FIRST_ONLY);
    let key = format!("k{{{}}}", tag(Owner::Second, 0));
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    let set = |value: &str| format!("set {key} {value}\r\n").into_bytes();
    world.clients[client].outgoing = set("1");
    send(&mut world, client);
    let link = world.links().into_iter().find(|&link| world.is_link_to(link, PEER)).unwrap();
    assert!(world.node_sends(link, usize::MAX) > 0, "the answer to the greeting");
    world.end_turn();
    assert_eq!(world.node(PEER).executed, 1);
    // The other proxy holds it; in the meantime the slot comes here.
    world.update(Some(BOTH));
    world.clients[client].outgoing.extend(set("2"));
    send(&mut world, client);
    send(&mut world, client);
    assert_eq!(world.node(NODES[1]).executed, 0, "the first is not answered yet");
    world.flow_nodes();
    send(&mut world, client);
    assert_eq!(world.node(NODES[1]).executed, 1);
}

#[test]
fn a_new_way_waits_for_what_an_old_one_owes() {
    let mut world = World::new(BOTH, Policy::default());
    world.allowed = Allowed { moves: true, ..Allowed::default() };
    let client = world.accept();
    world.clients[client].incr(&tag(Owner::Second, 0));
    send(&mut world, client);
    let old = world.links().into_iter().find(|&link| world.is_link_to(link, NODES[1])).unwrap();
    // The node leaves the view and comes back: its connection is another one from then on.
    world.update(Some(FIRST_ONLY));
    world.update(Some(BOTH));
    world.clients[client].incr(&tag(Owner::Second, 0));
    send(&mut world, client);
    send(&mut world, client);
    assert_eq!(world.node(NODES[1]).executed, 1, "the first is not answered yet");
    while world.node_sends(old, usize::MAX) > 0 {}
    send(&mut world, client);
    assert_eq!(world.node(NODES[1]).executed, 2);
    world.finish();
    assert_eq!(world.clients[client].excused, 0);
}

#[test]
fn a_view_in_which_nothing_moves_holds_up_nobody() {
    let mut world = World::new(BOTH, Policy::default());
    let client = world.accept();
    for _ in 0..10 {
        world.clients[client].incr(&tag(Owner::Second, 0));
        send(&mut world, client);
        world.update(Some(BOTH));
    }
    assert_eq!(world.node(NODES[1]).executed, 10);
    world.finish();
}

#[test]
fn a_session_that_waits_for_room_still_meets_the_barrier() {
    let policy = Policy { outstanding_max: 4, ..Policy::default() };
    let mut world = World::new(BOTH, policy);
    world.allowed = Allowed { moves: true, ..Allowed::default() };
    let client = world.accept();
    let (first, second) = (tag(Owner::First, 0), tag(Owner::Second, 0));
    world.clients[client].incr(&second);
    (0..3).for_each(|_| world.clients[client].incr(&first));
    send(&mut world, client);
    world.update(Some(FIRST_ONLY));
    world.update(Some(BOTH));
    world.clients[client].incr(&second);
    send(&mut world, client);
    world.finish();
    assert_eq!((world.clients[client].excused, world.node(NODES[1]).executed), (0, 2));
}

#[test]
fn one_connection_less_or_more_changes_no_order() {
    for (before, after) in [(1, 3), (3, 1)] {
        let policy = Policy { connections_per_node: before, ..Policy::default() };
        let mut world = World::new(BOTH, policy);
        let clients: Vec<usize> = (0..4).map(|_| world.accept()).collect();
        for &client in &clients {
            world.clients[client].incr(&tag(Owner::First, 0));
            send(&mut world, client);
        }
        world.settings.backend_conn_num = after;
        world.update(Some(BOTH));
        for &client in &clients {
            world.clients[client].incr(&tag(Owner::First, 0));
            send(&mut world, client);
        }
        assert_eq!(world.node(NODES[0]).executed, 4, "the first of each is not answered yet");
        world.finish();
        assert_eq!(world.node(NODES[0]).executed, 8);
    }
}
