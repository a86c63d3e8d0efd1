//! Requests and replies that are too large to be gathered.

use proxy_core::engine::buffers::READ_BYTES;
use proxy_core::engine::stream::{STREAM_BYTES_MIN, STREAM_WINDOW_BYTES};
use proxy_core::engine::{Pause, Policy};

use crate::client::Allowed;
use crate::views::{BOTH, NODES, ONE, Owner, tag};
use crate::world::World;

#[test]
fn a_large_request_may_be_cut_anywhere() {
    let header = b"*3\r\n$3\r\nSET\r\n$00\r\nv:000000:0:0{t00}\r\n$000000\r\n".len() + 8;
    for len in [STREAM_BYTES_MIN - 1, STREAM_BYTES_MIN] {
        for cut in 1..header {
            let mut world = World::new(BOTH, Policy::default());
            let client = world.accept();
            world.clients[client].set(len, &tag(Owner::First, 0));
            world.clients[client].get(3, &tag(Owner::First, 0));
            world.client_sends(client, cut);
            world.end_turn();
            world.finish();
        }
    }
}

#[test]
fn the_end_of_a_large_request_may_be_cut_anywhere() {
    for back in 1..60 {
        let mut world = World::new(BOTH, Policy::default());
        let client = world.accept();
        let key = world.clients[client].made_key(STREAM_BYTES_MIN, &tag(Owner::Second, 0));
        let value = crate::node::made_value(0, &key);
        world.clients[client].ask(&[b"SET", &key, &value, b"EX", b"10"], b"+OK\r\n".to_vec(), true);
        let end = world.clients[client].outgoing.len();
        world.clients[client].incr("t1");
        world.clients[client].echo();
        let mut left = end + 20 - back;
        while left > 0 {
            left -= world.client_sends(client, left);
            world.flow_nodes();
        }
        world.finish();
    }
}

#[test]
fn connections_of_large_requests_are_used_again() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    for _ in 0..10 {
        world.clients[client].set(300_000, "a");
        world.clients[client].incr("a");
    }
    world.finish();
    assert_eq!(world.connects, 2, "one for all, one for the large requests");
}

#[test]
fn large_requests_beyond_the_limit_of_their_connections_are_gathered() {
    let policy = Policy { uploads_max: 2, ..Policy::default() };
    let mut world = World::new(ONE, policy);
    let clients: Vec<usize> = (0..5).map(|_| world.accept()).collect();
    for &client in &clients {
        world.clients[client].set(1_000_000, "a");
        world.clients[client].incr("a");
        world.client_sends(client, READ_BYTES);
        world.flow_nodes();
    }
    assert_eq!(world.connects, 3, "one for all, and one for each of two large requests");
    // When one of the two has its reply, the others still get theirs.
    world.finish();
    assert_eq!(world.connects, 3, "no more were needed");
}

#[test]
fn a_connection_is_closed_with_its_upload() {
    type End = fn(&mut World, usize);
    let check = |what: &str, end: End| {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
        world.clients[client].set(1_000_000, "a");
        world.client_sends(client, READ_BYTES);
        world.flow_nodes();
        assert_eq!(world.links().len(), 2, "{what}");
        end(&mut world, client);
        for _ in 0..4 {
            world.flow_nodes();
        }
        assert!(world.clients[client].closed, "{what}");
        assert_eq!(world.links().len(), 1, "{what}");
        let next = world.accept();
        world.clients[next].set(400_000, "a");
        world.finish();
    };
    check("the client broke", World::client_breaks);
    check("the client ended", World::client_ends);
    check("the client was killed", |world, _| {
        assert_eq!(world.engine.kill_sessions(None, |_| true).closed, 1);
    });
}

#[test]
fn who_leaves_an_upload_that_the_node_does_not_take_is_gone() {
    for (missing, is_gone) in [(0, false), (1, true), (100_000, true)] {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
        world.clients[client].set(8_000_000, "a");
        world.client_sends(client, READ_BYTES);
        (0..4).for_each(|_| world.flow_nodes());
        world.node_window = 0;
        // A script keeps the node busy: nobody gives it up.
        let until_us = world.now.us + 3_600_000_000;
        world.lives.set(&NODES[0].parse().unwrap(), until_us);
        for _ in 0..200 {
            world.client_sends(client, usize::MAX);
            for link in world.links() {
                world.node_takes(link);
            }
            world.end_turn();
            world.pass(50_000);
        }
        let unread = world.clients[client].outgoing.len() - world.clients[client].sent;
        world.engine.session_leaves(world.clients[client].id, unread - missing);
        world.end_turn();
        assert_eq!(world.clients[client].closed, is_gone, "{missing} bytes are missing");
        assert_eq!(world.links().len(), if is_gone { 1 } else { 2 });
        world.finish();
    }
}

/// A client whose large write has come but for `missing` bytes when writes are paused, and the rest of it comes then.
fn upload_in_a_pause(missing: usize, us: u64) -> (World, usize) {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].set(1_000_000, "a");
    let end = world.clients[client].outgoing.len();
    world.clients[client].incr("a");
    while world.clients[client].sent < end - missing {
        let left = end - missing - world.clients[client].sent;
        world.client_sends(client, left);
        world.flow_nodes();
    }
    let until_us = world.now.us + us;
    world.engine.pause(Some(Pause { until_us, writes_only: true }));
    for _ in 0..50 {
        world.client_sends(client, usize::MAX);
        world.flow_nodes();
        world.pass(1_000);
    }
    (world, client)
}

#[test]
fn an_upload_that_ends_in_a_pause_is_executed_after_it() {
    for missing in [1, 2, 3, 400_000] {
        // As long as a node may take to answer, and longer.
        let (mut world, client) = upload_in_a_pause(missing, 30_000_000);
        for _ in 0..200 {
            world.pass(100_000);
            world.flow_nodes();
        }
        assert_eq!(world.node(NODES[0]).executed, 0, "{missing} bytes came in the pause");
        world.engine.pause(None);
        world.finish();
        let client = &world.clients[client];
        assert_eq!((client.replies, client.excused), (2, 0));
    }
    // What had come before the pause is not held.
    let (mut world, _) = upload_in_a_pause(0, 30_000_000);
    assert_eq!(world.node(NODES[0]).executed, 1);
    world.engine.pause(None);
    world.finish();
}

#[test]
fn an_upload_that_is_kept_back_ends_with_its_client_its_node_and_its_pause() {
    type End = fn(&mut World, usize);
    let check = |end: End, executed: usize| {
        let (mut world, client) = upload_in_a_pause(400_000, 1_000_000);
        world.allowed = Allowed { failures: true, ..Allowed::default() };
        end(&mut world, client);
        for _ in 0..40 {
            world.flow();
            world.pass(50_000);
        }
        let client = &world.clients[client];
        assert!(client.closed || client.has_everything());
        assert_eq!(world.node(NODES[0]).executed, executed);
    };
    check(|_, _| {}, 2);
    check(World::client_ends, 0);
    check(World::client_breaks, 0);
    check(|world, client| world.engine.session_leaves(world.clients[client].id, 0), 0);
    // The write has failed, and what follows it goes on.
    check(|world, _| world.fails(*world.links().last().unwrap()), 1);
}

#[test]
fn a_node_that_fails_during_an_upload_costs_one_request() {
    let mut world = World::new(BOTH, Policy::default());
    world.allowed = Allowed { failures: true, ..Allowed::default() };
    let client = world.accept();
    world.clients[client].set(1_000_000, &tag(Owner::First, 0));
    world.clients[client].incr(&tag(Owner::Second, 0));
    world.client_sends(client, READ_BYTES);
    world.flow_nodes();
    let own = *world.links().last().unwrap();
    world.fails(own);
    world.finish();
    assert_eq!((world.clients[client].excused, world.clients[client].closed), (1, false));
}

#[test]
fn an_upload_that_was_cut_before_it_began_keeps_no_session() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].get(3, "a");
    world.clients[client].set(300_000, "a");
    while world.client_sends(client, READ_BYTES) == READ_BYTES && world.clients[client].sent < 150_000 {}
    world.client_ends(client);
    for _ in 0..4 {
        world.flow_nodes();
        world.pass(1_000);
    }
    assert_eq!(world.clients[client].replies, 1);
    assert!(world.clients[client].closed);
}

#[test]
fn what_was_answered_before_a_cut_upload_is_delivered() {
    for window in [0, usize::MAX] {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
        world.clients[client].window = window;
        world.clients[client].echo();
        world.clients[client].set(1_000_000, "a");
        world.client_sends(client, READ_BYTES);
        world.client_ends(client);
        world.flow_nodes();
        world.client_takes(client, usize::MAX);
        for _ in 0..4 {
            world.flow_nodes();
        }
        assert_eq!(world.clients[client].replies, 1, "window {window}");
        assert!(world.clients[client].closed, "window {window}");
        assert_eq!(world.links().len(), 1, "window {window}");
    }
}

#[test]
fn an_upload_is_read_no_faster_than_the_node_takes_it() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].set(8_000_000, "a");
    world.node_window = 0;
    let mut read = 0;
    for _ in 0..200 {
        read += world.client_sends(client, usize::MAX);
        world.flow_nodes();
    }
    assert!(read <= STREAM_WINDOW_BYTES + READ_BYTES, "{read} bytes were read");
    world.finish();
}

#[test]
fn a_large_request_that_cannot_pass_through_has_a_limit() {
    let mut world = World::with_settings(Some(ONE), Policy::default(), |settings| {
        settings.memory_max_bytes = 1_200_000;
    });
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    let value = vec![b'x'; 1_000_000];
    resp::encode::request(&mut world.clients[client].outgoing, &[b"MSET", b"a", &value]);
    for _ in 0..8 {
        world.flow();
        world.pass(1_000);
    }
    let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
    assert_eq!(seen, format!("-{}\r\n", proxy_core::errors::REQUEST_TOO_LARGE));
    assert!(world.clients[client].closed);
    assert_eq!(world.node(NODES[0]).executed, 0);
}

#[test]
fn an_upload_for_nobody_here_is_thrown_away() {
    let mut world = World::new(BOTH, Policy::default());
    let client = world.accept();
    let tag = tag(Owner::Other, 0);
    let (key, value) = (format!("{{{tag}}}"), vec![b'x'; 700_000]);
    let moved = format!("-MOVED {} {}\r\n", crate::views::slot(&tag), crate::views::PEER);
    world.clients[client].ask(&[b"SET", key.as_bytes(), &value], moved.into_bytes(), false);
    world.clients[client].echo();
    world.finish();
    assert_eq!(world.connects, 2);
}

#[test]
fn half_of_a_request_is_answered_nothing() {
    for turns in [0, 3] {
        let mut world = World::new(BOTH, Policy::default());
        let client = world.accept();
        world.clients[client].set(700_000, &tag(Owner::Other, 0));
        world.client_sends(client, READ_BYTES);
        for _ in 0..turns {
            world.flow_nodes();
        }
        world.client_ends(client);
        world.flow_nodes();
        assert_eq!((world.clients[client].replies, world.clients[client].closed), (0, true), "{turns} turns");
    }
}

#[test]
fn a_greeting_that_is_cut_short_waits_for_its_socket() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].select(1);
    world.client_sends(client, usize::MAX);
    world.end_turn();
    world.node_window = 10;
    // The node has taken a part of SELECT and no more; more is asked meanwhile, and then it takes all.
    for _ in 0..4 {
        world.clients[client].incr("a");
        world.client_sends(client, usize::MAX);
        world.end_turn();
        world.links().into_iter().for_each(|link| world.connects(link));
        world.end_turn();
    }
    for link in world.links() {
        while world.node_sends(link, usize::MAX) > 0 {}
    }
    world.finish();
}
