//! The connections to other proxies: how many there are, for how long, and what they may make a proxy keep.

use proxy_core::engine::buffers::READ_BYTES_LARGE;
use proxy_core::engine::{Pause, Policy};
use proxy_core::errors::REPLY_TOO_LARGE;

use crate::client::Allowed;
use crate::views::{BOTH, NODES, ONE, Owner, PEER, tag};
use crate::world::World;

/// More than a proxy has to another in one worker.
const LINKS_MAX: usize = 65;

fn forwarding() -> World {
    World::with_settings(Some(BOTH), Policy::default(), |settings| {
        settings.active_redirection = true;
        settings.max_redirections = 64;
    })
}

fn links_to_the_other(world: &World) -> usize {
    world.links().into_iter().filter(|&link| world.is_link_to(link, PEER)).count()
}

#[test]
fn one_client_opens_a_limited_number_of_connections_to_another_proxy() {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let client = world.accept();
    let mut most = 0;
    for protocol in [2, 3] {
        for db in 0..4 {
            let mut requests = format!("hello {protocol}\r\nselect {db}\r\n");
            for hops in 1..80 {
                requests.push_str(&format!("umforward {hops} get {key}\r\n"));
            }
            world.says(client, requests.as_bytes());
            for _ in 0..500 {
                world.flow();
                world.pass(1_000);
                most = most.max(links_to_the_other(&world));
            }
            let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
            let answers = seen.matches("$-1\r\n").count() + seen.matches("_\r\n").count();
            assert!(answers >= 79, "{answers}: {seen}");
        }
    }
    assert!((LINKS_MAX - 1..=LINKS_MAX).contains(&most), "{most} connections");
    // What nobody uses is closed, and made again when somebody does.
    for _ in 0..70 {
        world.pass(1_000_000);
        world.flow();
    }
    assert_eq!(links_to_the_other(&world), 0);
    let seen = world.says(client, format!("hello 2\r\nget {key}\r\n").as_bytes());
    assert!(seen.ends_with("$-1\r\n"), "{seen}");
}

#[test]
fn the_first_requests_over_a_new_connection_name_their_sessions() {
    for requests in ["set KEY 1\r\nget KEY\r\n", "dbsize\r\nget KEY\r\n", "scan 0\r\nget KEY\r\n"] {
        let mut world = forwarding();
        world.node(PEER).labels = Some(Vec::new());
        let requests = requests.replace("KEY", &tag(Owner::Other, 0));
        let clients = [world.accept(), world.accept()];
        clients.into_iter().for_each(|client| drop(world.says(client, b"hello 3\r\n")));
        clients
            .into_iter()
            .for_each(|client| world.clients[client].outgoing.extend_from_slice(requests.as_bytes()));
        world.says(clients[0], b"");
        for client in clients {
            let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
            assert!(seen.ends_with("_\r\n") || seen.ends_with("$1\r\n1\r\n"), "{requests}: {seen}");
        }
        let labels = world.node(PEER).labels.take().unwrap();
        assert!(labels.len() >= 2, "{requests}: {labels:?}");
        assert!(labels.iter().all(|label| label.contains('/')), "{requests}: {labels:?}");
    }
}

/// A proxy whose client has asked for what the other proxy holds, and that client.
fn held_elsewhere(asks_again: bool) -> (World, usize) {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let client = world.accept();
    world.node(PEER).labels = Some(Vec::new());
    assert_eq!(world.says(client, format!("get {key}\r\n").as_bytes()), "$-1\r\n");
    world.node(PEER).holds = true;
    world.clients[client].outgoing.extend_from_slice(format!("set {key} 1\r\n").as_bytes());
    while world.client_sends(client, usize::MAX) > 0 {}
    world.end_turn();
    if asks_again {
        world.says(client, b"");
        assert_eq!(links_to_the_other(&world), 2);
    }
    (world, client)
}

#[test]
fn what_another_proxy_holds_ends_with_its_client() {
    type Leave = fn(&mut World, usize);
    let leaves: [Leave; 3] = [World::client_ends, World::client_breaks, |world, _| {
        assert_eq!(world.engine.kill_sessions(None, |_| true).closed, 1);
    }];
    for leave in leaves {
        let (mut world, client) = held_elsewhere(true);
        leave(&mut world, client);
        world.flow();
        let ended = world.links.iter().flatten().filter(|link| link.ended).count();
        assert_eq!(ended, 1, "the other proxy sees that nothing more is wanted");
        // As the other proxy does then.
        let own = world.links().into_iter().find(|&link| world.links[link].as_ref().unwrap().ended).unwrap();
        world.fails(own);
        (0..4).for_each(|_| world.flow());
        assert_eq!(world.engine.session_count(), 0);
        assert_eq!(links_to_the_other(&world), 1);
    }
}

#[test]
fn what_another_proxy_would_hold_is_not_asked_again_for_a_client_that_has_left() {
    let (mut world, client) = held_elsewhere(false);
    world.client_ends(client);
    (0..4).for_each(|_| world.flow());
    assert_eq!(links_to_the_other(&world), 1);
    let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
    assert!(seen.ends_with("the command was not executed\r\n"), "{seen}");
    assert!(world.clients[client].closed);
    assert_eq!(world.node(PEER).executed, 1, "what was asked before");
}

#[test]
fn who_waits_for_a_new_connection_that_is_never_made_is_told() {
    let mut world = forwarding();
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing = format!("get {}\r\n", tag(Owner::Other, 0)).into_bytes();
    while world.client_sends(client, usize::MAX) > 0 {}
    for _ in 0..320 {
        world.end_turn();
        world.pass(10_000);
    }
    let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
    let expected = format!("-CLUSTERDOWN backend {PEER} is not reachable; the command was not executed\r\n");
    assert_eq!(seen, expected);
}

/// What a client of a forwarding proxy was answered.
fn seen(world: &World, client: usize) -> String {
    String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned()
}

/// Asks for a key of another proxy, as a client of this one or of a third.
fn asks(world: &mut World, is_forwarded: bool) -> usize {
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    let hops = if is_forwarded { "umforward 1 " } else { "" };
    world.clients[client].outgoing = format!("{hops}get {}\r\n", tag(Owner::Other, 0)).into_bytes();
    while world.client_sends(client, usize::MAX) > 0 {}
    world.end_turn();
    client
}

#[test]
fn what_was_forwarded_waits_for_no_connection_to_be_closed() {
    let refusal = format!(
        "-CLUSTERDOWN proxy {PEER} is still closing connections that were given up; the command was not executed\r\n"
    );
    for hops in ["before", "after"] {
        let mut world = forwarding();
        let first = asks(&mut world, false);
        (0..4).for_each(|_| world.flow());
        assert_eq!(seen(&world, first), "$-1\r\n");
        world.node(PEER).is_stopped = true;
        let first = asks(&mut world, false);
        let known = world.links();
        let mut forwarded = (hops == "before").then(|| asks(&mut world, true));
        // The other hangs, and one of the connections to it is lost.
        let lost = known.into_iter().find(|&link| world.is_link_to(link, PEER)).unwrap();
        world.fails(lost);
        world.end_turn();
        assert!(seen(&world, first).starts_with("-ERR backend"), "{}", seen(&world, first));
        for link in world.links() {
            world.connects(link);
        }
        world.end_turn();
        let forwarded = *forwarded.get_or_insert_with(|| asks(&mut world, true));
        let answer = seen(&world, forwarded);
        match hops {
            "before" => assert!(answer.ends_with("the command was not executed\r\n"), "{answer}"),
            _ => assert_eq!(answer, refusal),
        }
        world.goes_on(&PEER.parse().unwrap(), false);
        for _ in 0..8 {
            world.flow();
            world.pass(50_000);
        }
        let again = asks(&mut world, true);
        (0..4).for_each(|_| world.flow());
        assert_eq!(seen(&world, again), "$-1\r\n");
    }
}

#[test]
fn a_request_travels_as_far_as_this_proxy_allows() {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let (seen, _) = world.dialogue(format!("umforward 0 get {key}\r\numforward 1 get {key}\r\n").as_bytes());
    assert_eq!(seen, format!("-{}\r\n$-1\r\n", proxy_core::errors::TOO_MANY_REDIRECTIONS));
}

#[test]
fn with_more_kinds_of_connections_than_there_may_be_the_idle_ones_make_room() {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let client = world.accept();
    for round in 0..3 {
        for db in 0..16 {
            for hops in 1..16 {
                let seen =
                    world.says(client, format!("select {db}\r\numforward {hops} get {key}\r\n").as_bytes());
                assert_eq!(seen, "+OK\r\n$-1\r\n", "round {round}, {db}, {hops}");
            }
        }
    }
}

#[test]
fn what_another_proxy_may_have_kept_is_small_and_counted() {
    let mut world = World::new(BOTH, Policy::default());
    let long = "x".repeat(65);
    let (seen, client) = world.dialogue(format!("umforward sessions {long}\r\n").as_bytes());
    assert!(seen.starts_with("-ERR"), "{seen}");
    assert_eq!(world.says(client, b"umforward sessions 0123456789abcdef\r\n"), "+OK\r\n");
    let held = |world: &World| {
        let id = world.clients[client].id;
        world.engine.session_sketches().find(|sketch| sketch.id == id).unwrap().held_bytes
    };
    let before = held(&world);
    let until_us = world.now.us + 60_000_000;
    world.engine.pause(Some(Pause { until_us, writes_only: false }));
    let requests: String = (0..2_000).map(|number| format!("umforward 1/{number} incr a\r\n")).collect();
    let seen = world.says(client, requests.as_bytes());
    assert_eq!(seen.matches("+UMHELD 0123456789abcdef\r\n").count(), 2_000);
    assert!(held(&world) >= before + 2_000 * size_of::<u64>(), "{} B, {before} B before", held(&world));
}

const MEMORY_MAX: u64 = 3_000_000;
/// What is held besides the budget: what was read in the last turn, and what sessions have sent.
const MEMORY_SLACK: u64 = 4 * READ_BYTES_LARGE as u64;
const LARGE_BYTES: usize = 12_000_000;

/// A proxy with little memory, and a connection of another proxy to it, which takes only so much.
fn with_a_peer(view: &str) -> (World, usize) {
    let mut world = World::with_settings(Some(view), Policy::default(), |settings| {
        settings.memory_max_bytes = MEMORY_MAX;
    });
    let peer = world.accept();
    assert_eq!(world.says(peer, b"umforward sessions 0123456789abcdef\r\n"), "+OK\r\n");
    world.clients[peer].log = None;
    world.clients[peer].window = 0;
    (world, peer)
}

/// A client of the other proxy asks for a value of so many bytes.
fn asks_for_a_value(world: &mut World, peer: usize, len: usize, tag: &str) {
    let client = &mut world.clients[peer];
    let key = client.made_key(len, tag);
    let mut reply = Vec::new();
    resp::encode::bulk(&mut reply, &crate::node::made_value(0, &key));
    client.ask(&[b"UMFORWARD", b"1/7", b"GET", &key], reply, true);
}

/// One turn as the event loop has it: each connection is read from once, and the peer takes `bytes`.
fn turn(world: &mut World, peer: usize, bytes: usize) {
    for client in 0..world.clients.len() {
        world.client_sends(client, usize::MAX);
    }
    for link in world.links() {
        world.connects(link);
        world.node_takes(link);
        world.node_sends(link, READ_BYTES_LARGE);
    }
    world.end_turn();
    world.client_takes(peer, bytes);
    let held = world.memory.held_bytes();
    assert!(held <= MEMORY_MAX + MEMORY_SLACK, "{held} bytes are held");
    world.pass(100);
}

#[test]
fn a_large_value_for_another_proxy_is_sent_as_that_takes_it() {
    let (mut world, peer) = with_a_peer(ONE);
    let here = world.accept();
    asks_for_a_value(&mut world, peer, LARGE_BYTES, "a");
    for _ in 0..50 {
        turn(&mut world, peer, 0);
    }
    for _ in 0..800 {
        // Of other clients of that proxy, and of clients of this one.
        asks_for_a_value(&mut world, peer, 10, "a");
        turn(&mut world, peer, 20_000);
        world.clients[here].incr("a");
        (0..3).for_each(|_| turn(&mut world, peer, 0));
        assert!(world.clients[here].has_everything(), "nobody here waits for the other proxy");
    }
    world.finish();
    assert!(world.dropped.is_empty() && !world.clients[peer].closed);
}

#[test]
fn who_has_asked_behind_a_large_value_for_another_proxy_waits_a_limited_time() {
    let (mut world, peer) = with_a_peer(ONE);
    let here = world.accept();
    world.node(NODES[0]).is_stopped = true;
    asks_for_a_value(&mut world, peer, LARGE_BYTES, "a");
    turn(&mut world, peer, 0);
    world.node(NODES[0]).is_stopped = false;
    world.clients[here].incr("a");
    for _ in 0..200 {
        turn(&mut world, peer, 0);
    }
    assert!(!world.clients[here].has_everything() && !world.clients[peer].closed);
    // The other proxy takes nothing any more.
    for _ in 0..40 {
        world.pass(100_000);
        turn(&mut world, peer, 0);
    }
    for _ in 0..200 {
        turn(&mut world, peer, 0);
    }
    assert!(world.clients[here].has_everything());
    assert!(world.clients[peer].closed, "it is gone as far as anybody can see");
}

#[test]
fn a_large_value_that_waits_for_another_reply_is_given_up_before_the_connection_is() {
    let (mut world, peer) = with_a_peer(BOTH);
    let (first, second) = (tag(Owner::First, 0), tag(Owner::Second, 0));
    world.node(NODES[0]).is_stopped = true;
    asks_for_a_value(&mut world, peer, 10, &first);
    for _ in 0..4 {
        asks_for_a_value(&mut world, peer, 1_000_000, &second);
    }
    asks_for_a_value(&mut world, peer, LARGE_BYTES, &second);
    asks_for_a_value(&mut world, peer, 10, &second);
    for _ in 0..100 {
        turn(&mut world, peer, 0);
    }
    assert!(world.dropped.is_empty() && !world.clients[peer].closed);
    world.allowed = Allowed { little_memory: true, ..Allowed::default() };
    world.node(NODES[0]).is_stopped = false;
    asks_for_a_value(&mut world, peer, 10, &first);
    world.finish();
    assert!(!world.clients[peer].closed);
    let excused = world.clients[peer].excused;
    assert!((1..=5).contains(&excused), "{excused} are answered {REPLY_TOO_LARGE}");
}

#[test]
fn a_node_that_fails_in_the_middle_of_a_value_costs_those_that_wait_for_earlier_replies_only_that() {
    let (mut world, peer) = with_a_peer(BOTH);
    let (first, second) = (tag(Owner::First, 0), tag(Owner::Second, 0));
    world.clients[peer].window = usize::MAX;
    world.node(NODES[0]).is_stopped = true;
    asks_for_a_value(&mut world, peer, 10, &first);
    asks_for_a_value(&mut world, peer, LARGE_BYTES, &second);
    for _ in 0..6 {
        turn(&mut world, peer, 0);
    }
    let links = world.links();
    let cut = links.into_iter().find(|&link| world.is_link_to(link, NODES[1])).unwrap();
    assert!(world.links[cut].as_ref().unwrap().read > 0, "half of it is here");
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    world.fails(cut);
    world.node(NODES[0]).is_stopped = false;
    asks_for_a_value(&mut world, peer, 10, &first);
    world.finish();
    assert!(!world.clients[peer].closed);
    assert_eq!((world.clients[peer].replies, world.clients[peer].excused), (3, 1));
}
