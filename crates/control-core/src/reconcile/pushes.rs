//! Giving each proxy the view that it should have, in an order that never lets two serve one slot.

use model::{Address, Epoch};

use super::{Action, Watch};
use crate::diagnose::{NodeCondition, proxy_health};
use crate::state::{Chunk, Cluster, Half, MigrationOutcome, ShardId, SyncState};
use crate::views::desired_view;

/// Adds a push for each living proxy that lags behind.
pub(super) fn push(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    let mut late = Vec::new();
    for cluster in watch.state.clusters.values() {
        for chunk in &cluster.chunks {
            for half in Half::BOTH {
                late.extend(late_member(watch, cluster, chunk, half));
            }
        }
    }
    for (proxy, record) in &watch.state.proxies {
        let has_empty_view = record.cluster.is_none() || record.dirty;
        if has_empty_view && held_epoch(watch, proxy).is_some_and(|has| has < record.epoch) {
            late.push(Late { rank: Rank::Other, proxy, makes_do: false });
        }
    }
    late.sort();
    for Late { proxy, makes_do, .. } in late {
        if let Some((mut roles, view)) = desired_view(watch.state, proxy) {
            roles.flags.force = makes_do;
            actions.push(Action::Push { proxy: proxy.clone(), roles, view });
        }
    }
}

/// A proxy that must be given something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late<'a> {
    rank: Rank,
    proxy: &'a Address,
    makes_do: bool,
}

/// Who is served first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
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
    if watch.state.proxies.get(proxy).is_none_or(|record| record.dirty) {
        return None;
    }
    let has = held_epoch(watch, proxy)?;
    let makes_do = makes_do(watch, chunk, half);
    if has >= cluster.epoch && !makes_do {
        return None;
    }
    let gains = cluster.finished.iter().rev().take_while(|done| done.epoch > has);
    let mut gains = gains.filter(|done| done.outcome == MigrationOutcome::Committed);
    let imports = || {
        let running = cluster.migrations.iter().filter(|migration| migration.attempt.is_some());
        let target = |id: ShardId| cluster.chunks[id.chunk].primary_proxy(id.shard);
        running.map(|migration| target(migration.target)).any(|target| target == proxy)
    };
    let rank = if chunk.shards.iter().any(|shard| shard.fence.is_some()) {
        Rank::Fenced
    } else if gains.any(|done| done.meta.target_proxy == *proxy) || imports() {
        Rank::Target
    } else {
        Rank::Other
    };
    Some(Late { rank, proxy, makes_do })
}

/// Whether a primary behind the proxy started anew and has to serve with what it has, because no replica is
/// fit to take over. Its shards must all be of that kind: the order is to the proxy as a whole.
fn makes_do(watch: &Watch<'_>, chunk: &Chunk, half: Half) -> bool {
    let primaries = chunk.primaries_in(half);
    let mut restarted = primaries
        .filter(|shard| watch.primary(chunk, *shard) == NodeCondition::Restarted)
        .map(|shard| chunk.shard(shard))
        .peekable();
    restarted.peek().is_some()
        && restarted.all(|shard| shard.fence.is_none() && shard.replica != SyncState::InSync)
}
