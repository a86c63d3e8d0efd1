//! kill -9 of each kind of process: the cluster goes on, and is as before a little later. And `ctl` with a real
//! coordinator behind the broker.

use std::process::Command;
use std::time::Duration;

use super::running::{Up, signal, wait_until};

/// How long a shard may be without service: the project's own target for the worst case, and then some for a machine
/// that runs other tests beside this one.
const OUTAGE_MAX: Duration = Duration::from_secs(10);

/// Keys of both shards of a cluster of one chunk: slots 3300 and 15495.
const KEYS: [&str; 2] = ["b", "a"];

fn write_all(up: &Up, value: &str) -> bool {
    KEYS.iter().all(|key| up.ask(&format!("SET {key} {value}")).as_deref() == Some("+OK"))
}

/// Whether every key is answered with its value. A panic when one is answered with anything else than that or an
/// error: it was lost.
fn has_all(up: &Up, value: &str) -> bool {
    let is_there = |key: &&str| match up.ask(&format!("GET {key}")) {
        Some(answer) if answer.starts_with('-') => false,
        Some(answer) => {
            assert_eq!(answer, value, "{key} was lost: {:#}", up.ctl(&["events"]));
            true
        }
        None => false,
    };
    KEYS.iter().filter(|key| is_there(key)).count() == KEYS.len()
}

#[test]
fn whatever_is_killed_heals() {
    let temporary = tempfile::tempdir().unwrap();
    let mut up = Up::start(temporary.path(), &["--chunks", "1"]);
    wait_until("the first writes", || write_all(&up, "begin"));
    up.wait_for_replicas();
    let shards = up.ctl(&["cluster", "show", "local"])["shard_list"].clone();
    let primary = shards[0]["primary"]["node"].as_str().unwrap().to_owned();
    let proxy = shards[1]["primary"]["proxy"].as_str().unwrap().to_owned();
    let proxy_port = proxy.rsplit(':').next().unwrap().to_owned();
    let replica = shards[0]["replica"]["node"].as_str().unwrap().to_owned();
    // The proxy of shard 1's primary fronts shard 0's replica, too: the three are a host.
    let other = shards[1]["primary"]["node"].as_str().unwrap().to_owned();
    let find = |what: &str| match what {
        "a primary's Redis server" => vec![up.process(&primary)],
        "a proxy" => vec![process_at(&up, " proxy ", &proxy_port)],
        "broker and coordinator" => vec![up.process(" control ")],
        _ => vec![process_at(&up, " proxy ", &proxy_port), up.process(&other), up.process(&replica)],
    };
    let mut before = "begin".to_owned();
    for what in ["a primary's Redis server", "a proxy", "broker and coordinator", "a whole host"] {
        let victims: Vec<u32> = find(what)
            .into_iter()
            .map(|pid| pid.unwrap_or_else(|| panic!("no process for {what}")))
            .collect();
        victims.iter().for_each(|pid| signal("KILL", *pid));
        let value = format!("after-{}", victims[0]);
        // What was acknowledged before is there: each replica has it.
        let outage = wait_until(&format!("{what}: both shards are served again"), || has_all(&up, &before));
        wait_until(&format!("{what}: both shards take writes again"), || write_all(&up, &value));
        assert!(outage < OUTAGE_MAX, "{what}: {outage:?}");
        let healed = wait_until(&format!("{what}: the cluster is whole"), || {
            up.is("local", "ready") && up.descendants().len() == 4 + 2 + 1 + 1
        });
        // A coordinator would do that by itself when all has been quiet for some seconds.
        up.insist(&["cluster", "balance", "local"]);
        up.wait_for_replicas();
        wait_until(&format!("{what}: what was written after it is there"), || has_all(&up, &value));
        eprintln!("{what}: served again after {outage:?}, whole after {healed:?}");
        before = value;
    }
    // A tool of Redis's own finds nothing wrong with what is left.
    let address = format!("127.0.0.1:{}", up.port);
    let checked = Command::new("redis-cli").args(["--cluster", "check", &address]).output();
    let said =
        String::from_utf8_lossy(&checked.expect("redis-cli is needed for this test").stdout).into_owned();
    for wanted in ["2 masters", "All nodes agree about slots configuration", "All 16384 slots covered"] {
        assert!(said.contains(wanted), "no {wanted} in {said}");
    }
    up.signal("INT");
    assert_eq!(up.wait().code(), Some(0));
}

/// The process of that kind that listens on the port.
fn process_at(up: &Up, kind: &str, port: &str) -> Option<u32> {
    let address = format!("UNDERMOON_ADDRESS=127.0.0.1:{port}");
    let is_it = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        super::running::command_line(*pid).contains(kind)
            && environment.split('\0').any(|part| part == address)
    };
    up.descendants().into_iter().find(is_it)
}

#[test]
fn ctl_with_a_real_coordinator() {
    let temporary = tempfile::tempdir().unwrap();
    let mut up = Up::start(temporary.path(), &["--chunks", "1", "--spare", "2"]);
    wait_until("the first writes", || write_all(&up, "kept"));

    // A second cluster on the spare proxies: `create` returns when it is ready.
    assert_eq!(up.ctl(&["cluster", "create", "second", "--chunks", "1"])["done"], true);
    assert!(
        up.is("second", "ready"),
        "{:#}\n{:#}",
        up.ctl(&["cluster", "show", "second"]),
        up.ctl(&["events"])
    );
    let second = up.ctl(&["cluster", "show", "second"]);
    let proxy = second["shard_list"][0]["primary"]["proxy"].as_str().unwrap();
    let port: u16 = proxy.rsplit(':').next().unwrap().parse().unwrap();
    wait_until("the second cluster serves", || {
        let answer = super::running::ask(port, "SET b second").unwrap_or_default();
        answer == "+OK" || answer.starts_with("-MOVED")
    });
    wait_until("clusters do not see each other", || has_all(&up, "kept"));

    wait_until("the replica has everything, as its proxy says itself", || {
        up.ctl(&["cluster", "show", "local", "--live"])["shard_list"][0]["behind_bytes"] == 0
    });

    // A planned failover of one shard, and back.
    let before = up.ctl(&["cluster", "show", "local"])["shard_list"][0].clone();
    up.insist(&["cluster", "failover", "local", "--shard", "0"]);
    let after = up.ctl(&["cluster", "show", "local"])["shard_list"][0].clone();
    assert_eq!(after["primary"]["node"], before["replica"]["node"]);
    wait_until("it goes on serving", || has_all(&up, "kept"));
    wait_until("the replica is in sync again", || {
        up.ctl(&["cluster", "show", "local"])["shard_list"][0]["sync"] == "in_sync"
    });
    up.insist(&["cluster", "balance", "local"]);
    assert_eq!(
        up.ctl(&["cluster", "show", "local"])["shard_list"][0]["primary"]["node"],
        before["primary"]["node"]
    );
    wait_until("it goes on serving", || has_all(&up, "kept"));

    // Deleted, it is cleaned, and its proxies can be used again.
    assert_eq!(up.ctl(&["cluster", "delete", "second", "--yes"])["done"], true);
    assert_eq!(up.ctl(&["pool", "list", "--free"]).as_array().unwrap().len(), 2);
    assert_eq!(up.ctl(&["cluster", "create", "third", "--chunks", "1"])["done"], true);
    let third = up.ctl(&["cluster", "show", "third"]);
    let proxy = third["shard_list"][0]["primary"]["proxy"].as_str().unwrap();
    let port: u16 = proxy.rsplit(':').next().unwrap().parse().unwrap();
    wait_until("the new cluster is empty", || super::running::ask(port, "GET b").as_deref() == Some("$-1"));
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));
}
