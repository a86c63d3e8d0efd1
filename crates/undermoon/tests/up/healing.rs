//! kill -9 of each kind of process: the cluster goes on, and is as before a little later. And `ctl` with a real
//! coordinator behind the broker.

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

fn has_all(up: &Up, value: &str) -> bool {
    KEYS.iter().all(|key| up.ask(&format!("GET {key}")).as_deref() == Some(value))
}

#[test]
fn whatever_is_killed_heals() {
    let temporary = tempfile::tempdir().unwrap();
    let mut up = Up::start(temporary.path(), &["--chunks", "1"]);
    assert!(write_all(&up, "begin"), "the first writes");
    let shards = up.ctl(&["cluster", "show", "local"])["shard_list"].clone();
    let primary = shards[0]["primary"]["node"].as_str().unwrap().to_owned();
    let proxy = shards[1]["primary"]["proxy"].as_str().unwrap().to_owned();
    let proxy_port = proxy.rsplit(':').next().unwrap().to_owned();
    let victims = [
        ("a primary's Redis server", up.process(&primary)),
        ("a proxy", process_at(&up, " proxy ", &proxy_port)),
        ("broker and coordinator", up.process(" control ")),
    ];
    let mut before = "begin".to_owned();
    for (what, victim) in victims {
        let victim = victim.unwrap_or_else(|| panic!("no process for {what}"));
        signal("KILL", victim);
        let value = format!("after-{victim}");
        // What was acknowledged before is there: each replica was in sync, and nothing was written at the moment.
        let outage = wait_until(&format!("{what}: both shards are served again"), || has_all(&up, &before));
        wait_until(&format!("{what}: both shards take writes again"), || write_all(&up, &value));
        assert!(outage < OUTAGE_MAX, "{what}: {outage:?}");
        let healed = wait_until(&format!("{what}: the cluster is whole"), || {
            up.is("local", "ready") && up.descendants().len() == 4 + 2 + 1 + 1
        });
        assert!(has_all(&up, &value), "{what}: what was written after it is there");
        eprintln!("{what}: served again after {outage:?}, whole after {healed:?}");
        before = value;
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
    assert!(write_all(&up, "kept"));

    // A second cluster on the spare proxies: `create` returns when it is ready.
    assert_eq!(up.ctl(&["cluster", "create", "second", "--chunks", "1"])["done"], true);
    assert!(up.is("second", "ready"));
    let second = up.ctl(&["cluster", "show", "second"]);
    let proxy = second["shard_list"][0]["primary"]["proxy"].as_str().unwrap();
    let port: u16 = proxy.rsplit(':').next().unwrap().parse().unwrap();
    let answer = super::running::ask(port, "SET b second").unwrap();
    assert!(answer == "+OK" || answer.starts_with("-MOVED"), "{answer}");
    assert_eq!(up.ask("GET b").as_deref(), Some("kept"), "clusters do not see each other");

    // A planned failover of one shard, and back.
    let before = up.ctl(&["cluster", "show", "local"])["shard_list"][0].clone();
    assert_eq!(up.ctl(&["cluster", "failover", "local", "--shard", "0"])["done"], true);
    let after = up.ctl(&["cluster", "show", "local"])["shard_list"][0].clone();
    assert_eq!(after["primary"]["node"], before["replica"]["node"]);
    wait_until("it goes on serving", || has_all(&up, "kept"));
    wait_until("the replica is in sync again", || {
        up.ctl(&["cluster", "show", "local"])["shard_list"][0]["sync"] == "in_sync"
    });
    assert_eq!(up.ctl(&["cluster", "balance", "local"])["done"], true);
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
