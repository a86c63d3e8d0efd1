//! One host of two is dead, and no other can take its place: the survivor serves every slot by its lease alone, and
//! refuses nothing.

use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::managed::{Brokers, ManagedCluster, ManagedOptions};
use testkit::stalls::{StallWatch, unless_stalled};

use crate::fixture::{CLUSTER, first_write, from_environment, staying};
use testkit::proof::load::{Load, check_nothing_failed};

/// How long the survivor is written to in the short form. Probing and reading keep their phase for longer than this once
/// they are in step.
const SECONDS: usize = 5;

fn check(brokers: Brokers, coordinators: usize, stalls: &mut StallWatch) -> Result<()> {
    let options = ManagedOptions { coordinators, brokers, ..staying(2) };
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 2).unwrap();
    let keys = cluster.shards(CLUSTER).unwrap();
    let keys: Vec<String> = keys.iter().map(|shard| shard.key("survivor", 0).unwrap()).collect();
    cluster.hosts[1].kill();
    let (killed, survivor) = (Instant::now(), cluster.hosts[0].proxy.address());
    for key in &keys {
        let took = first_write(survivor, key, killed);
        println!("{brokers:?}, {coordinators} coordinators: the survivor serves after {took:?}");
    }
    stalls.begin(&cluster.hosts[0].nodes.each_ref().map(testkit::managed::service::Service::address));
    let load = Load::start(&[survivor], keys);
    let seconds = from_environment("SURVIVOR_SECONDS", SECONDS);
    std::thread::sleep(Duration::from_secs(u64::try_from(seconds).unwrap()));
    let written = load.stop();
    let count: usize = written.values().map(Vec::len).sum();
    println!("{brokers:?}, {coordinators} coordinators: {count} writes in {seconds} s");
    check_nothing_failed(&written, &format!("{brokers:?}, {coordinators} coordinators, one host of two"))
}

#[test]
fn with_one_broker() {
    unless_stalled(|stalls| check(Brokers::Embedded, 1, stalls)).unwrap();
}

#[test]
fn with_one_broker_and_two_coordinators() {
    unless_stalled(|stalls| check(Brokers::Embedded, 2, stalls)).unwrap();
}

#[test]
fn with_etcd() {
    unless_stalled(|stalls| check(Brokers::OnEtcd(1), 1, stalls)).unwrap();
}

#[test]
fn with_etcd_and_two_coordinators() {
    unless_stalled(|stalls| check(Brokers::OnEtcd(2), 2, stalls)).unwrap();
}
