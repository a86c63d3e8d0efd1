//! What the passing of time does: time-outs, new attempts, batches that wait, sessions that end.

use proxy_core::engine::Policy;

use crate::client::Allowed;
use crate::views::{BOTH, NODES, ONE, Owner, tag};
use crate::world::World;

/// Lets time pass in turns, with nothing moving but the clients.
fn wait(world: &mut World, us: u64) {
    const TURN_US: u64 = 1_000;
    for _ in 0..us.div_ceil(TURN_US) {
        for client in 0..world.clients.len() {
            world.client_sends(client, usize::MAX);
        }
        world.end_turn();
        world.pass(TURN_US);
    }
    world.end_turn();
}

#[test]
fn a_node_that_does_not_answer() {
    let mut world = World::new(ONE, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    (0..3).for_each(|_| world.clients[client].incr("a"));
    world.connects(0);
    wait(&mut world, 2_900_000);
    assert_eq!(world.clients[client].replies, 0);
    wait(&mut world, 300_000);
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (3, 3));
    assert!(!world.clients[client].closed);
}

#[test]
fn a_node_that_cannot_be_reached() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing = b"get a\r\n".to_vec();
    wait(&mut world, 3_200_000);
    let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
    assert_eq!(
        seen,
        format!("-CLUSTERDOWN backend {} is not reachable; the command was not executed\r\n", NODES[0])
    );
    assert_eq!(world.engine.is_connected_to(&NODES[0].parse().unwrap()), Some(false));
}

#[test]
fn attempts_to_connect_become_rarer() {
    let mut world = World::new(ONE, Policy::default());
    let mut gaps_ms = Vec::new();
    for _ in 0..12 {
        let failed_us = world.now.us;
        world.fails(0);
        let before = world.connects;
        for _ in 0..3_000 {
            world.end_turn();
            if world.connects > before {
                break;
            }
            // Requests are not kept waiting in the meantime.
            world.pass(1_000);
        }
        assert_eq!(world.connects, before + 1);
        gaps_ms.push((world.now.us - failed_us) / 1000);
    }
    assert!(gaps_ms[0] <= 100, "{gaps_ms:?}");
    assert!(gaps_ms[11] >= 500 && gaps_ms[11] <= 1_050, "{gaps_ms:?}");
    assert!(gaps_ms.windows(3).all(|gaps| gaps[2] + 50 >= gaps[0] || gaps[0] >= 500), "{gaps_ms:?}");
    // It is connected, and has answered a PING.
    (0..3).for_each(|_| world.flow());
    assert_eq!(world.engine.is_connected_to(&NODES[0].parse().unwrap()), Some(true));
    world.fails(0);
    let (seen, _) = world.dialogue(b"get a\r\n");
    assert!(seen.starts_with("-CLUSTERDOWN backend"), "{seen}");
}

/// Lets each client ask every `gap_us`, some of them each 200 µs, and answers those in the turn after. The naps that are
/// offered after a turn that asks, and after one that answers.
fn naps(clients: usize, gap_us: u64) -> (u64, u64) {
    const ROUNDS: usize = 200;
    const STEP_US: u64 = 200;
    let mut world = World::new(ONE, Policy::default());
    world.is_checked = false; // it is about time, and there are many
    let clients: Vec<usize> = (0..clients).map(|_| world.accept()).collect();
    world.flow_nodes();
    let (mut asked, mut answered) = (0, 0);
    let steps = usize::try_from(gap_us / STEP_US).unwrap();
    for _ in 0..ROUNDS {
        for some in clients.chunks(clients.len().div_ceil(steps)) {
            for &client in some {
                world.clients[client].incr("a");
                world.client_sends(client, usize::MAX);
            }
            world.end_turn();
            asked = world.engine.nap_us();
            world.pass(STEP_US / 2);
            world.flow_nodes();
            answered = world.engine.nap_us();
            world.pass(STEP_US / 2);
        }
    }
    (asked, answered)
}

#[test]
fn naps_are_for_many_clients_and_not_between_request_and_answer() {
    let Policy { nap_us_max: longest, nap_us_busy_max: busy, .. } = Policy::default();
    for (clients, gap_us, expected) in [
        (1, 200, (0, 0)),
        (50, 400, (0, longest)),
        (50, 200, (0, 40)),
        // Each waits in queues for much longer than a nap.
        (500, 4_000, (busy, busy)),
        (100, 1_000, (100, 100)),
        (700, 10_000, (busy, busy)),
        // The worker has time left.
        (200, 10_000, (0, 0)),
        // 5,000 requests in a second.
        (50, 10_000, (0, 0)),
    ] {
        assert_eq!(naps(clients, gap_us), expected, "{clients} clients, each asks every {gap_us} µs");
    }
}

#[test]
fn idle_sessions_end_where_a_limit_is_set() {
    let mut world =
        World::with_settings(Some(ONE), Policy::default(), |settings| settings.session_timeout_ms = 5_000);
    let (idle, active) = (world.accept(), world.accept());
    for _ in 0..4 {
        wait(&mut world, 2_000_000);
        assert_eq!(world.says(active, b"ping\r\n"), "+PONG\r\n");
    }
    assert!(world.clients[idle].closed && !world.clients[active].closed);
}

#[test]
fn an_upload_that_stops_is_idle() {
    let mut world =
        World::with_settings(Some(ONE), Policy::default(), |settings| settings.session_timeout_ms = 5_000);
    let client = world.accept();
    world.clients[client].set(1_000_000, "a");
    world.flow_nodes();
    let mut sent = 0;
    while sent < 500_000 {
        sent += world.client_sends(client, 100_000);
        world.flow_nodes();
    }
    world.clients[client].outgoing.truncate(sent);
    wait(&mut world, 4_000_000);
    assert!(!world.clients[client].closed);
    wait(&mut world, 1_200_000);
    assert!(world.clients[client].closed);
    world.flow_nodes();
    assert_eq!(world.links().len(), 1, "its connection to the node is closed too");
}

#[test]
fn a_drain_ends_sessions_when_they_have_been_answered() {
    let mut world = World::new(BOTH, Policy::default());
    let (idle, waiting) = (world.accept(), world.accept());
    world.clients[waiting].incr(&tag(Owner::First, 0));
    world.clients[waiting].incr(&tag(Owner::Second, 0));
    world.client_sends(waiting, usize::MAX);
    world.end_turn();
    world.engine.drain();
    world.end_turn();
    assert!(world.clients[idle].closed && !world.clients[waiting].closed);
    world.finish();
    assert_eq!(world.clients[waiting].replies, 2);
    wait(&mut world, 200_000);
    assert_eq!(world.engine.session_count(), 0);
}

#[test]
fn nodes_are_greeted_before_they_are_asked() {
    let check = |password: &[u8], expected: &str| {
        let mut world = World::with_settings(None, Policy::default(), |_| {});
        world.node(NODES[0]).password = Some(b"inner".to_vec());
        world.use_backend_password(password);
        world.update(Some(ONE));
        let (seen, client) = world.dialogue(b"hello 3\r\nselect 3\r\nget v:1:{a}\r\n");
        let last = seen.rsplit("+OK\r\n").next().unwrap().to_owned();
        assert!(last.starts_with(expected), "{last}");
        assert!(!world.clients[client].closed);
    };
    check(b"inner", "$1\r\n");
    check(b"outer", "-CLUSTERDOWN backend");
}

#[test]
fn what_a_refused_connection_still_said_is_forgotten() {
    let mut world = World::with_settings(None, Policy::default(), |_| {});
    world.use_backend_password(b"inner");
    world.update(Some(ONE));
    world.end_turn();
    let client = world.accept();
    world.clients[client].outgoing = b"select 3\r\nget v:1:{a}\r\n".to_vec();
    world.clients[client].log = Some(Vec::new());
    world.client_sends(client, usize::MAX);
    world.end_turn();
    let own = *world.links().last().unwrap();
    world.connects(own);
    world.node_says(own, b"-WRONGPASS no\r\n-NOAUTH Auth");
    world.node_sends(own, usize::MAX);
    world.end_turn();
    world.node(NODES[0]).password = Some(b"inner".to_vec());
    wait(&mut world, 200_000);
    // A connection after a failure proves itself before it is asked.
    (0..4).for_each(|_| world.flow());
    world.clients[client].log = Some(Vec::new());
    let seen = world.says(client, b"get v:1:{a}\r\n");
    assert!(seen.starts_with("$1\r\n"), "{seen}");
}

#[test]
fn nonsense_from_a_node_costs_only_what_it_stood_for() {
    let check = |says: &[u8], replies: usize, excused: usize| {
        let mut world = World::new(ONE, Policy::default());
        world.allowed = Allowed { failures: true, ..Allowed::default() };
        let client = world.accept();
        (0..3).for_each(|_| world.clients[client].ask(&[b"GET", b"a"], b"$-1\r\n".to_vec(), true));
        world.clients[client].echo();
        world.client_sends(client, usize::MAX);
        world.connects(0);
        world.node_window = 0;
        world.end_turn();
        // The node says this in the place of its answers.
        world.node_window = usize::MAX;
        world.node(NODES[0]).silent = true;
        world.node_takes(0);
        world.end_turn();
        world.node_says(0, says);
        while world.node_sends(0, usize::MAX) > 0 {}
        world.end_turn();
        let client = &world.clients[client];
        assert_eq!((client.replies, client.excused, client.closed), (replies, excused, false), "{says:?}");
    };
    check(b"$-1\r\n", 1, 0);
    check(b"what\r\n", 4, 3);
    check(b"$-1\r\n$-1\r\nwhat\r\n", 4, 1);
    check(b"$-1\r\n$-1\r\n$-1\r\n$-1\r\n", 4, 0);
}

#[test]
fn a_reply_to_what_was_not_sent_is_none() {
    let mut world = World::new(ONE, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    world.connects(0);
    world.end_turn();
    world.clients[client].incr("a");
    world.node_says(0, b"$-1\r\n");
    world.client_sends(client, usize::MAX);
    world.node_sends(0, usize::MAX);
    world.end_turn();
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (1, 1));
}

#[test]
fn the_place_of_a_closed_connection_is_not_used_in_the_same_turn() {
    let mut world = World::new(ONE, Policy::default());
    let (first, second) = (world.accept(), world.accept());
    for client in [first, second] {
        world.clients[client].set(1_000_000, "a");
    }
    world.client_sends(first, usize::MAX);
    world.flow_nodes();
    let own = *world.links().last().unwrap();
    world.client_breaks(first);
    world.client_sends(second, usize::MAX);
    // The old connection's last words are read in the turn in which it is given up.
    world.node_says(own, b"-ERR of the first client\r\n");
    world.node_sends(own, usize::MAX);
    world.end_turn();
    world.finish();
    assert_eq!((world.clients[second].replies, world.clients[second].excused), (1, 0));
}

#[test]
fn a_session_that_both_sides_close_in_one_turn_leaves_its_place() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    let place = world.clients[client].id;
    world.says(client, b"PING\r\nGET a\r\n");
    world.clients[client].outgoing.extend_from_slice(b"GET v:300000:a\r\n");
    world.client_sends(client, usize::MAX);
    world.end_turn();
    let link = world.links()[0];
    world.node_takes(link);
    // A reply of which half was passed on can only be cut: the engine closes, and so does the client.
    world.node_sends(link, 20_000);
    world.client_takes(client, usize::MAX);
    world.end_turn();
    assert!(world.clients[client].log.as_ref().unwrap().len() > 10_000, "half of the reply has come");
    world.fails(link);
    world.client_breaks(client);
    world.end_turn();
    let next = world.accept();
    assert_ne!(world.clients[next].id, place);
    assert_eq!(world.clients[next].id.index(), place.index());
}
