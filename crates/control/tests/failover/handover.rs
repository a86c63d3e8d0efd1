//! A planned failover under load: no request fails, nothing is lost, and writes stop for a moment only.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use api::v4::FailoverRequest;
use testkit::managed::shard::{NodePlace, ShardPlace};
use testkit::managed::{ManagedCluster, ManagedOptions};
use testkit::stalls::{StallWatch, unless_stalled};

use crate::fixture::{
    CLUSTER, HEAL_LIMIT, find, four_of, from_environment, node_at, reply, shard_on, start_backup,
};
use testkit::proof::load::{Load, Written, check_nothing_failed, longest_gap};
use testkit::proof::times::Times;

/// How long writes may stop, which is asked for in the long form; of programs that are not optimised, on a machine that
/// does other things, some longer.
const STOP_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 100 });
/// How often it is done in the short form.
const RUNS_DEFAULT: usize = 3;
/// Keys of the shard that are written at once.
const WRITERS: usize = 4;
/// How long the load runs before and after.
const AROUND: Duration = Duration::from_millis(300);

#[test]
fn a_planned_failover_loses_nothing_and_is_short() {
    unless_stalled(there_and_back).unwrap();
}

fn there_and_back(stalls: &mut StallWatch) -> Result<()> {
    let cluster = four_of(4);
    stalls.begin(&cluster.nodes());
    let (mut times, runs) = (Times::default(), from_environment("HANDOVER_RUNS", RUNS_DEFAULT));
    for run in 0..runs {
        let before = shard_on(&cluster, 0);
        let keys: Vec<String> =
            (0..WRITERS).map(|n| before.key("handover", run * 100 + n).unwrap()).collect();
        let load = Load::start(&cluster.proxies(), keys);
        std::thread::sleep(AROUND);
        let begun = Instant::now();
        hand_over(&cluster, before.primary);
        wait_primary(&cluster, &before, before.replica)?;
        std::thread::sleep(AROUND);
        let written = load.stop();
        check_nothing_failed(&written, "a planned failover")?;
        for (key, written) in &written {
            check_nothing_lost(&cluster, key, written);
            times.add(longest_gap(written, begun));
        }
        // Back, so that each run begins alike; and the replica has to be in sync for that.
        cluster.wait_whole(CLUSTER).unwrap();
        hand_over(&cluster, before.replica);
        wait_primary(&cluster, &before, before.primary)?;
        cluster.wait_whole(CLUSTER).unwrap();
    }
    let (_, worst) = times.report("planned failover, longest time between two writes of a client");
    ensure!(runs == RUNS_DEFAULT || worst <= STOP_MAX, "{worst:?}");
    Ok(())
}

/// How long the replica hangs after the order: shorter than it may take until it counts as dead, or a handover is given up.
const HANGING: Duration = Duration::from_millis(400);
/// What is written while it hangs: more than it takes in at once when it goes on.
const WRITES: usize = 1_000;
const VALUE_BYTES: usize = 10_000;

#[test]
fn a_backup_completes_no_handover() {
    unless_stalled(|_| {
        let mut cluster = four_of(4);
        let before = shard_on(&cluster, 0);
        let backup = start_backup(node_at(&cluster, before.primary));
        // All of one slot.
        let (tag, value) = (before.key("backup", 0)?, vec![b'x'; VALUE_BYTES]);
        let key = |number: usize| format!("{number}{tag}");
        let mut client = cluster.hosts[before.primary.host].proxy.connect()?;
        cluster.hosts[before.replica.host].nodes[before.replica.node].process().freeze()?;
        // What the replica lacks, the backup has.
        for number in 0..WRITES {
            client.call(&[b"SET", key(number).as_bytes(), &value])?.expect_ok()?;
        }
        hand_over(&cluster, before.primary);
        std::thread::sleep(HANGING);
        cluster.hosts[before.replica.host].nodes[before.replica.node].process().thaw()?;
        cluster.wait_whole(CLUSTER)?;
        let owner = find(&cluster, before.id);
        let mut client = cluster.hosts[owner.primary.host].proxy.connect()?;
        let has =
            |number: &usize| reply(&mut client, &format!("EXISTS {}", key(*number))).integer().unwrap() == 1;
        let found = (0..WRITES).filter(has).count();
        assert_eq!(found, WRITES, "acknowledged writes are lost");
        drop(backup);
        Ok(())
    })
    .unwrap();
}

/// Waits until the shard's primary is there. A machine that stalls may have a handover given up.
fn wait_primary(cluster: &ManagedCluster, shard: &ShardPlace, place: NodePlace) -> Result<()> {
    let is_there = || {
        let primary = find(cluster, shard.id).primary;
        ensure!(primary == place, "it is {primary:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, &format!("the primary is {place:?}"), is_there)
}

fn hand_over(cluster: &ManagedCluster, primary: NodePlace) {
    let primary = cluster.hosts[primary.host].nodes[primary.node].model_address().unwrap();
    let order = FailoverRequest { node: Some(primary), ..FailoverRequest::default() };
    cluster.block_on(cluster.client().fail_over(&CLUSTER.parse().unwrap(), &order)).unwrap();
}

/// The last write is what is read.
fn check_nothing_lost(cluster: &ManagedCluster, key: &str, written: &[Written]) {
    let owner = cluster.shard_of(CLUSTER, key.as_bytes()).unwrap();
    let mut connection = cluster.hosts[owner.primary.host].proxy.connect().unwrap();
    let read = reply(&mut connection, &format!("GET {key}"));
    assert_eq!(read.text().unwrap(), written.last().unwrap().value.to_string(), "{key}");
}

#[test]
fn a_primary_stays_where_an_operator_has_put_it() {
    unless_stalled(|_| {
        let cluster = ManagedCluster::with_cluster(&ManagedOptions::of(4), CLUSTER, 4).unwrap();
        let before = shard_on(&cluster, 1);
        hand_over(&cluster, before.primary);
        wait_primary(&cluster, &before, before.replica)?;
        cluster.wait_whole(CLUSTER).unwrap();
        let state = cluster.state().unwrap();
        assert!(state.clusters.values().next().unwrap().shard(before.id).stays);
        cluster.block_on(cluster.client().balance(&CLUSTER.parse().unwrap())).unwrap();
        wait_primary(&cluster, &before, before.primary)?;
        cluster.wait_whole(CLUSTER)
    })
    .unwrap();
}
