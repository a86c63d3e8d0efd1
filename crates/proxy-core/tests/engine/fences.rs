//! A primary whose time runs out: no reply of its reaches a client after that, wherever the process was stopped.

use proptest::prelude::*;
use proxy_core::engine::Policy;

use crate::views::{BOTH, NODES, ONE, Owner, tag};
use crate::world::World;

/// When the time runs out in the cases below.
const UNTIL_US: u64 = 1_500_000;
/// A process is stopped for so long: until long after.
const STOPPED_US: u64 = 1_000_000;

/// A world whose first node is connected, with a client whose replies are kept as they come.
fn limited(view: &str) -> (World, usize) {
    let mut world = World::new(view, Policy::default());
    world.flow_nodes();
    world.limit(UNTIL_US);
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    (world, client)
}

fn said(world: &World, client: usize) -> String {
    String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned()
}

/// Sends the client's requests to the nodes, in a turn of their own.
fn send(world: &mut World, client: usize, requests: &[u8]) {
    world.clients[client].outgoing.extend_from_slice(requests);
    while world.client_sends(client, usize::MAX) > 0 {}
    world.end_turn();
    world.pass(1_000);
}

/// Lets the proxy read what the nodes have answered.
fn read_replies(world: &mut World) {
    for link in world.links() {
        while world.node_sends(link, usize::MAX) > 0 {}
    }
}

/// The same with two clients, whose replies the proxy has read and not written.
fn answered_both() -> (World, [usize; 2]) {
    let (mut world, first) = limited(ONE);
    let second = world.accept();
    world.clients[second].log = Some(Vec::new());
    send(&mut world, first, b"incr a\r\n");
    send(&mut world, second, b"incr a\r\n");
    read_replies(&mut world);
    (world, [first, second])
}

#[test]
fn in_time_nothing_is_different() {
    let (mut world, client) = limited(ONE);
    assert!(world.engine.must_look_before_delivery());
    assert_eq!(world.says(client, b"incr a\r\nincr a\r\n"), ":1\r\n:2\r\n");
    assert!(!world.clients[client].closed);
    world.limit(u64::MAX);
    assert!(!world.engine.must_look_before_delivery(), "nobody needs to read a clock");
}

#[test]
fn stopped_with_the_reply_in_the_socket() {
    let (mut world, client) = limited(ONE);
    send(&mut world, client, b"incr a\r\n");
    world.pass(STOPPED_US);
    read_replies(&mut world);
    world.end_turn();
    let error = format!("-ERR backend {} failed: another node may be the primary", NODES[0]);
    assert!(said(&world, client).starts_with(&error), "{}", said(&world, client));
    assert!(!world.clients[client].closed);
    assert!(world.says(client, b"get a\r\n").contains("-CLUSTERDOWN This proxy has lost touch"));
}

#[test]
fn stopped_between_reading_the_reply_and_writing_it() {
    let (mut world, clients) = answered_both();
    world.stopped_us = STOPPED_US;
    world.end_turn();
    for client in clients {
        assert_eq!(said(&world, client), "");
        assert!(
            world.clients[client].closed,
            "what it was about to be told is not known to be true any more"
        );
    }
}

#[test]
fn stopped_between_two_clients() {
    let (mut world, clients) = answered_both();
    world.stopped_us = (UNTIL_US - world.now.us) * 2 / 3;
    world.end_turn();
    let told = clients.map(|client| said(&world, client));
    assert!(told == [":1\r\n", ""] || told == ["", ":2\r\n"] || told == [":2\r\n", ""], "{told:?}");
}

#[test]
fn a_client_that_takes_its_reply_late() {
    let (mut world, client) = limited(ONE);
    world.clients[client].window = 2;
    send(&mut world, client, b"incr a\r\n");
    read_replies(&mut world);
    world.end_turn();
    assert_eq!(said(&world, client), ":1");
    world.pass(STOPPED_US);
    world.client_takes(client, usize::MAX);
    world.end_turn();
    assert_eq!(said(&world, client), ":1");
    assert!(world.clients[client].closed);
}

#[test]
fn a_reply_that_waits_for_another() {
    let (mut world, client) = limited(BOTH);
    let [slow, fast] = [tag(Owner::Second, 0), tag(Owner::First, 0)];
    send(&mut world, client, format!("incr {slow}\r\nincr {fast}\r\n").as_bytes());
    for link in world.links() {
        if world.is_link_to(link, NODES[0]) {
            while world.node_sends(link, usize::MAX) > 0 {}
        }
    }
    world.end_turn();
    world.pass(STOPPED_US);
    read_replies(&mut world);
    world.end_turn();
    assert_eq!(said(&world, client), "");
    assert!(world.clients[client].closed);
}

#[test]
fn the_other_node_goes_on() {
    let (mut world, client) = limited(BOTH);
    world.pass(STOPPED_US);
    let [here, there] = [tag(Owner::First, 0), tag(Owner::Second, 0)];
    let told = world.says(client, format!("incr {here}\r\nincr {there}\r\n").as_bytes());
    assert!(
        told.starts_with("-CLUSTERDOWN This proxy has lost touch") && told.ends_with("\r\n:1\r\n"),
        "{told}"
    );
}

#[test]
fn a_view_without_a_lease_serves_nothing_in_the_turn_in_which_it_comes() {
    let mut world = World::new(ONE, Policy::default());
    world.flow_nodes();
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    // As a message of the control thread that is taken before the sessions are read.
    world.limit(1);
    send(&mut world, client, b"incr a\r\n");
    read_replies(&mut world);
    world.end_turn();
    assert!(
        said(&world, client).starts_with("-CLUSTERDOWN This proxy has lost touch"),
        "{}",
        said(&world, client)
    );
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Asks(usize, Owner),
    Takes(usize, usize),
    NodesMove,
    Passes(u64),
    TurnEnds { stopped_us: u64 },
    Renewed(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let owner = prop_oneof![Just(Owner::First), Just(Owner::Second)];
    prop_oneof![
        4 => (0usize..3, owner).prop_map(|(client, owner)| Step::Asks(client, owner)),
        1 => (0usize..3, 0usize..8).prop_map(|(client, bytes)| Step::Takes(client, bytes)),
        4 => Just(Step::NodesMove),
        2 => (1u64..60_000).prop_map(Step::Passes),
        4 => prop_oneof![3 => Just(0u64), 1 => 1u64..60_000].prop_map(|stopped_us| Step::TurnEnds { stopped_us }),
        1 => (0u64..100_000).prop_map(Step::Renewed),
    ]
}

proptest! {
    /// Whatever is stopped wherever: a reply of the first node, which are the only integers, reaches no client after
    /// the time until which the node may be used.
    #[test]
    fn no_reply_after_the_time(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new(BOTH, Policy::default());
        world.flow_nodes();
        let mut until_us = world.now.us + 50_000;
        world.limit(until_us);
        let clients: Vec<usize> = (0..3).map(|_| world.accept()).collect();
        for &client in &clients {
            world.clients[client].log = Some(Vec::new());
            world.clients[client].window = 12;
        }
        let [first, second] = [tag(Owner::First, 0), tag(Owner::Second, 0)];
        for step in steps {
            match step {
                Step::Asks(client, owner) => {
                    let request = match owner {
                        Owner::First => format!("incr {first}\r\n"),
                        _ => format!("get nothing{{{second}}}\r\n"),
                    };
                    world.clients[client].outgoing.extend_from_slice(request.as_bytes());
                    world.client_sends(client, usize::MAX);
                }
                Step::Takes(client, bytes) => world.client_takes(client, bytes),
                Step::NodesMove => {
                    for link in world.links() {
                        world.connects(link);
                        world.node_takes(link);
                        world.node_sends(link, usize::MAX);
                    }
                }
                Step::Passes(us) => world.pass(us),
                Step::TurnEnds { stopped_us } => {
                    world.stopped_us = stopped_us;
                    world.end_turn();
                    world.stopped_us = 0;
                }
                // A coordinator grants nothing to a proxy whose time is over before it has a new view; here it does.
                Step::Renewed(more_us) => {
                    until_us = until_us.max(world.now.us) + more_us;
                    world.extend(until_us);
                }
            }
        }
        for client in clients {
            let told = said(&world, client).into_bytes();
            let pieces = world.deliveries.iter().filter(|(to, ..)| *to == client);
            let late: Vec<bool> = pieces.flat_map(|&(_, len, late)| std::iter::repeat_n(late, len)).collect();
            let mut place = 0;
            while let Ok(Some(len)) = resp::reply_length(&told[place..]) {
                let is_late = late[place..place + len].iter().any(|late| *late);
                prop_assert!(!(is_late && told[place] == b':'), "{}", told.escape_ascii());
                place += len;
            }
            // Half a reply is no OK, but none of it may come late either.
            let is_late = late[place..].iter().any(|late| *late);
            prop_assert!(!(is_late && told[place] == b':'), "{}", told.escape_ascii());
        }
    }
}
