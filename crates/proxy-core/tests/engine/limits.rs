//! What a session or a node that does not read can make the proxy hold, and that nobody else feels it.

use proxy_core::engine::buffers::{READ_BYTES, READ_BYTES_LARGE};
use proxy_core::engine::{Policy, QUESTIONS_PENDING_MAX};
use proxy_core::errors::GATHERED_TOO_LARGE;

use crate::client::Allowed;
use crate::views::{BOTH, NODES, ONE, Owner, tag};
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
        let executed = world.node(NODES[0]).executed;
        assert_eq!(executed, max as usize, "before any reply was read");
        world.finish();
    }
}

/// A budget of so many bytes for all sessions.
fn with_memory(view: &str, memory_max_bytes: u64) -> World {
    World::with_settings(Some(view), Policy::default(), |settings| {
        settings.memory_max_bytes = memory_max_bytes;
    })
}

/// Lets clients send and nodes answer for so many turns.
fn turns(world: &mut World, turns: usize) {
    for _ in 0..turns {
        for client in 0..world.clients.len() {
            world.client_sends(client, usize::MAX);
        }
        world.flow_nodes();
        world.pass(100);
    }
}

#[test]
fn a_pipeline_that_is_sent_whole_before_it_is_read() {
    for len in [100, 20_000, 900_000] {
        let mut world = with_memory(ONE, 1 << 30);
        let client = world.accept();
        (0..400).for_each(|_| world.clients[client].get(len, "a"));
        world.clients[client].window = 0;
        turns(&mut world, 2_000);
        assert_eq!(world.clients[client].sent, world.clients[client].outgoing.len(), "all of it is taken");
        let held = world.engine.session_output(world.clients[client].id).len();
        assert!(held >= 400 * len, "{held} bytes wait for the client");
        world.finish();
        assert!(world.dropped.is_empty());
    }
}

#[test]
fn a_client_that_reads_slowly_holds_up_nobody() {
    let mut world = with_memory(ONE, 1 << 30);
    let (silent, other) = (world.accept(), world.accept());
    world.clients[silent].window = 0;
    (0..20).for_each(|_| world.clients[silent].get(900_000, "a"));
    turns(&mut world, 400);
    for _ in 0..100 {
        world.clients[other].incr("b");
        turns(&mut world, 2);
        assert!(world.clients[other].has_everything(), "the reply comes in the turn after the request");
    }
    assert_eq!(world.links().len(), 1, "over the connection that all share");
    world.finish();
}

#[test]
fn a_large_value_is_left_to_its_node_while_nobody_else_waits() {
    let mut world = with_memory(ONE, 1 << 30);
    let (slow, other) = (world.accept(), world.accept());
    world.clients[slow].window = 100_000;
    world.clients[slow].get(50_000_000, "a");
    world.connects(0);
    world.client_sends(slow, usize::MAX);
    for _ in 0..400 {
        world.end_turn();
        world.node_sends(0, READ_BYTES_LARGE);
        world.pass(100);
    }
    let held = |world: &World| world.engine.session_output(world.clients[slow].id).len();
    assert!(held(&world) < 2_000_000, "{} bytes are held", held(&world));
    // Somebody asks over the same connection.
    world.clients[other].incr("b");
    turns(&mut world, 3);
    assert!(world.clients[other].has_everything());
    assert!(held(&world) > 45_000_000, "{} bytes are held", held(&world));
    world.finish();
}

#[test]
fn when_memory_is_short_the_session_that_holds_most_is_closed() {
    let mut world = with_memory(ONE, 3_000_000);
    let clients: Vec<usize> = (0..4).map(|_| world.accept()).collect();
    let (most, some, reads) = (clients[0], clients[1], clients[2]);
    world.clients[most].window = 0;
    world.clients[some].window = 0;
    (0..3).for_each(|_| world.clients[some].get(200_000, "a"));
    (0..30).for_each(|_| world.clients[most].get(200_000, "a"));
    (0..30).for_each(|_| world.clients[reads].get(200_000, "a"));
    turns(&mut world, 400);
    assert!(world.clients[most].closed);
    assert_eq!([some, reads, clients[3]].map(|client| world.clients[client].closed), [false; 3]);
    let dropped: Vec<u64> = world.dropped.iter().map(|dropped| dropped.profile.id).collect();
    assert_eq!(dropped, [most as u64 + 1]);
    assert!(world.dropped[0].held_bytes > 1_000_000, "{:?}", world.dropped);
    world.finish();
    assert!(world.memory.held_bytes() < 3_000_000);
}

#[test]
fn replies_that_wait_for_an_earlier_one_are_counted() {
    for len in [20_000, 900_000] {
        let mut world = with_memory(BOTH, 4_000_000);
        let client = world.accept();
        world.node(NODES[0]).silent = true;
        world.clients[client].incr(&tag(Owner::First, 0));
        (0..400).for_each(|_| world.clients[client].get(len, &tag(Owner::Second, 0)));
        turns(&mut world, 600);
        assert!(world.clients[client].closed, "of {len} bytes each");
        assert!(world.memory.held_bytes() <= 4_000_000);
    }
}

#[test]
fn parts_of_gathered_replies_and_answers_of_the_proxy_are_counted() {
    let mut world = with_memory(BOTH, 200_000);
    let client = world.accept();
    world.clients[client].window = 0;
    let word = vec![b'w'; 10_000];
    for _ in 0..100 {
        let mut reply = Vec::new();
        resp::encode::bulk(&mut reply, &word);
        world.clients[client].ask(&[b"ECHO", &word], reply, false);
    }
    turns(&mut world, 100);
    assert!(world.clients[client].closed);
    assert_eq!(world.dropped.len(), 1);
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

#[test]
fn questions_that_a_session_puts_to_the_control_side() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    let question: [&[u8]; 2] = [b"CLIENT", b"LIST"];
    (0..100).for_each(|_| world.clients[client].ask(&question, b"$1\r\nx\r\n".to_vec(), false));
    let mut asked = 0;
    while !world.clients[client].has_everything() {
        world.client_sends(client, usize::MAX);
        world.end_turn();
        let asks = std::mem::take(&mut world.asks);
        assert!(
            (1..=QUESTIONS_PENDING_MAX as usize).contains(&asks.len()),
            "{} are asked at a time",
            asks.len()
        );
        asked += asks.len();
        asks.iter().for_each(|ask| world.engine.control_replied(ask.place, b"$1\r\nx\r\n"));
        world.end_turn();
    }
    assert_eq!(asked, 100);
    world.finish();
}

#[test]
fn costly_answers_leave_others_their_turn() {
    let mut world = World::new(ONE, Policy::default());
    let (greedy, other) = (world.accept(), world.accept());
    world.clients[greedy].log = Some(Vec::new());
    world.clients[greedy].outgoing = b"CONFIG GET *\r\n".repeat(20_000);
    let mut turns = 0;
    while world.clients[greedy].sent < world.clients[greedy].outgoing.len() {
        world.client_sends(greedy, usize::MAX);
        let answered = world.clients[greedy].log.as_ref().unwrap().len();
        world.end_turn();
        let more = world.clients[greedy].log.as_ref().unwrap().len() - answered;
        assert!(more < 200_000, "{more} bytes of answers in one turn");
        let input = world.engine.session_sketches().map(|session| session.input_bytes).max();
        assert!(input.unwrap() <= 2 * READ_BYTES, "{input:?} bytes wait to be understood");
        world.pass(100);
        turns += 1;
        assert!(turns < 5_000, "it stands still");
    }
    assert!(turns > 20);
    assert_eq!(world.says(other, b"PING\r\n"), "+PONG\r\n");
}

/// One client asks all nodes for something long, and another holds something, too.
fn with_a_long_gathered_reply() -> (World, usize, usize) {
    const PART_BYTES: usize = 4_000_000;
    let mut world = with_memory(BOTH, 3_000_000);
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let (asks, holds) = (world.accept(), world.accept());
    world.clients[holds].window = 0;
    (0..5).for_each(|_| world.clients[holds].get(200_000, &tag(Owner::First, 0)));
    turns(&mut world, 200);
    NODES[..2].iter().for_each(|address| world.node(address).silent = true);
    world.clients[asks].log = Some(Vec::new());
    world.clients[asks].outgoing.extend_from_slice(b"keys *\r\nping\r\n");
    turns(&mut world, 3);
    NODES[..2].iter().for_each(|address| world.node(address).silent = false);
    let part = [format!("*1\r\n${PART_BYTES}\r\n").as_bytes(), &vec![b'k'; PART_BYTES], b"\r\n"].concat();
    for link in world.links() {
        world.node_says(link, &part);
        for _ in 0..3_000_000 / READ_BYTES {
            world.node_sends(link, READ_BYTES);
            world.end_turn();
            assert!(world.memory.held_bytes() <= 3_000_000, "{} bytes are held", world.memory.held_bytes());
        }
    }
    (world, asks, holds)
}

/// What is read of a client that asked for too much.
fn seen(world: &World, client: usize) -> String {
    String::from_utf8(world.clients[client].log.clone().unwrap()).unwrap()
}

#[test]
fn a_gathered_reply_that_is_too_large_costs_nobody_else() {
    let (mut world, asks, holds) = with_a_long_gathered_reply();
    assert_eq!(seen(&world, asks), "", "the rest is still to come");
    for _ in 0..4 {
        turns(&mut world, 300);
    }
    assert_eq!(seen(&world, asks), format!("-{GATHERED_TOO_LARGE}\r\n+PONG\r\n"));
    assert!(world.dropped.is_empty() && !world.clients[asks].closed && !world.clients[holds].closed);
    world.clients[asks].log = None;
    world.clients[holds].window = usize::MAX;
    let again = format!("get {}\r\n", tag(Owner::First, 0));
    assert_eq!(world.says(asks, again.as_bytes()), "$-1\r\n", "over the same connections");
    world.clients[asks].log = None;
    assert_eq!(world.clients[holds].replies, 5);
    assert_eq!(world.links().len(), 2);
}

#[test]
fn a_node_that_fails_while_a_refused_reply_comes_closes_nobody() {
    let (mut world, asks, holds) = with_a_long_gathered_reply();
    world.links().into_iter().for_each(|link| world.fails(link));
    turns(&mut world, 3);
    assert_eq!(seen(&world, asks), format!("-{GATHERED_TOO_LARGE}\r\n+PONG\r\n"));
    assert!(!world.clients[asks].closed && !world.clients[holds].closed);
}

/// The proxy has nothing more of a reply for a client that has left.
#[test]
fn a_part_for_a_client_that_left_is_kept_nowhere() {
    let mut world = with_memory(BOTH, 1 << 30);
    let asks = world.accept();
    world.says(asks, b"ping\r\n");
    NODES[..2].iter().for_each(|address| world.node(address).silent = true);
    world.clients[asks].outgoing.extend_from_slice(b"keys *\r\n");
    turns(&mut world, 3);
    world.client_breaks(asks);
    let part = [b"*1\r\n$4000000\r\n".as_slice(), &vec![b'k'; 3_000_000]].concat();
    for link in world.links() {
        world.node_says(link, &part);
    }
    turns(&mut world, 400);
    assert!(world.memory.held_bytes() < 1_000_000, "{} bytes are held", world.memory.held_bytes());
}
