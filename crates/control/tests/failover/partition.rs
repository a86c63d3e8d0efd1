//! An old primary that comes back from a partition takes no write after its replacement took one.

use std::time::{Duration, Instant};

use testkit::managed::ManagedCluster;
use testkit::managed::shard::ShardPlace;

use crate::fixture::{CLUSTER, first_write, from_environment, node_at, start_backup, staying};
use testkit::proof::writers::{Taken, Writers};

/// Clients that keep writing to the old primary's proxy.
const WRITERS: usize = 4;
/// How many of their writes the old primary takes before it is cut off.
const WRITES_BEFORE: usize = 20 * WRITERS;
/// How long they go on after the old primary is back.
const AFTER: Duration = Duration::from_millis(700);

/// What is cut off.
#[derive(Clone, Copy, Debug)]
enum Partition {
    /// The proxy is stopped, and goes on later as if nothing had happened.
    Proxy,
    /// The proxy and its nodes are stopped.
    Host,
    /// Nobody but its clients reaches the proxy. It lives, and its primary has a replica.
    Coordinators,
    /// The same, and a server of somebody else replicates the primary, too, and does not let go.
    CoordinatorsWithBackup,
}

impl Partition {
    fn begin(self, cluster: &mut ManagedCluster, shard: &ShardPlace) {
        let host = &mut cluster.hosts[shard.primary.host];
        match self {
            Self::Proxy => host.proxy.process().freeze().unwrap(),
            Self::Host => host.freeze().unwrap(),
            Self::Coordinators | Self::CoordinatorsWithBackup => host.relay.as_ref().unwrap().silence(),
        }
    }

    fn end(self, cluster: &mut ManagedCluster, shard: &ShardPlace) {
        let host = &mut cluster.hosts[shard.primary.host];
        match self {
            Self::Proxy => host.proxy.process().thaw().unwrap(),
            Self::Host => host.thaw().unwrap(),
            Self::Coordinators | Self::CoordinatorsWithBackup => host.relay.as_ref().unwrap().mend(),
        }
    }

    /// Whether the old primary's proxy lives and is cut off.
    fn is_of_coordinators(self) -> bool {
        matches!(self, Self::Coordinators | Self::CoordinatorsWithBackup)
    }
}

fn check(partition: Partition) {
    let mut options = staying(4);
    options.relays = partition.is_of_coordinators();
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    let runs = from_environment("PARTITION_RUNS", 2);
    for run in 0..runs {
        let shard = shard_of_run(&cluster, run);
        let old = cluster.hosts[shard.primary.host].proxy.address();
        let new = cluster.hosts[shard.replica.host].proxy.address();
        let keys = (0..WRITERS).map(|number| shard.key("p", run * 100 + number).unwrap());
        let has_backup = matches!(partition, Partition::CoordinatorsWithBackup);
        let backup = has_backup.then(|| start_backup(node_at(&cluster, shard.primary)));
        let writers = Writers::start(old, keys);
        writers.wait_taken(WRITES_BEFORE).unwrap();
        partition.begin(&mut cluster, &shard);
        let took = first_write(new, &shard.key("p", run * 100 + 99).unwrap(), Instant::now());
        let replaced = Instant::now();
        if partition.is_of_coordinators() {
            // It has stopped by itself, and not because it heard of anything.
            std::thread::sleep(AFTER);
        }
        partition.end(&mut cluster, &shard);
        std::thread::sleep(AFTER);
        let (before, late): (Vec<Taken>, Vec<Taken>) =
            writers.stop().into_iter().partition(|write| write.returned < replaced);
        println!(
            "{partition:?} {run}: replaced after {} ms, {} writes before",
            took.as_millis(),
            before.len()
        );
        // Begun before or after, carried out or not: nobody is told OK once another takes writes.
        assert!(late.is_empty(), "{partition:?} {run}: {} late OKs: {late:?}", late.len());
        drop(backup);
        cluster.wait_whole(CLUSTER).unwrap();
    }
    println!("{partition:?}: {runs} runs, no OK after the replacement took a write");
}

/// The shards take turns; primaries may be where earlier runs have left them.
fn shard_of_run(cluster: &ManagedCluster, run: usize) -> ShardPlace {
    let mut shards = cluster.shards(CLUSTER).unwrap();
    let number = run % shards.len();
    shards.swap_remove(number)
}

#[test]
fn a_proxy_that_was_stopped_comes_back() {
    check(Partition::Proxy);
}

#[test]
fn a_host_that_was_stopped_comes_back() {
    check(Partition::Host);
}

#[test]
fn a_proxy_that_only_its_clients_reach() {
    check(Partition::Coordinators);
}

#[test]
fn a_proxy_that_only_its_clients_reach_with_a_backup_of_its_primary() {
    check(Partition::CoordinatorsWithBackup);
}
