//! The link between a primary and its replica breaks while both live and everybody else reaches them: writes go on,
//! the broker names it, the replica is not promoted, and catches up when the link is mended.

use std::time::{Duration, Instant};

use anyhow::ensure;
use api::v4::FailoverRequest;
use control_core::SyncState;
use testkit::chaos::network::Network;
use testkit::managed::service::Place;
use testkit::managed::shard::ShardPlace;
use testkit::managed::{ManagedCluster, ManagedOptions};

use crate::fixture::{CLUSTER, HEAL_LIMIT, find, problems, reply, shard_on, wait_replicated};

/// Keys that are written while the link is broken.
const KEYS: usize = 50;
/// How long it is watched that nobody promotes the replica.
const WATCHED: Duration = Duration::from_millis(1_500);

/// Two hosts, and one more where everybody else is: brokers, coordinators, and this thread.
struct Line(Network);

impl Line {
    /// Starts a cluster over them, whose nodes keep their data on disk.
    fn start() -> (ManagedCluster, Self) {
        let network = Network::start(3).unwrap();
        network.enter(2).unwrap();
        let place = |host| Place { ip: network.address(host), launcher: network.launcher(host) };
        let mut options = ManagedOptions::of(2);
        options.hosts = vec![place(0), place(1)];
        options.control = place(2);
        options.nodes.append_only = true;
        options.nodes = options.nodes.with("appendfsync", "always");
        let cluster = ManagedCluster::with_cluster(&options, CLUSTER, 2).unwrap();
        (cluster, Self(network))
    }

    /// Between the two hosts nothing arrives any more. Both are reached by everybody else.
    fn cut(&self) {
        self.0.cut(0, 1).unwrap();
        self.0.cut(1, 0).unwrap();
    }

    fn mend(&self) {
        self.0.mend(0, 1).unwrap();
        self.0.mend(1, 0).unwrap();
    }
}

/// Writes some keys, and remembers which.
fn write(cluster: &ManagedCluster, shard: &ShardPlace, keys: &mut Vec<String>) {
    let new = keys.len()..keys.len() + KEYS;
    let new: Vec<String> = new.map(|number| shard.key("link", number).unwrap()).collect();
    let mut connection = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
    for key in &new {
        reply(&mut connection, &format!("SET {key} {key}")).expect_ok().unwrap();
    }
    keys.extend(new);
}

/// Every key is read from whoever owns the shard, and from its replica's memory.
fn check_data(cluster: &ManagedCluster, shard: &ShardPlace, keys: &[String]) {
    let now = find(cluster, shard.id);
    let mut connection = cluster.hosts[now.primary.host].proxy.connect().unwrap();
    for key in keys {
        assert_eq!(reply(&mut connection, &format!("GET {key}")).text().unwrap(), *key);
    }
    // Once the replica has acknowledged a write of this connection it has all that came before.
    reply(&mut connection, &format!("SET {0} {0}", keys[0])).expect_ok().unwrap();
    wait_replicated(&mut connection);
    let mut copy = cluster.hosts[now.replica.host].nodes[now.replica.node].connect().unwrap();
    for key in keys {
        assert_eq!(copy.say(&format!("GET {key}")).unwrap().text().unwrap(), *key);
    }
}

fn wait_named(cluster: &ManagedCluster, shard: &ShardPlace) {
    let noticed = || {
        let sync = find(cluster, shard.id).sync;
        ensure!(sync == SyncState::OutOfSync, "the replica is {sync:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the link is known to be broken", noticed).unwrap();
    let problems = problems(cluster, shard.id);
    for words in ["is not in sync and cannot take over", "has been without its primary"] {
        assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:?}");
    }
}

#[test]
fn a_broken_link_is_named_and_a_replica_that_lags_is_not_promoted() {
    let (mut cluster, line) = Line::start();
    let (shard, mut keys) = (shard_on(&cluster, 0), Vec::new());
    write(&cluster, &shard, &mut keys);
    line.cut();
    let begun = Instant::now();
    // Only the primary has these.
    write(&cluster, &shard, &mut keys);
    wait_named(&cluster, &shard);
    println!("known to be broken after {} ms", begun.elapsed().as_millis());
    write(&cluster, &shard, &mut keys);
    let primary = &mut cluster.hosts[shard.primary.host].nodes[shard.primary.node];
    let address = primary.model_address().unwrap();
    primary.kill();
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        let now = find(&cluster, shard.id);
        assert_eq!((now.primary, now.is_fenced), (shard.primary, false));
        std::thread::sleep(Duration::from_millis(50));
    }
    let order = FailoverRequest { node: Some(address), ..FailoverRequest::default() };
    let answer = cluster.block_on(cluster.client().fail_over(&CLUSTER.parse().unwrap(), &order));
    assert_eq!(answer.unwrap_err().code(), Some("PROXY_NOT_SYNC"));
    // The shard has waited for the one who has everything.
    cluster.hosts[shard.primary.host].nodes[shard.primary.node].restart().unwrap();
    line.mend();
    cluster.wait_whole(CLUSTER).unwrap();
    assert_eq!(find(&cluster, shard.id).primary, shard.primary, "{}", told(&cluster));
    check_data(&cluster, &shard, &keys);
}

/// What has happened lately, in words.
fn told(cluster: &ManagedCluster) -> String {
    let page = cluster.block_on(cluster.client().events(0, 1_000)).unwrap();
    page.events.iter().flat_map(|event| event.words.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_replica_that_is_pointed_elsewhere_is_put_right() {
    let cluster = ManagedCluster::with_cluster(&ManagedOptions::of(2), CLUSTER, 2).unwrap();
    let (shard, mut keys) = (shard_on(&cluster, 0), Vec::new());
    for order in ["REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"] {
        let replica = &cluster.hosts[shard.replica.host].nodes[shard.replica.node];
        replica.say(order).unwrap().expect_ok().unwrap();
        write(&cluster, &shard, &mut keys);
        let follows = || {
            let info = replica.say("INFO replication")?.text()?;
            let port = cluster.hosts[shard.primary.host].nodes[shard.primary.node].address().port();
            let is_well =
                info.contains("master_link_status:up") && info.contains(&format!("master_port:{port}"));
            ensure!(is_well, "{info}");
            Ok(())
        };
        cluster.wait_for(HEAL_LIMIT, "it follows its primary again", follows).unwrap();
        cluster.wait_whole(CLUSTER).unwrap();
        assert_eq!(find(&cluster, shard.id).primary, shard.primary, "{order}");
        check_data(&cluster, &shard, &keys);
    }
}
