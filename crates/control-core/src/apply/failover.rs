//! Promoting replicas and replacing failed proxies.

use model::{Address, ClusterName, Epoch};

use super::clusters::release;
use super::migrations::{restart_touching, schedule};
use crate::allocate::replacement;
use crate::command::{FailedOver, Reply};
use crate::error::ApplyError;
use crate::state::{Comebacks, Fence, FenceReason, Half, Shard, ShardId, State, SyncState};
use crate::time::TimeMs;

/// Makes a shard's replica its primary. The old primary, which has stopped, is its replica from now on, of which
/// `old` is known.
pub(super) fn promote(shard: &mut Shard, old: SyncState, now: TimeMs) {
    if !shard.fence.is_some_and(|fence| fence.reason.is_handover()) {
        shard.losses = shard.losses.next(now);
    }
    shard.primary = shard.primary.other();
    shard.replica = old;
    shard.stays = shard.fence.is_some_and(|fence| fence.reason == FenceReason::Planned);
    shard.fence = None;
    shard.deposed = None;
    shard.forget_comeback();
    shard.changed = now;
}

/// Promotes the replica of a primary that nobody has seen stop: the new primary is fenced, and so not served, until a
/// coordinator has seen the old one stop. `(proxy, epoch)`: the old primary's proxy, and a name for the fence.
fn depose(shard: &mut Shard, (proxy, epoch): (Address, Epoch), now: TimeMs) {
    let (deposed, fence) = (shard.deposed.clone(), shard.fence);
    promote(shard, SyncState::OutOfSync, now);
    // What coordinators have seen since a primary was found dead goes on to count.
    let begun = fence.filter(|fence| fence.reason == FenceReason::Dead && deposed.is_none());
    shard.fence = Some(begun.unwrap_or(Fence { epoch, since: now, reason: FenceReason::Dead }));
    // One that was fenced here as a new primary never served.
    shard.deposed = Some(deposed.unwrap_or(proxy));
}

/// Takes a failed proxy out of service. The caller that says that it has failed may be wrong, or late: what takes
/// over is not served before it has stopped. `(decided_after, force)`: after which comeback this was decided, if not
/// by an operator, and whether to promote whatever is known of the replicas.
pub(super) fn proxy(
    state: &mut State,
    failed: &Address,
    (decided_after, force): (Option<Comebacks>, bool),
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let record = state.proxy(failed)?;
    if decided_after.is_some_and(|decided_after| decided_after != record.comebacks) {
        return Err(ApplyError::Retry("the proxy has come back since that was decided"));
    }
    let name = record.cluster.clone();
    mark_failed(state, failed, now);
    let Some(name) = name else {
        return Ok(Reply::FailedOver(FailedOver::default()));
    };
    let mut outcome = FailedOver { cluster: Some(name.clone()), ..FailedOver::default() };
    let Some((place, half)) = state.cluster(&name)?.place_of(failed) else {
        return Ok(Reply::FailedOver(outcome));
    };
    let (partner, is_partner_failed) = {
        let partner = state.cluster(&name)?.chunks[place].proxy(half.other()).clone();
        let is_failed = state.is_failed(&partner);
        (partner, is_failed)
    };
    let mut moved = Vec::new();
    let fence = state.next_epoch();
    let cluster = state.cluster_mut(&name)?;
    let chunk = &mut cluster.chunks[place];
    for home in Half::BOTH {
        if chunk.shard(home).primary != half {
            // Its replica is behind the failed proxy, and the node that takes over there begins with nothing.
            chunk.shard_mut(home).replica = SyncState::OutOfSync;
            continue;
        }
        let is_usable = !is_partner_failed && chunk.shard(home).replica != SyncState::OutOfSync;
        if is_usable || force {
            outcome.promoted.push(chunk.replica(home).clone());
            depose(chunk.shard_mut(home), (failed.clone(), fence), now);
            moved.push(ShardId { chunk: place, shard: home });
        } else {
            outcome.stuck.push(chunk.primary(home).clone());
        }
    }
    restart_touching(cluster, &moved);
    outcome.replacement = if state.settings.ordered_proxies {
        Some(failed.clone())
    } else if outcome.stuck.is_empty() && !is_partner_failed {
        replacement(state, failed, &partner)
    } else {
        // What the failed proxy holds may be all that there is of those slots. It keeps its place.
        None
    };
    let replaced_by = outcome.replacement.clone().filter(|new| new != failed);
    if !moved.is_empty() || replaced_by.is_some() {
        schedule(state, &name);
    }
    if let Some(new) = replaced_by {
        replace(state, (&name, place, half), failed, &new)?;
    }
    Ok(Reply::FailedOver(outcome))
}

/// Takes a living proxy out of its cluster. What could lose anything is refused: its primaries are handed over first, and
/// both primaries beside it must be well, because its nodes are their replicas until the new ones are filled.
pub(super) fn replace_living(state: &mut State, proxy: &Address) -> Result<Reply, ApplyError> {
    let refuse = |why| Err(ApplyError::NotReplaceable { proxy: proxy.clone(), why });
    let record = state.proxy(proxy)?;
    if state.settings.ordered_proxies {
        return Err(ApplyError::OrderedProxyEnabled("a proxy keeps its place"));
    }
    let Some(name) = record.cluster.clone() else { return refuse("no cluster has it") };
    let cluster = state.cluster(&name)?;
    let Some((place, half)) = cluster.place_of(proxy) else { return refuse("no cluster has it") };
    let chunk = &cluster.chunks[place];
    let partner = chunk.proxy(half.other());
    if state.is_gone(partner) {
        return refuse("the proxy beside it has failed, and it may have the only copy of the data");
    }
    if chunk.shards.iter().any(|shard| shard.fence.is_some() || shard.comeback.is_some()) {
        return refuse("a primary of its chunk is being taken out of service, or waits for an operator");
    }
    let Some(new) = replacement(state, proxy, partner) else {
        let free = state.free().count();
        if free > 0 {
            let host = state.host_of(partner).map_or_else(String::new, ToString::to_string);
            return Err(ApplyError::ResourceNotBalance { host });
        }
        return Err(ApplyError::NoAvailableResource { needed: 1, free, held_back: state.held_back_count() });
    };
    if chunk.primaries_in(half).next().is_some() {
        return Err(ApplyError::HasPrimaries(proxy.clone()));
    }
    for shard in &mut state.cluster_mut(&name)?.chunks[place].shards {
        // The node that takes over there begins with nothing.
        shard.replica = SyncState::OutOfSync;
    }
    schedule(state, &name);
    replace(state, (&name, place, half), proxy, &new)?;
    Ok(Reply::FailedOver(FailedOver { cluster: Some(name), replacement: Some(new), ..FailedOver::default() }))
}

fn mark_failed(state: &mut State, proxy: &Address, now: TimeMs) {
    if let Some(record) = state.proxies.get_mut(proxy) {
        record.failed_since = record.failed_since.or(Some(now));
        record.vouched = None;
    }
    state.failures.remove(proxy);
}

/// Puts another proxy in the place of one that has no primaries any more.
fn replace(
    state: &mut State,
    (name, place, half): (&ClusterName, usize, Half),
    failed: &Address,
    new: &Address,
) -> Result<(), ApplyError> {
    let nodes = state.proxy(new)?.nodes.clone();
    release(state, failed);
    if let Some(record) = state.proxies.get_mut(new) {
        (record.cluster, record.is_new) = (Some(name.clone()), false);
    }
    let chunk = &mut state.cluster_mut(name)?.chunks[place];
    chunk.proxies[half.index()] = new.clone();
    chunk.nodes[half.index()] = nodes;
    for shard in &mut chunk.shards {
        // One that was replaced before, and not caught up with since, is what has the data.
        shard.former = shard.former.take().filter(|former| former != new).or_else(|| Some(failed.clone()));
    }
    Ok(())
}

/// Promotes one shard's replica. `(fence, force)`: the fence behind which the primary has stopped, if any,
/// and whether to promote whatever is known of the replica.
pub(super) fn shard(
    state: &mut State,
    name: &ClusterName,
    primary: &Address,
    (fence, force): (Option<Epoch>, bool),
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    let id = cluster.shard_of_primary(primary).ok_or_else(|| ApplyError::ProxyNotFound(primary.clone()))?;
    let (shard, chunk) = (cluster.shard(id), &cluster.chunks[id.chunk]);
    if fence.is_some() && shard.fence.map(|held| held.epoch) != fence {
        return Err(ApplyError::Retry("that fence is gone"));
    }
    let is_usable = shard.replica != SyncState::OutOfSync && !state.is_failed(chunk.replica_proxy(id.shard));
    if !is_usable && !force {
        return Err(ApplyError::ReplicaNotInSync(chunk.replica(id.shard).clone()));
    }
    let proxy = chunk.primary_proxy(id.shard).clone();
    let epoch = state.next_epoch();
    let cluster = state.cluster_mut(name)?;
    match fence {
        Some(_) => promote(cluster.shard_mut(id), SyncState::OutOfSync, now),
        None => depose(cluster.shard_mut(id), (proxy, epoch), now),
    }
    restart_touching(cluster, &[id]);
    schedule(state, name);
    Ok(Reply::Done)
}
