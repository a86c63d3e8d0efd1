//! What is not urgent: commits, scaling that waits, and primaries that are away from home.

use std::collections::BTreeSet;

use model::ClusterName;

use super::action::Action;
use super::watch::Watch;
use crate::command::Command;
use crate::diagnose::{NodeCondition, proxy_health};
use crate::state::{Cluster, FenceReason, Half, SyncState};

/// Adds what there is to do.
pub(super) fn keep_up(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    commit_imports(watch, actions);
    let busy = busy(watch, actions);
    for (name, cluster) in watch.trusted() {
        actions.extend(continue_scaling(watch, name, cluster).map(Action::Apply));
        if watch.observed.may_fail_over && !busy.contains(name) {
            actions.extend(bring_home(watch, name, cluster).map(Action::Apply));
        }
    }
}

/// The clusters that have anything else to be done for them: each handover is a short time in which their slots depend on
/// the control plane, and must not be spent while they need it.
fn busy(watch: &Watch<'_>, actions: &[Action]) -> BTreeSet<ClusterName> {
    let concerned = |action: &Action| match action {
        Action::Push { proxy, .. } | Action::Clean { proxy, .. } => watch.cluster_of(proxy).cloned(),
        Action::Apply(command) => match command {
            Command::FenceShard { cluster, .. }
            | Command::LiftFence { cluster, .. }
            | Command::FailOverShard { cluster, .. }
            | Command::SetReplicaSync { cluster, .. }
            | Command::CommitMigration { cluster, .. } => Some(cluster.clone()),
            Command::FailOverProxy { proxy, .. }
            | Command::ReportFailure { proxy, .. }
            | Command::ProxyReturned { proxy, .. } => watch.cluster_of(proxy).cloned(),
            _ => None,
        },
    };
    actions.iter().filter_map(concerned).collect()
}

fn commit_imports(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    for proxy in watch.state.proxies.keys().filter(|proxy| watch.is_alive(proxy)) {
        let finished = proxy_health(watch.observed, proxy).map_or(&[][..], |health| &health.finished);
        for done in finished {
            let Some(cluster) = watch.state.clusters.get(&done.cluster) else { continue };
            let is_running = cluster.migrations.iter().any(|migration| {
                migration.ranges == done.ranges && cluster.meta(migration).as_ref() == Some(&done.meta)
            });
            if is_running {
                let (cluster, ranges, meta) = (done.cluster.clone(), done.ranges.clone(), done.meta.clone());
                actions.push(Action::Apply(Command::CommitMigration { cluster, ranges, meta }));
            }
        }
    }
}

/// Slots move to new nodes when every proxy of the cluster knows of these.
fn continue_scaling(watch: &Watch<'_>, name: &ClusterName, cluster: &Cluster) -> Option<Command> {
    let job = cluster.scaling?;
    let mut proxies = cluster.chunks.iter().flat_map(|chunk| &chunk.proxies);
    let is_ready = |proxy| {
        let is_clean = watch.state.proxies.get(proxy).is_some_and(|record| !record.dirty);
        is_clean && watch.view_epoch(proxy).is_some_and(|epoch| epoch >= job.epoch)
    };
    proxies.all(is_ready).then(|| Command::ContinueScaling { cluster: name.clone(), epoch: job.epoch })
}

/// One primary at a time goes home, when all around it has been quiet for a while.
fn bring_home(watch: &Watch<'_>, name: &ClusterName, cluster: &Cluster) -> Option<Command> {
    let mut shards = cluster.chunks.iter().flat_map(|chunk| &chunk.shards);
    if !cluster.migrations.is_empty() || shards.any(|shard| shard.fence.is_some()) {
        return None;
    }
    for chunk in &cluster.chunks {
        let is_well = |half| {
            let proxy = chunk.proxy(half);
            watch.is_alive(proxy)
                && !watch.state.is_failed(proxy)
                && !watch.state.failures.contains_key(proxy)
        };
        if !Half::BOTH.into_iter().all(is_well) {
            continue;
        }
        let is_stray = |home: &Half| {
            let shard = chunk.shard(*home);
            shard.primary != *home
                && !shard.stays
                && shard.replica == SyncState::InSync
                && watch.observed.roles_settled_ms(chunk.replica(*home), watch.now)
                    >= watch.observed.timing.balance_quiet_ms.saturating_mul(shard.losses.patience())
                && watch.replica(chunk, *home) == NodeCondition::Following
                && watch.primary(chunk, *home) == NodeCondition::Primary
                && watch.is_attached(chunk, *home)
        };
        if let Some(stray) = Half::BOTH.into_iter().find(is_stray).filter(|_| is_calm(watch, cluster)) {
            let (cluster, primary) = (name.clone(), chunk.primary(stray).clone());
            let reason = FenceReason::Handover;
            return Some(Command::FenceShard { cluster, primary, reason, now: watch.now });
        }
    }
    None
}

/// Whether every proxy of the cluster answers, or counts as failed and has been dealt with as far as it can be; and every
/// primary that has a living proxy serves, and every replica that is in sync stays so.
fn is_calm(watch: &Watch<'_>, cluster: &Cluster) -> bool {
    cluster.chunks.iter().all(|chunk| {
        let is_settled = |proxy| {
            let is_failed = watch.state.is_failed(proxy);
            is_failed || (watch.is_alive(proxy) && !watch.state.failures.contains_key(proxy))
        };
        let serves = |shard| {
            let proxy = chunk.primary_proxy(shard);
            watch.primary(chunk, shard) == NodeCondition::Primary || watch.state.is_failed(proxy)
        };
        let follows = |shard| {
            let is_failed = watch.state.is_failed(chunk.replica_proxy(shard));
            let is_fit = chunk.shard(shard).replica == SyncState::InSync;
            is_failed
                || !is_fit
                || chunk.shard(shard).slots.is_empty()
                || watch.replica(chunk, shard) == NodeCondition::Following
        };
        let is_well = |shard| serves(shard) && follows(shard);
        chunk.proxies.iter().all(is_settled) && Half::BOTH.into_iter().all(is_well)
    })
}
