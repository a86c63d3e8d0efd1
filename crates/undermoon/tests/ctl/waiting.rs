//! What takes time: `ctl` waits until it is done, says how far it is, and gives up when nothing progresses. The test
//! plays the coordinator.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use control_core::{Cluster, Command as Change, State, TimeMs};
use model::{Address, ClusterName};
use serde_json::Value;

use super::broker::{Broker, Ended, ended};

fn name() -> ClusterName {
    "mydb".parse().unwrap()
}

fn cluster(state: &State) -> &Cluster {
    state.clusters.get(&name()).unwrap()
}

/// A broker with that many proxies and a cluster of that many chunks, all in sync.
fn ready(proxies: usize, chunks: &str) -> Broker {
    let broker = Broker::with_proxies(proxies);
    broker.ctl(&["cluster", "create", "mydb", "--chunks", chunks, "--no-wait"]).good();
    broker.sync_all("mydb");
    broker
}

/// Runs `ctl` while the test does what a coordinator would.
fn meanwhile(broker: &Broker, arguments: &[&str], coordinate: impl FnOnce(&Broker)) -> Ended {
    let mut command: Command = broker.command(arguments);
    command.stdin(Stdio::null());
    let waiting = std::thread::spawn(move || ended(&mut command));
    coordinate(broker);
    waiting.join().unwrap()
}

/// Each primary of the cluster with its replica.
fn pairs(state: &State) -> Vec<(Address, Address)> {
    let cluster = cluster(state);
    let pair = |id: control_core::ShardId| {
        let chunk = &cluster.chunks[id.chunk];
        (chunk.primary(id.shard).clone(), chunk.replica(id.shard).clone())
    };
    cluster.shard_ids().map(pair).collect()
}

/// Promotes the replica behind every fence.
fn promote_fenced(broker: &Broker) {
    let state = broker.state();
    let cluster = cluster(&state);
    for id in cluster.shard_ids() {
        if let Some(fence) = cluster.shard(id).fence {
            assert!(fence.reason.is_handover());
            broker.apply(&Change::FailOverShard {
                cluster: name(),
                primary: cluster.chunks[id.chunk].primary(id.shard).clone(),
                fence: Some(fence.epoch),
                force: false,
                behind_bytes: Some(0),
                empty_primary: None,
                process: None,
                stopped: None,
                now: TimeMs(1),
            });
        }
    }
}

fn is_fenced(state: &State) -> bool {
    cluster(state).chunks.iter().flat_map(|chunk| &chunk.shards).any(|shard| shard.fence.is_some())
}

#[test]
fn create_until_ready_and_delete_until_cleaned() {
    let broker = Broker::with_proxies(2);
    let created = meanwhile(&broker, &["cluster", "create", "mydb", "--chunks", "1"], |broker| {
        broker.until("the cluster is made", |state| state.clusters.contains_key(&name()));
        broker.sync_all("mydb");
    });
    assert!(created.good().starts_with("cluster mydb is created with 4 nodes, and ready after "));
    let deleted = meanwhile(&broker, &["cluster", "delete", "mydb", "--yes", "-o", "json"], |broker| {
        let state = broker.until("it is deleted", |state| state.clusters.is_empty());
        for (proxy, record) in &state.proxies {
            broker.apply(&Change::ProxyCleaned { proxy: proxy.clone(), epoch: record.epoch });
        }
    });
    assert_eq!(deleted.json()["done"], true);
    let free = broker.ctl(&["pool", "list", "--free", "-o", "json"]).json();
    assert_eq!(free.as_array().unwrap().len(), 2);
}

/// What `create` calls ready `list` calls so, too, also where a coordinator has seen more than the metadata says.
#[test]
fn create_until_coordinators_see_it_served() {
    let broker = Broker::with_proxies(2);
    let mut command = broker.command(&["cluster", "create", "mydb", "--chunks", "1"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut waiting = command.spawn().unwrap();
    let state = broker.until("the cluster is made", |state| state.clusters.contains_key(&name()));
    let unserved = [pairs(&state)[0].0.clone()];
    broker.observe("mydb", &unserved);
    broker.sync_all("mydb");
    let state_in_list = || broker.ctl(&["cluster", "list", "-o", "json"]).json()[0]["state"].clone();
    // For longer than it would take `create` to end.
    for _ in 0..10 {
        broker.observe("mydb", &unserved);
        assert_eq!(state_in_list(), "down");
        assert!(waiting.try_wait().unwrap().is_none(), "it has not waited");
    }
    broker.observe("mydb", &[]);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(state_in_list(), "ready");
}

#[test]
fn planned_failover_and_balance() {
    let broker = ready(2, "1");
    let before = pairs(&broker.state());
    let proxy = cluster(&broker.state()).chunks[0].proxies[0].to_string();
    let failover = ["cluster", "failover", "mydb", "--proxy", &proxy];
    let done = meanwhile(&broker, &failover, |broker| {
        broker.until("the primary is fenced", is_fenced);
        promote_fenced(broker);
    });
    let told = format!("{} has taken over from {}", before[0].1, before[0].0);
    assert!(done.good().starts_with(&told));
    let after = pairs(&broker.state());
    assert_eq!(
        (&after[0].0, &after[1]),
        (&before[0].1, &before[1]),
        "one primary has moved, the other has not"
    );

    // What has moved is away from home, and balance brings it back once its replica has caught up.
    let list = broker.ctl(&["cluster", "list", "-o", "json"]).json();
    assert_eq!(list[0]["primaries_away"], 1);
    let unready = broker.ctl(&["cluster", "balance", "mydb"]);
    assert_eq!(unready.code, 75);
    assert!(unready.stderr.contains("1 of 1 primaries stayed away"), "{}", unready.stderr);
    assert!(unready.stderr.contains("is not in sync"), "{}", unready.stderr);
    broker.sync_all("mydb");
    let balanced = meanwhile(&broker, &["cluster", "balance", "mydb"], |broker| {
        broker.until("the primary is fenced", is_fenced);
        promote_fenced(broker);
    });
    assert!(balanced.good().starts_with("cluster mydb: every primary is at home after "));
    assert_eq!(pairs(&broker.state()), before);
    let again = broker.ctl(&["cluster", "balance", "mydb"]).good();
    assert_eq!(again, "cluster mydb: every primary is at home already\n");
}

#[test]
fn a_living_proxy_is_replaced() {
    let broker = ready(2, "1");
    let old = cluster(&broker.state()).chunks[0].proxies[0].to_string();
    let replace = ["pool", "replace", &old];
    let refused = broker.ctl(&replace);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("1 proxies are needed and 0 are free"), "{}", refused.stderr);
    assert!(!is_fenced(&broker.state()), "nothing is handed over in vain");

    let spare = ["pool", "add", "127.0.3.9:5299", "127.0.3.9:6379", "127.0.3.9:6380", "--host", "rack-9"];
    broker.ctl(&spare).good();
    let replaced = meanwhile(&broker, &replace, |broker| {
        broker.until("the primary is fenced", is_fenced);
        promote_fenced(broker);
        broker.until("it is replaced", |state| cluster(state).chunks[0].proxies[0].host() == "127.0.3.9");
        broker.sync_all("mydb");
        let (proxy, state) = (old.parse::<Address>().unwrap(), broker.state());
        broker.apply(&Change::ProxyCleaned { epoch: state.proxies[&proxy].epoch, proxy });
    });
    let told = replaced.good();
    assert!(
        told.starts_with(&format!("cluster mydb: 127.0.3.9:5299 has taken the place of {old}, after ")),
        "{told}"
    );
    broker.ctl(&["pool", "remove", &old]).good();
    let again = broker.ctl(&replace);
    assert_eq!((again.code, again.stderr.contains("is not registered")), (1, true), "{}", again.stderr);
    let free = broker.ctl(&["pool", "replace", "127.0.3.9:5299"]);
    assert!(free.stderr.contains("are needed and 0 are free"), "{}", free.stderr);
}

#[test]
fn a_handover_that_is_given_up() {
    let broker = ready(2, "1");
    let before = pairs(&broker.state());
    let node = before[1].0.to_string();
    let given_up = meanwhile(&broker, &["cluster", "failover", "mydb", "--node", &node], |broker| {
        let state = broker.until("the primary is fenced", is_fenced);
        let mut shards = cluster(&state).chunks.iter().flat_map(|chunk| &chunk.shards);
        let fence = shards.find_map(|shard| shard.fence).unwrap().epoch;
        broker.apply(&Change::LiftFence {
            cluster: name(),
            primary: before[1].0.clone(),
            fence,
            stopped: None,
        });
    });
    assert_eq!(given_up.code, 75, "{}", given_up.stdout);
    assert!(given_up.stderr.contains("did not catch up in time"), "{}", given_up.stderr);
}

#[test]
fn a_failover_by_force() {
    let broker = ready(2, "1");
    let before = pairs(&broker.state());
    let force = ["cluster", "failover", "mydb", "--shard", "1", "--force", "--yes"];
    let (from, to) = &before[1];
    let [old, new] = [from, to].map(|node| format!("{}:5299", node.host()));
    // It is the primary by the metadata, and nothing more: nobody has stopped the old one, and nobody is there.
    let accepted = broker.ctl(&[&force[..], &["--no-wait"]].concat()).good();
    let expected = format!(
        "accepted: {to} takes over from {from} as soon as proxy {old} has stopped, and cannot serve yet: the proxy {new} of \
         {to} does not answer\n"
    );
    assert_eq!(accepted, expected);
    assert_eq!(pairs(&broker.state())[1], (to.clone(), from.clone()));

    // Nobody says that it has stopped.
    let back =
        ["cluster", "failover", "mydb", "--node", &to.to_string(), "--force", "--yes", "--timeout", "1"];
    let stuck = broker.ctl(&back);
    assert_eq!(stuck.code, 75, "{}", stuck.stdout);
    assert!(
        stuck.stderr.contains("nothing has progressed for 1 s (0 of 1 replicas promoted)"),
        "{}",
        stuck.stderr
    );
    assert!(
        stuck.stderr.contains(&format!("primary {from} waits until {old} has stopped")),
        "{}",
        stuck.stderr
    );

    // It has stopped, and the new one does not serve.
    let dead = meanwhile(&broker, &back, |broker| {
        let state = broker.until("it has taken over", |state| pairs(state)[1].0 == *to);
        let fence = cluster(&state).chunks[0].shards.iter().find_map(|shard| shard.fence).unwrap().epoch;
        let stopped = Some(control_core::Stopped::Heard { epoch: fence });
        broker.apply(&Change::LiftFence { cluster: name(), primary: to.clone(), fence, stopped });
    });
    assert_eq!(dead.code, 75, "{}", dead.stdout);
    assert!(
        dead.stderr.contains(&format!("{to} instead of {from}, and not all proxies do")),
        "{}",
        dead.stderr
    );
    assert!(dead.stderr.contains(&format!("the primary's proxy {new} does not answer")), "{}", dead.stderr);
}

/// Commits every migration that runs; answers whether there was any.
fn commit_running(broker: &Broker) -> bool {
    let state = broker.state();
    let cluster = cluster(&state);
    let running: Vec<Change> = cluster
        .migrations
        .iter()
        .filter_map(|migration| {
            let meta = cluster.meta(migration)?;
            Some(Change::CommitMigration { cluster: name(), ranges: migration.ranges.clone(), meta })
        })
        .collect();
    running.iter().for_each(|change| {
        broker.apply(change);
    });
    !running.is_empty()
}

#[test]
fn scaling_out_and_in() {
    let broker = ready(4, "1");
    let out = meanwhile(&broker, &["cluster", "scale", "mydb", "--chunks", "2"], |broker| {
        let has_job = |state: &State| cluster(state).scaling.is_some();
        let state = broker.until("nodes are added", has_job);
        let epoch = cluster(&state).scaling.unwrap().epoch;
        broker.apply(&Change::ContinueScaling { cluster: name(), epoch });
        while commit_running(broker) {}
    });
    assert!(out.good().starts_with("cluster mydb has its slots on 8 nodes; 8192 slots moved in "));
    let inwards = meanwhile(&broker, &["cluster", "scale", "mydb", "--nodes", "4"], |broker| {
        broker.until("slots move", |state| !cluster(state).migrations.is_empty());
        while commit_running(broker) {}
    });
    let told = inwards.good();
    assert!(told.contains("8192 slots moved in") && told.contains("1 chunk without slots"), "{told}");
    let released = broker.ctl(&["cluster", "scale", "mydb", "--release"]).good();
    assert_eq!(released, "cluster mydb: 1 chunk given back to the pool\n");
}

#[test]
fn a_scaling_that_is_called_off() {
    let broker = ready(4, "2");
    let called_off = meanwhile(&broker, &["cluster", "scale", "mydb", "--chunks", "1"], |broker| {
        broker.until("slots move", |state| !cluster(state).migrations.is_empty());
        broker.ctl(&["cluster", "scale", "mydb", "--pause"]).good();
        assert!(!commit_running(broker), "nothing runs while it is paused");
        broker.ctl(&["cluster", "scale", "mydb", "--resume"]).good();
        broker.ctl(&["cluster", "scale", "mydb", "--cancel"]).good();
    });
    assert_eq!(called_off.code, 1);
    assert!(called_off.stderr.contains("8192 slots was called off"), "{}", called_off.stderr);
}

#[test]
fn patience_ends() {
    let broker = Broker::with_proxies(2);
    let alone = broker.ctl(&["cluster", "create", "mydb", "--chunks", "1", "--timeout", "1"]);
    assert_eq!(alone.code, 75);
    let wanted = "cluster mydb: nothing has progressed for 1 s (0 of 2 shards ready)";
    assert!(alone.stderr.contains(wanted), "{}", alone.stderr);
    assert!(alone.stderr.contains("is a coordinator running"), "{}", alone.stderr);
}

/// A `ctl` that shows something again with each change. Killed when the test ends.
struct Watching(Child, std::io::Lines<BufReader<std::process::ChildStdout>>);

impl Watching {
    fn start(broker: &Broker, arguments: &[&str]) -> Self {
        let mut child = broker.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self(child, lines)
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.1.next().expect("another line").unwrap()).unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn watching_shows_each_change() {
    let broker = Broker::with_proxies(2);
    let mut clusters = Watching::start(&broker, &["cluster", "list", "--watch", "-o", "json"]);
    let mut events = Watching::start(&broker, &["events", "--watch", "-o", "json", "--cluster", "mydb"]);
    assert_eq!(clusters.next(), serde_json::json!([]));
    broker.ctl(&["cluster", "create", "mydb", "--chunks", "1", "--no-wait"]).good();
    assert_eq!(clusters.next()[0]["state"], "syncing");
    assert_eq!(events.next()["kind"], "CreateCluster");
    broker.sync_all("mydb");
    loop {
        if clusters.next()[0]["state"] == "ready" {
            break;
        }
    }
    assert_eq!(events.next()["kind"], "SetReplicaSync");
}
