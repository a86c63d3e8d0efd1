//! Carries out the steps of a random run.

use model::Address;
use proptest::sample::Index;
use proxy_core::engine::Pause;

use super::{Ask, LOST, Step, prepare};
use crate::views::{BOTH, FIRST_ONLY, NODES, ONE, PEER, SWAPPED, THIRD, THREE};
use crate::world::World;

fn address_of(index: &Index) -> Address {
    [NODES[0], NODES[1], THIRD, PEER][index.index(4)].parse().unwrap()
}

fn view_of(index: &Index) -> &'static str {
    const VIEWS: [&str; 6] = [BOTH, SWAPPED, FIRST_ONLY, THREE, ONE, BOTH];
    VIEWS[index.index(VIEWS.len())]
}

/// Carries out one step of a run.
pub(super) fn take(world: &mut World, step: &Step) {
    let client = |world: &World, index: &Index| index.index(world.clients.len());
    match step {
        Step::ClientSends(index, bytes) => {
            world.client_sends(client(world, index), *bytes);
        }
        Step::ClientSendsAll(index) => {
            let client = client(world, index);
            while world.client_sends(client, usize::MAX) > 0 {}
        }
        Step::ClientTakes(index, bytes) => world.client_takes(client(world, index), *bytes),
        Step::ClientEnds(index) => world.client_ends(client(world, index)),
        Step::ClientBreaks(index) => {
            let broken = client(world, index);
            world.clients[broken].is_broken = true;
            world.client_breaks(broken);
            // Another client takes the place, while replies to the first are still on their way.
            let next = world.accept();
            let asks = [Ask::Get { tag: 0, len: 7 }, Ask::Count { tag: 1 }, Ask::Get { tag: 1, len: 40_000 }];
            prepare(&mut world.clients[next], &asks);
        }
        Step::ClientIsKilled(index) => {
            let clients = world.clients.len();
            let killed = &mut world.clients[index.index(clients)];
            killed.is_broken = true;
            let id = killed.name as u64 + 1;
            world.engine.kill_sessions(None, |profile| profile.id == id);
        }
        Step::NodeWindow(bytes) => world.node_window = *bytes,
        Step::NodeSendsAll => {
            for link in world.links() {
                while world.node_sends(link, usize::MAX) > 0 {}
            }
        }
        Step::Turn(us) => {
            world.end_turn();
            world.pass(*us);
        }
        Step::Control => world.answer_asks(),
        Step::NodeSends(index, _) | Step::Connects(index) | Step::NodeTakes(index) | Step::Fails(index) => {
            let links = world.links();
            let Some(&link) = links.get(index.index(count(links.len()))) else { return };
            match step {
                Step::NodeSends(_, bytes) => {
                    world.node_sends(link, *bytes);
                }
                Step::Connects(_) => world.connects(link),
                Step::NodeTakes(_) => world.node_takes(link),
                _ => world.fails(link),
            }
        }
        _ => disturb(world, step),
    }
}

fn count(items: usize) -> usize {
    items.max(1)
}

fn disturb(world: &mut World, step: &Step) {
    match step {
        Step::Dies(index) => world.dies(&address_of(index)),
        Step::Lives(index) => world.nodes.get_mut(&address_of(index)).unwrap().is_dead = false,
        Step::Stops(index) => world.nodes.get_mut(&address_of(index)).unwrap().is_stopped = true,
        Step::GoesOn(index, closed_first) => world.goes_on(&address_of(index), *closed_first),
        Step::View(index) => world.update(Some(view_of(index))),
        Step::NoView => world.update(None),
        Step::Holds(index, us) => {
            let view = [LOST, BOTH, FIRST_ONLY][index.index(3)];
            world.update_holding(view, *us);
        }
        Step::Connections(connections) => {
            world.settings.backend_conn_num = *connections;
            world.share();
        }
        Step::Pauses(us, writes_only) => {
            let until_us = world.now.us + us;
            world.engine.pause(Some(Pause { until_us, writes_only: *writes_only }));
        }
        Step::Limit(us) => world.limit(world.now.us.saturating_add(*us)),
        _ => unreachable!("it is no disturbance: {step:?}"),
    }
}
