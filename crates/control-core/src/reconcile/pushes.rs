//! Giving each proxy the view that it should have, in an order that never lets two serve one slot.

use model::{Address, Epoch, RunId};

use super::action::Action;
use super::pool::{has_foreign_view, has_restarted_node};
use super::watch::Watch;
use crate::diagnose::{NodeCondition, node_health, proxy_health};
use crate::state::{Chunk, Cluster, Comeback, Half, MigrationOutcome, ShardId, SyncState};

/// After a change of roles, the node that takes over is told first; not for longer than this, because it may not listen.
const TAKER_FIRST_MS: u64 = 300;
/// A proxy that has not heard for that long that it has taken over a shard is served like others: the time also covers
/// that the control plane died right after it had decided so, and came back.
const TAKER_MS: u64 = 60_000;

/// Adds a push for each living proxy that lags behind.
pub(super) fn push(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    let mut late = Vec::new();
    for (_, cluster) in watch.trusted() {
        for chunk in &cluster.chunks {
            for half in Half::BOTH {
                late.extend(late_member(watch, cluster, chunk, half));
            }
        }
    }
    let is_beyond_doubt = watch.is_beyond_doubt();
    let trusted = watch.state.proxies.iter().filter(|(proxy, _)| is_beyond_doubt && watch.is_trusted(proxy));
    for (proxy, record) in trusted {
        let has_empty_view = record.cluster.is_none() || record.dirty;
        let is_told = has_empty_view && !has_foreign_view(watch, proxy);
        let Some(has) = held_epoch(watch, proxy).filter(|_| is_told) else { continue };
        // To be emptied a node that restarted has to take its role; nobody copies what it lacks.
        let makes_do = (record.dirty && has_restarted_node(watch, proxy)).then(Vec::new);
        if has < record.epoch || (makes_do.is_some() && has == record.epoch) {
            late.push(Late { rank: Rank::Other, proxy, makes_do });
        }
    }
    late.sort();
    let push = |late: Late<'_>| Action::Push {
        proxy: late.proxy.clone(),
        process: watch.process(late.proxy),
        makes_do: late.makes_do,
        is_urgent: late.rank <= Rank::Fenced,
    };
    actions.extend(late.into_iter().map(push));
}

/// A proxy that must be given something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late<'a> {
    rank: Rank,
    proxy: &'a Address,
    makes_do: Option<Vec<RunId>>,
}

/// Who is served first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It has taken over a shard, which nobody serves until it knows.
    Taker,
    /// A primary of its is fenced: it must stop, or its replica must let go.
    Fenced,
    /// It gains slots, by import or by commit: it must be ready when the source sends clients there.
    Target,
    Other,
}

/// The epoch of what a living proxy has, of its view or its roles whichever is older.
fn held_epoch(watch: &Watch<'_>, proxy: &Address) -> Option<Epoch> {
    let health = proxy_health(watch.observed, proxy).filter(|_| watch.is_alive(proxy))?;
    Some(health.view_epoch.min(health.roles_epoch))
}

/// A half of a chunk, if it is to be given something. A proxy that is ahead has been served by someone who
/// knows more; or the metadata is stale, which is for an operator to recover from.
fn late_member<'a>(watch: &Watch<'_>, cluster: &Cluster, chunk: &'a Chunk, half: Half) -> Option<Late<'a>> {
    let proxy = chunk.proxy(half);
    if watch.state.proxies.get(proxy).is_none_or(|record| record.dirty) || has_foreign_view(watch, proxy) {
        return None;
    }
    let has = held_epoch(watch, proxy)?;
    let makes_do = makes_do(watch, chunk, half);
    if (has >= cluster.epoch && makes_do.is_none()) || must_wait(watch, cluster, chunk, half) {
        return None;
    }
    let gains = cluster.finished.iter().rev().take_while(|done| done.epoch > has);
    let mut gains = gains.filter(|done| done.outcome == MigrationOutcome::Committed);
    let imports = || {
        let running = cluster.migrations.iter().filter(|migration| migration.attempt.is_some());
        let target = |id: ShardId| cluster.chunks[id.chunk].primary_proxy(id.shard);
        running.map(|migration| target(migration.target)).any(|target| target == proxy)
    };
    let rank = if has_taken_over(watch, chunk, half) {
        Rank::Taker
    } else if chunk.shards.iter().any(|shard| shard.fence.is_some()) {
        Rank::Fenced
    } else if gains.any(|done| done.meta.target_proxy == *proxy) || imports() {
        Rank::Target
    } else {
        Rank::Other
    };
    Some(Late { rank, proxy, makes_do })
}

/// How long ago the roles of a shard were changed.
fn settled_ms(watch: &Watch<'_>, chunk: &Chunk, shard: Half) -> u64 {
    watch.observed.roles_settled_ms(chunk.replica(shard), watch.now)
}

/// Whether the half has become the primary of a shard not long ago, or has a primary that still follows another node.
fn has_taken_over(watch: &Watch<'_>, chunk: &Chunk, half: Half) -> bool {
    chunk.primaries_in(half).any(|shard| {
        let held = chunk.shard(shard);
        let has_moved = held.replica == SyncState::OutOfSync && settled_ms(watch, chunk, shard) < TAKER_MS;
        has_moved
            || matches!(
                watch.primary(chunk, shard),
                NodeCondition::Following | NodeCondition::Syncing | NodeCondition::LinkBroken { .. }
            )
    })
}

/// Whether the other half has just taken over a shard and does not know yet. This half holds its clients back; if it
/// sent them there now, they would be sent back.
fn must_wait(watch: &Watch<'_>, cluster: &Cluster, chunk: &Chunk, half: Half) -> bool {
    let lags = |half: Half| held_epoch(watch, chunk.proxy(half)).is_some_and(|has| has < cluster.epoch);
    // A shard that waits until this half has stopped must not wait for it to be told.
    let has_changed = |shard: Half| {
        settled_ms(watch, chunk, shard) < TAKER_FIRST_MS && chunk.shard(shard).deposed.is_none()
    };
    let is_taker = |half: Half| lags(half) && chunk.primaries_in(half).any(has_changed);
    // If each waited for the other, neither would be served.
    is_taker(half.other()) && !is_taker(half)
}

/// Which processes behind the proxy are primaries that restarted and have to serve with what they have, as was decided of
/// them; none where there is none. Its shards must all be of that kind: the order is to the proxy as a whole. Where a proxy
/// does not tell which processes they are, the order is about any.
fn makes_do(watch: &Watch<'_>, chunk: &Chunk, half: Half) -> Option<Vec<RunId>> {
    let is_restarted = |shard: &Half| watch.primary(chunk, *shard) == NodeCondition::Restarted;
    let restarted: Vec<Half> = chunk.primaries_in(half).filter(is_restarted).collect();
    let run_id = |shard: &Half| {
        let health = node_health(watch.observed, chunk.primary_proxy(*shard), chunk.primary(*shard));
        health.and_then(|health| health.run_id.clone())
    };
    let is_decided = |shard: &Half| {
        let held = chunk.shard(*shard);
        held.fence.is_none()
            && held.comeback == Some(Comeback::Serves)
            && held.is_comeback_of(run_id(shard).as_ref())
    };
    let all_decided = !restarted.is_empty() && restarted.iter().all(is_decided);
    all_decided.then(|| restarted.iter().map(run_id).collect::<Option<Vec<_>>>().unwrap_or_default())
}
