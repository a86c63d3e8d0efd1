//! Nodes that are slow, nodes that are stopped, and nodes that close what they think idle.

use std::time::{Duration, Instant};

use crate::fixture::{LIMIT, Proxy, ask, ask_until, redis};
use proxy::config::HostPort;
use service::config::{Count, Milliseconds};
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, wait_until};

const TIMEOUT: Duration = Duration::from_millis(1_000);

/// A script that works until this many milliseconds have passed by the server's own clock.
fn script(ms: u64) -> String {
    format!(
        "local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end \
         local till = now() + {ms} while now() < till do end return 'done'"
    )
}

fn serving(node: &RedisServer) -> Proxy {
    let proxy = Proxy::serving(node, |config| config.backend_timeout = Milliseconds::of(1_000));
    ask_until(&mut proxy.connect(), "GET a", |reply| reply == "$-1");
    proxy
}

fn run_script(node: &RedisServer, ms: u64) -> Connection {
    let mut direct = node.connect().unwrap();
    direct.set_reply_limit(LIMIT).unwrap();
    direct.send(&[b"EVAL", script(ms).as_bytes(), b"0"]).unwrap();
    direct
}

#[test]
fn a_node_that_runs_a_script_is_waited_for() {
    let node = redis();
    let proxy = serving(&node);
    let mut clients: Vec<Connection> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        ask(client, "PING");
    }
    let begun = Instant::now();
    let mut direct = run_script(&node, 4_000);
    // Nobody is answered while it runs: what is sent from now on waits.
    wait_until(Deadline::within(LIMIT), "the script runs", || {
        let mut probe = node.connect().unwrap();
        probe.send(&[b"PING"]).unwrap();
        !probe.has_data(Duration::from_millis(100)).unwrap()
    })
    .unwrap();
    for client in &mut clients {
        client.set_reply_limit(LIMIT).unwrap();
        client.send(&[b"INCR", b"counter"]).unwrap();
    }
    let replies: Vec<String> =
        clients.iter_mut().map(|client| crate::fixture::text(&client.read().unwrap())).collect();
    direct.read().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(3_900), "the script ran meanwhile");
    let mut sorted = replies;
    sorted.sort();
    assert_eq!(sorted, [":1", ":2", ":3"]);
}

/// CLIENT KILL is answered when nothing more of the client is carried out. Who asks for another client waits for that one only.
#[test]
fn a_killed_client_whose_script_runs_keeps_nobody_else_waiting() {
    let node = redis();
    let proxy = Proxy::serving(&node, |config| config.thread_number = Count::of(1));
    let [mut victim, mut one, mut another] = [(); 3].map(|()| proxy.connect());
    for client in [&mut victim, &mut one, &mut another] {
        ask_until(client, "GET a", |reply| reply == "$-1");
        client.set_reply_limit(LIMIT).unwrap();
    }
    let info = ask(&mut victim, "CLIENT INFO");
    let address = info.split_whitespace().find_map(|field| field.strip_prefix("addr=")).unwrap();
    let begun = Instant::now();
    victim.send(&[b"EVAL", script(4_000).as_bytes(), b"0"]).unwrap();
    wait_until(Deadline::within(LIMIT), "the script runs", || {
        let mut probe = node.connect().unwrap();
        probe.send(&[b"PING"]).unwrap();
        !probe.has_data(Duration::from_millis(100)).unwrap()
    })
    .unwrap();
    one.send(&[b"CLIENT", b"KILL", b"ADDR", address.as_bytes()]).unwrap();
    assert!(!one.has_data(Duration::from_millis(200)).unwrap(), "its script runs still");
    assert_eq!(ask(&mut another, "CLIENT KILL ADDR 127.0.0.1:1"), ":0");
    assert!(
        begun.elapsed() < Duration::from_millis(3_900),
        "it waited for the script: {:?}",
        begun.elapsed()
    );
    assert_eq!(crate::fixture::text(&one.read().unwrap()), ":1");
    assert!(begun.elapsed() >= Duration::from_millis(3_900), "{:?}", begun.elapsed());
}

#[test]
fn a_node_that_is_stopped_is_given_up_once() {
    let mut node = redis();
    // Each worker finds out by itself.
    let proxy = Proxy::serving(&node, |config| {
        config.thread_number = Count::of(1);
        config.backend_timeout = Milliseconds::of(1_000);
    });
    let mut client = proxy.connect();
    ask_until(&mut client, "GET a", |reply| reply == "$-1");
    client.set_reply_limit(LIMIT).unwrap();
    node.process().freeze().unwrap();
    let begun = Instant::now();
    let first = ask(&mut client, "INCR counter");
    assert!(first.starts_with("-ERR backend") && first.contains("may or may not"), "{first}");
    assert!(begun.elapsed() >= TIMEOUT);
    // From now on nobody waits, and nothing is executed later.
    let begun = Instant::now();
    for _ in 0..50 {
        let reply = ask(&mut proxy.connect(), "INCR counter");
        assert!(reply.starts_with("-CLUSTERDOWN backend"), "{reply}");
    }
    assert!(begun.elapsed() < TIMEOUT * 10, "50 requests took {:?}", begun.elapsed());
    node.process().thaw().unwrap();
    let counted = ask_until(&mut client, "GET counter", |reply| !reply.starts_with('-'));
    assert!(counted == "1" || counted == "$-1", "{counted}");
}

#[test]
fn a_busy_node_is_told_of_by_itself_and_its_script_can_be_killed() {
    let node = RedisServer::start(RedisOptions::default().with("lua-time-limit", "100")).unwrap();
    let proxy = serving(&node);
    let mut direct = run_script(&node, 15_000);
    let mut client = proxy.connect();
    client.set_reply_limit(LIMIT).unwrap();
    assert_eq!(ask(&mut client, "SELECT 5"), "OK");
    let reply = ask_until(&mut client, "GET a", |reply| reply.starts_with("-BUSY"));
    assert!(reply.contains("SCRIPT KILL"), "{reply}");
    assert_eq!(ask(&mut proxy.connect(), "SCRIPT KILL"), "OK");
    assert!(crate::fixture::text(&direct.read().unwrap()).starts_with("-ERR"));
    assert_eq!(ask_until(&mut client, "GET a", |reply| !reply.starts_with("-BUSY")), "$-1");
}

#[test]
fn a_script_is_killed_by_a_session_in_another_database() {
    let node = RedisServer::start(RedisOptions::default().with("lua-time-limit", "100")).unwrap();
    let proxy = serving(&node);
    for greeting in ["SELECT 5", "HELLO 3", "PING"] {
        let mut direct = run_script(&node, 15_000);
        let mut client = proxy.connect();
        client.set_reply_limit(LIMIT).unwrap();
        ask(&mut client, greeting);
        assert_eq!(ask(&mut client, "SELECT 5"), "OK", "{greeting}");
        // The node refuses SELECT on the connection that this database would have.
        ask_until(&mut client, "GET a", |reply| reply.starts_with("-BUSY"));
        assert_eq!(ask(&mut client, "SCRIPT KILL"), "OK", "{greeting}");
        let killed = crate::fixture::text(&direct.read().unwrap());
        assert!(killed.starts_with("-ERR"), "{greeting}: {killed}");
        let after = ask_until(&mut client, "GET a", |reply| !reply.starts_with("-BUSY"));
        assert!(after == "$-1" || after == "_", "{after}");
    }
}

#[test]
fn a_connection_that_its_node_thinks_idle_costs_nobody_an_error() {
    let node = RedisServer::start(RedisOptions::default().with("timeout", "1")).unwrap();
    let proxy = serving(&node);
    let mut client = proxy.connect();
    let mut direct = node.connect().unwrap();
    for _ in 0..3 {
        let before = youngest(&mut direct);
        assert_eq!(ask(&mut client, "GET a"), "$-1");
        wait_until(Deadline::within(LIMIT), "the node closes connections, and they are made again", || {
            youngest(&mut direct) > before
        })
        .unwrap();
    }
}

/// The highest number that the node has given to a connection that it has.
fn youngest(direct: &mut Connection) -> u64 {
    let list = ask(direct, "CLIENT LIST");
    let numbers = list.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("id=")?.parse().ok());
    numbers.max().unwrap()
}

#[test]
fn a_node_may_be_named() {
    let node = redis();
    let proxy = Proxy::start(|config| {
        let announced = format!("localhost:{}", config.address.port());
        config.announce_address = Some(HostPort(announced.parse().unwrap()));
    });
    let line = format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb localhost:{} 1 0-16383", node.address().port());
    proxy.connect().say(&line).unwrap().expect_ok().unwrap();
    ask_until(&mut proxy.connect(), "GET a", |reply| reply == "$-1");
}
