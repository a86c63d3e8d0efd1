//! Brokers that hang, one or all of them, and go on: clients do not notice it, and what fails right afterwards is
//! handled as soon as ever.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::managed::{Brokers, ManagedCluster, ManagedOptions};
use testkit::stalls::{StallWatch, unless_stalled};

use crate::fixture::{CLUSTER, HEAL_LIMIT, find, first_write, from_environment, reply, shard_on, staying};
use crate::several::start_load;
use testkit::proof::load::{Load, check_nothing_failed};

/// How long brokers hang: until a call has just been given up, or two of them, or while one is on its way.
const HANGING: [Duration; 3] =
    [Duration::from_millis(2_150), Duration::from_millis(4_150), Duration::from_millis(3_000)];
/// From the end of that until the next fault.
const BREATH: Duration = Duration::from_millis(100);
/// From a node's hanging until the first write. The same takes 1.4 s at any other time on a machine that has time.
const FIRST_WRITE_MAX: Duration = Duration::from_secs(4);
/// How long one of two brokers hangs: much longer than a lease.
const ONE_HANGING: Duration = Duration::from_millis(1_500);

fn start(brokers: Brokers) -> ManagedCluster {
    let options = ManagedOptions { coordinators: 2, brokers, ..staying(4) };
    ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap()
}

fn freeze_all(cluster: &mut ManagedCluster) {
    cluster.brokers.iter_mut().for_each(|broker| broker.process().freeze().unwrap());
}

fn thaw_all(cluster: &mut ManagedCluster) {
    cluster.brokers.iter_mut().for_each(|broker| broker.process().thaw().unwrap());
}

/// All brokers hang, and as soon as they go on a primary hangs.
fn check(brokers: Brokers, stalls: &mut StallWatch) -> Result<()> {
    let mut cluster = start(brokers);
    stalls.begin(&[]);
    for run in 0..from_environment("HANG_RUNS", 1) {
        for (number, hanging) in HANGING.into_iter().enumerate() {
            let load = start_load(&cluster, "hang");
            freeze_all(&mut cluster);
            std::thread::sleep(hanging);
            thaw_all(&mut cluster);
            std::thread::sleep(BREATH);
            check_nothing_failed(&load.stop(), "no broker answered")?;
            // Primaries stay where they have gone in the run before.
            let shard = cluster.shards(CLUSTER).unwrap().swap_remove(number);
            let key = shard.key("hang", run).unwrap();
            let mut client = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
            reply(&mut client, &format!("SET {key} before")).expect_ok().unwrap();
            let replica = cluster.hosts[shard.replica.host].proxy.address();
            let struck = Instant::now();
            cluster.hosts[shard.primary.host].nodes[shard.primary.node].process().freeze().unwrap();
            let took = first_write(replica, &key, struck);
            println!("brokers hung for {hanging:?}: first write after {} ms", took.as_millis());
            cluster.hosts[shard.primary.host].nodes[shard.primary.node].process().thaw().unwrap();
            ensure!(took <= FIRST_WRITE_MAX, "brokers hung for {hanging:?}: {took:?}");
            cluster.wait_whole(CLUSTER).unwrap();
        }
    }
    Ok(())
}

#[test]
fn the_only_broker_hangs() {
    unless_stalled(|stalls| check(Brokers::Embedded, stalls)).unwrap();
}

#[test]
fn all_brokers_on_etcd_hang() {
    unless_stalled(|stalls| check(Brokers::OnEtcd(2), stalls)).unwrap();
}

#[test]
fn one_of_two_brokers_hangs() {
    unless_stalled(one_of_two_in_turn).unwrap();
}

/// A primary without a replica serves by its lease alone, and somebody renews it all the time.
fn one_of_two_in_turn(stalls: &mut StallWatch) -> Result<()> {
    let mut cluster = start(Brokers::OnEtcd(2));
    let shard = shard_on(&cluster, 0);
    cluster.hosts[shard.replica.host].nodes[shard.replica.node].kill();
    let is_alone = || {
        let sync = find(&cluster, shard.id).sync;
        ensure!(sync == control_core::SyncState::OutOfSync, "{sync:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the replica counts as lost", is_alone).unwrap();
    stalls.begin(&[]);
    for number in 0..2 {
        let key = shard.key("alone", number).unwrap();
        let load = Load::start(&cluster.proxies(), vec![key]);
        cluster.brokers[number].process().freeze().unwrap();
        std::thread::sleep(ONE_HANGING);
        cluster.brokers[number].process().thaw().unwrap();
        check_nothing_failed(&load.stop(), &format!("broker {number} hung"))?;
    }
    Ok(())
}
