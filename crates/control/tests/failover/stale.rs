//! A coordinator that was stopped across a failover, and goes on with what it knew: nobody serves by it.

use std::time::{Duration, Instant};

use control_core::{State, desired_view};
use testkit::managed::service::Service;
use testkit::managed::{ManagedCluster, ManagedOptions};

use crate::fixture::{CLUSTER, first_write, shard_on, staying};
use testkit::proof::writers::Writers;

/// How long the old primary is looked at with each of the two coordinators: longer than any lease.
const LOOKED_AT: Duration = Duration::from_millis(600);

/// Pushes what a proxy should have by an old state, just as a coordinator does.
fn push(proxy: &Service, state: &State) {
    let (roles, view) = desired_view(state, &proxy.model_address().unwrap()).unwrap();
    let commands = [("SETREPL", roles.to_args(false)), ("SETCLUSTER", view.to_args(false))];
    for (word, arguments) in commands {
        let line = format!("UMCTL {word} {}", arguments.join(" "));
        proxy.say(&line).unwrap().expect_ok().unwrap();
    }
}

#[test]
fn a_coordinator_that_slept_through_a_failover() {
    let options = ManagedOptions { coordinators: 2, ..staying(4) };
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    let shard = shard_on(&cluster, 0);
    let [old, new] = [shard.primary, shard.replica].map(|node| cluster.hosts[node.host].proxy.address());
    let key = |number| shard.key("stale", number).unwrap();
    first_write(old, &key(0), Instant::now());
    let stale = cluster.state().unwrap();
    cluster.coordinators[0].process().freeze().unwrap();
    cluster.hosts[shard.primary.host].proxy.kill();
    first_write(new, &key(0), Instant::now());
    let replaced = Instant::now();
    // The proxy that comes back empty hears of nobody who knows better, but gets the old view.
    cluster.coordinators[1].process().freeze().unwrap();
    cluster.hosts[shard.primary.host].proxy.restart().unwrap();
    cluster.hosts[shard.primary.host].proxy.wait_answering().unwrap();
    let writer = Writers::start(old, [key(1)]);
    let proxy = &cluster.hosts[shard.primary.host].proxy;
    push(proxy, &stale);
    let served = proxy.say("UMCTL GETEPOCH").unwrap().integer().unwrap();
    let epoch = stale.clusters[&CLUSTER.parse().unwrap()].epoch;
    assert_eq!(u64::try_from(served).unwrap(), epoch.0, "the old view is in force");
    let mut client = proxy.connect().unwrap();
    let refused = client.say(&format!("SET {} old", key(2))).unwrap().error().unwrap();
    assert!(refused.starts_with("CLUSTERDOWN This proxy has lost touch"), "{refused}");
    std::thread::sleep(LOOKED_AT);
    // And then from the one that slept, with whatever it still has in memory.
    cluster.coordinators[0].process().thaw().unwrap();
    std::thread::sleep(LOOKED_AT);
    let taken = writer.stop();
    assert!(taken.is_empty(), "{} writes were taken in {:?}: {taken:?}", taken.len(), replaced.elapsed());
    cluster.coordinators[1].process().thaw().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
}
