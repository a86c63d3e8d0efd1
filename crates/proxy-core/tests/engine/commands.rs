//! Commands that are not simply forwarded by a key: where they run, what holds them back, what they hold back.

use proxy_core::engine::{Pause, Policy};
use proxy_core::errors;
use proxy_core::settings::Password;

use crate::views::{BOTH, NODES, ONE, Owner, tag};
use crate::world::World;

/// The first connection to a node.
fn link_to(world: &World, address: &str) -> usize {
    world.links().into_iter().find(|&link| world.is_link_to(link, address)).unwrap()
}

#[test]
fn commands_without_keys_go_to_a_node_that_is_well() {
    for request in ["eval s 0\r\n", "randomkey\r\n", "function list\r\n"] {
        let mut world = World::new(BOTH, Policy::default());
        let client = world.accept();
        world.says(client, b"ping\r\n");
        world.fails(link_to(&world, NODES[0]));
        world.clients[client].outgoing.extend_from_slice(request.as_bytes());
        // Before the connection is tried again.
        world.client_sends(client, usize::MAX);
        world.end_turn();
        for link in
            world.links().into_iter().filter(|&link| world.is_link_to(link, NODES[1])).collect::<Vec<_>>()
        {
            world.node_sends(link, usize::MAX);
        }
        world.end_turn();
        assert_eq!(world.node(NODES[1]).executed, 1, "{request}");
        let seen = String::from_utf8(world.clients[client].log.clone().unwrap()).unwrap();
        assert!(!seen.contains("-CLUSTERDOWN") && seen.len() > "+PONG\r\n".len(), "{request}: {seen}");
    }
}

#[test]
fn random_keys_come_from_every_node() {
    let mut world = World::new(BOTH, Policy::default());
    let (seen, _) = world.dialogue(&b"randomkey\r\n".repeat(64));
    for key in ["$5\r\nkey-3\r\n", "$5\r\nkey-5\r\n"] {
        assert!(seen.matches(key).count() >= 8, "{key} in {seen}");
    }
}

#[test]
fn a_script_is_killed_on_a_connection_of_its_own() {
    let mut world = World::new(BOTH, Policy::default());
    let script = world.accept();
    world.says(script, b"ping\r\n");
    // The node is busy: it answers nothing that came before on this connection.
    let busy = link_to(&world, NODES[0]);
    let before = world.links().len();
    for (request, after) in [("script kill\r\n", "ping\r\n"), ("function kill\r\n", "get a\r\n")] {
        let (seen, killer) = world.dialogue(request.as_bytes());
        assert_eq!(seen, "+OK\r\n", "{request}");
        assert!(!world.says(killer, after.as_bytes()).is_empty());
    }
    assert_eq!(world.links().len(), before + 2, "one of its own to each node, used again");
    assert!(world.links().contains(&busy));
    // What the session asked before comes first, what it asks afterwards comes afterwards.
    let key = tag(Owner::First, 0);
    let (seen, _) = world.dialogue(format!("incr {key}\r\nscript kill\r\nincr {key}\r\n").as_bytes());
    assert_eq!(seen, ":1\r\n+OK\r\n:2\r\n");
}

#[test]
fn scripts_are_killed_on_one_connection_for_all_clients() {
    let mut world = World::new(BOTH, Policy::default());
    let clients: Vec<usize> = (0..40).map(|_| world.accept()).collect();
    world.says(clients[0], b"ping\r\n");
    let before = world.connects;
    // All of them ask before any of the nodes has answered.
    for &client in &clients {
        world.clients[client].log = Some(Vec::new());
        world.clients[client].outgoing.extend_from_slice(b"script kill\r\nping\r\n");
        world.client_sends(client, usize::MAX);
    }
    world.end_turn();
    assert_eq!(world.connects, before + 2, "one to each node");
    for _ in 0..8 {
        world.flow();
        world.pass(1_000);
    }
    for client in clients {
        let seen = world.clients[client].log.take().unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), "+OK\r\n+PONG\r\n");
    }
    assert_eq!(world.connects, before + 2);
}

#[test]
fn a_pause_of_writes_holds_all_that_may_replicate() {
    for request in
        ["eval s 0", "evalsha s 0", "fcall f 0", "pfcount a", "set a 1", "script load s", "flushall"]
    {
        let mut world = World::new(ONE, Policy::default());
        let until_us = world.now.us + 300_000;
        world.engine.pause(Some(Pause { until_us, writes_only: true }));
        let (seen, _) = world.dialogue(format!("{request}\r\n").as_bytes());
        let is_held = request != "script load s"; // as in Redis
        assert_eq!(seen.is_empty(), is_held, "{request}: {seen}");
    }
    for request in ["eval_ro s 0", "get a", "ping"] {
        let mut world = World::new(ONE, Policy::default());
        let until_us = world.now.us + 300_000;
        world.engine.pause(Some(Pause { until_us, writes_only: true }));
        assert!(!world.dialogue(format!("{request}\r\n").as_bytes()).0.is_empty(), "{request}");
    }
}

#[test]
fn a_pause_is_not_made_shorter_or_laxer() {
    let pause = |until_us, writes_only| Some(Pause { until_us, writes_only });
    let mut world = World::new(ONE, Policy::default());
    let start_us = world.now.us;
    world.engine.pause(pause(start_us + 300_000, false));
    world.engine.pause(pause(start_us + 100_000, true));
    // The clock on the wall is set, which does not matter.
    world.now.unix_us += 3_600_000_000;
    let (seen, client) = world.dialogue(b"ping\r\nget a\r\n");
    assert_eq!(seen, "", "the stricter kind holds");
    world.pass(150_000);
    assert_eq!(world.says(client, b""), "", "the later end holds");
    world.pass(150_000);
    assert_eq!(world.says(client, b""), "+PONG\r\n$-1\r\n");
    // What is over does not count.
    let until_us = world.now.us + 300_000;
    world.engine.pause(pause(until_us, true));
    assert_eq!(world.dialogue(b"get a\r\n").0, "$-1\r\n");
}

#[test]
fn nothing_is_held_for_a_client_that_has_left() {
    let mut world = World::new(ONE, Policy::default());
    let until_us = world.now.us + 60_000_000;
    world.engine.pause(Some(Pause { until_us, writes_only: true }));
    let client = world.accept();
    // More than is read of a client that waits.
    let many = b"set a 1\r\n".repeat(20_000);
    world.says(client, &[b"get b\r\n".as_slice(), &many].concat());
    assert!(world.clients[client].sent < world.clients[client].outgoing.len());
    assert!(!world.clients[client].closed);
    world.engine.session_leaves(world.clients[client].id, 0);
    world.end_turn();
    assert!(world.clients[client].closed);
    world.engine.pause(None);
    world.says(world.clients.len() - 1, b"");
    assert_eq!(world.node(NODES[0]).executed, 1, "what was asked before");
}

#[test]
fn a_pause_lets_only_quit_and_operators_pass() {
    let mut world = World::new(ONE, Policy::default());
    let until_us = world.now.us + 60_000_000;
    world.engine.pause(Some(Pause { until_us, writes_only: false }));
    for held in ["ping", "client unpause", "info", "command count", "cluster info"] {
        assert_eq!(world.dialogue(format!("{held}\r\n").as_bytes()).0, "", "{held}");
        assert!(world.asks.is_empty(), "{held}");
    }
    assert_eq!(world.dialogue(b"quit\r\n").0, "+OK\r\n");
    assert_eq!(world.dialogue(b"get\r\n").0, "-ERR wrong number of arguments for 'get' command\r\n");
    world.dialogue(b"umctl ready\r\n");
    assert_eq!(world.asks.len(), 1);
}

#[test]
fn a_request_in_http_ends_the_connection() {
    for request in ["POST / HTTP/1.1\r\n", "host: localhost:5299\r\n", "*2\r\n$4\r\npost\r\n$1\r\n/\r\n"] {
        for password in [None, Password::new(b"s3")] {
            let change = |settings: &mut proxy_core::settings::Settings| settings.password = password.clone();
            let mut world = World::with_settings(Some(ONE), Policy::default(), change);
            let (seen, client) = world.dialogue(format!("{request}\r\nset a 1\r\nset b 1\r\n").as_bytes());
            assert_eq!(seen, "", "{request}");
            assert!(world.clients[client].closed, "{request}");
            assert_eq!(world.node(NODES[0]).executed, 0, "{request}");
        }
    }
}

#[test]
fn faults_of_a_request_are_told_before_auth() {
    let check = |request: &str, expected: &str| {
        let change = |settings: &mut proxy_core::settings::Settings| settings.password = Password::new(b"s3");
        let mut world = World::with_settings(Some(ONE), Policy::default(), change);
        assert_eq!(world.dialogue(format!("{request}\r\n").as_bytes()).0, format!("-{expected}\r\n"));
    };
    check("nosuch a b", "ERR unknown command 'nosuch', with args beginning with: 'a' 'b' ");
    check("get", "ERR wrong number of arguments for 'get' command");
    check("client nosuch", "ERR unknown subcommand 'nosuch'. Try CLIENT HELP.");
    check("client", "ERR wrong number of arguments for 'client' command");
    check("auth", "ERR wrong number of arguments for 'auth' command");
    for request in ["get a", "ping a b", "ping", "subscribe a", "command count"] {
        check(request, errors::NOAUTH);
    }
}

#[test]
fn limits_of_strangers_end_with_auth_and_begin_with_reset() {
    let change = |settings: &mut proxy_core::settings::Settings| settings.password = Password::new(b"s3");
    let mut world = World::with_settings(Some(ONE), Policy::default(), change);
    let value = "x".repeat(20_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n{value}\r\n");
    let (seen, client) = world.dialogue(format!("auth s3\r\n{set}").as_bytes());
    assert_eq!(seen, "+OK\r\n+OK\r\n");
    let seen = world.says(client, format!("reset\r\n{set}").as_bytes());
    assert_eq!(seen, "+RESET\r\n-ERR Protocol error: unauthenticated bulk length\r\n");
    assert!(world.clients[client].closed);
}

#[test]
fn what_is_sent_after_wait_runs_after_it() {
    let mut world = World::new(ONE, Policy::default());
    let (seen, client) = world.dialogue(b"incr a\r\nwait 1 0\r\nincr a\r\nping\r\n");
    assert_eq!(seen, ":1\r\n");
    assert_eq!(world.node(NODES[0]).executed, 1, "the second waits");
    let ask = world.asks.pop().unwrap();
    world.engine.control_replied(ask.place, b":1\r\n");
    assert_eq!(world.says(client, b""), ":1\r\n:2\r\n+PONG\r\n");
}

#[test]
fn what_follows_a_kill_is_not_carried_out_before_it() {
    let mut world = World::new(ONE, Policy::default());
    let (client, _) = (world.accept(), world.accept());
    let before = world.node(NODES[0]).executed;
    let seen = world.says(client, b"client kill addr 127.0.0.1:1\r\nset k new\r\n");
    assert_eq!((seen.as_str(), world.node(NODES[0]).executed), ("", before));
    let ask = world.asks.pop().unwrap();
    world.engine.control_replied(ask.place, b":0\r\n");
    assert_eq!(world.says(client, b""), ":0\r\n+OK\r\n");
}
