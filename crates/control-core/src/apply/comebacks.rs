//! Primaries that are other processes than before while their replicas are not known to have everything.

use model::{Address, ClusterName, RunId};

use crate::command::{KeysSeen, Reply};
use crate::error::ApplyError;
use crate::state::{Comeback, RestartedPrimary, ShardId, State, SyncState};

/// Decides what becomes of one. `process`: which process of it, if its proxy tells; an operator's word is about the process that
/// the shard waits with, and refused where he has looked at another.
pub(super) fn decide(
    state: &mut State,
    name: &ClusterName,
    primary: &Address,
    (comeback, process, keys): (Comeback, Option<RunId>, KeysSeen),
    by_operator: bool,
) -> Result<Reply, ApplyError> {
    let id = shard_of(state, name, primary)?;
    let has_former = state.former(state.cluster(name)?.shard(id)).is_some();
    let is_trusting = state.settings.restarted_primary == RestartedPrimary::Serves;
    let shard = state.cluster_mut(name)?.shard_mut(id);
    let is_for_operator = shard.replica == SyncState::InSync && comeback == Comeback::Serves && !by_operator;
    if shard.fence.is_some() || is_for_operator {
        return Err(ApplyError::Retry("its replica is fit to take over, or is taking over"));
    }
    if by_operator && shard.comeback.is_none() {
        return Err(ApplyError::Retry("the primary does not wait for that"));
    }
    let process = if by_operator {
        if process.is_some() && process != shard.comeback_process {
            return Err(ApplyError::Retry("the primary restarted once more: look again what it has"));
        }
        shard.comeback_process.clone()
    } else {
        process
    };
    // Who decides this may not have heard the replica at all, while another has.
    let is_passed_over = shard.replica_has_keys && (keys.replica.is_none() || has_former);
    if comeback == Comeback::Serves && is_passed_over && !by_operator && !is_trusting {
        return Err(ApplyError::Retry("its replica was seen to have keys"));
    }
    if !by_operator {
        shard.comeback_keys = Some(keys);
    }
    match keys.replica {
        Some(0) if !has_former => shard.replica_has_keys = false,
        // One in sync has what the primary had. It counts as out of sync once it is dead for long.
        None if shard.replica == SyncState::InSync && comeback == Comeback::Waits => {
            shard.replica_has_keys = true;
        }
        Some(0) | None => {}
        Some(_) => shard.replica_has_keys = true,
    }
    if comeback == Comeback::Serves && shard.replica == SyncState::InSync {
        // What it is about to write the replica lacks.
        shard.replica = SyncState::OutOfSync;
    }
    // What was decided stands until it serves, for the process that it was decided of: an operator may have said so.
    if shard.comeback != Some(Comeback::Serves) || !shard.is_comeback_of(process.as_ref()) {
        (shard.comeback, shard.comeback_process) = (Some(comeback), process);
    }
    Ok(Reply::Done)
}

/// It serves.
pub(super) fn end(
    state: &mut State,
    name: &ClusterName,
    primary: &Address,
    process: Option<&RunId>,
) -> Result<Reply, ApplyError> {
    let id = shard_of(state, name, primary)?;
    let shard = state.cluster_mut(name)?.shard_mut(id);
    if process.zip(shard.comeback_process.as_ref()).is_some_and(|(seen, decided)| seen != decided) {
        return Err(ApplyError::Retry("that was seen before the primary restarted"));
    }
    shard.forget_comeback();
    Ok(Reply::Done)
}

/// That a primary waits because of that process of it. A promotion that names a process was decided on because of what it
/// had lost; one that comes late, from a broker or a coordinator that was stopped, is not to be about what it has since.
pub(super) fn check_waiting(
    state: &State,
    name: &ClusterName,
    primary: &Address,
    process: Option<&RunId>,
) -> Result<(), ApplyError> {
    let shard = state.cluster(name)?.shard(shard_of(state, name, primary)?);
    let waits = shard.comeback == Some(Comeback::Waits) && shard.comeback_process.as_ref() == process;
    if waits {
        Ok(())
    } else {
        Err(ApplyError::Retry("the primary does not wait with what it came back with"))
    }
}

fn shard_of(state: &State, name: &ClusterName, primary: &Address) -> Result<ShardId, ApplyError> {
    let found = state.cluster(name)?.shard_of_primary(primary);
    found.ok_or_else(|| ApplyError::ProxyNotFound(primary.clone()))
}
