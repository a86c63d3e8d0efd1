//! Raising all epochs at once, and replacing the whole state. Neither is trusted more than what the proxies know: all
//! clusters are under review afterwards.

use model::{Address, Epoch};

use super::migrations::schedule;
use super::reviews::review_all;
use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{EPOCH_GIVEN_MAX, State};

/// Raises all epochs to a number above the current one.
pub(super) fn raise(state: &mut State, epoch: Epoch) -> Result<Reply, ApplyError> {
    let current = state.global_epoch;
    if epoch <= current {
        return Err(ApplyError::EpochSmallerThanCurrent { given: epoch, current });
    }
    raise_all(state, epoch)
}

/// Raises all epochs past the highest that any proxy has. Views that proxies have are older from then on,
/// whichever broker gave them out.
pub(super) fn recover(state: &mut State, highest: Epoch) -> Result<Reply, ApplyError> {
    if highest > EPOCH_GIVEN_MAX {
        return Err(ApplyError::EpochTooLarge(highest));
    }
    let epoch = highest.max(state.global_epoch).next();
    raise_all(state, epoch)
}

fn raise_all(state: &mut State, epoch: Epoch) -> Result<Reply, ApplyError> {
    if epoch > EPOCH_GIVEN_MAX {
        return Err(ApplyError::EpochTooLarge(epoch));
    }
    state.global_epoch = epoch;
    for proxy in state.proxies.values_mut() {
        proxy.epoch = epoch;
    }
    for cluster in state.clusters.values_mut() {
        cluster.epoch = epoch;
        // Proxies may have had higher epochs than these numbers, and would seem to have heard of fences and
        // attempts of which they know nothing.
        for fence in
            cluster.chunks.iter_mut().flat_map(|chunk| &mut chunk.shards).filter_map(|s| s.fence.as_mut())
        {
            fence.epoch = epoch;
        }
        cluster.migrations.iter_mut().for_each(|migration| migration.attempt = None);
        if let Some(job) = &mut cluster.scaling {
            job.epoch = epoch;
        }
    }
    let migrating = state.clusters.iter().filter(|(_, cluster)| !cluster.migrations.is_empty());
    for name in migrating.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        schedule(state, &name);
    }
    review_all(state);
    Ok(Reply::Epoch(state.global_epoch))
}

/// Replaces the whole state by a dump that is not older.
pub(super) fn restore(state: &mut State, dump: State) -> Result<Reply, ApplyError> {
    dump.check()?;
    if dump.global_epoch > EPOCH_GIVEN_MAX {
        return Err(ApplyError::EpochTooLarge(dump.global_epoch));
    }
    let (given, current) = (dump.global_epoch, state.global_epoch);
    if given < current {
        return Err(ApplyError::EpochSmallerThanCurrent { given, current });
    }
    // What is known of nodes that went away with keys is true whatever else is put back.
    let registered = |node: &Address| dump.proxies.values().any(|proxy| proxy.nodes.contains(node));
    let uncleaned: Vec<Address> =
        state.uncleaned_nodes.iter().filter(|node| !registered(node)).cloned().collect();
    let held_ms = state.lease_limit.held_ms;
    *state = dump;
    state.uncleaned_nodes.extend(uncleaned);
    // And so is how long leases may be that are held now.
    state.lease_limit.held_ms = state.lease_limit.held_ms.max(held_ms);
    review_all(state);
    Ok(Reply::Epoch(given))
}
