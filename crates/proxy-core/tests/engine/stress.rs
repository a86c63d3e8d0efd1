//! Limits and failures that meet: none of them may stop the proxy or cost another session anything.

use proxy_core::engine::Policy;

use crate::client::Allowed;
use crate::views::{NODES, Owner, THIRD, THREE, tag};
use crate::world::World;

#[test]
fn a_node_dies_while_very_much_waits_for_another() {
    let mut world = World::new(THREE, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    let (silent, talks, dies) = (tag(Owner::First, 0), tag(Owner::Second, 0), tag(Owner::Other, 0));
    world.clients[client].get(3, &silent);
    (0..45).for_each(|_| world.clients[client].get(900_000, &talks));
    world.clients[client].get(3, &dies);
    let link_to = |world: &World, node: &str| {
        world.links().into_iter().find(|&link| world.is_link_to(link, node)).unwrap()
    };
    for _ in 0..100 {
        world.client_sends(client, usize::MAX);
        for link in world.links() {
            world.connects(link);
        }
        let talking = link_to(&world, NODES[1]);
        while world.node_sends(talking, usize::MAX) > 0 {}
        world.end_turn();
        world.pass(1_000);
    }
    assert!(world.memory.held_bytes() > 40 * 900_000, "{}", world.memory.held_bytes());
    let dead = link_to(&world, THIRD);
    world.fails(dead);
    world.end_turn();
    world.finish();
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (47, 1));
}
