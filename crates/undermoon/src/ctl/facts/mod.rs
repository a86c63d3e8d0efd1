//! What the metadata says of clusters and proxies, in the shapes that `ctl` shows. Pure: it is given the metadata.

mod proxies;
mod shards;

use std::collections::BTreeMap;

use api::v4::{Level, Overview};
use control_core::{Chunk, Cluster, Half, Shard, State, SyncState};
use model::{Address, ClusterName, Epoch};
use serde::Serialize;

pub(super) use self::proxies::{ProxyCondition, ProxyLine, proxy_lines};
pub(super) use self::shards::{FenceWord, MoveLine, NodePlace, ShardLine, move_lines, shard_lines};

/// A cluster in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ClusterLine {
    /// Its name.
    pub name: ClusterName,
    /// How it is, in one word.
    pub state: Condition,
    /// How many chunks it has.
    pub chunks: usize,
    /// How many nodes that is.
    pub nodes: usize,
    /// How many of these are in chunks with slots.
    pub nodes_with_slots: usize,
    /// How many shards it has, those without slots included.
    pub shards: usize,
    /// How many of them have a replica that could take over.
    pub shards_in_sync: usize,
    /// How many primaries are not where they are at home.
    pub primaries_away: usize,
    /// How many slots are to move and have not.
    pub slots_moving: usize,
    /// The epoch of its views.
    pub epoch: Epoch,
}

/// How a cluster is; of several the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    /// The metadata may be older than what is served: see `ctl review`.
    InReview,
    /// A shard has neither a proxy for its primary nor a replica that could take over.
    Down,
    /// Nobody knows whether all shards are served: no coordinator speaks, or none can ask.
    Unknown,
    /// A proxy of it counts as failed.
    Degraded,
    /// A primary is being taken out of service.
    FailingOver,
    /// Nodes are added, or slots move.
    Scaling,
    /// A replica does not have all data yet.
    Syncing,
    /// Every shard has a primary and a replica in sync.
    Ready,
}

impl Condition {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::InReview => "in review",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::FailingOver => "failing over",
            Self::Scaling => "scaling",
            Self::Syncing => "syncing",
            Self::Ready => "ready",
        }
    }
}

/// A cluster in one line.
pub(super) fn cluster_line(state: &State, name: &ClusterName, cluster: &Cluster) -> ClusterLine {
    let shards: Vec<&Shard> = cluster.chunks.iter().flat_map(|chunk| &chunk.shards).collect();
    let with_slots = cluster.chunks.iter().filter(|chunk| !chunk.is_without_slots()).count();
    ClusterLine {
        name: name.clone(),
        state: condition(state, cluster),
        chunks: cluster.chunks.len(),
        nodes: cluster.node_count(),
        nodes_with_slots: with_slots * control_core::CHUNK_NODES,
        shards: shards.len(),
        shards_in_sync: cluster.chunks.iter().map(|chunk| shards_in_sync(state, chunk)).sum(),
        primaries_away: shards_with_home(cluster).filter(|(home, shard)| shard.primary != *home).count(),
        slots_moving: slots_moving(cluster),
        epoch: cluster.epoch,
    }
}

/// How a cluster is by its line, if coordinators do not see more than the metadata says.
pub(super) fn condition_seen(line: Condition, name: &ClusterName, overview: &Overview) -> Condition {
    let seen = overview.clusters.iter().find(|cluster| cluster.name == *name);
    match seen.map(|cluster| cluster.level) {
        Some(Level::Down) => Condition::Down,
        Some(Level::Unknown) => Condition::Unknown,
        Some(Level::Degraded | Level::Well) | None => line,
    }
}

/// How many slots are to move and have not.
pub(super) fn slots_moving(cluster: &Cluster) -> usize {
    cluster.migrations.iter().map(|migration| migration.ranges.count()).sum()
}

fn shards_with_home(cluster: &Cluster) -> impl Iterator<Item = (Half, &Shard)> {
    cluster.chunks.iter().flat_map(|chunk| Half::BOTH.map(|home| (home, chunk.shard(home))))
}

/// How many of a chunk's shards have a replica that could take over now.
fn shards_in_sync(state: &State, chunk: &Chunk) -> usize {
    let is_fit = |shard: &Half| {
        chunk.shard(*shard).replica == SyncState::InSync && !state.is_gone(chunk.replica_proxy(*shard))
    };
    Half::BOTH.into_iter().filter(is_fit).count()
}

fn condition(state: &State, cluster: &Cluster) -> Condition {
    let is_failed = |proxy: &Address| state.is_gone(proxy);
    let is_down = |chunk: &Chunk| {
        Half::BOTH.into_iter().any(|shard| {
            let can_take_over = chunk.shard(shard).replica == SyncState::InSync;
            is_failed(chunk.primary_proxy(shard)) && (!can_take_over || is_failed(chunk.replica_proxy(shard)))
        })
    };
    let shards = || shards_with_home(cluster).map(|(_, shard)| shard);
    if cluster.review {
        Condition::InReview
    } else if cluster.chunks.iter().any(is_down) {
        Condition::Down
    } else if cluster.chunks.iter().flat_map(|chunk| &chunk.proxies).any(is_failed) {
        Condition::Degraded
    } else if shards().any(|shard| shard.fence.is_some()) {
        Condition::FailingOver
    } else if cluster.scaling.is_some() || !cluster.migrations.is_empty() {
        Condition::Scaling
    } else if shards().any(|shard| shard.replica != SyncState::InSync) {
        Condition::Syncing
    } else {
        Condition::Ready
    }
}

/// A cluster's settings.
pub(super) fn settings(cluster: &Cluster) -> BTreeMap<String, String> {
    cluster.config.iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use control_core::{Cluster, Command, FenceReason, HostName, NewProxy, State, SyncState, TimeMs, apply};
    use model::{Address, ClusterName};

    use super::{Condition, ProxyCondition, cluster_line, proxy_lines, shard_lines};

    fn address(host: u8, port: u16) -> Address {
        Address::new(&format!("10.0.0.{host}"), port).unwrap()
    }

    fn name() -> ClusterName {
        "mydb".parse().unwrap()
    }

    fn cluster(state: &State) -> &Cluster {
        state.clusters.get(&name()).unwrap()
    }

    /// A cluster of two chunks in which all is well, and one proxy more.
    fn state() -> State {
        let mut state = State::default();
        for host in 1..=5 {
            let nodes = vec![address(host, 6379), address(host, 6380)];
            let host_name = Some(HostName(format!("rack-{host}")));
            let new = NewProxy { address: address(host, 5299), nodes, host: host_name, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        let (config, now) = (BTreeMap::new(), TimeMs(1));
        apply(&mut state, Command::CreateCluster { cluster: name(), node_number: 8, config, now }).unwrap();
        for shard in shard_lines(&state, cluster(&state)) {
            let (cluster, replica) = (name(), shard.replica.node);
            apply(&mut state, Command::SetReplicaSync { cluster, replica, sync: SyncState::InSync }).unwrap();
        }
        state
    }

    #[test]
    fn conditions_of_clusters() {
        fn check(change: impl Fn(&mut State), expected: Condition) {
            let mut state = state();
            change(&mut state);
            let line = cluster_line(&state, &name(), cluster(&state));
            assert_eq!(line.state, expected, "{line:?}");
        }
        fn first(state: &State) -> super::ShardLine {
            shard_lines(state, cluster(state)).remove(0)
        }
        fn fail(state: &mut State, proxy: &Address) {
            state.proxies.get_mut(proxy).unwrap().failed_since = Some(TimeMs(2));
        }
        check(|_| (), Condition::Ready);
        check(|state| fail(state, &first(state).primary.proxy), Condition::Degraded);
        check(
            |state| {
                fail(state, &first(state).primary.proxy);
                fail(state, &first(state).replica.proxy);
            },
            Condition::Down,
        );
        check(
            |state| {
                // Both are dead, and neither has failed because its shards have nowhere to go.
                for proxy in [first(state).primary.proxy, first(state).replica.proxy] {
                    let (reporter, now) = (control_core::ReporterId("c".to_owned()), TimeMs(2));
                    apply(state, Command::ReportFailure { proxy, reporter, now }).unwrap();
                }
                assert_eq!(cluster_line(state, &name(), cluster(state)).shards_in_sync, 2);
            },
            Condition::Down,
        );
        check(
            |state| {
                let (cluster, primary) = (name(), first(state).primary.node);
                let (reason, now) = (FenceReason::Handover, TimeMs(2));
                apply(state, Command::FenceShard { cluster, primary, reason, now }).unwrap();
            },
            Condition::FailingOver,
        );
        check(
            |state| {
                apply(state, Command::Shrink { cluster: name(), node_number: 4 }).unwrap();
            },
            Condition::Scaling,
        );
        check(
            |state| {
                let (cluster, replica) = (name(), first(state).replica.node);
                let sync = SyncState::OutOfSync;
                apply(state, Command::SetReplicaSync { cluster, replica, sync }).unwrap();
            },
            Condition::Syncing,
        );
    }

    #[test]
    fn shards_and_proxies() {
        let mut state = state();
        let shards = shard_lines(&state, cluster(&state));
        assert_eq!(shards.len(), 4);
        assert_eq!(shards.iter().map(|shard| shard.slot_count).sum::<usize>(), 16384);
        for shard in &shards {
            assert!(shard.at_home && shard.primary.host != shard.replica.host, "{shard:?}");
        }
        let words = |state: &State| proxy_lines(state).iter().map(|line| line.state).collect::<Vec<_>>();
        let free = words(&state).iter().filter(|word| **word == ProxyCondition::Free).count();
        assert_eq!((words(&state).len(), free), (5, 1));
        apply(&mut state, Command::DeleteCluster { cluster: name() }).unwrap();
        let cleaning = words(&state).iter().filter(|word| **word == ProxyCondition::Cleaning).count();
        assert_eq!(cleaning, 4);
    }
}
