//! How long after a fault the shard takes writes again, for each fault; and that the cluster is whole again.

use std::time::{Duration, Instant};

use testkit::managed::shard::ShardPlace;
use testkit::managed::{ManagedCluster, ManagedOptions};

use crate::fixture::{CLUSTER, first_write, from_environment, reply, shard_on};
use testkit::proof::times::Times;

/// What happens to the first host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NodeKilled,
    NodeFrozen,
    ProxyKilled,
    ProxyFrozen,
    HostKilled,
}

/// Time until the first write: the worst that is allowed. Bounds hold in the long form, which needs a machine that has
/// nothing else to do.
const WORST_MAX: Duration = Duration::from_millis(2000);

/// How long it takes until primaries are home that have failed in many runs before.
const HOME_LIMIT: Duration = Duration::from_secs(400);

impl Fault {
    /// The median that is allowed. A node that hangs looks like one that is busy with a slow command, so it is
    /// given a second.
    fn median_max(self) -> Duration {
        match self {
            Self::NodeFrozen => Duration::from_millis(1800),
            _ => Duration::from_millis(1000),
        }
    }

    fn strike(self, cluster: &mut ManagedCluster, shard: &ShardPlace) {
        let host = &mut cluster.hosts[shard.primary.host];
        match self {
            Self::NodeKilled => host.nodes[shard.primary.node].kill(),
            Self::NodeFrozen => host.nodes[shard.primary.node].process().freeze().unwrap(),
            Self::ProxyKilled => host.proxy.kill(),
            Self::ProxyFrozen => host.proxy.process().freeze().unwrap(),
            Self::HostKilled => host.kill(),
        }
    }

    fn mend(self, cluster: &mut ManagedCluster, shard: &ShardPlace) {
        let host = &mut cluster.hosts[shard.primary.host];
        match self {
            Self::NodeKilled => host.nodes[shard.primary.node].restart().unwrap(),
            Self::NodeFrozen => host.nodes[shard.primary.node].process().thaw().unwrap(),
            Self::ProxyKilled => host.proxy.restart().unwrap(),
            Self::ProxyFrozen => host.proxy.process().thaw().unwrap(),
            Self::HostKilled => host.restart().unwrap(),
        }
    }
}

/// Strikes again and again, waiting in between until the cluster is whole.
fn check(fault: Fault) {
    // Two coordinators that do not hear of it in the same moment, as there should be.
    let options = ManagedOptions { coordinators: 2, ..ManagedOptions::of(4) };
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    let (mut times, runs) = (Times::default(), from_environment("FAILOVER_RUNS", 1));
    for run in 0..runs {
        if run > 0 {
            wait_home(&cluster);
        }
        let shard = shard_on(&cluster, run % 4);
        let key = shard.key("k", run).unwrap();
        let mut client = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
        reply(&mut client, &format!("SET {key} before")).expect_ok().unwrap();
        let replica = cluster.hosts[shard.replica.host].proxy.address();
        let struck = Instant::now();
        fault.strike(&mut cluster, &shard);
        let took = first_write(replica, &key, struck);
        println!("{fault:?} {run}: first write after {} ms", took.as_millis());
        times.add(took);
        fault.mend(&mut cluster, &shard);
        cluster.wait_whole(CLUSTER).unwrap();
    }
    let (median, worst) = times.report(&format!("{fault:?}, first write on the new primary"));
    let is_good = median <= fault.median_max() && worst <= WORST_MAX;
    assert!(runs == 1 || is_good, "{fault:?}: {median:?}, {worst:?}");
}

/// Until each host has one primary again, brought home after a while of quiet.
fn wait_home(cluster: &ManagedCluster) {
    let all_at_home = || {
        let shards = cluster.shards(CLUSTER)?;
        let at_home = |host| shards.iter().filter(|shard| shard.primary.host == host).count() == 1;
        anyhow::ensure!((0..4).all(at_home), "{shards:?}");
        Ok(())
    };
    cluster.wait_for(HOME_LIMIT, "each host has one primary again", all_at_home).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
}

#[test]
fn a_killed_node() {
    check(Fault::NodeKilled);
}

#[test]
fn a_frozen_node() {
    check(Fault::NodeFrozen);
}

#[test]
fn a_killed_proxy() {
    check(Fault::ProxyKilled);
}

#[test]
fn a_frozen_proxy() {
    check(Fault::ProxyFrozen);
}

#[test]
fn a_killed_host() {
    check(Fault::HostKilled);
}
