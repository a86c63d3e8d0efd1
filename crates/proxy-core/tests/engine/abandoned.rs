//! A node that was stopped executes what lies in its sockets when it goes on, also in those that the proxy has given up,
//! and in any order: what was answered with an error by then never undoes what was acknowledged later.

use proxy_core::engine::{Abandonments, Policy};
use proxy_core::profile::Profile;
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

/// The node goes on, after a client was answered with an error and has sent `set k new`: that failed, or it stays. Whether
/// it was acknowledged.
fn goes_on(world: &mut World, client: usize, case: &str) -> bool {
    world.goes_on(&NODES[0].parse().unwrap(), false);
    for _ in 0..4 {
        world.flow();
        world.pass(300_000);
    }
    let acknowledged = seen(world, client).ends_with("+OK\r\n");
    let (after, _) = world.dialogue(b"get k\r\n");
    assert!(!acknowledged || after == "$3\r\nnew\r\n", "{case}: {} B of k", after.len());
    assert_eq!(world.says(client, b"set k newer\r\n"), "+OK\r\n");
    acknowledged
}

#[test]
fn what_was_given_up_is_never_executed_after_what_was_acknowledged() {
    let check = |bytes: usize, protocol: Protocol, others_wait: bool| {
        let mut world = World::new(ONE, Policy::default());
        let (client, other) = (world.accept(), world.accept());
        world.says(other, b"hello 3\r\nget b\r\n");
        world.says(client, b"get b\r\n");
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
        goes_on(&mut world, client, &format!("{bytes} B, {protocol:?}"))
    };
    // Of the session's own, and the one that all share.
    assert!(check(300_000, Protocol::Resp2, false), "a connection that stands goes on");
    check(1_000_000, Protocol::Resp3, false);
    check(300_000, Protocol::Resp3, true);
    check(100, Protocol::Resp2, false);
    check(100, Protocol::Resp3, true);
}

#[test]
fn where_the_node_closes_nothing_no_session_goes_on_over_what_was_given_up() {
    for (bytes, protocol) in [(300_000, 2), (1_000_000, 3), (100, 2), (100, 3)] {
        let mut world = World::new(ONE, Policy::default());
        let other = world.accept();
        assert_eq!(world.says(other, b"get b\r\n"), "$-1\r\n");
        let large = request(&[b"SET", b"k", &vec![b'x'; bytes]]);
        world.node(NODES[0]).closes_nothing = true;
        for _ in 0..2 {
            let client = world.accept();
            assert_eq!(world.says(client, &large), "+OK\r\n");
            world.node(NODES[0]).is_stopped = true;
            sends(&mut world, client, &large);
            time_out(&mut world);
            assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
            sends(&mut world, client, format!("hello {protocol}\r\n").as_bytes());
            world.end_turn();
            sends(&mut world, client, b"set k new\r\n");
            sends(&mut world, client, &large);
            world.end_turn();
            world.goes_on(&NODES[0].parse().unwrap(), false);
            for _ in 0..6 {
                world.flow();
                world.pass(300_000);
            }
            assert!(!seen(&world, client).contains("+OK\r\n"), "{bytes} B: {}", seen(&world, client));
            assert!(world.clients[client].closed, "{bytes} B: it was owed something");
            // Whoever asks now is served.
            assert_eq!(world.dialogue(b"set k newer\r\n").0, "+OK\r\n");
            assert!(!world.clients[other].closed);
        }
        assert_eq!(world.refusals_told, 1);
    }
}

#[test]
fn a_node_that_is_busy_or_full_is_asked_again_to_close_what_was_given_up() {
    for refusal in [
        &b"-BUSY Redis is busy running a script.\r\n"[..],
        b"-ERR max number of clients reached\r\n",
        b"-NOAUTH Authentication required.\r\n",
    ] {
        let mut world = World::new(ONE, Policy::default());
        let (client, other) = (world.accept(), world.accept());
        assert_eq!(world.says(other, b"get b\r\n"), "$-1\r\n");
        let large = request(&[b"SET", b"k", &[b'x'; 300_000]]);
        assert_eq!(world.says(client, &large), "+OK\r\n");
        world.node(NODES[0]).is_stopped = true;
        sends(&mut world, client, &large);
        time_out(&mut world);
        assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
        // The order to close lies in the connection that all share, and is read while a script runs.
        world.node(NODES[0]).refusal = Some(refusal.to_vec());
        let unread = world.node(NODES[0]).closed.take();
        world.goes_on(&NODES[0].parse().unwrap(), false);
        world.node(NODES[0]).closed.replace(unread);
        world.flow();
        assert!(world.clients[client].closed, "what it has sent may be executed when the script is over");
        assert!(!world.clients[other].closed);
        assert_eq!(world.refusals_told, 0, "it does close connections, when it is not busy");
        assert_eq!(world.node(NODES[0]).closed.borrow().len(), 1);
        // The next new connection says it again.
        world.node(NODES[0]).refusal = None;
        assert_eq!(world.says(other, b"hello 3\r\nget b\r\n").split("\r\n").last(), Some(""));
        assert_eq!(world.node(NODES[0]).closed.borrow().len(), 0);
        assert_eq!(world.says(other, b"set k new\r\n"), "+OK\r\n");
    }
}

#[test]
fn what_a_fence_gave_up_is_never_executed_after_what_was_acknowledged() {
    for bytes in [100, 300_000, 1_000_000] {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
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
        goes_on(&mut world, client, &format!("{bytes} B"));
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
        let picks = |profile: &Profile| profile.id == client as u64 + 1;
        let killed = world.engine.kill_sessions(None, picks);
        assert_eq!(killed.closed, 1);
        world.end_turn();
        world.pass(1_000);
        assert!(!world.engine.are_over(&killed.strays), "{bytes} B");
        // It is waited for also where it was gone before.
        let again = world.engine.kill_sessions(None, picks);
        assert!(again.closed == 0 && !world.engine.are_over(&again.strays), "{bytes} B");
        // Nobody else is.
        let others = world.engine.kill_sessions(None, |profile| !picks(profile));
        assert!(world.engine.are_over(&others.strays), "{bytes} B");
        // What others ask later does not matter.
        let other = world.accept();
        sends(&mut world, other, b"set k new\r\n");
        world.goes_on(&NODES[0].parse().unwrap(), false);
        for _ in 0..4 {
            world.flow();
            world.pass(1_000);
        }
        assert!(world.engine.are_over(&killed.strays) && world.engine.are_over(&again.strays), "{bytes} B");
    }
}

#[test]
fn what_another_worker_has_given_up_is_called_back_before_more_is_asked() {
    // A connection that stands already, and one that is made later.
    for stands in [true, false] {
        let [mut first, mut second] = [(); 2].map(|()| World::new(ONE, Policy::default()));
        second.be_colleague_of(&mut first);
        let [one, two] = [&mut first, &mut second].map(World::accept);
        assert_eq!(first.says(one, b"get b\r\n"), "$-1\r\n");
        if stands {
            assert_eq!(second.says(two, b"get b\r\n"), "$-1\r\n");
        }
        let node = NODES[0].parse().unwrap();
        first.node(NODES[0]).is_stopped = true;
        second.node(NODES[0]).is_stopped = true;
        sends(&mut first, one, b"set k old\r\n");
        time_out(&mut first);
        assert!(seen(&first, one).starts_with("-ERR backend"), "{}", seen(&first, one));
        sends(&mut second, two, b"set k new\r\n");
        second.end_turn();
        // What the second worker has sent is read first, and what was given up comes last.
        second.goes_on(&node, false);
        for _ in 0..4 {
            second.flow();
        }
        assert_eq!(seen(&second, two), "+OK\r\n");
        first.goes_on(&node, false);
        assert_eq!(second.says(two, b"get k\r\n"), "$3\r\nnew\r\n", "a connection stands: {stands}");
    }
}

#[test]
fn what_was_given_up_is_called_back_also_when_no_view_had_its_node_meanwhile() {
    for is_there_meanwhile in [true, false] {
        let mut world = World::new(ONE, Policy::default());
        let client = world.accept();
        assert_eq!(world.says(client, b"get b\r\n"), "$-1\r\n");
        world.node(NODES[0]).is_stopped = true;
        sends(&mut world, client, b"set k old\r\n");
        time_out(&mut world);
        assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
        if !is_there_meanwhile {
            world.update(None);
            time_out(&mut world);
        }
        world.update(Some(ONE));
        time_out(&mut world);
        world.node(NODES[0]).is_stopped = false;
        for _ in 0..4 {
            world.flow();
            world.pass(1_000_000);
        }
        assert_eq!(world.says(client, b"set k new\r\n"), "+OK\r\n");
        world.node(NODES[0]).read_closed();
        assert_eq!(world.says(client, b"get k\r\n"), "$3\r\nnew\r\n", "there: {is_there_meanwhile}");
    }
}

#[test]
fn however_many_were_given_up_all_are_called_back() {
    const CLIENTS: usize = 100;
    let mut world = World::with_settings(Some(ONE), Policy::default(), |settings| settings.maxclients = 200);
    let large = request(&[b"SET", b"k", &[b'x'; 300_000]]);
    let clients: Vec<usize> = (0..CLIENTS).map(|_| world.accept()).collect();
    for &client in &clients {
        assert_eq!(world.says(client, b"get b\r\n"), "$-1\r\n");
    }
    // It has accepted the connections before it is stopped.
    world.node(NODES[0]).is_busy = true;
    for &client in &clients {
        sends(&mut world, client, &large);
        world.flow();
    }
    world.node(NODES[0]).is_busy = false;
    world.node(NODES[0]).is_stopped = true;
    time_out(&mut world);
    let given_up = world.node(NODES[0]).closed.borrow().len();
    assert!(given_up > 64, "{given_up}");
    world.node(NODES[0]).is_stopped = false;
    for _ in 0..8 {
        world.flow();
        world.pass(1_000_000);
    }
    assert_eq!(world.says(clients[0], b"set k new\r\n"), "+OK\r\n");
    world.node(NODES[0]).read_closed();
    assert_eq!(world.says(clients[0], b"get k\r\n"), "$3\r\nnew\r\n");
}

#[test]
fn nobody_is_told_of_a_failure_that_cannot_be_called_back() {
    let mut world = World::new(ONE, Policy::default());
    world.abandonments = Abandonments::with_room_for(1);
    world.share();
    let large = request(&[b"SET", b"k", &[b'x'; 300_000]]);
    let clients = [(); 2].map(|()| world.accept());
    for client in clients {
        assert_eq!(world.says(client, b"get b\r\n"), "$-1\r\n");
    }
    world.node(NODES[0]).is_busy = true;
    for client in clients {
        sends(&mut world, client, &large);
        (0..4).for_each(|_| world.flow());
    }
    world.node(NODES[0]).is_stopped = true;
    time_out(&mut world);
    let [first, second] = clients;
    assert!(seen(&world, first).starts_with("-ERR backend"), "{}", seen(&world, first));
    assert!(!world.clients[first].closed);
    assert_eq!(seen(&world, second), "");
    assert!(world.clients[second].closed, "nothing more is taken from it");
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
        for link in world.links() {
            if world.is_link_to(link, PEER) {
                world.fails(link);
            }
        }
        world.end_turn();
        assert!(seen(&world, client).starts_with("-ERR backend"), "{}", seen(&world, client));
        world.node(PEER).is_stopped = false;
        for _ in 0..8 {
            world.flow();
            world.pass(1_000_000);
        }
        let set = format!("set {key} new\r\n");
        assert_eq!(world.says(client, set.as_bytes()), "+OK\r\n", "{bytes} B");
        world.node(PEER).read_closed();
        let get = format!("get {key}\r\n");
        assert_eq!(world.says(client, get.as_bytes()), "$3\r\nnew\r\n", "{bytes} B");
    }
}

#[test]
fn another_proxy_calls_back_a_connection_by_its_own_name_for_it() {
    // It sees another address than this proxy does.
    for bytes in [100, 300_000] {
        let mut world = World::with_settings(Some(BOTH), Policy::default(), |settings| {
            settings.active_redirection = true;
        });
        let client = world.accept();
        let key = format!("k{{{}}}", tag(Owner::Other, 0));
        let old = request(&[b"SET", key.as_bytes(), &vec![b'x'; bytes]]);
        assert_eq!(world.says(client, &old), "+OK\r\n");
        world.node(PEER).is_stopped = true;
        sends(&mut world, client, &old);
        time_out(&mut world);
        assert!(seen(&world, client).starts_with("-ERR backend"), "{bytes} B: {}", seen(&world, client));
        assert!(!world.node(PEER).closed.borrow().is_empty());
        world.node(PEER).is_stopped = false;
        for _ in 0..8 {
            world.flow();
            world.pass(1_000_000);
        }
        assert_eq!(world.says(client, format!("set {key} new\r\n").as_bytes()), "+OK\r\n", "{bytes} B");
        world.node(PEER).read_closed();
        let get = format!("get {key}\r\n");
        assert_eq!(world.says(client, get.as_bytes()), "$3\r\nnew\r\n", "{bytes} B");
    }
}
