//! UMCTL HEALTH and CLEAN on a running proxy, as a coordinator uses them.

use std::time::Duration;

use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, retry_until};

use crate::fixture::{LIMIT, Proxy, ask, redis};

/// One field of the answer to a probe; of its first node where it stands there. Nested arrays are flat here.
fn field(answer: &[String], name: &str) -> String {
    let at = answer.iter().position(|word| word == name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    answer[at + 1].clone()
}

fn probe(proxy: &Proxy, line: &str) -> Vec<String> {
    let frame = proxy.connect().say(line).unwrap();
    let text = String::from_utf8_lossy(frame.bytes()).into_owned();
    let is_header = |line: &&str| line.starts_with('*') || line.starts_with('$');
    text.lines().filter(|line| !is_header(line)).map(|line| line.trim_start_matches(':').to_owned()).collect()
}

fn probe_until(proxy: &Proxy, name: &str, wanted: &str) -> Vec<String> {
    retry_until(Deadline::within(LIMIT), name, || {
        let answer = probe(proxy, "UMCTL HEALTH");
        anyhow::ensure!(field(&answer, name) == wanted, "{answer:?}");
        Ok(answer)
    })
    .unwrap()
}

#[test]
fn what_coordinators_are_told() {
    let mut node = redis();
    let proxy = Proxy::start(|_| {});
    let address = node.address();
    let answer = probe(&proxy, "UMCTL HEALTH");
    assert_eq!((field(&answer, "epoch"), field(&answer, "lease_ms")), ("0".to_owned(), "0".to_owned()));
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, &format!("UMCTL SETREPL 5 NOFLAGS master mydb {address} 0")), "OK");
    assert_eq!(ask(&mut client, &format!("UMCTL SETCLUSTER v2 6 NOFLAGS mydb {address} 1 0-16383")), "OK");
    // A node that nobody has asked yet is not up.
    let answer = probe_until(&proxy, "state", "up");
    for (name, wanted) in [
        ("epoch", "6"),
        ("roles_epoch", "5"),
        ("address", &address.to_string()),
        ("state", "up"),
        ("role", "master"),
        ("link", "none"),
        ("restarted", "0"),
    ] {
        assert_eq!(field(&answer, name), wanted, "{name}: {answer:?}");
    }
    // A lease counts from its token; a token of nobody's is worth nothing.
    let token = field(&answer, "token");
    let granted = probe(&proxy, &format!("UMCTL HEALTH LEASE {token} 60000"));
    let left: u64 = field(&granted, "lease_ms").parse().unwrap();
    assert!((1..=60_000).contains(&left), "{granted:?}");
    let refused = probe(&proxy, "UMCTL HEALTH LEASE someone-1 90000");
    assert!(field(&refused, "lease_ms").parse::<u64>().unwrap() <= 60_000, "{refused:?}");
    // A node that dies is noticed, and one that starts anew is told apart from the one that was given the role.
    node.process().kill();
    probe_until(&proxy, "state", "down");
    node.restart().unwrap();
    probe_until(&proxy, "restarted", "1");
    assert_eq!(ask(&mut client, &format!("UMCTL SETREPL 5 FORCE master mydb {address} 0")), "OK");
    probe_until(&proxy, "restarted", "0");
}

#[test]
fn only_a_proxy_without_a_cluster_is_emptied() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "SET a 1"), "OK");
    let refusal = "-ERR the empty view of that epoch is not in force; nothing was emptied";
    assert_eq!(ask(&mut client, "UMCTL CLEAN 1"), refusal);
    let address = node.address();
    assert_eq!(ask(&mut client, &format!("UMCTL SETREPL 2 NOFLAGS master @pool {address} 0")), "OK");
    assert_eq!(ask(&mut client, "UMCTL SETCLUSTER v2 2 NOFLAGS @pool"), "OK");
    assert_eq!(ask(&mut client, "UMCTL CLEAN 1"), refusal);
    let mut direct = node.connect().unwrap();
    assert_eq!(ask(&mut direct, "DBSIZE"), ":1");
    assert_eq!(ask(&mut client, "UMCTL CLEAN 2"), "OK");
    retry_until(Deadline::within(Duration::from_secs(5)), "it is empty", || {
        anyhow::ensure!(ask(&mut direct, "DBSIZE") == ":0");
        Ok(())
    })
    .unwrap();
}

#[test]
fn nothing_comes_back_to_a_node_that_was_emptied() {
    for settings in [[("appendonly", "no"), ("save", "")], [("appendonly", "no"), ("save", "3600 1")]] {
        let options =
            settings.iter().fold(RedisOptions::default(), |all, (name, value)| all.with(name, value));
        let mut node = RedisServer::start(options).unwrap();
        let proxy = Proxy::start(|_| {});
        let address = node.address();
        let mut direct = node.connect().unwrap();
        assert_eq!(ask(&mut direct, "SET a 1"), "OK");
        // What replication leaves in the folder of a replica, and what any shutdown may.
        assert_eq!(ask(&mut direct, "SAVE"), "OK");
        let mut client = proxy.connect();
        assert_eq!(ask(&mut client, &format!("UMCTL SETREPL 2 NOFLAGS master @pool {address} 0")), "OK");
        assert_eq!(ask(&mut client, "UMCTL SETCLUSTER v2 2 NOFLAGS @pool"), "OK");
        // A save that is under way neither stops it nor leaves what it has written.
        assert!(ask(&mut direct, "BGSAVE").starts_with("Background saving"));
        assert_eq!(ask(&mut client, "UMCTL CLEAN 2"), "OK", "{settings:?}");
        node.process().kill();
        node.restart().unwrap();
        let mut direct = node.connect().unwrap();
        assert_eq!(ask(&mut direct, "DBSIZE"), ":0", "{settings:?}");
    }
}
