//! Keeping the record of which replicas have their primary's data: who may be promoted later.

use model::{Address, ClusterName, NodeState, Role};

use super::action::Action;
use super::watch::Watch;
use crate::command::Command;
use crate::diagnose::{NodeCondition, node_health, proxy_health};
use crate::state::{Chunk, Cluster, Half, SyncState};

/// How long a new replica may take until it follows before its primary counts as serving without it.
const FRESH_MS_MAX: u64 = 1_000;

/// Adds what has changed.
pub(super) fn follow(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    for (name, cluster) in watch.trusted() {
        for chunk in &cluster.chunks {
            for shard in Half::BOTH {
                actions.extend(begun(watch, name, chunk, shard).map(Action::Apply));
                actions.extend(changed(watch, (name, cluster), chunk, shard).map(Action::Apply));
            }
        }
    }
}

/// That the primary of a shard lives, for the first time: by an answer that was asked for when it had its place already. The
/// node may have died in the moment in which it got that.
fn begun(watch: &Watch<'_>, name: &ClusterName, chunk: &Chunk, shard: Half) -> Option<Command> {
    let held = chunk.shard(shard);
    let noted = watch.observed.replicas.get(chunk.replica(shard))?.since;
    let is_silent = matches!(
        watch.primary(chunk, shard),
        NodeCondition::Unknown | NodeCondition::Unreachable | NodeCondition::Dead
    );
    let lives = !is_silent && watch.is_newer(chunk.primary_proxy(shard), noted);
    let (cluster, primary) = (name.clone(), chunk.primary(shard).clone());
    (held.is_unbegun && lives).then_some(Command::BeginShard { cluster, primary })
}

fn changed(
    watch: &Watch<'_>,
    (name, cluster): (&ClusterName, &Cluster),
    chunk: &Chunk,
    shard: Half,
) -> Option<Command> {
    let seen = sync_state(watch, chunk, shard).or_else(|| serves_alone(watch, chunk, shard))?;
    let held = chunk.shard(shard);
    // Between fence and promotion nobody becomes fit to be promoted.
    if seen == held.replica || (seen == SyncState::InSync && held.fence.is_some()) {
        return None;
    }
    if seen == SyncState::InSync && !is_known_to_primary(watch, cluster, chunk, shard) {
        return None;
    }
    // There is nothing yet that it could lack.
    if held.is_unbegun && seen == SyncState::OutOfSync {
        return None;
    }
    let noted = watch.observed.replicas.get(chunk.replica(shard))?.since;
    if !watch.is_newer(chunk.replica_proxy(shard), noted) {
        return None;
    }
    let (cluster, replica) = (name.clone(), chunk.replica(shard).clone());
    Some(Command::SetReplicaSync { cluster, replica, sync: seen })
}

/// Whether the primary's proxy has been told who its replica is. One that hangs may count another replica as attached, which
/// was replaced and never told to let go; and would go on when it wakes up, after this one was promoted. And whether the
/// primary was seen to be one: a link to a node that waits for its role, or is a replica itself, brings nothing, and may be
/// up all the same.
fn is_known_to_primary(watch: &Watch<'_>, cluster: &Cluster, chunk: &Chunk, shard: Half) -> bool {
    let (proxy, primary) = (chunk.primary_proxy(shard), chunk.primary(shard));
    let is_told =
        proxy_health(watch.observed, proxy).is_some_and(|health| health.roles_epoch >= cluster.epoch);
    let is_primary = node_health(watch.observed, proxy, primary).is_some_and(|health| {
        health.state == NodeState::Up && health.role == Role::Primary && !health.restarted
    });
    is_told && is_primary
}

/// What can be said of the replica; `None` where what is known of it stands.
fn sync_state(watch: &Watch<'_>, chunk: &Chunk, shard: Half) -> Option<SyncState> {
    match watch.replica(chunk, shard) {
        NodeCondition::Following if follows(watch, chunk, shard, chunk.primary(shard)) => {
            Some(SyncState::InSync)
        }
        NodeCondition::Loading | NodeCondition::Restarted | NodeCondition::Syncing => {
            Some(SyncState::OutOfSync)
        }
        // One that only hung has what it had; one that comes back without it is seen to. So a moment's silence makes
        // nobody unfit: its primary may lose its memory in just that moment.
        NodeCondition::Dead => (down_ms(watch, chunk, shard) >= watch.observed.timing.link_broken_ms)
            .then_some(SyncState::OutOfSync),
        // To a primary without slots nobody writes, nor does its proxy have it send anything: its link is silent for as long
        // as Redis itself is, which is no sign that it is broken.
        NodeCondition::LinkBroken { .. } if chunk.shard(shard).slots.is_empty() => None,
        // A link breaks when the primary dies, and that is when the replica is needed. Only while the
        // primary lives and takes writes does a replica without it fall behind.
        NodeCondition::LinkBroken { for_ms } if for_ms >= watch.observed.timing.link_broken_ms => {
            let primary_lives = watch.primary(chunk, shard) == NodeCondition::Primary;
            // While either was busy nothing came, and the replica lacks nothing for that.
            let was_busy = [chunk.primary(shard), chunk.replica(shard)]
                .into_iter()
                .any(|node| watch.observed.busy.contains_key(node));
            (primary_lives && !was_busy).then_some(SyncState::OutOfSync)
        }
        _ => None,
    }
}

/// A primary that serves before its replica was ever seen in sync has what the replica lacks.
fn serves_alone(watch: &Watch<'_>, chunk: &Chunk, shard: Half) -> Option<SyncState> {
    let proxy = chunk.primary_proxy(shard);
    let serves = watch.primary(chunk, shard) == NodeCondition::Primary
        && watch.view_epoch(proxy).is_some_and(|epoch| epoch > model::Epoch(0));
    let is_fresh = chunk.shard(shard).replica == SyncState::Fresh;
    let has_settled = watch.observed.roles_settled_ms(chunk.replica(shard), watch.now) >= FRESH_MS_MAX;
    (is_fresh && serves && has_settled).then_some(SyncState::OutOfSync)
}

/// How long the replica has not answered its proxy, in milliseconds.
fn down_ms(watch: &Watch<'_>, chunk: &Chunk, shard: Half) -> u64 {
    let health = node_health(watch.observed, chunk.replica_proxy(shard), chunk.replica(shard));
    match health.map(|health| health.state) {
        Some(NodeState::Down { for_ms } | NodeState::Unseen { for_ms } | NodeState::Busy { for_ms }) => {
            for_ms
        }
        _ => 0,
    }
}

/// Whether the replica follows just that node: not one that was its primary before.
fn follows(watch: &Watch<'_>, chunk: &Chunk, shard: Half, primary: &Address) -> bool {
    let health = node_health(watch.observed, chunk.replica_proxy(shard), chunk.replica(shard));
    health.is_some_and(|health| health.primary.as_ref() == Some(primary))
}
