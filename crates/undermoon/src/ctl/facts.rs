//! What the metadata says of clusters and proxies, in the shapes that `ctl` shows. Pure: it is given the metadata.

use std::collections::BTreeMap;

use control_core::{Chunk, Cluster, FenceReason, Half, Proxy, Shard, State, SyncState};
use model::{Address, ClusterName, Epoch};
use serde::Serialize;

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
    /// A shard has neither a proxy for its primary nor a replica that could take over.
    Down,
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
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::FailingOver => "failing over",
            Self::Scaling => "scaling",
            Self::Syncing => "syncing",
            Self::Ready => "ready",
        }
    }
}

/// A shard with its two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ShardLine {
    /// Its number in the cluster, from 0.
    pub shard: usize,
    /// The chunk that it is in, from 0.
    pub chunk: usize,
    /// Its slots, such as `0-8191`; empty for none.
    pub slots: String,
    /// How many slots that is.
    pub slot_count: usize,
    /// Its primary.
    pub primary: NodePlace,
    /// Its replica.
    pub replica: NodePlace,
    /// What is known of the replica.
    pub sync: SyncWord,
    /// Whether the primary is where it is at home.
    pub at_home: bool,
    /// Why the primary is being taken out of service, if it is.
    pub fence: Option<FenceWord>,
}

/// A node and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NodePlace {
    /// The node.
    pub node: Address,
    /// The proxy that fronts it.
    pub proxy: Address,
    /// The failure domain of both.
    pub host: String,
    /// Whether the proxy counts as failed.
    pub failed: bool,
}

/// What is known of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SyncWord {
    /// Both nodes are new and no coordinator has looked yet.
    New,
    /// It follows its primary.
    InSync,
    /// It lacks data.
    OutOfSync,
}

impl SyncWord {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InSync => "in sync",
            Self::OutOfSync => "out of sync",
        }
    }
}

/// Why a primary is being taken out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FenceWord {
    /// It is gone.
    Dead,
    /// Its replica takes over as was asked for.
    Handover,
}

/// Slots that are to move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct MoveLine {
    /// The slots.
    pub slots: String,
    /// How many.
    pub slot_count: usize,
    /// The node that has them.
    pub source: Address,
    /// The node that gets them.
    pub target: Address,
    /// Whether it has begun.
    pub running: bool,
}

/// A registered proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ProxyLine {
    /// Where it serves clients.
    pub proxy: Address,
    /// Its failure domain.
    pub host: String,
    /// How it is, in one word.
    pub state: ProxyCondition,
    /// The cluster that it serves.
    pub cluster: Option<ClusterName>,
    /// Its nodes.
    pub nodes: [Address; 2],
    /// Its place, where proxies are ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// How a proxy is; of several the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProxyCondition {
    /// It counts as failed.
    Failed,
    /// Somebody has reported it, and not yet enough.
    Reported,
    /// What an earlier cluster left on its nodes is being removed.
    Cleaning,
    /// It serves a cluster.
    Used,
    /// It can be given to a cluster.
    Free,
}

impl ProxyCondition {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Reported => "reported",
            Self::Cleaning => "cleaning",
            Self::Used => "used",
            Self::Free => "free",
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
        shards_in_sync: shards.iter().filter(|shard| shard.replica == SyncState::InSync).count(),
        primaries_away: shards_with_home(cluster).filter(|(home, shard)| shard.primary != *home).count(),
        slots_moving: slots_moving(cluster),
        epoch: cluster.epoch,
    }
}

/// How many slots are to move and have not.
pub(super) fn slots_moving(cluster: &Cluster) -> usize {
    cluster.migrations.iter().map(|migration| migration.ranges.count()).sum()
}

fn shards_with_home(cluster: &Cluster) -> impl Iterator<Item = (Half, &Shard)> {
    cluster.chunks.iter().flat_map(|chunk| Half::BOTH.map(|home| (home, chunk.shard(home))))
}

fn condition(state: &State, cluster: &Cluster) -> Condition {
    let is_failed = |proxy: &Address| state.is_failed(proxy);
    let is_down = |chunk: &Chunk| {
        Half::BOTH.into_iter().any(|shard| {
            let can_take_over = chunk.shard(shard).replica == SyncState::InSync;
            is_failed(chunk.primary_proxy(shard)) && (!can_take_over || is_failed(chunk.replica_proxy(shard)))
        })
    };
    let shards = || shards_with_home(cluster).map(|(_, shard)| shard);
    if cluster.chunks.iter().any(is_down) {
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

/// Every shard of a cluster, in order.
pub(super) fn shard_lines(state: &State, cluster: &Cluster) -> Vec<ShardLine> {
    let line = |(number, id): (usize, control_core::ShardId)| {
        let (chunk, shard) = (&cluster.chunks[id.chunk], cluster.shard(id));
        let place = |node: &Address, proxy: &Address| NodePlace {
            node: node.clone(),
            proxy: proxy.clone(),
            host: host(state, proxy),
            failed: state.is_failed(proxy),
        };
        ShardLine {
            shard: number,
            chunk: id.chunk,
            slots: shard.slots.to_string(),
            slot_count: shard.slots.count(),
            primary: place(chunk.primary(id.shard), chunk.primary_proxy(id.shard)),
            replica: place(chunk.replica(id.shard), chunk.replica_proxy(id.shard)),
            sync: match shard.replica {
                SyncState::Fresh => SyncWord::New,
                SyncState::InSync => SyncWord::InSync,
                SyncState::OutOfSync => SyncWord::OutOfSync,
            },
            at_home: shard.primary == id.shard,
            fence: shard.fence.map(|fence| match fence.reason {
                FenceReason::Dead => FenceWord::Dead,
                FenceReason::Handover | FenceReason::Planned => FenceWord::Handover,
            }),
        }
    };
    cluster.shard_ids().enumerate().map(line).collect()
}

/// What moves between the shards of a cluster.
pub(super) fn move_lines(cluster: &Cluster) -> Vec<MoveLine> {
    let primary = |id: control_core::ShardId| cluster.chunks[id.chunk].primary(id.shard).clone();
    let line = |migration: &control_core::Migration| MoveLine {
        slots: migration.ranges.to_string(),
        slot_count: migration.ranges.count(),
        source: primary(migration.source),
        target: primary(migration.target),
        running: migration.attempt.is_some(),
    };
    cluster.migrations.iter().map(line).collect()
}

/// Every registered proxy, in order.
pub(super) fn proxy_lines(state: &State) -> Vec<ProxyLine> {
    let line = |(address, proxy): (&Address, &Proxy)| ProxyLine {
        proxy: address.clone(),
        host: proxy.host.to_string(),
        state: proxy_condition(state, address, proxy),
        cluster: proxy.cluster.clone(),
        nodes: proxy.nodes.clone(),
        index: proxy.index,
    };
    state.proxies.iter().map(line).collect()
}

fn proxy_condition(state: &State, address: &Address, proxy: &Proxy) -> ProxyCondition {
    if proxy.failed_since.is_some() {
        ProxyCondition::Failed
    } else if state.failures.contains_key(address) {
        ProxyCondition::Reported
    } else if proxy.dirty {
        ProxyCondition::Cleaning
    } else if proxy.cluster.is_some() {
        ProxyCondition::Used
    } else {
        ProxyCondition::Free
    }
}

/// A cluster's settings.
pub(super) fn settings(cluster: &Cluster) -> BTreeMap<String, String> {
    cluster.config.iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

fn host(state: &State, proxy: &Address) -> String {
    state.proxies.get(proxy).map_or_else(String::new, |record| record.host.to_string())
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
