//! The life of a migration: its turn, its attempts, its commit.
//!
//! ```text
//!   waiting ──schedule──▶ attempt n ──commit(n)──▶ committed
//!                          │     ▲
//!                          └─────┘ restart, or a failover at either end: attempt m > n,
//!                                  after which commit(n) is refused
//! ```
//! While a cluster's migrations are paused, all of them wait.

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch, MigrationMeta, SlotRanges};

use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{
    Cluster, FINISHED_MIGRATIONS_KEPT, FinishedMigration, Migration, MigrationOutcome, ShardId, State,
};

/// Gives waiting migrations their turn, as far as the limit for each proxy allows, and shows the change to
/// the proxies.
pub(super) fn schedule(state: &mut State, name: &ClusterName) {
    let limit = match state.settings.migration_limit {
        0 => usize::MAX,
        limit => limit,
    };
    let Some(cluster) = state.clusters.get_mut(name) else { return };
    let mut epoch = state.global_epoch;
    let mut busy = BTreeMap::new();
    for migration in cluster.migrations.iter().filter(|migration| migration.attempt.is_some()) {
        for proxy in ends(cluster, migration) {
            *busy.entry(proxy).or_default() += 1;
        }
    }
    let is_paused = cluster.paused;
    for place in 0..cluster.migrations.len() {
        let ends = ends(cluster, &cluster.migrations[place]);
        let is_full = ends.iter().any(|proxy| busy.get(proxy).is_some_and(|count| *count >= limit));
        if cluster.migrations[place].attempt.is_none() && !is_full && !is_paused {
            ends.into_iter().for_each(|proxy| *busy.entry(proxy).or_insert(0usize) += 1);
            epoch = epoch.next();
            cluster.migrations[place].attempt = Some(epoch);
        }
    }
    cluster.epoch = epoch.next();
    state.global_epoch = cluster.epoch;
}

/// The proxies that a migration keeps busy: one, when both ends are behind it.
fn ends(cluster: &Cluster, migration: &Migration) -> Vec<Address> {
    let proxy = |id: ShardId| cluster.chunks[id.chunk].primary_proxy(id.shard).clone();
    let mut ends = vec![proxy(migration.source), proxy(migration.target)];
    ends.dedup();
    ends
}

/// Makes the target the owner. Repeating a commit that was done does nothing.
pub(super) fn commit(
    state: &mut State,
    name: &ClusterName,
    ranges: &SlotRanges,
    meta: &MigrationMeta,
) -> Result<Reply, ApplyError> {
    let cluster = state.cluster_mut(name)?;
    let is_done = |done: &FinishedMigration| {
        done.outcome == MigrationOutcome::Committed && done.meta == *meta && done.ranges == *ranges
    };
    if cluster.finished.iter().any(is_done) {
        return Ok(Reply::Done);
    }
    let is_meant =
        |migration: &Migration| migration.ranges == *ranges && cluster.meta(migration).as_ref() == Some(meta);
    let place = cluster.migrations.iter().position(is_meant);
    let Some(place) = place else { return Err(ApplyError::MigrationTaskNotFound(meta.epoch)) };
    let Migration { source, target, .. } = cluster.migrations.remove(place);
    let left = cluster.shard(source).slots.difference(ranges);
    cluster.shard_mut(source).slots = left;
    let gained = cluster.shard(target).slots.union(ranges);
    cluster.shard_mut(target).slots = gained;
    schedule(state, name);
    let cluster = state.cluster_mut(name)?;
    cluster.paused &= !cluster.migrations.is_empty();
    let (ranges, meta, epoch) = (ranges.clone(), meta.clone(), cluster.epoch);
    remember(cluster, FinishedMigration { ranges, meta, outcome: MigrationOutcome::Committed, epoch });
    Ok(Reply::Done)
}

/// Restarts an attempt.
pub(super) fn restart(state: &mut State, name: &ClusterName, attempt: Epoch) -> Result<Reply, ApplyError> {
    let cluster = state.cluster_mut(name)?;
    let running = cluster.migrations.iter_mut().find(|migration| migration.attempt == Some(attempt));
    let Some(migration) = running else { return Err(ApplyError::MigrationTaskNotFound(attempt)) };
    migration.attempt = None;
    schedule(state, name);
    Ok(Reply::Done)
}

/// Stops the moves or lets them go on. An attempt that is stopped is over: a late commit of it fails.
pub(super) fn set_paused(state: &mut State, name: &ClusterName, paused: bool) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    if cluster.migrations.is_empty() && cluster.scaling.is_none() {
        return Err(ApplyError::JobNotFound(name.clone()));
    }
    if cluster.paused == paused {
        return Ok(Reply::Done);
    }
    let cluster = state.cluster_mut(name)?;
    cluster.paused = paused;
    if paused {
        cluster.migrations.iter_mut().for_each(|migration| migration.attempt = None);
    }
    schedule(state, name);
    Ok(Reply::Done)
}

/// Restarts what runs from or to these shards: the primary of one has changed.
pub(super) fn restart_touching(cluster: &mut Cluster, shards: &[ShardId]) {
    for migration in &mut cluster.migrations {
        if shards.contains(&migration.source) || shards.contains(&migration.target) {
            migration.attempt = None;
        }
    }
}

/// Ends what is not committed, and the wait for new nodes.
pub(super) fn cancel(state: &mut State, name: &ClusterName) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    if cluster.migrations.is_empty() && cluster.scaling.is_none() {
        return Ok(Reply::Done);
    }
    let epoch = state.next_epoch();
    let cluster = state.cluster_mut(name)?;
    cluster.epoch = epoch;
    cluster.scaling = None;
    cluster.paused = false;
    for migration in std::mem::take(&mut cluster.migrations) {
        if let Some(meta) = cluster.meta(&migration) {
            let (ranges, outcome) = (migration.ranges, MigrationOutcome::Cancelled);
            remember(cluster, FinishedMigration { ranges, meta, outcome, epoch });
        }
    }
    Ok(Reply::Done)
}

fn remember(cluster: &mut Cluster, finished: FinishedMigration) {
    // Coordinators read them with every change, and know of more only where a proxy lags that far behind.
    let forgotten = (cluster.finished.len() + 1).saturating_sub(FINISHED_MIGRATIONS_KEPT);
    cluster.finished.drain(..forgotten);
    cluster.finished.push(finished);
}
