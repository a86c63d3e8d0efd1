//! Spreading a cluster's slots over more nodes or fewer.

use std::cmp::Reverse;

use model::{ClusterName, Epoch, SlotRanges};

use super::clusters::chunk_count;
use super::migrations::schedule;
use super::nodes::add_chunks;
use super::settled::check_settled;
use crate::command::Reply;
use crate::error::ApplyError;
use crate::slot_plan::plan_moves;
use crate::state::{Chunk, Cluster, Migration, ScaleJob, ShardId, State};
use crate::time::TimeMs;

/// Starts to spread the slots over all nodes.
pub(super) fn expand(state: &mut State, name: &ClusterName) -> Result<Reply, ApplyError> {
    check_settled(state, name)?;
    start(state, name, |_| true)
}

/// Starts to move the slots onto fewer nodes.
pub(super) fn shrink(state: &mut State, name: &ClusterName, node_number: usize) -> Result<Reply, ApplyError> {
    let keep = chunk_count(node_number)?;
    check_settled(state, name)?;
    let cluster = state.cluster(name)?;
    if keep >= cluster.chunks.len() {
        let accepted = "shrinking needs fewer than the cluster has";
        return Err(ApplyError::InvalidNodeNumber { got: node_number, accepted });
    }
    if cluster.chunks.iter().any(Chunk::is_without_slots) {
        return Err(ApplyError::FreeNodeFound(name.clone()));
    }
    shrink_to(state, name, keep)
}

/// Scales to a number of nodes with slots.
pub(super) fn scale(
    state: &mut State,
    name: &ClusterName,
    node_number: usize,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let wanted = chunk_count(node_number)?;
    check_settled(state, name)?;
    let held = state.cluster(name)?.chunks.len();
    if wanted <= held {
        return shrink_to(state, name, wanted);
    }
    add_chunks(state, name, wanted - held, now)?;
    let cluster = state.cluster_mut(name)?;
    cluster.scaling = Some(ScaleJob { epoch: cluster.epoch, since: now });
    Ok(Reply::Done)
}

/// The added nodes are ready.
pub(super) fn proceed(state: &mut State, name: &ClusterName, epoch: Epoch) -> Result<Reply, ApplyError> {
    let cluster = state.cluster_mut(name)?;
    if cluster.scaling.map(|job| job.epoch) != Some(epoch) {
        return Err(ApplyError::Retry("no scaling waits with that epoch"));
    }
    cluster.scaling = None;
    match start(state, name, |_| true) {
        // Nothing to move is what was asked for.
        Ok(_) | Err(ApplyError::SlotsAlreadyEven(_)) => Ok(Reply::Done),
        Err(error) => Err(error),
    }
}

/// Moves the slots onto the chunks that have most now, so that least moves; where proxies are ordered, onto
/// the first ones.
fn shrink_to(state: &mut State, name: &ClusterName, keep: usize) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    let mut places: Vec<usize> = (0..cluster.chunks.len()).collect();
    if !state.settings.ordered_proxies {
        places.sort_by_key(|place| Reverse(cluster.chunks[*place].slot_count()));
    }
    places.truncate(keep);
    start(state, name, |id| places.contains(&id.chunk))
}

fn start(
    state: &mut State,
    name: &ClusterName,
    keeps: impl Fn(ShardId) -> bool,
) -> Result<Reply, ApplyError> {
    let migrations = plan(state.cluster(name)?, keeps);
    if migrations.is_empty() {
        return Err(ApplyError::SlotsAlreadyEven(name.clone()));
    }
    state.cluster_mut(name)?.migrations = migrations;
    schedule(state, name);
    Ok(Reply::Done)
}

fn plan(cluster: &Cluster, keeps: impl Fn(ShardId) -> bool) -> Vec<Migration> {
    let ids: Vec<ShardId> = cluster.shard_ids().collect();
    let shards: Vec<(SlotRanges, bool)> =
        ids.iter().map(|id| (cluster.shard(*id).slots.clone(), keeps(*id))).collect();
    let moves = plan_moves(&shards).into_iter();
    let migration = |step: crate::slot_plan::SlotMove| Migration {
        ranges: step.ranges,
        source: ids[step.source],
        target: ids[step.target],
        attempt: None,
    };
    moves.map(migration).collect()
}
