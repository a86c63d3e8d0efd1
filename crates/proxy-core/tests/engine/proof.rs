//! Nodes that fail, and what a connection to one has to show before requests are put on it again.

use proxy_core::engine::Policy;

use crate::client::Allowed;
use crate::views::{FIRST_ONLY, NODES, ONE, Owner, PEER, tag};
use crate::world::World;

const TURN_US: u64 = 1_000;

fn unreachable() -> String {
    format!("-CLUSTERDOWN backend {} is not reachable; the command was not executed\r\n", NODES[0])
}

/// Lets time pass, with the kernel of the node's machine taking connections all the while.
fn wait(world: &mut World, us: u64) {
    for _ in 0..us.div_ceil(TURN_US) {
        world.flow();
        world.pass(TURN_US);
    }
    world.flow();
}

/// What a client sees of what it asks, without any time passing.
fn at_once(world: &mut World, client: usize, request: &[u8]) -> String {
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing.extend_from_slice(request);
    world.client_sends(client, usize::MAX);
    world.end_turn();
    String::from_utf8(world.clients[client].log.clone().unwrap()).unwrap()
}

/// A node that has answered, was stopped, and let one request wait for the whole time-out.
fn stopped() -> (World, usize) {
    let mut world = World::new(ONE, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    world.clients[client].incr("a");
    wait(&mut world, 10_000);
    assert_eq!(world.clients[client].replies, 1);
    world.node(NODES[0]).silent = true;
    world.clients[client].incr("a");
    wait(&mut world, 3_100_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (2, 1));
    (world, client)
}

#[test]
fn a_stopped_node_lets_only_the_first_request_wait() {
    let (mut world, client) = stopped();
    let executed = world.node(NODES[0]).executed;
    for _ in 0..40 {
        assert_eq!(at_once(&mut world, client, b"get a\r\n"), unreachable());
        wait(&mut world, 250_000);
    }
    assert_eq!(world.node(NODES[0]).executed, executed, "nothing is executed later");
    world.node(NODES[0]).silent = false;
    wait(&mut world, 4_100_000);
    world.clients[client].log = Some(Vec::new());
    assert_eq!(world.says(client, b"get v:1:a\r\n").split("\r\n").next(), Some("$1"));
}

#[test]
fn no_connection_to_a_stopped_node_lets_requests_wait() {
    let (mut world, _) = stopped();
    let executed = world.node(NODES[0]).executed;
    let large = [b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$300000\r\n".as_slice(), &[b'x'; 1_000]].concat();
    for request in [&b"select 3\r\nget a\r\n"[..], b"hello 3\r\nget a\r\n", &large] {
        let client = world.accept();
        let seen = at_once(&mut world, client, request);
        assert!(seen.ends_with(&unreachable()), "{seen}");
    }
    assert_eq!(world.node(NODES[0]).executed, executed);
}

#[test]
fn an_idle_connection_goes_with_the_one_that_timed_out() {
    let mut world = World::new(ONE, Policy::default());
    let (first, second) = (world.accept(), world.accept());
    world.clients[second].log = Some(Vec::new());
    world.says(second, b"select 3\r\nget v:1:a\r\n");
    world.node(NODES[0]).silent = true;
    world.clients[first].log = Some(Vec::new());
    world.clients[first].outgoing = b"get a\r\n".to_vec();
    wait(&mut world, 3_100_000);
    assert_eq!(at_once(&mut world, second, b"get v:1:a\r\n"), unreachable());
}

#[test]
fn a_node_that_never_failed_is_asked_nothing_first() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing = b"get v:1:a\r\n".to_vec();
    world.client_sends(client, usize::MAX);
    world.end_turn();
    world.connects(0);
    world.end_turn();
    assert_eq!(world.node(NODES[0]).executed, 1, "the request goes with the first write");
    world.node_sends(0, usize::MAX);
    world.end_turn();
    assert!(world.clients[client].log.as_ref().unwrap().starts_with(b"$1\r\n"));
}

#[test]
fn a_connection_that_the_node_closes_while_it_owes_nothing_is_no_failure() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.says(client, b"get v:1:a\r\n");
    wait(&mut world, 2_000_000);
    let link = world.links()[0];
    world.fails(link);
    let seen = world.says(client, b"get v:1:a\r\n");
    assert!(seen.starts_with("$1\r\n"), "{seen}");
}

#[test]
fn a_request_that_meets_the_end_of_an_idle_connection_takes_the_next() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    wait(&mut world, 2_000_000);
    // Both are read in one turn.
    world.clients[client].incr("a");
    world.client_sends(client, usize::MAX);
    let link = world.links()[0];
    world.fails(link);
    world.end_turn();
    world.finish();
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (1, 0));
}

#[test]
fn what_was_written_when_the_connection_ended_may_have_been_executed() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    wait(&mut world, 2_000_000);
    world.node(NODES[0]).silent = true;
    assert_eq!(at_once(&mut world, client, b"get a\r\n"), "");
    let link = world.links()[0];
    world.fails(link);
    world.end_turn();
    let seen = String::from_utf8(world.clients[client].log.clone().unwrap()).unwrap();
    assert!(seen.ends_with("the command may or may not have been executed\r\n"), "{seen}");
}

#[test]
fn a_busy_node_says_so_itself() {
    const BUSY: &str = "-BUSY Redis is busy running a script.\r\n";
    let mut world = World::new(ONE, Policy::default());
    world.flow();
    world.node(NODES[0]).refusal = Some(BUSY.as_bytes().to_vec());
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing = b"select 3\r\nget v:1:a\r\n".to_vec();
    wait(&mut world, 10_000);
    let seen = String::from_utf8(world.clients[client].log.clone().unwrap()).unwrap();
    assert_eq!(seen, format!("+OK\r\n{BUSY}"));
    // Nor is it asked by a new connection for each request.
    let before = world.connects;
    for _ in 0..100 {
        assert_eq!(at_once(&mut world, client, b"get a\r\n"), BUSY);
        wait(&mut world, 10_000);
    }
    assert!(world.connects - before <= 21, "{} connections in a second", world.connects - before);
    world.node(NODES[0]).refusal = None;
    wait(&mut world, 200_000);
    let seen = world.says(client, b"get v:1:a\r\n");
    assert!(seen.starts_with("$1\r\n"), "{seen}");
}

#[test]
fn a_node_that_is_known_to_live_is_waited_for() {
    let mut world = World::new(ONE, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    world.clients[client].incr("a");
    wait(&mut world, 10_000);
    world.node(NODES[0]).silent = true;
    world.clients[client].incr("a");
    // As long as its process is seen to work.
    for _ in 0..100 {
        world.lives.set(&NODES[0].parse().unwrap(), world.now.us + 500_000);
        wait(&mut world, 100_000);
        assert_eq!(world.clients[client].replies, 1);
    }
    wait(&mut world, 400_000);
    assert_eq!(world.clients[client].replies, 1);
    wait(&mut world, 300_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (2, 1));
}

#[test]
fn another_proxy_is_waited_for_as_long_as_it_answers() {
    const SECONDS: usize = 20;
    let mut world = World::with_settings(Some(FIRST_ONLY), Policy::default(), |settings| {
        settings.active_redirection = true;
    });
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let (client, peer) = (world.accept(), PEER.parse().unwrap());
    let key = tag(Owner::Other, 0);
    world.clients[client].incr(&key);
    wait(&mut world, 10_000);
    assert_eq!(world.clients[client].replies, 1);
    // Its node is busy: it answers nothing but greetings.
    world.node(PEER).is_busy = true;
    world.clients[client].incr(&key);
    let (connects, links) = (world.connects, world.links().len());
    for _ in 0..SECONDS * 10 {
        wait(&mut world, 100_000);
        assert_eq!(world.clients[client].replies, 1);
        assert!(world.links().len() <= links + 1, "one connection more, and it is closed again");
    }
    assert!(world.connects - connects <= SECONDS, "it was asked {} times", world.connects - connects);
    world.is_done(&peer);
    wait(&mut world, 10_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (2, 0));
    // It is stopped: then it answers no greeting either.
    world.node(PEER).is_busy = true;
    world.clients[client].incr(&key);
    wait(&mut world, 10_000_000);
    assert_eq!(world.clients[client].replies, 2);
    world.node(PEER).is_stopped = true;
    wait(&mut world, 4_600_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (3, 1));
}

#[test]
fn a_connection_to_another_proxy_that_stays_silent_is_given_up_though_others_are_answered() {
    let mut world = World::with_settings(Some(FIRST_ONLY), Policy::default(), |settings| {
        settings.active_redirection = true;
    });
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    let key = tag(Owner::Other, 0);
    world.clients[client].incr(&key);
    wait(&mut world, 10_000);
    world.node(PEER).is_busy = true;
    world.clients[client].incr(&key);
    wait(&mut world, 29_000_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (1, 0));
    wait(&mut world, 2_000_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (2, 1));
}
