//! Sessions that are held, that read slowly, or whose node hangs: who is let go on first, who is given up, and who is not.

use proxy_core::engine::{Pause, Policy};

use crate::client::Allowed;
use crate::views::{BOTH, NODES, ONE, Owner, tag};
use crate::world::World;

fn pause(world: &mut World, us: u64) {
    let until_us = world.now.us + us;
    world.engine.pause(Some(Pause { until_us, writes_only: false }));
}

/// Lets time pass with nothing moving.
fn stand(world: &mut World, us: u64) {
    const TURN_US: u64 = 10_000;
    for _ in 0..us.div_ceil(TURN_US) {
        world.end_turn();
        world.pass(TURN_US);
    }
    world.end_turn();
}

/// A client that sends this and is held.
fn held(world: &mut World, bytes: &[u8]) -> usize {
    let client = world.accept();
    world.clients[client].outgoing = bytes.to_vec();
    world.clients[client].log = Some(Vec::new());
    world.client_sends(client, usize::MAX);
    world.end_turn();
    client
}

#[test]
fn who_was_held_comes_before_who_asks_when_the_hold_is_over() {
    let check = |hold: fn(&mut World), key: &str, goes_on: &str| {
        let mut world = World::new(BOTH, Policy::default());
        world.end_turn();
        hold(&mut world);
        held(&mut world, format!("set {key} old\r\n").as_bytes());
        // The hold is over, and time-outs are not due yet.
        world.pass(20_000);
        held(&mut world, format!("set {key} new\r\n").as_bytes());
        for _ in 0..4 {
            world.flow();
            world.pass(100_000);
        }
        let (seen, _) = world.dialogue(format!("get {key}\r\n").as_bytes());
        assert_eq!(seen, goes_on);
    };
    check(|world| pause(world, 10_000), &tag(Owner::First, 0), "$3\r\nnew\r\n");
}

#[test]
fn what_a_client_that_has_left_asked_for_while_it_was_held_is_not_executed() {
    let mut world = World::new(ONE, Policy::default());
    world.flow();
    pause(&mut world, 1_000_000);
    let gone = held(&mut world, b"set a old\r\nset a older\r\n");
    world.client_ends(gone);
    world.end_turn();
    assert!(world.clients[gone].closed, "nobody waits for it");
    // One that has ended before it is held.
    world.engine.pause(None);
    let ended = held(&mut world, b"get b\r\nselect 1\r\nset a old\r\n");
    world.client_ends(ended);
    pause(&mut world, 1_000_000);
    for _ in 0..4 {
        world.flow();
    }
    stand(&mut world, 1_200_000);
    for _ in 0..4 {
        world.flow();
    }
    assert_eq!(world.clients[ended].log.as_deref(), Some(&b"$-1\r\n"[..]));
    assert!(world.clients[ended].closed);
    assert_eq!(world.node(NODES[0]).executed, 1);
}

#[test]
fn who_is_being_served_is_not_idle() {
    let mut world =
        World::with_settings(Some(ONE), Policy::default(), |settings| settings.session_timeout_ms = 2_000);
    let reader = world.accept();
    world.clients[reader].window = 0;
    world.clients[reader].log = Some(Vec::new());
    world.clients[reader].outgoing = b"get v:200000:a\r\n".to_vec();
    world.client_sends(reader, usize::MAX);
    world.flow_nodes();
    world.flow_nodes();
    pause(&mut world, 5_000_000);
    let paused = held(&mut world, b"ping\r\n");
    for _ in 0..5 {
        stand(&mut world, 1_000_000);
        world.client_takes(reader, 1_000);
    }
    world.end_turn();
    assert!(!world.clients[reader].closed, "it reads");
    stand(&mut world, 200_000);
    assert!(!world.clients[paused].closed, "it was held");
    assert_eq!(world.clients[paused].log.as_deref(), Some(&b"+PONG\r\n"[..]));
    stand(&mut world, 2_200_000);
    assert!(world.clients[reader].closed && world.clients[paused].closed, "they do nothing any more");
}

#[test]
fn an_upload_to_a_node_that_hangs_fails() {
    let mut world = World::new(ONE, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    world.clients[client].set(3_000_000, "a");
    world.flow_nodes();
    for _ in 0..5 {
        world.client_sends(client, usize::MAX);
        world.flow_nodes();
    }
    // A client that pauses in the middle is waited for.
    stand(&mut world, 4_000_000);
    assert_eq!(world.clients[client].replies, 0);
    let own = *world.links().last().unwrap();
    world.node_window = 0;
    while world.client_sends(client, usize::MAX) > 0 {}
    stand(&mut world, 2_800_000);
    assert_eq!(world.clients[client].replies, 0);
    stand(&mut world, 400_000);
    assert!(!world.links().contains(&own), "its connection is given up");
    world.node_window = usize::MAX;
    while world.client_sends(client, usize::MAX) > 0 {}
    world.end_turn();
    assert_eq!((world.clients[client].replies, world.clients[client].excused), (1, 1));
}

#[test]
fn without_a_password_everybody_is_let_in() {
    let mut world = World::with_settings(Some(ONE), Policy::default(), |settings| {
        settings.password = proxy_core::settings::Password::new(b"pw");
    });
    let (seen, client) = world.dialogue(b"get a\r\n");
    assert!(seen.starts_with("-NOAUTH"), "{seen}");
    world.settings.password = None;
    world.share();
    assert_eq!(world.says(client, b"get a\r\nping\r\n"), "$-1\r\n+PONG\r\n");
    let large = format!("set a {}\r\nget b\r\n", "x".repeat(60_000));
    assert_eq!(world.says(client, large.as_bytes()), "+OK\r\n$-1\r\n");
    let words: [&[u8]; 3] = [b"SET", b"a", &[b'x'; 100_000]];
    let mut request = Vec::new();
    resp::encode::request(&mut request, &words);
    assert_eq!(world.says(client, &request), "+OK\r\n", "and may send as much as others");
    world.settings.password = proxy_core::settings::Password::new(b"other");
    world.share();
    let seen = world.says(client, b"get a\r\n");
    assert!(seen.starts_with("-NOAUTH"), "{seen}");
}
