//! A planned failover under load: no request fails, nothing is lost, and writes stop for a moment only.

use std::time::{Duration, Instant};

use api::v4::FailoverRequest;
use testkit::managed::ManagedCluster;

use crate::fixture::{CLUSTER, HEAL_LIMIT, find, four_of, from_environment, shard_on};
use crate::load::{Load, Written, longest_gap};
use crate::times::Times;

/// How long writes may stop; of programs that are not optimised, on a machine that does other things, some longer.
const STOP_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 100 });
/// Keys of the shard that are written at once.
const WRITERS: usize = 4;
/// How long the load runs before and after.
const AROUND: Duration = Duration::from_millis(300);

#[test]
fn a_planned_failover_loses_nothing_and_is_short() {
    let cluster = four_of(4);
    let (mut times, runs) = (Times::default(), from_environment("HANDOVER_RUNS", 3));
    for run in 0..runs {
        let shard = shard_on(&cluster, 0).id;
        let before = find(&cluster, shard);
        let keys: Vec<String> =
            (0..WRITERS).map(|n| before.key("handover", run * 100 + n).unwrap()).collect();
        let load = Load::start(&cluster.proxies(), keys);
        std::thread::sleep(AROUND);
        let begun = Instant::now();
        hand_over(&cluster, before.primary);
        let moved = || {
            anyhow::ensure!(find(&cluster, shard).primary == before.replica, "not yet");
            Ok(())
        };
        cluster.wait_for(HEAL_LIMIT, "the replica is the primary", moved).unwrap();
        std::thread::sleep(AROUND);
        let written = load.stop();
        for (key, written) in &written {
            check_nothing_lost(&cluster, key, written);
            times.add(longest_gap(written, begun));
        }
        // Back, so that each run begins alike; and the replica has to be in sync for that.
        cluster.wait_whole(CLUSTER).unwrap();
        hand_over(&cluster, before.replica);
        let back = || {
            anyhow::ensure!(find(&cluster, shard).primary == before.primary, "not yet");
            Ok(())
        };
        cluster.wait_for(HEAL_LIMIT, "the primary is back", back).unwrap();
        cluster.wait_whole(CLUSTER).unwrap();
    }
    let (_, worst) = times.report("planned failover, longest time between two writes of a client");
    assert!(worst <= STOP_MAX, "{worst:?}");
}

fn hand_over(cluster: &ManagedCluster, primary: testkit::managed::shard::NodePlace) {
    let primary = cluster.hosts[primary.host].nodes[primary.node].model_address().unwrap();
    let order = FailoverRequest { node: Some(primary), ..FailoverRequest::default() };
    cluster.block_on(cluster.client().fail_over(&CLUSTER.parse().unwrap(), &order)).unwrap();
}

/// Every write was answered OK, and the last is what is read.
fn check_nothing_lost(cluster: &ManagedCluster, key: &str, written: &[Written]) {
    let failed: Vec<&Written> = written.iter().filter(|write| write.error.is_some()).collect();
    assert!(failed.is_empty(), "{key}: {} of {} failed: {:?}", failed.len(), written.len(), failed[0]);
    let owner = cluster.shard_of(CLUSTER, key.as_bytes()).unwrap();
    let read = cluster.hosts[owner.primary.host].proxy.say(&format!("GET {key}")).unwrap();
    assert_eq!(read.text().unwrap(), written.last().unwrap().value.to_string(), "{key}");
}

#[test]
fn a_primary_stays_where_an_operator_has_put_it() {
    let cluster = four_of(4);
    let before = shard_on(&cluster, 1);
    hand_over(&cluster, before.primary);
    let moved = |to| {
        move |cluster: &ManagedCluster| {
            let primary = find(cluster, before.id).primary;
            anyhow::ensure!(primary == to, "it is {primary:?}");
            Ok(())
        }
    };
    cluster.wait_for(HEAL_LIMIT, "it has moved", || moved(before.replica)(&cluster)).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    let state = cluster.state().unwrap();
    assert!(state.clusters.values().next().unwrap().shard(before.id).stays);
    cluster.block_on(cluster.client().balance(&CLUSTER.parse().unwrap())).unwrap();
    cluster.wait_for(HEAL_LIMIT, "it is at home", || moved(before.primary)(&cluster)).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
}
