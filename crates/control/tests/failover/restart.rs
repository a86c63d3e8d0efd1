//! Nodes that start anew, empty or from disk, with and without their proxies: what the replica has is never lost to
//! a primary that has lost it, and a cluster that was down comes back with its data.

use std::time::{Duration, Instant};

use anyhow::ensure;
use api::v4::ServeRequest;
use control_core::SyncState;
use testkit::managed::shard::ShardPlace;
use testkit::managed::{ManagedCluster, ManagedOptions};
use testkit::redis_server::RedisOptions;

use crate::fixture::{
    CLUSTER, HEAL_LIMIT, find, first_write, four_of, number_of, problems, reply, shard_on, staying,
    wait_replicated,
};

/// Keys written to the shard before.
const KEYS: usize = 50;

fn write(cluster: &ManagedCluster, shard: &ShardPlace) -> Vec<String> {
    let keys: Vec<String> = (0..KEYS).map(|number| shard.key("restart", number).unwrap()).collect();
    let mut connection = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
    for key in &keys {
        reply(&mut connection, &format!("SET {key} {key}")).expect_ok().unwrap();
    }
    wait_replicated(&mut connection);
    keys
}

/// Waits until the shard is whole again, and has all of them.
fn check_data(cluster: &ManagedCluster, keys: &[String]) {
    let all_there = || {
        let owner = cluster.shard_of(CLUSTER, keys[0].as_bytes())?.primary.host;
        let mut connection = cluster.hosts[owner].proxy.connect()?;
        for key in keys {
            let read = connection.say(&format!("GET {key}"))?;
            ensure!(read.error().is_none(), "{read:?}");
            assert!(!read.is_null(), "{key} is lost");
            ensure!(read.text()? == *key, "{read:?}");
        }
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the shard is served", all_there).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    cluster.wait_for(HEAL_LIMIT, "the whole shard is served", all_there).unwrap();
}

/// The primary is killed and at once started again, as a supervisor would, long before anybody takes it for dead.
fn check_empty_restart(with_proxy: bool) {
    let mut cluster = four_of(4);
    let shard = shard_on(&cluster, 0);
    let keys = write(&cluster, &shard);
    let host = &mut cluster.hosts[shard.primary.host];
    if with_proxy {
        host.proxy.kill();
    }
    host.nodes[shard.primary.node].restart().unwrap();
    if with_proxy {
        host.proxy.restart().unwrap();
    }
    let begun = Instant::now();
    check_data(&cluster, &keys);
    println!("restarted empty (its proxy, too: {with_proxy}): whole after {:.1?}", begun.elapsed());
    let now = cluster.shard_of(CLUSTER, keys[0].as_bytes()).unwrap();
    assert_eq!(now.id, shard.id);
    assert_eq!(now.primary, shard.replica, "the replica, which had the data, is the primary");
}

#[test]
fn a_primary_that_restarts_empty_is_not_copied() {
    check_empty_restart(false);
}

#[test]
fn nor_when_its_proxy_restarts_with_it() {
    check_empty_restart(true);
}

/// The primary's host dies; just when its end is waited for the replica's proxy stands still, as on a machine that has
/// too much to do, and meanwhile the host is back, empty. What the replica has, it keeps: it is promoted when it is
/// heard again. It must not be told meanwhile to follow its primary again, as when a fence is lifted: then it would count
/// as out of sync, the empty primary would be told to make do with what it has, and the replica would copy that.
#[test]
fn what_was_replicated_outlives_a_replica_that_is_not_heard() {
    // About when the replica has let go, before its promotion.
    for after_ms in [380, 450, 520] {
        let mut cluster = four_of(4);
        let shard = shard_on(&cluster, 0);
        let keys = write(&cluster, &shard);
        cluster.hosts[shard.primary.host].kill();
        std::thread::sleep(Duration::from_millis(after_ms));
        cluster.hosts[shard.replica.host].proxy.process().freeze().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        cluster.hosts[shard.primary.host].restart().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        cluster.hosts[shard.replica.host].proxy.process().thaw().unwrap();
        check_data(&cluster, &keys);
    }
}

#[test]
fn a_cluster_that_was_down_comes_back_with_its_data() {
    let mut options = ManagedOptions::of(2);
    options.nodes.append_only = true;
    options.nodes = options.nodes.with("appendfsync", "always");
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 2).unwrap();
    let shards = cluster.shards(CLUSTER).unwrap();
    let keys: Vec<Vec<String>> = shards.iter().map(|shard| write(&cluster, shard)).collect();
    for service in cluster.brokers.iter_mut().chain(&mut cluster.coordinators) {
        service.kill();
    }
    cluster.hosts.iter_mut().for_each(testkit::managed::host::Host::kill);
    // Long enough that every lease has run out.
    std::thread::sleep(Duration::from_millis(500));
    for host in &mut cluster.hosts {
        host.restart().unwrap();
    }
    for service in cluster.brokers.iter_mut().chain(&mut cluster.coordinators) {
        service.restart().unwrap();
        service.wait_listening().unwrap();
    }
    keys.iter().for_each(|keys| check_data(&cluster, keys));
}

#[test]
fn a_spare_takes_a_dead_hosts_place_and_the_dead_comes_back_to_the_pool() {
    let mut cluster = four_of(5);
    let shard = shard_on(&cluster, 0);
    let keys = write(&cluster, &shard);
    cluster.hosts[0].kill();
    check_data(&cluster, &keys);
    let used = |cluster: &ManagedCluster, host: usize| {
        let shards = cluster.shards(CLUSTER).unwrap();
        shards.iter().any(|shard| shard.primary.host == host || shard.replica.host == host)
    };
    assert!(used(&cluster, 4) && !used(&cluster, 0), "{:?}", cluster.shards(CLUSTER));
    cluster.hosts[0].restart().unwrap();
    let back = || {
        let state = cluster.state()?;
        let proxy = &state.proxies[&cluster.hosts[0].proxy.model_address()?];
        ensure!(proxy.is_free() && !proxy.dirty, "{proxy:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the host is in the pool", back).unwrap();
    check_data(&cluster, &keys);
}

/// A cluster, of which the first host's shard has keys, and a replica that waits for all of them again: it has what it had.
fn resyncing() -> (ManagedCluster, ShardPlace, Vec<String>) {
    let options = staying(4);
    let debugging = ("enable-debug-command".to_owned(), "yes".to_owned());
    let nodes = RedisOptions { settings: vec![debugging], ..options.nodes.clone() };
    let cluster = ManagedCluster::with_cluster(&ManagedOptions { nodes, ..options }, CLUSTER, 4).unwrap();
    let shard = shard_on(&cluster, 0);
    let keys = write(&cluster, &shard);
    let [primary, replica] =
        [shard.primary, shard.replica].map(|place| &cluster.hosts[place.host].nodes[place.node]);
    // The next full resync begins in an hour, and the replica is not let in without one.
    primary.say("CONFIG SET repl-diskless-sync-delay 3600").unwrap();
    primary.say("DEBUG CHANGE-REPL-ID").unwrap();
    replica.say("CLIENT KILL TYPE master").unwrap();
    let is_out = || {
        let sync = find(&cluster, shard.id).sync;
        ensure!(sync == SyncState::OutOfSync, "{sync:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the replica counts as out of sync", is_out).unwrap();
    (cluster, shard, keys)
}

/// The words of all events so far.
fn events(cluster: &ManagedCluster) -> String {
    let page = cluster.block_on(cluster.client().events(0, 4096)).unwrap();
    page.events.into_iter().flat_map(|event| event.words).collect::<Vec<_>>().join("\n")
}

#[test]
fn nor_while_its_replica_waits_for_a_full_resync() {
    let (mut cluster, shard, keys) = resyncing();
    cluster.hosts[shard.primary.host].nodes[shard.primary.node].restart().unwrap();
    check_data(&cluster, &keys);
    assert_eq!(find(&cluster, shard.id).primary, shard.replica);
    let told = events(&cluster);
    let words = format!("came back without its data: the primary has 0 keys, its replica {KEYS} keys");
    assert!(told.contains(&words), "{told}");
}

#[test]
fn an_empty_primary_whose_replica_is_gone_waits_for_an_operator() {
    let (mut cluster, shard, keys) = resyncing();
    cluster.hosts[shard.replica.host].nodes[shard.replica.node].process().freeze().unwrap();
    let is_silent = || {
        let problems = problems(&cluster, shard.id);
        ensure!(
            problems.iter().any(|problem| problem.contains("has not answered its proxy")),
            "{problems:?}"
        );
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the replica is seen to be silent", is_silent).unwrap();
    cluster.hosts[shard.primary.host].nodes[shard.primary.node].restart().unwrap();
    let waits = || {
        let told = events(&cluster);
        ensure!(told.contains("restarted and waits: its replica may have what it lacks"), "{told}");
        let problems = problems(&cluster, shard.id);
        ensure!(problems.iter().any(|problem| problem.contains("ctl cluster serve")), "{problems:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the primary waits, and that is told", waits).unwrap();
    let wanted = ServeRequest { shard: Some(number_of(&cluster, &shard)), ..ServeRequest::default() };
    cluster.block_on(cluster.client().serve(&CLUSTER.parse().unwrap(), &wanted)).unwrap();
    let proxy = cluster.hosts[shard.primary.host].proxy.address();
    first_write(proxy, &keys[0], Instant::now());
    let told = events(&cluster);
    assert!(
        told.contains("the primary has 0 keys, its replica an unknown number of keys\nan operator says so"),
        "{told}"
    );
    cluster.hosts[shard.replica.host].nodes[shard.replica.node].process().thaw().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    assert_eq!(find(&cluster, shard.id).primary, shard.primary);
}
