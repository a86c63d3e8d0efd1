//! What is answered, case by case.

use proxy_core::engine::{Pause, Policy, Question};
use proxy_core::errors;
use proxy_core::settings::Password;

use crate::client::Allowed;
use crate::node::made_value;
use crate::views::{BOTH, FIRST_ONLY, NODES, ONE, Owner, PEER, slot, tag};
use crate::world::World;

/// Inline requests, separated by `;`, as bytes.
fn lines(text: &str) -> Vec<u8> {
    text.split(';').flat_map(|line| [line.trim().as_bytes(), b"\r\n"].concat()).collect()
}

fn error(text: &str) -> String {
    format!("-{text}\r\n")
}

fn bulk(bytes: &[u8]) -> String {
    format!("${}\r\n{}\r\n", bytes.len(), String::from_utf8_lossy(bytes))
}

#[test]
fn routes() {
    let check = |view: Option<&str>, requests: &str, expected: &str| {
        let mut world = World::with_settings(view, Policy::default(), |_| {});
        let (seen, client) = world.dialogue(&lines(requests));
        assert_eq!(seen, expected, "{requests}");
        assert!(!world.clients[client].closed, "{requests}");
    };
    let (first, second) = (tag(Owner::First, 0), tag(Owner::Second, 0));
    let (other, nobody) = (tag(Owner::Other, 0), tag(Owner::Nobody, 0));
    let moved = format!("-MOVED {} {PEER}\r\n", slot(&other));
    let not_served = error(errors::SLOT_NOT_SERVED);
    check(Some(BOTH), &format!("get {first}; get {second}"), "$-1\r\n$-1\r\n");
    check(Some(BOTH), &format!("get {other}; ping"), &format!("{moved}+PONG\r\n"));
    check(Some(BOTH), &format!("set {nobody} 1; ping"), &format!("{not_served}+PONG\r\n"));
    check(Some(BOTH), &format!("mget {first} {second}"), &error(errors::CROSSSLOT));
    check(Some(BOTH), &format!("mget {other} {{{other}}}x"), &moved);
    check(Some(FIRST_ONLY), &format!("get {second}"), &format!("-MOVED {} {PEER}\r\n", slot(&second)));
    check(None, &format!("get {first}; ping"), &format!("{}+PONG\r\n", error(errors::CLUSTER_NOT_FOUND)));
    check(None, "dbsize", &error(errors::CLUSTER_NOT_FOUND));
    check(Some(&format!("PEER {PEER} 1 0-16383")), "dbsize", &error(errors::CLUSTER_NOT_FOUND));
    check(Some(BOTH), "nosuch a b", "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n");
    check(Some(BOTH), "get", &error("ERR wrong number of arguments for 'get' command"));
    check(
        Some(BOTH),
        "umforward 1 get; ping",
        "-ERR wrong number of arguments for 'get' command\r\n+PONG\r\n",
    );
    // For itself, whatever hops are left.
    check(Some(BOTH), "umforward 1 dbsize; umforward 0 dbsize", ":8\r\n:8\r\n");
    check(Some(BOTH), "umforward 1 umforward 1 get a; ping", "-ERR syntax error\r\n+PONG\r\n");
    check(Some(BOTH), &format!("umforward 1 get {first}"), "$-1\r\n");
    // Nothing is forwarded where that is not switched on, whoever asks for it.
    check(Some(BOTH), &format!("umforward 3 get {other}"), &moved);
    check(
        Some(BOTH),
        "umforward 1; ping",
        "-ERR wrong number of arguments for 'umforward' command\r\n+PONG\r\n",
    );
    check(Some(BOTH), "dbsize", ":8\r\n");
    check(Some(ONE), "dbsize", ":3\r\n");
}

#[test]
fn a_proxy_without_a_cluster_may_name_another() {
    let change = |settings: &mut proxy_core::settings::Settings| {
        settings.default_redirection_address = Some(PEER.parse().unwrap());
    };
    let mut world = World::with_settings(None, Policy::default(), change);
    let (seen, _) = world.dialogue(b"get a\r\n");
    assert_eq!(seen, format!("-MOVED 15495 {PEER}\r\n"));
}

#[test]
fn what_is_refused_reaches_no_node() {
    let mut world = World::new(BOTH, Policy::default());
    for request in [
        "subscribe a",
        "publish a b",
        "multi",
        "exec",
        "watch a",
        "blpop a 0",
        "monitor",
        "client reply off",
        "client tracking on",
        "psync ? -1",
        "replicaof no one",
        "cluster meet a 1",
        "debug sleep 1",
        "shutdown",
        "migrate h 1 k 0 1",
        "swapdb 0 1",
        "xread block 0 streams a 0",
        "acl whoami",
        "config rewrite",
    ] {
        let (seen, client) = world.dialogue(&lines(request));
        assert!(seen.starts_with("-ERR ") && seen.ends_with("\r\n"), "{request}: {seen}");
        assert_eq!(world.says(client, b"ping\r\n"), "+PONG\r\n", "after {request}");
    }
    let executed: usize = world.nodes.values().map(|node| node.executed).sum();
    assert_eq!(executed, 0);
}

#[test]
fn nothing_is_answered_before_auth() {
    let check = |requests: &str, expected: &str, executed: usize| {
        let change = |settings: &mut proxy_core::settings::Settings| settings.password = Password::new(b"s3");
        let mut world = World::with_settings(Some(ONE), Policy::default(), change);
        let (seen, _) = world.dialogue(&lines(requests));
        assert_eq!(seen, expected, "{requests}");
        assert_eq!(world.node(NODES[0]).executed, executed, "{requests}");
    };
    let noauth = error(errors::NOAUTH);
    check("get a", &noauth, 0);
    check("ping; dbsize; subscribe a", &noauth.repeat(3), 0);
    check("auth wrong; get a", &format!("{}{noauth}", error(errors::WRONGPASS)), 0);
    check("auth s3; get a", "+OK\r\n$-1\r\n", 1);
    check("get a; auth s3; get a; incr b", &format!("{noauth}+OK\r\n$-1\r\n:1\r\n"), 2);
}

#[test]
fn a_session_moves_between_databases_in_order() {
    let mut world = World::new(BOTH, Policy::default());
    let (a, b) =
        (format!("v:3:x{{{}}}", tag(Owner::First, 0)), format!("v:9:y{{{}}}", tag(Owner::Second, 0)));
    let requests =
        format!("get {a}; get {b}; select 2; get {a}; get {b}; select 0; get {a}; select 99; get {b}");
    let (seen, _) = world.dialogue(&lines(&requests));
    let seen: Vec<u8> = seen.into_bytes();
    let value = |db: u32, key: &str| bulk(&made_value(db, key.as_bytes()));
    let expected = [
        value(0, &a),
        value(0, &b),
        "+OK\r\n".into(),
        value(2, &a),
        value(2, &b),
        "+OK\r\n".into(),
        value(0, &a),
        error(errors::DB_OUT_OF_RANGE),
        value(0, &b),
    ];
    assert_eq!(String::from_utf8_lossy(&seen), expected.concat());
}

#[test]
fn scan_goes_through_both_primaries() {
    let mut world = World::new(BOTH, Policy::default());
    let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
    for _ in 0..4 {
        let (reply, _) = world.dialogue(&lines(&format!("scan {cursor}")));
        let words: Vec<&str> = reply.split("\r\n").collect();
        cursor = words[2].to_owned();
        seen.push(words[5].to_owned());
    }
    assert_eq!(seen, ["3-0", "3-7", "5-0", "5-7"]);
    assert_eq!(cursor, "0");
    assert!(world.dialogue(b"scan abc\r\n").0.starts_with("-ERR invalid cursor"));
}

/// One step of a scan: the next cursor, and the keys.
fn scan_step(world: &mut World, client: usize, cursor: &str) -> (String, Vec<String>) {
    let reply = world.says(client, &lines(&format!("scan {cursor}")));
    let words: Vec<&str> = reply.split("\r\n").collect();
    assert_eq!(words[0], "*2", "{reply}");
    let keys = words[4..].chunks(2).filter(|pair| pair.len() == 2).map(|pair| pair[1].to_owned());
    (words[2].to_owned(), keys.collect())
}

#[test]
fn a_shard_that_another_process_took_over_is_scanned_again() {
    for refuses in [false, true] {
        let mut world = World::new(BOTH, Policy::default());
        world.allowed = Allowed { failures: true, ..Allowed::default() };
        let client = world.accept();
        for address in NODES {
            world.node(address).tells_nothing = refuses;
        }
        // In the middle of the second shard.
        let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
        for _ in 0..3 {
            let (next, keys) = scan_step(&mut world, client, &cursor);
            cursor = next;
            seen.extend(keys);
        }
        assert_eq!(seen, ["3-0", "3-7", "5-0"]);
        // Another process is there as soon as the connection to the first one has broken.
        world.dies(&NODES[1].parse().unwrap());
        world.node(NODES[1]).is_dead = false;
        for _ in 0..3_000 {
            world.flow();
            world.pass(1_000);
        }
        seen.clear();
        for _ in 0..4 {
            let (next, keys) = scan_step(&mut world, client, &cursor);
            cursor = next;
            seen.extend(keys);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(cursor, "0");
        // A node that does not say which process it is is taken for the one before.
        let expected: &[&str] = if refuses { &["5-7"] } else { &["5-0", "5-7"] };
        assert_eq!(seen, expected);
    }
}

#[test]
fn quit_is_the_last_request() {
    let check = |requests: &str, expected: &str, executed: usize| {
        let mut world = World::new(ONE, Policy::default());
        let (seen, client) = world.dialogue(&lines(requests));
        assert_eq!(seen, expected, "{requests}");
        assert!(world.clients[client].closed, "{requests}");
        assert_eq!(world.node(NODES[0]).executed, executed, "{requests}");
    };
    check("quit", "+OK\r\n", 0);
    check("ping; quit; ping; ping", "+PONG\r\n+OK\r\n", 0);
    check("incr a; quit; incr a; quit", ":1\r\n+OK\r\n", 1);
    // The request after QUIT waits behind a change of the database when it is looked at.
    check("incr a; select 1; quit; incr a; ping", ":1\r\n+OK\r\n+OK\r\n", 1);
    check("dbsize; quit; dbsize", ":3\r\n+OK\r\n", 1);
}

#[test]
fn a_protocol_error_is_answered_in_its_place_and_ends_the_session() {
    let check = |bytes: &[u8], expected: &str| {
        let mut world = World::new(ONE, Policy::default());
        let (seen, client) = world.dialogue(bytes);
        assert_eq!(seen, expected);
        assert!(world.clients[client].closed, "{expected}");
    };
    check(b"*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n");
    check(b"incr a\r\n*1\r\n:4\r\nincr a\r\n", ":1\r\n-ERR Protocol error: expected '$', got ':'\r\n");
}

#[test]
fn a_client_that_ends_is_answered_all_the_same() {
    let mut world = World::new(ONE, Policy::default());
    let client = world.accept();
    world.clients[client].log = Some(Vec::new());
    world.clients[client].outgoing = lines("incr a; select 1; incr a; incr a");
    world.client_sends(client, usize::MAX);
    world.client_ends(client);
    for _ in 0..8 {
        world.flow();
        world.pass(1_000);
    }
    let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap());
    assert_eq!(seen, ":1\r\n+OK\r\n:1\r\n:2\r\n");
    assert!(world.clients[client].closed);
}

#[test]
fn readonly_sessions_read_from_a_replica() {
    let view =
        "127.0.0.1:7001 1 0-5000 127.0.0.1:7002 REPLICA 1 10001-15000 PEER 127.0.0.2:5299 1 10001-15000";
    let mut world = World::new(view, Policy::default());
    let other = tag(Owner::Other, 0);
    let key = format!("v:5:{{{other}}}");
    let moved = format!("-MOVED {} {PEER}\r\n", slot(&other));
    let requests = format!("get {key}; readonly; get {key}; set {key} x; readwrite; get {key}");
    let (seen, _) = world.dialogue(&lines(&requests));
    let value = bulk(&made_value(0, key.as_bytes()));
    assert_eq!(seen, format!("{moved}+OK\r\n{value}{moved}+OK\r\n{moved}"));
    assert_eq!(world.node(NODES[1]).executed, 1);
}

#[test]
fn a_question_to_the_control_thread_keeps_its_place() {
    let mut world = World::new(ONE, Policy::default());
    let (seen, client) = world.dialogue(&lines("incr a; client pause 100 write; incr a; ping"));
    assert_eq!(seen, ":1\r\n");
    let ask = world.asks.pop().unwrap();
    assert!(matches!(ask.question, Question::Local(_)));
    world.engine.control_replied(ask.place, b"+OK\r\n");
    world.engine.control_replied(ask.place, b"+OK\r\n");
    assert_eq!(world.says(client, b""), "+OK\r\n:2\r\n+PONG\r\n");
    let (_, gone) = world.dialogue(b"client list\r\n");
    world.client_breaks(gone);
    let ask = world.asks.pop().unwrap();
    let after = world.accept();
    world.engine.control_replied(ask.place, b"$3\r\nold\r\n");
    assert_eq!(world.says(after, b"ping\r\n"), "+PONG\r\n", "the answer was for an earlier session");
}

#[test]
fn a_pause_holds_commands_until_it_ends() {
    let check = |writes_only: bool, ends_early: bool| {
        let mut world = World::new(ONE, Policy::default());
        let until_us = world.now.us + 300_000;
        world.engine.pause(Some(Pause { until_us, writes_only }));
        let (seen, client) = world.dialogue(&lines("ping; get a; incr a; get a"));
        assert_eq!(seen, if writes_only { "+PONG\r\n$-1\r\n" } else { "" });
        if ends_early {
            world.engine.pause(None);
        } else {
            world.pass(300_000);
        }
        let rest = if writes_only { ":1\r\n$1\r\n1\r\n" } else { "+PONG\r\n$-1\r\n:1\r\n$1\r\n1\r\n" };
        assert_eq!(world.says(client, b""), rest);
    };
    for writes_only in [false, true] {
        check(writes_only, false);
        check(writes_only, true);
    }
}
