//! Giving each proxy the view that it should have, in an order that never lets two serve one slot.

use model::{Address, Epoch};

use super::{Action, Watch};
use crate::diagnose::proxy_health;
use crate::state::{Cluster, MigrationOutcome};
use crate::views::desired_view;

/// Adds a push for each living proxy that lags behind.
pub(super) fn push(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    let mut late: Vec<(Rank, &Address)> = Vec::new();
    for (proxy, record) in &watch.state.proxies {
        let Some(health) = proxy_health(watch.observed, proxy).filter(|_| watch.is_alive(proxy)) else {
            continue;
        };
        let cluster = record.cluster.as_ref().filter(|_| !record.dirty);
        let cluster = cluster.and_then(|name| watch.state.clusters.get(name));
        let wanted = cluster.map_or(record.epoch, |cluster| cluster.epoch);
        // A proxy that is ahead has been served by someone who knows more; or the metadata is stale, which
        // is for an operator to recover from.
        let has = health.view_epoch.min(health.roles_epoch);
        if has < wanted {
            late.push((cluster.map_or(Rank::Other, |cluster| rank(cluster, proxy, has)), proxy));
        }
    }
    late.sort();
    for (_, proxy) in late {
        if let Some((roles, view)) = desired_view(watch.state, proxy) {
            actions.push(Action::Push { proxy: proxy.clone(), roles, view });
        }
    }
}

/// Who is served first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Its primary must stop.
    Fenced,
    /// It gains slots, by import or by commit: it must be ready when the source sends clients there.
    Target,
    Other,
}

fn rank(cluster: &Cluster, proxy: &Address, has: Epoch) -> Rank {
    let Some((place, half)) = cluster.place_of(proxy) else { return Rank::Other };
    let chunk = &cluster.chunks[place];
    if chunk.primaries_in(half).any(|shard| chunk.shard(shard).fence.is_some()) {
        return Rank::Fenced;
    }
    let imports =
        cluster.migrations.iter().filter(|migration| migration.attempt.is_some()).any(|migration| {
            cluster.chunks[migration.target.chunk].primary_proxy(migration.target.shard) == proxy
        });
    let gains = cluster
        .finished
        .iter()
        .rev()
        .take_while(|done| done.epoch > has)
        .any(|done| done.outcome == MigrationOutcome::Committed && done.meta.target_proxy == *proxy);
    if imports || gains { Rank::Target } else { Rank::Other }
}
