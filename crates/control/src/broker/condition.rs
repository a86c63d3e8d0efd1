//! How clusters and hosts are, in the types of the HTTP API.

use std::collections::BTreeMap;

use api::v4::{
    ClusterHealth, ClusterSummary, FenceReason, FenceShown, Health, HostSummary, Level, NodePlace, Overview,
    ShardHealth, Sync,
};
use control_core::query::{self, Asked, answered, is_served, is_settled, shard_condition};
use control_core::{Chunk, Cluster, Comeback, Half, HostName, ShardId, State, SyncState, TimeMs};
use model::{Address, ClusterName, SLOT_COUNT};

use super::shapes;
use crate::store::Seen;

/// How many problems an overview lists; the clusters have all of theirs.
const PROBLEMS_MAX: usize = 50;

/// What clusters are judged by, beside the metadata.
pub(super) struct Evidence<'a> {
    /// What proxies have just answered.
    pub(super) asked: &'a Asked,
    /// What coordinators see.
    pub(super) seen: &'a Seen,
    pub(super) now: TimeMs,
}

/// `clusters/{cluster}/health`.
pub(super) fn cluster(
    state: &State,
    (name, cluster): (&ClusterName, &Cluster),
    evidence: &Evidence<'_>,
) -> ClusterHealth {
    let shards: Vec<ShardHealth> =
        cluster.shard_ids().map(|id| shard(state, (name, cluster), id, evidence)).collect();
    let lost: usize = shards.iter().filter(|shard| shard.level >= Level::Unknown).map(|s| s.slot_count).sum();
    ClusterHealth {
        name: name.clone(),
        epoch: cluster.epoch,
        level: shards.iter().map(|shard| shard.level).max().unwrap_or(Level::Well),
        slots_served: SLOT_COUNT - lost,
        shards,
    }
}

fn shard(
    state: &State,
    (name, cluster): (&ClusterName, &Cluster),
    id: ShardId,
    &Evidence { asked, seen, now }: &Evidence<'_>,
) -> ShardHealth {
    let chunk = &cluster.chunks[id.chunk];
    let held = chunk.shard(id.shard);
    let mut condition = shard_condition(state, cluster, id, asked, now);
    // The metadata says nothing of what nobody can do anything about.
    if let Some(why) = seen.unserved(name, chunk.primary(id.shard), chunk.primary_proxy(id.shard)) {
        condition.level = query::Level::Down;
        condition.problems.push(format!("nobody serves it: of primary {}: {why}", chunk.primary(id.shard)));
    }
    // Where its proxy was asked, that has said so itself.
    let is_asked = asked.contains_key(chunk.primary_proxy(id.shard));
    if let Some(for_ms) = seen.busy_ms(name, chunk.primary(id.shard)).filter(|_| !is_asked) {
        condition.level = condition.level.max(query::Level::Degraded);
        let text = format!("is busy: it has answered nobody for {for_ms} ms, and its process works");
        condition.problems.push(format!("primary {} {text}", chunk.primary(id.shard)));
    }
    if let Some(for_ms) = seen.unattached_ms(name, chunk.primary(id.shard)) {
        condition.level = condition.level.max(query::Level::Degraded);
        condition.problems.push(unattached(chunk, id, for_ms));
    }
    for late in chunk.proxies.iter().filter_map(|proxy| seen.late(proxy)) {
        condition.level = condition.level.max(query::Level::Degraded);
        condition.problems.push(late);
    }
    let mut level = level(condition.level);
    let (primary_proxy, replica_proxy) = (chunk.primary_proxy(id.shard), chunk.replica_proxy(id.shard));
    if let Some(why) = seen.unknown(primary_proxy).filter(|_| !is_asked) {
        condition.problems.push(format!("nobody knows how primary {} is: {why}", chunk.primary(id.shard)));
        // Nobody misses slots that it does not have.
        level = level.max(if held.slots.is_empty() { Level::Degraded } else { Level::Unknown });
    } else if let Some(why) = seen.unknown(replica_proxy).filter(|_| !asked.contains_key(replica_proxy)) {
        condition.problems.push(format!("nobody knows how replica {} is: {why}", chunk.replica(id.shard)));
        level = level.max(Level::Degraded);
    }
    let place = |node: &Address, proxy: &Address| NodePlace {
        node: node.clone(),
        proxy: proxy.clone(),
        host: host_of(state, proxy).map_or_else(String::new, ToString::to_string),
        offset: answered(asked, proxy, node).map(|health| health.offset),
    };
    let primary = place(chunk.primary(id.shard), chunk.primary_proxy(id.shard));
    let replica = place(chunk.replica(id.shard), chunk.replica_proxy(id.shard));
    ShardHealth {
        shard: shapes::shard_number(id),
        slots: held.slots.to_string(),
        slot_count: held.slots.count(),
        level,
        problems: condition.problems,
        waits_with: held.comeback_process.clone().filter(|_| held.comeback == Some(Comeback::Waits)),
        served: is_served(cluster, id, asked),
        settled: is_settled(cluster, id, asked),
        behind_bytes: primary.offset.zip(replica.offset).map(|(ahead, behind)| ahead.saturating_sub(behind)),
        primary,
        replica,
        sync: match held.replica {
            SyncState::Fresh => Sync::Fresh,
            SyncState::InSync => Sync::InSync,
            SyncState::OutOfSync => Sync::OutOfSync,
        },
        fence: held.fence.map(|fence| FenceShown {
            epoch: fence.epoch,
            reason: match fence.reason {
                control_core::FenceReason::Dead => FenceReason::Dead,
                control_core::FenceReason::Handover | control_core::FenceReason::Planned => {
                    FenceReason::Handover
                }
            },
        }),
    }
}

/// That a replica follows and its primary's proxy does not know it, and what to do.
fn unattached(chunk: &Chunk, id: ShardId, for_ms: u64) -> String {
    let (primary, replica, proxy) =
        (chunk.primary(id.shard), chunk.replica(id.shard), chunk.primary_proxy(id.shard));
    format!(
        "replica {replica} follows, and proxy {proxy} has not had its word for {for_ms} ms: primary {primary} serves by its \
         lease alone, and only while coordinators live. The proxy must reach {replica} with its backend_password; its log \
         says why it cannot"
    )
}

fn host_of<'a>(state: &'a State, proxy: &Address) -> Option<&'a HostName> {
    state.proxies.get(proxy).map(|record| &record.host)
}

const fn level(level: query::Level) -> Level {
    match level {
        query::Level::Well => Level::Well,
        query::Level::Degraded => Level::Degraded,
        query::Level::Down => Level::Down,
    }
}

/// `overview`.
pub(super) fn overview(state: &State, broker: Health, seen: &Seen, now: TimeMs) -> Overview {
    let evidence = Evidence { asked: &Asked::new(), seen, now };
    let silence = seen.silence().filter(|_| !state.proxies.is_empty());
    let mut problems: Vec<String> = broker.problem.clone().into_iter().chain(silence.clone()).collect();
    let mut clusters = Vec::with_capacity(state.clusters.len());
    for (name, held) in &state.clusters {
        let health = cluster(state, (name, held), &evidence);
        let of_shard = |shard: &ShardHealth| {
            let number = shard.shard;
            shard
                .problems
                .iter()
                // One cause is told once.
                .filter(|problem| silence.as_ref().is_none_or(|silence| !problem.ends_with(&**silence)))
                .map(move |problem| format!("cluster {name}, shard {number}: {problem}"))
                .collect::<Vec<_>>()
        };
        let room = PROBLEMS_MAX.saturating_sub(problems.len());
        problems.extend(health.shards.iter().flat_map(of_shard).take(room));
        clusters.push(ClusterSummary {
            name: name.clone(),
            level: health.level,
            node_number: held.node_count(),
            slots_served: health.slots_served,
            shards_not_well: health.shards.iter().filter(|shard| shard.level != Level::Well).count(),
            is_migrating: !held.migrations.is_empty() || held.scaling.is_some(),
        });
    }
    let mut hosts = hosts(state);
    if silence.is_some() {
        hosts.iter_mut().for_each(|host| host.can_fail = false);
    }
    let lacking: Vec<&str> = hosts.iter().filter(|host| !host.can_fail).map(|host| &*host.host).collect();
    if silence.is_none() && !lacking.is_empty() && problems.len() < PROBLEMS_MAX {
        let lacking = lacking.join(", ");
        problems.push(format!(
            "the pool has too few free proxies to make up for the loss of any one of: {lacking}"
        ));
    }
    let of_clusters = clusters.iter().map(|cluster| cluster.level).max().unwrap_or(Level::Well);
    // Nobody looks after a cluster that is not in the metadata any more.
    let is_missing = seen.missing(|name| state.clusters.contains_key(name)).is_some();
    let worst = if is_missing { of_clusters.max(Level::Unknown) } else { of_clusters };
    Overview { level: if broker.healthy { worst } else { Level::Down }, problems, broker, clusters, hosts }
}

fn hosts(state: &State) -> Vec<HostSummary> {
    let mut hosts: BTreeMap<&HostName, HostSummary> = BTreeMap::new();
    for proxy in state.proxies.values() {
        let host = hosts.entry(&proxy.host).or_insert_with(|| HostSummary {
            host: proxy.host.to_string(),
            can_fail: true,
            ..HostSummary::default()
        });
        host.proxies += 1;
        host.failed += usize::from(proxy.failed_since.is_some());
    }
    for (_, proxy) in state.free() {
        if let Some(host) = hosts.get_mut(&proxy.host) {
            host.free += 1;
        }
    }
    for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
        for shard in Half::BOTH {
            let host = host_of(state, chunk.primary_proxy(shard)).and_then(|host| hosts.get_mut(host));
            if let Some(host) = host {
                host.primaries += 1;
            }
        }
    }
    for host in query::hosts_cannot_fail(state) {
        if let Some(host) = hosts.get_mut(&host) {
            host.can_fail = false;
        }
    }
    hosts.into_values().collect()
}
