//! A shard that nobody serves is shown as down, also where nobody can do anything about it and the metadata say nothing.

use anyhow::ensure;
use api::v4::Level;
use control_core::SyncState;
use testkit::managed::ManagedCluster;

use crate::fixture::{CLUSTER, HEAL_LIMIT, find, shard_on, staying};

#[test]
fn a_cluster_of_which_everything_is_dead() {
    let mut cluster = ManagedCluster::with_cluster(&staying(2), CLUSTER, 2).unwrap();
    cluster.hosts.iter_mut().for_each(testkit::managed::host::Host::kill);
    let is_shown = || {
        let overview = cluster.block_on(cluster.client().overview())?;
        ensure!(overview.level == Level::Down, "{overview:?}");
        ensure!(overview.clusters[0].slots_served == 0, "{overview:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "no slot is shown as served", is_shown).unwrap();
}

#[test]
fn a_primary_that_dies_without_a_replica() {
    let mut cluster = ManagedCluster::with_cluster(&staying(2), CLUSTER, 2).unwrap();
    let shard = shard_on(&cluster, 0);
    cluster.hosts[shard.replica.host].nodes[shard.replica.node].kill();
    let is_alone = || {
        let sync = find(&cluster, shard.id).sync;
        ensure!(sync == SyncState::OutOfSync, "{sync:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the replica counts as lost", is_alone).unwrap();
    cluster.hosts[shard.primary.host].nodes[shard.primary.node].kill();
    let is_shown = || {
        let health = cluster.block_on(cluster.client().cluster_health(&CLUSTER.parse()?, false))?;
        let down: Vec<_> = health.shards.iter().filter(|shard| shard.level == Level::Down).collect();
        ensure!(down.len() == 1 && down[0].slots == shard.slots.to_string(), "{health:?}");
        ensure!(down[0].problems.iter().any(|problem| problem.contains("nobody serves it")), "{health:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "its shard is shown as down", is_shown).unwrap();
}
