//! SCAN over real servers, while views change under it: every key that is there all the time comes at least once.

use std::collections::BTreeSet;

use crate::fixture::{LIMIT, Proxy, ask, ask_until, redis};
use resp::Value;
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, retry_until, wait_until};

const KEYS: usize = 3000;

/// A client that scans in small steps.
struct Scan {
    client: Connection,
    cursor: String,
    seen: BTreeSet<String>,
}

impl Scan {
    fn begin(proxy: &Proxy) -> Scan {
        Scan { client: proxy.connect(), cursor: "0".to_owned(), seen: BTreeSet::new() }
    }

    /// One step; false when it was the last.
    fn step(&mut self) -> bool {
        let reply = self.client.say(&format!("SCAN {} COUNT 10", self.cursor)).unwrap();
        let Value::Array(parts) = reply.value().unwrap() else { panic!("{reply:?}") };
        let [Value::Bulk(cursor), Value::Array(keys)] = &parts[..] else { panic!("{reply:?}") };
        self.cursor = String::from_utf8(cursor.to_vec()).unwrap();
        assert!(self.cursor.parse::<i64>().is_ok(), "{}", self.cursor);
        for key in keys {
            let Value::Bulk(key) = key else { panic!("{reply:?}") };
            self.seen.insert(String::from_utf8(key.to_vec()).unwrap());
        }
        self.cursor != "0"
    }

    fn steps(&mut self, count: usize) {
        (0..count).for_each(|_| assert!(self.step(), "the scan ends early, with {} keys", self.seen.len()));
    }

    /// To the end; how many keys it has seen.
    fn finish(mut self) -> usize {
        let steps_max = 10 * KEYS;
        assert!((0..steps_max).any(|_| !self.step()), "the scan does not end");
        self.seen.len()
    }
}

fn set_cluster(proxy: &Proxy, epoch: u64, members: &str) {
    let line = format!("UMCTL SETCLUSTER v2 {epoch} NOFLAGS mydb {members}");
    assert_eq!(ask(&mut proxy.connect(), &line), "OK");
}

fn fill(proxy: &Proxy) {
    let mut writer = proxy.connect();
    for number in 0..KEYS {
        writer.send(&[b"SET", format!("key{number}").as_bytes(), b"1"]).unwrap();
    }
    (0..KEYS).for_each(|_| writer.read().unwrap().expect_ok().unwrap());
}

/// Two servers with half of the slots each, full of keys.
fn two() -> (Proxy, RedisServer, RedisServer) {
    let (one, other, proxy) = (redis(), redis(), Proxy::start(|_| {}));
    let (a, b) = (one.address(), other.address());
    set_cluster(&proxy, 1, &format!("{a} 1 0-8191 {b} 1 8192-16383"));
    fill(&proxy);
    (proxy, one, other)
}

#[test]
fn a_second_shard_in_the_middle_of_a_scan() {
    let (proxy, one, other) = two();
    let (a, b) = (one.address(), other.address());
    for (epoch, before) in [
        (10, format!("{a} 1 0-8191 PEER 127.0.0.2:5299 1 8192-16383")),
        (20, format!("{b} 1 8192-16383 PEER 127.0.0.2:5299 1 0-8191")),
    ] {
        set_cluster(&proxy, epoch, &before);
        let mut scan = Scan::begin(&proxy);
        scan.steps(40);
        set_cluster(&proxy, epoch + 1, &format!("{a} 1 0-8191 {b} 1 8192-16383"));
        assert_eq!(scan.finish(), KEYS, "after {before}");
    }
}

#[test]
fn nodes_listed_in_another_order_in_the_middle_of_a_scan() {
    let (proxy, one, other) = two();
    let (a, b) = (one.address(), other.address());
    for steps in [1, 60, 160, 250] {
        let mut scan = Scan::begin(&proxy);
        scan.steps(steps);
        set_cluster(&proxy, 2 * steps as u64, &format!("{b} 1 8192-16383 {a} 1 0-8191"));
        scan.steps(1);
        set_cluster(&proxy, 2 * steps as u64 + 1, &format!("{a} 1 0-8191 {b} 1 8192-16383"));
        assert_eq!(scan.finish(), KEYS, "changed after {steps} steps");
    }
}

#[test]
fn a_replica_takes_over_in_the_middle_of_a_scan() {
    let (proxy, one, other) = two();
    let replica = redis();
    let (a, b, c) = (one.address(), other.address(), replica.address());
    let mut client = proxy.connect();
    let me = "127.0.0.1:5299";
    let roles =
        format!("UMCTL SETREPL 1 NOFLAGS master mydb {a} 0 master mydb {b} 0 replica mydb {c} 1 {a} {me}");
    assert_eq!(ask(&mut client, &roles), "OK");
    let size = ask(&mut one.connect().unwrap(), "DBSIZE");
    ask_until(&mut client, "UMCTL INFOREPL", |info| info.contains("link=up"));
    let mut direct = replica.connect().unwrap();
    wait_until(Deadline::within(LIMIT), "the replica has all keys", || ask(&mut direct, "DBSIZE") == size)
        .unwrap();

    let mut scan = Scan::begin(&proxy);
    scan.steps(70);
    let roles = format!("UMCTL SETREPL 2 NOFLAGS master mydb {c} 0 master mydb {b} 0");
    assert_eq!(ask(&mut client, &roles), "OK");
    set_cluster(&proxy, 2, &format!("{c} 1 0-8191 {b} 1 8192-16383"));
    assert_eq!(scan.finish(), KEYS);
}

#[test]
fn another_process_at_the_same_address_in_the_middle_of_a_scan() {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    fill(&proxy);
    let mut scan = Scan::begin(&proxy);
    scan.steps(150);
    node.restart().unwrap();
    let mut direct = node.connect().unwrap();
    for number in 0..KEYS {
        direct.send(&[b"SET", format!("key{number}").as_bytes(), b"1"]).unwrap();
    }
    (0..KEYS).for_each(|_| direct.read().unwrap().expect_ok().unwrap());
    // The scan goes on when the proxy has looked at the new process, and its workers have reached it.
    let run_id = ask_until(&mut direct, "INFO server", |text| text.contains("run_id:"));
    let run_id = run_id.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim().to_owned();
    let mut asking = proxy.connect();
    retry_until(Deadline::within(LIMIT), "UMCTL VIEW", || {
        let view = asking.say("UMCTL VIEW")?;
        anyhow::ensure!(view.bytes().windows(run_id.len()).any(|part| part == run_id.as_bytes()), "{view:?}");
        Ok(())
    })
    .unwrap();
    ask_until(&mut scan.client, "GET key0", |value| value == "1");
    assert_eq!(scan.finish(), KEYS);
}

#[test]
fn another_process_at_once_in_the_middle_of_a_scan() {
    const ROUNDS: usize = 6;
    let options = RedisOptions { append_only: true, ..RedisOptions::default() };
    let mut node = RedisServer::start(options).unwrap();
    let proxy = Proxy::serving(&node, |_| {});
    fill(&proxy);
    for round in 0..ROUNDS {
        let mut scan = Scan::begin(&proxy);
        // It may be with another worker than the one before, which has its own connection to find again.
        ask_until(&mut scan.client, "SCAN 0 COUNT 1", |reply| !reply.starts_with('-'));
        scan.steps(100 + 20 * round);
        // It has its keys when it answers, and nobody waits until the proxy has looked at it.
        node.restart().unwrap();
        ask_until(&mut scan.client, "SCAN 0 COUNT 1", |reply| !reply.starts_with('-'));
        assert_eq!(scan.finish(), KEYS, "round {round}");
    }
}
