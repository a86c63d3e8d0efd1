//! Taking a primary out of service before another takes over, and what is known of replicas.

use model::{Address, ClusterName, Epoch};

use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{Fence, FenceReason, Losses, ShardId, State, SyncState};
use crate::time::TimeMs;

/// Fences a primary: its proxy's next view is without its slots, and it gets no lease any more.
pub(super) fn set(
    state: &mut State,
    name: &ClusterName,
    primary: &Address,
    reason: FenceReason,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    let id = cluster.shard_of_primary(primary).ok_or_else(|| ApplyError::ProxyNotFound(primary.clone()))?;
    let shard = cluster.shard(id);
    if shard.fence.is_some_and(|fence| fence.reason == FenceReason::Dead || fence.reason == reason) {
        return Ok(Reply::Done);
    }
    if shard.replica == SyncState::OutOfSync {
        return Err(ApplyError::ReplicaNotInSync(cluster.chunks[id.chunk].replica(id.shard).clone()));
    }
    if reason.is_handover() && cluster.is_migrating(id) {
        return Err(ApplyError::MigrationRunning(name.clone()));
    }
    fence(state, name, id, reason, now)?;
    Ok(Reply::Done)
}

fn fence(
    state: &mut State,
    name: &ClusterName,
    id: ShardId,
    reason: FenceReason,
    now: TimeMs,
) -> Result<(), ApplyError> {
    let epoch = state.next_epoch();
    let cluster = state.cluster_mut(name)?;
    cluster.epoch = epoch;
    cluster.shard_mut(id).fence = Some(Fence { epoch, since: now, reason });
    Ok(())
}

/// Lets a fenced primary go on.
pub(super) fn lift(
    state: &mut State,
    name: &ClusterName,
    primary: &Address,
    fence: Epoch,
) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    let id = cluster.shard_of_primary(primary).ok_or_else(|| ApplyError::ProxyNotFound(primary.clone()))?;
    let Some(held) = cluster.shard(id).fence.filter(|held| held.epoch == fence) else {
        return Err(ApplyError::Retry("that fence is gone"));
    };
    let epoch = state.next_epoch();
    let cluster = state.cluster_mut(name)?;
    cluster.epoch = epoch;
    let shard = cluster.shard_mut(id);
    (shard.fence, shard.deposed) = (None, None);
    if held.reason.is_handover() {
        // Writes have stopped in vain, so it is not tried again at once.
        shard.changed = held.since;
    }
    Ok(Reply::Done)
}

/// Notes what was seen of a replica.
pub(super) fn set_sync(
    state: &mut State,
    name: &ClusterName,
    replica: &Address,
    sync: SyncState,
) -> Result<Reply, ApplyError> {
    let cluster = state.cluster_mut(name)?;
    let id = cluster.shard_of_replica(replica).ok_or_else(|| ApplyError::ProxyNotFound(replica.clone()))?;
    let shard = cluster.shard_mut(id);
    if shard.fence.is_some() && sync == SyncState::InSync && shard.replica == SyncState::OutOfSync {
        return Err(ApplyError::Retry("the primary is being taken out of service"));
    }
    (shard.replica, shard.is_unbegun) = (sync, false);
    if sync == SyncState::InSync {
        shard.former = None;
    }
    Ok(Reply::Done)
}

/// There may be data of the shard from now on.
pub(super) fn begin(state: &mut State, name: &ClusterName, primary: &Address) -> Result<Reply, ApplyError> {
    let cluster = state.cluster_mut(name)?;
    let id = cluster.shard_of_primary(primary).ok_or_else(|| ApplyError::ProxyNotFound(primary.clone()))?;
    cluster.shard_mut(id).is_unbegun = false;
    Ok(Reply::Done)
}

/// Begins to bring primaries home, except where a failure stands or the replica at home lacks data. Each is
/// fenced for a handover, which the coordinator completes when the replica has everything.
pub(super) fn balance(state: &mut State, name: &ClusterName, now: TimeMs) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    let is_failed = |proxy: &Address| state.is_failed(proxy) || state.failures.contains_key(proxy);
    let can_move = |id: &ShardId| {
        let chunk = &cluster.chunks[id.chunk];
        let shard = chunk.shard(id.shard);
        let is_astray = shard.primary != id.shard && shard.fence.is_none();
        let is_quiet = !cluster.is_migrating(*id) && !chunk.proxies.iter().any(is_failed);
        is_astray && is_quiet && shard.replica == SyncState::InSync
    };
    let strays = cluster.shard_ids().filter(can_move).collect::<Vec<_>>();
    // Primaries that cannot move now are brought home later, also where an operator had moved them.
    let shards = state.cluster_mut(name)?.chunks.iter_mut().flat_map(|chunk| &mut chunk.shards);
    shards.for_each(|shard| (shard.stays, shard.losses) = (false, Losses::default()));
    for id in strays {
        fence(state, name, id, FenceReason::Handover, now)?;
    }
    Ok(Reply::Done)
}
