//! Metadata that may be older than what the proxies know: nothing is done by them until the proxies have been asked, or
//! an operator has decided.
//!
//! ```text
//!              restore, raised epochs, or a proxy
//!              that is ahead of the metadata                 Adopt: as it is served
//!   trusted ─────────────────────────────────▶ under review ────────────────────────▶ trusted
//!                                                   └── TrustMetadata: an operator's word ──▶
//! ```

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch};

use super::clusters::release;
use crate::command::{Command, Reply};
use crate::error::ApplyError;
use crate::serving::{Serving, ServingShard};
use crate::state::{Chunk, Cluster, EPOCH_GIVEN_MAX, Fence, FenceReason, Half, Shard, State, SyncState};
use crate::time::TimeMs;

/// Puts everything under review.
pub(super) fn review_all(state: &mut State) {
    state.clusters.values_mut().for_each(|cluster| cluster.review = true);
    review_pool(state);
}

/// Any proxy of the pool may have been given to a cluster since.
fn review_pool(state: &mut State) {
    let in_pool = state.proxies.values_mut().filter(|proxy| proxy.cluster.is_none());
    for proxy in in_pool {
        // One that was no stranger before is none now.
        (proxy.is_new, proxy.review) = (proxy.is_new && proxy.review, true);
    }
}

/// That a command touches nothing that is under review.
pub(super) fn check_trusted(state: &State, command: &Command) -> Result<(), ApplyError> {
    let cluster = |name: &ClusterName| {
        if state.clusters.get(name).is_some_and(|cluster| cluster.review) {
            Err(ApplyError::UnderReview(format!("cluster {name}")))
        } else {
            Ok(())
        }
    };
    let proxy = |proxy: &Address| {
        if state.is_proxy_under_review(proxy) {
            Err(ApplyError::UnderReview(format!("proxy {proxy}")))
        } else {
            Ok(())
        }
    };
    match command {
        Command::AddNodes { cluster: name, .. }
        | Command::GrowTo { cluster: name, .. }
        | Command::RemoveFreeNodes { cluster: name }
        | Command::Expand { cluster: name }
        | Command::Shrink { cluster: name, .. }
        | Command::Scale { cluster: name, .. }
        | Command::ContinueScaling { cluster: name, .. }
        | Command::CommitMigration { cluster: name, .. }
        | Command::RestartMigration { cluster: name, .. }
        | Command::PauseMigrations { cluster: name }
        | Command::ResumeMigrations { cluster: name }
        | Command::CancelMigrations { cluster: name }
        | Command::SetConfig { cluster: name, .. }
        | Command::Balance { cluster: name, .. }
        | Command::FenceShard { cluster: name, .. }
        | Command::LiftFence { cluster: name, .. }
        | Command::DecideComeback { cluster: name, .. }
        | Command::EndComeback { cluster: name, .. }
        | Command::FailOverShard { cluster: name, .. }
        | Command::BeginShard { cluster: name, .. }
        | Command::SetReplicaSync { cluster: name, .. } => cluster(name),
        Command::ProxyCleaned { proxy: address, .. }
        | Command::NoteDirty { proxy: address, .. }
        | Command::ReplaceProxy { proxy: address }
        | Command::FailOverProxy { proxy: address, .. } => proxy(address),
        // These change no view of what is under review, or end the review; an operator may delete a cluster that is gone.
        Command::Configure(_)
        | Command::SetReplicaAddresses(_)
        // What it does is looked at when it is its turn.
        | Command::IfUnchanged { .. }
        | Command::CreateCluster { .. }
        | Command::DeleteCluster { .. }
        | Command::RegisterProxy(_)
        | Command::RemoveProxy { .. }
        | Command::ReportFailure { .. }
        | Command::AnnounceProxy { .. }
        | Command::ProxyReturned { .. }
        | Command::LimitLeases { .. }
        | Command::RaiseEpoch { .. }
        | Command::RecoverEpoch { .. }
        | Command::Restore(_)
        | Command::BeginReview { .. }
        | Command::Adopt { .. }
        | Command::TrustMetadata { .. }
        | Command::SettleProxy { .. } => Ok(()),
    }
}

/// Begins a review because a proxy has a view that these metadata cannot have given it.
pub(super) fn begin(state: &mut State, proxy: &Address, seen: Epoch) -> Result<Reply, ApplyError> {
    let record = state.proxy(proxy)?;
    let name = record.cluster.clone();
    let cluster = name.as_ref().and_then(|name| state.clusters.get(name));
    let given = cluster.map_or(record.epoch, |cluster| cluster.epoch.max(record.epoch));
    if seen <= given {
        return Err(ApplyError::Retry("the proxy has nothing newer than the metadata"));
    }
    match name.and_then(|name| state.clusters.get_mut(&name)) {
        Some(cluster) => {
            cluster.review = true;
            review_pool(state);
        }
        None => {
            if let Some(record) = state.proxies.get_mut(proxy) {
                record.review = true;
            }
        }
    }
    Ok(Reply::Done)
}

/// Takes over how a cluster is served.
pub(super) fn adopt(
    state: &mut State,
    name: ClusterName,
    (read, highest): (Option<Epoch>, Epoch),
    serving: Serving,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let before = state.clusters.get(&name);
    if before.map(|cluster| cluster.epoch) != read || before.is_some_and(|cluster| !cluster.review) {
        return Err(ApplyError::Retry("the cluster has changed since it was looked at"));
    }
    let mut next = state.clone();
    let epoch = raise_past(&mut next, highest)?;
    let mut chunks = Vec::with_capacity(serving.chunks.len());
    for chunk in &serving.chunks {
        let mut nodes = Vec::with_capacity(chunk.proxies.len());
        for proxy in &chunk.proxies {
            let Some(record) = next.proxies.get_mut(proxy) else {
                return Err(ApplyError::ProxyNotFound(proxy.clone()));
            };
            if record.cluster.as_ref().is_some_and(|other| *other != name) {
                return Err(ApplyError::InUse(proxy.clone()));
            }
            // What its nodes hold is the cluster's.
            (record.cluster, record.dirty) = (Some(name.clone()), false);
            (record.review, record.is_new) = (false, false);
            nodes.push(record.nodes.clone());
        }
        let nodes = <[[Address; 2]; 2]>::try_from(nodes).expect("a chunk has two proxies");
        let [first, second] = chunk.shards.clone();
        let shards = [(Half::First, first), (Half::Second, second)];
        let shards = shards.map(|(home, found)| shard(before, &chunk.proxies, (home, found), (epoch, now)));
        chunks.push(Chunk { proxies: chunk.proxies.clone(), nodes, shards });
    }
    let left: Vec<Address> = before.map_or_else(Vec::new, |cluster| {
        let proxies = cluster.chunks.iter().flat_map(|chunk| &chunk.proxies);
        proxies
            .filter(|proxy| !serving.chunks.iter().any(|chunk| chunk.proxies.contains(proxy)))
            .cloned()
            .collect()
    });
    for proxy in left {
        release(&mut next, &proxy);
        if let Some(record) = next.proxies.get_mut(&proxy) {
            record.review = true;
        }
    }
    let (finished, paused) = before.map_or_else(Default::default, |old| (old.finished.clone(), old.paused));
    let (migrations, scaling) = (Vec::new(), None);
    let cluster = Cluster {
        epoch,
        chunks,
        config: serving.config,
        migrations,
        finished,
        paused,
        scaling,
        review: false,
    };
    next.clusters.insert(name, cluster);
    next.check().map_err(|fault| ApplyError::NotAdoptable(fault.to_string()))?;
    *state = next;
    Ok(Reply::Epoch(epoch))
}

/// A shard as it is served, with what is remembered of it where its primary is the same.
fn shard(
    before: Option<&Cluster>,
    proxies: &[Address; 2],
    (home, found): (Half, ServingShard),
    (epoch, now): (Epoch, TimeMs),
) -> Shard {
    let old = before.and_then(|cluster| cluster.chunks.iter().find(|chunk| chunk.proxies == *proxies));
    let same = old.map(|chunk| chunk.shard(home)).filter(|shard| shard.primary == found.primary);
    let mut shard = same.cloned().unwrap_or_else(|| Shard::new(home, found.slots.clone(), now));
    let fence = Fence { epoch, since: now, reason: FenceReason::Dead };
    (shard.slots, shard.primary) = (found.slots, found.primary);
    shard.replica = if found.in_sync { SyncState::InSync } else { SyncState::OutOfSync };
    shard.forget_comeback();
    if found.in_sync {
        shard.former = None;
    }
    (shard.fence, shard.deposed) = (found.deposed.is_some().then_some(fence), found.deposed);
    shard
}

/// Ends the review of a cluster: it is as the metadata says. Where somebody else may serve, a primary is not served
/// before that proxy has stopped: `deposed`, by the primary.
pub(super) fn trust(
    state: &mut State,
    name: &ClusterName,
    (highest, now): (Epoch, TimeMs),
    deposed: &BTreeMap<Address, Address>,
) -> Result<Reply, ApplyError> {
    if !state.cluster(name)?.review {
        return Err(ApplyError::Retry("the cluster is not under review"));
    }
    let epoch = raise_past(state, highest)?;
    let cluster = state.cluster_mut(name)?;
    (cluster.epoch, cluster.review) = (epoch, false);
    cluster.migrations.clear();
    cluster.scaling = None;
    for chunk in &mut cluster.chunks {
        for home in Half::BOTH {
            let other = deposed.get(chunk.primary(home)).cloned();
            let shard = chunk.shard_mut(home);
            if let Some(fence) = &mut shard.fence {
                fence.epoch = epoch;
            }
            if other.is_some() {
                shard.fence = Some(Fence { epoch, since: now, reason: FenceReason::Dead });
                shard.deposed = other;
            }
            // Whether a replica has the data was seen long ago. It is seen again before anybody is promoted.
            shard.replica = SyncState::OutOfSync;
        }
    }
    Ok(Reply::Epoch(epoch))
}

/// Ends the review of a proxy of the pool, which serves nobody.
pub(super) fn settle_proxy(state: &mut State, proxy: &Address, seen: Epoch) -> Result<Reply, ApplyError> {
    let record = state.proxy(proxy)?;
    if record.cluster.is_some() || !record.review {
        return Err(ApplyError::Retry("the proxy is not in the pool, or not under review"));
    }
    let epoch = raise_past(state, seen)?;
    if let Some(record) = state.proxies.get_mut(proxy) {
        (record.review, record.is_new, record.dirty, record.epoch) = (false, false, true, epoch);
    }
    Ok(Reply::Done)
}

/// Takes the next epoch, above one that a proxy has.
fn raise_past(state: &mut State, highest: Epoch) -> Result<Epoch, ApplyError> {
    if highest > EPOCH_GIVEN_MAX {
        return Err(ApplyError::EpochTooLarge(highest));
    }
    state.global_epoch = state.global_epoch.max(highest);
    Ok(state.next_epoch())
}
