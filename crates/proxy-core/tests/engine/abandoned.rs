//! A node that was stopped executes what lies in its sockets when it goes on, also in those that the proxy has given up,
//! and in any order: what was answered with an error by then never undoes what was acknowledged later.

use proxy_core::engine::{CalledBack, Policy};
use resp::{Protocol, encode};

use crate::views::{BOTH, NODES, ONE, Owner, PEER, tag};
use crate::world::World;

/// Lets time pass until the proxy gives up what is not answered.
fn time_out(world: &mut World) {
    const TURNS: usize = 320;
    for _ in 0..TURNS {
        world.pass(10_000);
        world.end_turn();
    }
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::request(&mut out, words);
    out
}

/// A client that sends this.
fn sends(world: &mut World, client: usize, bytes: &[u8]) {
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing.extend_from_slice(bytes);
    while world.client_sends(client, usize::MAX) > 0 {
        world.end_turn();
    }
}

fn seen(world: &World, client: usize) -> String {
    String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned()
}

#[test]
fn what_was_given_up_is_never_executed_after_what_was_acknowledged() {
    let check = |bytes: usize, protocol: Protocol, others_wait: bool| {
        let mut world = World::new(ONE, Policy::default());
        let (client, other) = (world.accept(), world.accept());
        world.says(other, b"hello 3\r\nget b\r\n");
        world.says(client, b"get b\r\n");
        let node = NODES[0].parse().unwrap();
        // A connection of the session's own is there already.
        let large = request(&[b"SET", b"k", &vec![b'x'; bytes]]);
        assert_eq!(world.says(client, &large), "+OK\r\n");
        world.node(NODES[0]).is_stopped = true;
        sends(&mut world, client, &large);
        world.end_turn();
        if others_wait {
            // Owed for less long than the time-out when that comes.
            for _ in 0..200 {
                world.pass(10_000);
                world.end_turn();
            }
            sends(&mut world, other, b"get b\r\n");
            for _ in 0..120 {
                world.pass(10_000);
                world.end_turn();
            }
        } else {
            time_out(&mut world);
        }
        assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
        if protocol == Protocol::Resp3 {
            sends(&mut world, client, b"hello 3\r\n");
            world.end_turn();
        }
        sends(&mut world, client, b"set k new\r\n");
        world.end_turn();
        world.goes_on(&node, false);
        for _ in 0..4 {
            world.flow();
            world.pass(300_000);
        }
        // Either it failed, or it stays.
        let acknowledged = seen(&world, client).ends_with("+OK\r\n");
        let (after, _) = world.dialogue(b"get k\r\n");
        assert!(!acknowledged || after == "$3\r\nnew\r\n", "{bytes} B, {protocol:?}: {} B of k", after.len());
        let is_served = world.says(client, b"set k newer\r\n");
        assert_eq!(is_served, "+OK\r\n");
        acknowledged
    };
    // Of the session's own, and the one that all share.
    assert!(check(300_000, Protocol::Resp2, false), "a connection that stands goes on");
    check(1_000_000, Protocol::Resp3, false);
    check(300_000, Protocol::Resp3, true);
    check(100, Protocol::Resp2, false);
    check(100, Protocol::Resp3, true);
}

#[test]
fn what_a_fence_gave_up_is_never_executed_after_what_was_acknowledged() {
    for bytes in [100, 300_000, 1_000_000] {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
        let node = NODES[0].parse().unwrap();
        let large = request(&[b"SET", b"k", &vec![b'x'; bytes]]);
        assert_eq!(world.says(client, &large), "+OK\r\n");
        assert_eq!(world.says(client, b"get b\r\n"), "$-1\r\n");
        world.limit(world.now.us + 100_000);
        world.node(NODES[0]).is_stopped = true;
        sends(&mut world, client, &large);
        for _ in 0..20 {
            world.pass(10_000);
            world.end_turn();
        }
        assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
        world.extend(u64::MAX);
        world.pass(10_000);
        world.end_turn();
        sends(&mut world, client, b"set k new\r\n");
        world.end_turn();
        world.goes_on(&node, false);
        for _ in 0..4 {
            world.flow();
            world.pass(300_000);
        }
        let acknowledged = seen(&world, client).ends_with("+OK\r\n");
        let (after, _) = world.dialogue(b"get k\r\n");
        assert!(!acknowledged || after == "$3\r\nnew\r\n", "{bytes} B: {} B of k", after.len());
        assert_eq!(world.says(client, b"set k newer\r\n"), "+OK\r\n");
    }
}

#[test]
fn a_client_that_is_gone_is_over_when_its_node_has_answered() {
    for bytes in [100, 300_000] {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
        let large = request(&[b"SET", b"k", &vec![b'x'; bytes]]);
        assert_eq!(world.says(client, &large), "+OK\r\n");
        world.node(NODES[0]).is_stopped = true;
        sends(&mut world, client, &large);
        world.end_turn();
        assert_eq!(world.engine.kill_sessions(None, |profile| profile.id == client as u64 + 1), 1);
        world.end_turn();
        let killed_us = world.now.us;
        world.pass(1_000);
        assert!(!world.engine.are_strays_over(killed_us), "{bytes} B");
        // What others ask later does not matter.
        let other = world.accept();
        sends(&mut world, other, b"set k new\r\n");
        world.goes_on(&NODES[0].parse().unwrap(), false);
        for _ in 0..4 {
            world.flow();
            world.pass(1_000);
        }
        assert!(world.engine.are_strays_over(killed_us), "{bytes} B");
    }
}

#[test]
fn what_another_worker_has_given_up_is_called_back_before_more_is_asked() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    assert_eq!(world.says(client, b"get b\r\n"), "$-1\r\n");
    let end = "127.0.0.1:999";
    let elsewhere = world.node(NODES[0]).welcome(end);
    world.node(NODES[0]).closed.borrow_mut().push(elsewhere);
    let node = NODES[0].parse().unwrap();
    world.engine.called_back(&CalledBack { node, is_proxy: false, end: end.parse().unwrap() });
    sends(&mut world, client, b"get b\r\n");
    world.end_turn();
    assert!(world.node(NODES[0]).closed.borrow().is_empty(), "it was asked to close it first");
    world.flow();
    assert_eq!(seen(&world, client), "$-1\r\n");
}

#[test]
fn what_was_sent_to_another_proxy_is_called_back_when_that_has_closed_the_connection() {
    for bytes in [100, 300_000] {
        let mut world = World::with_settings(Some(BOTH), Policy::default(), |settings| {
            settings.active_redirection = true;
        });
        let client = world.accept();
        let tag = tag(Owner::Other, 0);
        let key = format!("k{{{tag}}}");
        let old = request(&[b"SET", key.as_bytes(), &vec![b'x'; bytes]]);
        assert_eq!(world.says(client, &old), "+OK\r\n");
        world.node(PEER).is_stopped = true;
        sends(&mut world, client, &old);
        world.end_turn();
        let peer = PEER.parse().unwrap();
        for link in world.links() {
            if world.is_link_to(link, PEER) {
                world.fails(link);
            }
        }
        world.end_turn();
        assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
        world.node(PEER).is_stopped = false;
        for _ in 0..4 {
            world.flow();
            world.pass(1_000_000);
        }
        let set = format!("set {key} new\r\n");
        assert_eq!(world.says(client, set.as_bytes()), "+OK\r\n");
        world.goes_on(&peer, false);
        let get = format!("get {key}\r\n");
        assert_eq!(world.says(client, get.as_bytes()), "$3\r\nnew\r\n", "{bytes} B");
    }
}
