//! Several coordinators, several brokers and their etcd: each fault is handled once, and the death of any of them is
//! not noticed by clients.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use control_core::ShardId;
use testkit::managed::service::Service;
use testkit::managed::shard::{NodePlace, ShardPlace};
use testkit::managed::{Brokers, ManagedCluster, ManagedOptions};
use testkit::stalls::{StallWatch, unless_stalled};

use crate::fixture::{CLUSTER, HEAL_LIMIT, find, first_write, shard_on, staying, wait_attached};
use testkit::proof::load::{Load, check_nothing_failed};

/// How long clients write around a death.
const AROUND: Duration = Duration::from_millis(1_200);
/// How long etcd is dead or stopped: longer than a lease, and than the time in which a proxy would count as dead.
const WITHOUT_ETCD: Duration = Duration::from_millis(2_500);
/// Events that are asked for at a time.
const EVENTS_EACH: usize = 100;

fn two_coordinators(brokers: Brokers, hosts: usize) -> ManagedOptions {
    ManagedOptions { coordinators: 2, brokers, ..staying(hosts) }
}

/// The kinds of changes since an event, with whom they concern and what they say.
fn events_after(cluster: &ManagedCluster, mut after: u64) -> (Vec<api::v4::Event>, u64) {
    let mut events = Vec::new();
    loop {
        let page = cluster.block_on(cluster.client().events(after, EVENTS_EACH)).unwrap();
        let is_last = page.events.len() < EVENTS_EACH;
        after = page.next;
        events.extend(page.events);
        if is_last {
            return (events, after);
        }
    }
}

/// How often a primary was fenced as dead, and how often somebody was promoted in its place.
fn count(events: &[api::v4::Event], primary: &model::Address) -> (usize, usize) {
    let own = |kind: &str| {
        let own = events.iter().filter(|event| event.kind == kind && event.address.as_ref() == Some(primary));
        own.cloned().collect::<Vec<_>>()
    };
    let is_dead =
        |event: &&api::v4::Event| event.words.iter().any(|words| words.contains("because it counts as dead"));
    (own("FenceShard").iter().filter(is_dead).count(), own("FailOverShard").len())
}

/// One writer for each shard, on which nothing may fail until it is stopped.
pub(crate) fn start_load(cluster: &ManagedCluster, prefix: &str) -> Load {
    wait_attached(cluster);
    let shards = cluster.shards(CLUSTER).unwrap();
    Load::start(&cluster.proxies(), shards.iter().map(|shard| shard.key(prefix, 0).unwrap()).collect())
}

fn kill_primary(cluster: &mut ManagedCluster, shard: &ShardPlace) -> model::Address {
    let node = &mut cluster.hosts[shard.primary.host].nodes[shard.primary.node];
    node.kill();
    node.model_address().unwrap()
}

/// Kills a shard's primary, and starts it again when its replica has taken over.
fn check_failover(cluster: &mut ManagedCluster, host: usize) -> Result<()> {
    let shard = shard_on(cluster, host);
    let (_, before) = events_after(cluster, 0);
    let struck = Instant::now();
    let primary = kill_primary(cluster, &shard);
    let replica = cluster.hosts[shard.replica.host].proxy.address();
    let took = first_write(replica, &shard.key("several", host).unwrap(), struck);
    println!("first write after {} ms", took.as_millis());
    cluster.hosts[shard.primary.host].nodes[shard.primary.node].restart().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    let (events, _) = events_after(cluster, before);
    ensure!(count(&events, &primary) == (1, 1), "not fenced once, replaced once: {events:#?}");
    Ok(())
}

/// The proxy of a host dies: its place is taken once, by one spare.
fn check_replacement(cluster: &mut ManagedCluster, host: usize) -> Result<()> {
    let (_, before) = events_after(cluster, 0);
    let proxy = cluster.hosts[host].proxy.model_address().unwrap();
    cluster.hosts[host].proxy.kill();
    let replaced = || {
        let shards = cluster.shards(CLUSTER)?;
        ensure!(
            shards.iter().all(|shard| shard.primary.host != host && shard.replica.host != host),
            "{shards:?}"
        );
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "another has its place", replaced).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    let (events, _) = events_after(cluster, before);
    let own = |kind| {
        let is_own = |event: &&api::v4::Event| event.kind == kind && event.address.as_ref() == Some(&proxy);
        events.iter().filter(is_own).count()
    };
    // Once it is noted as failed and once, or at once, replaced; each coordinator may have done either.
    let taken = own("FailOverProxy");
    ensure!((1..=2).contains(&taken), "{taken}: {events:#?}");
    ensure!(own("ProxyReturned") == 0, "it came back from the dead: {events:#?}");
    Ok(())
}

#[test]
fn two_coordinators_handle_each_fault_once() {
    unless_stalled(two_coordinators_in_turn).unwrap();
}

fn two_coordinators_in_turn(stalls: &mut StallWatch) -> Result<()> {
    let options = two_coordinators(Brokers::Embedded, 5);
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    stalls.begin(&cluster.nodes());
    // Either may die, and nobody notices.
    for dead in 0..2 {
        let load = start_load(&cluster, "coordinators");
        let (_, before) = events_after(&cluster, 0);
        cluster.coordinators[dead].kill();
        std::thread::sleep(AROUND);
        check_nothing_failed(&load.stop(), "a coordinator died")?;
        let (events, _) = events_after(&cluster, before);
        // What is known of replicas may still be noted; nothing was done about anybody.
        ensure!(events.iter().all(|event| event.kind == "SetReplicaSync"), "{events:#?}");
        // The other one alone is enough.
        check_failover(&mut cluster, dead)?;
        cluster.coordinators[dead].restart().unwrap();
        cluster.coordinators[dead].wait_listening().unwrap();
    }
    check_failover(&mut cluster, 2)?;
    check_replacement(&mut cluster, 3)
}

#[test]
fn a_quorum_of_two_is_waited_for() {
    let mut options = two_coordinators(Brokers::Embedded, 2);
    options.broker_settings.push(("failure_quorum".to_owned(), "2".to_owned()));
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 2).unwrap();
    cluster.coordinators[0].kill();
    let shard = shard_on(&cluster, 0);
    cluster.hosts[0].proxy.kill();
    let proxy = cluster.hosts[0].proxy.model_address().unwrap();
    let reported = || {
        let state = cluster.state()?;
        ensure!(state.failures.get(&proxy).is_some_and(|reports| reports.len() == 1), "{:?}", state.failures);
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the other one reports it", reported).unwrap();
    std::thread::sleep(AROUND);
    let now = find(&cluster, shard.id);
    assert_eq!((now.primary, now.is_fenced), (shard.primary, false), "one word is not enough");
    cluster.coordinators[0].restart().unwrap();
    let replica = cluster.hosts[shard.replica.host].proxy.address();
    first_write(replica, &shard.key("quorum", 0).unwrap(), Instant::now());
    assert_eq!(find(&cluster, shard.id).primary, shard.replica);
    cluster.hosts[0].proxy.restart().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
}

#[test]
fn brokers_on_etcd_die_and_come_back() {
    unless_stalled(brokers_in_turn).unwrap();
}

fn brokers_in_turn(stalls: &mut StallWatch) -> Result<()> {
    let mut cluster =
        ManagedCluster::with_cluster(&two_coordinators(Brokers::OnEtcd(2), 4), CLUSTER, 4).unwrap();
    stalls.begin(&cluster.nodes());
    for dead in 0..2 {
        let load = start_load(&cluster, "brokers");
        cluster.brokers[dead].kill();
        std::thread::sleep(AROUND);
        check_nothing_failed(&load.stop(), "a broker died")?;
        check_failover(&mut cluster, dead)?;
        cluster.brokers[dead].restart().unwrap();
        cluster.brokers[dead].wait_listening().unwrap();
    }
    check_failover(&mut cluster, 2)
}

/// Who has which part in each shard.
fn roles(cluster: &ManagedCluster) -> Vec<(ShardId, NodePlace, NodePlace)> {
    let shards = cluster.shards(CLUSTER).unwrap();
    shards.into_iter().map(|shard| (shard.id, shard.primary, shard.replica)).collect()
}

/// Without etcd there is no metadata: nothing can be decided, and nothing that is well may fail or be replaced. What is
/// known of a replica may change meanwhile, and somebody may be fenced for a moment; that harms nobody.
fn check_without_etcd(begin: impl Fn(&mut ManagedCluster), end: impl Fn(&mut ManagedCluster)) {
    let attempt = |stalls: &mut StallWatch| {
        let mut cluster =
            ManagedCluster::with_cluster(&two_coordinators(Brokers::OnEtcd(2), 4), CLUSTER, 4).unwrap();
        stalls.begin(&cluster.nodes());
        let load = start_load(&cluster, "etcd");
        let (before, (_, mark)) = (roles(&cluster), events_after(&cluster, 0));
        begin(&mut cluster);
        std::thread::sleep(WITHOUT_ETCD);
        end(&mut cluster);
        cluster.wait_whole(CLUSTER).unwrap();
        check_nothing_failed(&load.stop(), "without etcd")?;
        let (after, (events, _)) = (roles(&cluster), events_after(&cluster, mark));
        let is_replacement =
            |event: &api::v4::Event| ["FailOverShard", "FailOverProxy"].contains(&event.kind.as_str());
        let is_same = before == after && !events.iter().any(is_replacement);
        ensure!(is_same, "somebody was replaced: {before:?}, {after:?}: {events:#?}");
        check_failover(&mut cluster, 0)
    };
    unless_stalled(attempt).unwrap();
}

#[test]
fn an_etcd_that_dies_and_comes_back() {
    let begin = |cluster: &mut ManagedCluster| {
        cluster.etcd.as_mut().unwrap().kill();
        // A broker that starts anew meanwhile waits for it.
        cluster.brokers[0].restart().unwrap();
    };
    check_without_etcd(begin, |cluster| {
        assert!(cluster.brokers.iter_mut().all(Service::is_running), "a broker has ended");
        let etcd = cluster.etcd.as_mut().unwrap();
        etcd.restart().unwrap();
        etcd.wait_listening().unwrap();
        cluster.brokers[0].wait_listening().unwrap();
    });
}

#[test]
fn an_etcd_that_hangs() {
    let begin = |cluster: &mut ManagedCluster| cluster.etcd.as_mut().unwrap().process().freeze().unwrap();
    check_without_etcd(begin, |cluster| cluster.etcd.as_mut().unwrap().process().thaw().unwrap());
}
