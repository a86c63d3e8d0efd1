//! A primary that is another process than before, and whose replica is not in sync: who has the data?
//!
//! ```text
//!   keys of primary, replica                    what becomes of it
//!   any, and the replica has none               it serves with what it has
//!   none, and the replica kept running and is   the replica is promoted: no node has more
//!   seen to have some
//!   as many or more, and it keeps a log of all  it serves: the replica was seen to lack writes before
//!   changes on disk
//!   some, it keeps a log, and the replica is    it serves, unless the replica was in sync or seen to have keys meanwhile.
//!   not heard                                   The replica's proxy must have failed by what a quorum says
//!   as many or more, and the replica            it serves: both have what was on their disks. It waits where only the
//!   restarted, too                              replica keeps a log
//!   some, otherwise                             it waits for an operator: numbers of keys do not tell who has newer
//!                                               ones, and what the primary has read from disk may be old
//!   none, and the replica is not heard          it waits for an operator
//!   any, and the replica took the place of      it waits for an operator: the node that was replaced still has its keys.
//!   another that is not caught up with          With a log and some keys it serves, unless the replica was seen to have keys
//!   not told, by a proxy of an older version    it waits for an operator
//!   any, and the replica is in sync             the replica takes over; while it is not heard the primary waits
//! ```
//! What the primary had in memory is lost, and the replica would be made to copy the loss. So it never serves by default
//! with less than its replica, or the node that was replaced, may have. A log counts only where the process kept it when it was
//! first decided on: what is switched on later does not tell what was read at the start.

use model::{Address, ClusterName, NodeHealth, NodeState};

use super::action::Action;
use super::watch::Watch;
use crate::command::{Command, KeysSeen};
use crate::diagnose::{NodeCondition, node_health};
use crate::state::{Chunk, Cluster, Comeback, Half, RestartedPrimary, SyncState};

/// Adds what is decided now.
pub(super) fn decide(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    for (name, cluster) in watch.trusted() {
        for chunk in &cluster.chunks {
            for shard in Half::BOTH {
                actions.extend(decided(watch, (name, cluster), chunk, shard).map(Action::Apply));
            }
        }
    }
}

/// What there is to say of one shard.
enum Verdict {
    Serves,
    Waits,
    Promote,
    /// Too little is known yet.
    Unknown,
}

fn decided(
    watch: &Watch<'_>,
    (name, known): (&ClusterName, &Cluster),
    chunk: &Chunk,
    shard: Half,
) -> Option<Command> {
    let held = chunk.shard(shard);
    let (cluster, primary) = (name.clone(), chunk.primary(shard).clone());
    let seen = node_health(watch.observed, chunk.primary_proxy(shard), &primary);
    let process = seen.and_then(|health| health.run_id.clone());
    match watch.primary(chunk, shard) {
        NodeCondition::Primary if held.comeback.is_some() => {
            // Another process than the one about which it was decided: this was seen before.
            let is_old =
                process.as_ref().zip(held.comeback_process.as_ref()).is_some_and(|(seen, of)| seen != of);
            return (!is_old).then_some(Command::EndComeback { cluster, primary, process });
        }
        NodeCondition::Restarted if is_known_since_decided(watch, chunk, shard) => {}
        _ => return None,
    }
    let is_of_it = held.is_comeback_of(process.as_ref());
    if held.fence.is_some() || (held.comeback == Some(Comeback::Serves) && is_of_it) {
        return None;
    }
    let mut keys = keys(watch, known, chunk, shard);
    let has_waited = held.comeback == Some(Comeback::Waits);
    let is_decided_on = has_waited && held.comeback_process == process;
    let kept_log = !is_decided_on || held.comeback_keys.is_some_and(|seen| seen.keeps_log);
    keys.keeps_log = kept_log && seen.is_some_and(|health| health.keeps_log);
    let (comeback, by_operator) = match verdict(watch, chunk, shard, (keys, keys.keeps_log, has_waited)) {
        Verdict::Serves => (Comeback::Serves, false),
        Verdict::Waits => (Comeback::Waits, false),
        // The promotion names what it is about: it is to be known, and in force when the promotion is carried out.
        Verdict::Promote if held.comeback != Some(Comeback::Waits) || held.comeback_process != process => {
            (Comeback::Waits, false)
        }
        Verdict::Promote if watch.observed.may_fail_over => {
            let (fence, force, behind_bytes, now) = (None, true, None, watch.now);
            let (empty_primary, stopped) = (Some(keys), None);
            return Some(Command::FailOverShard {
                cluster,
                primary,
                fence,
                force,
                behind_bytes,
                empty_primary,
                process,
                stopped,
                now,
            });
        }
        Verdict::Promote | Verdict::Unknown => return None,
    };
    // What was seen of the replica is to be remembered.
    let has_news = keys.replica.is_some_and(|keys| keys > 0) && !held.replica_has_keys;
    let is_new = held.comeback != Some(comeback) || held.comeback_process != process || has_news;
    is_new.then_some(Command::DecideComeback { cluster, primary, comeback, process, keys, by_operator })
}

/// Whether what is known of the primary is newer than what the metadata says of its return. Another coordinator may have let
/// it serve, and seen it do so, since this one heard of it: then it is not to be decided on again, as one that lacks what the
/// replica has had from it since.
fn is_known_since_decided(watch: &Watch<'_>, chunk: &Chunk, shard: Half) -> bool {
    let noted = watch.observed.replicas.get(chunk.replica(shard)).map(|seen| seen.comeback_since);
    noted.is_none_or(|noted| watch.is_newer(chunk.primary_proxy(shard), noted))
}

/// How many keys both have. A replica that cannot be reached may have any number; and what a node had before it was seen
/// in this place says nothing: it is emptied when it leaves a cluster.
fn keys(watch: &Watch<'_>, cluster: &Cluster, chunk: &Chunk, shard: Half) -> KeysSeen {
    let up = |proxy, node| {
        let health = node_health(watch.observed, proxy, node).filter(|_| watch.is_alive(proxy))?;
        (health.state == NodeState::Up).then_some(health)
    };
    let has_place = |health: &&NodeHealth| health.role_epoch.is_some_and(|seen| seen >= cluster.epoch);
    let replica = up(chunk.replica_proxy(shard), chunk.replica(shard)).filter(has_place);
    KeysSeen {
        primary: up(chunk.primary_proxy(shard), chunk.primary(shard)).and_then(|health| health.keys),
        replica: replica.and_then(|health| health.keys),
        keeps_log: false,
    }
}

/// Whether a proxy counts as failed, or enough coordinators report it.
fn is_given_up(watch: &Watch<'_>, proxy: &Address) -> bool {
    watch.state.is_failed(proxy) || watch.observed.is_reported(watch.state, proxy, watch.now)
}

/// `(keys, keeps_log, has_waited)`: how many keys both have, whether the primary has had an append-only file since it started,
/// and whether it waits already.
fn verdict(
    watch: &Watch<'_>,
    chunk: &Chunk,
    shard: Half,
    (keys, keeps_log, has_waited): (KeysSeen, bool, bool),
) -> Verdict {
    if chunk.shard(shard).replica == SyncState::InSync {
        // It takes over as soon as it is heard.
        return match watch.replica(chunk, shard) {
            NodeCondition::Dead | NodeCondition::Unreachable => Verdict::Waits,
            _ => Verdict::Unknown,
        };
    }
    let held = chunk.shard(shard);
    // Nobody has seen the primary live in this place, or the replica in sync: there are no data that either could lack.
    let has_begun = held.replica != SyncState::Fresh || !held.is_unbegun;
    if !has_begun || watch.state.settings.restarted_primary == RestartedPrimary::Serves {
        return Verdict::Serves;
    }
    // A proxy of an older version does not tell: that is not nothing.
    let Some(own) = keys.primary else { return Verdict::Waits };
    let condition = watch.replica(chunk, shard);
    let was_seen = held.replica_has_keys;
    // What it waits for is a replica that may have more: that one's silence says nothing of that.
    let is_silent = matches!(condition, NodeCondition::Dead | NodeCondition::Unreachable);
    if is_silent && (has_waited || was_seen) {
        return Verdict::Waits;
    }
    let replica_logs = || {
        let health = node_health(watch.observed, chunk.replica_proxy(shard), chunk.replica(shard));
        health.is_some_and(|health| health.keeps_log)
    };
    // Who is not heard was seen to lack writes that a primary with a log still has.
    let has_its_log = keeps_log && own > 0 && !was_seen;
    match (condition, keys.replica) {
        (NodeCondition::Unknown | NodeCondition::Busy, _) => Verdict::Unknown,
        // This coordinator alone does not hear its proxy.
        (NodeCondition::Unreachable, _) if !is_given_up(watch, chunk.replica_proxy(shard)) => {
            Verdict::Unknown
        }
        _ if !has_its_log && watch.state.former(held).is_some() => Verdict::Waits,
        (NodeCondition::Loading, _) => Verdict::Waits,
        (NodeCondition::Dead | NodeCondition::Unreachable, _) if has_its_log => Verdict::Serves,
        (NodeCondition::Dead | NodeCondition::Unreachable, _) => Verdict::Waits,
        (_, Some(0)) => Verdict::Serves,
        // What was on their disks; a log has newer writes than a file that is saved now and then.
        (NodeCondition::Restarted, Some(others)) if own >= others && (keeps_log || !replica_logs()) => {
            Verdict::Serves
        }
        (_, Some(others)) if own >= others && keeps_log => Verdict::Serves,
        // One that restarted, too, has what it had saved: nobody knows how old that is.
        (condition, Some(_)) if own == 0 && condition != NodeCondition::Restarted => Verdict::Promote,
        _ => Verdict::Waits,
    }
}
