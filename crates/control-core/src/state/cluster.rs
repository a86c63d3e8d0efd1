//! A cluster: its chunks, what is moving between them, and its settings.

use model::{Address, ClusterConfig, ClusterName, Epoch, MigrationMeta, SlotRanges};
use serde::{Deserialize, Serialize};

use super::chunk::{CHUNK_NODES, Chunk, Half, Shard};
use crate::time::TimeMs;

/// How many finished migrations a cluster remembers.
pub(crate) const FINISHED_MIGRATIONS_KEPT: usize = 16;
/// How many it may have: earlier versions have remembered more.
pub(crate) const FINISHED_MIGRATIONS_MAX: usize = 128;

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The epoch of its views: grows with every change that a proxy must hear of.
    pub epoch: Epoch,
    /// Its chunks.
    pub chunks: Vec<Chunk>,
    /// Its settings.
    pub config: ClusterConfig,
    /// Slots on their way, in the order in which they were asked for.
    pub migrations: Vec<Migration>,
    /// The last migrations that came to an end, oldest first; a bounded number.
    pub finished: Vec<FinishedMigration>,
    /// An operator has stopped the moves: none is given its turn.
    #[serde(default)]
    pub paused: bool,
    /// Nodes were added, and slots will move to them as soon as their proxies know of it.
    pub scaling: Option<ScaleJob>,
    /// What is stored of it may be older than what its proxies know: nobody is promoted, emptied or given a view until the
    /// proxies have been asked ([`crate::review`]) or an operator says that the metadata is right.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
}

/// One fence. The epoch alone does not tell it from others: one command may fence several shards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FenceId {
    /// The cluster.
    pub cluster: ClusterName,
    /// The shard.
    pub shard: ShardId,
    /// The epoch that names the fence of that shard.
    pub epoch: Epoch,
}

/// One of a cluster's shards: the chunk's place in the list, and the shard's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The chunk's place in the cluster's list.
    pub chunk: usize,
    /// Which of its shards.
    pub shard: Half,
}

/// Slots that move from one shard to another. The source owns them until the move is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The slots.
    pub ranges: SlotRanges,
    /// Where they are.
    pub source: ShardId,
    /// Where they go.
    pub target: ShardId,
    /// The number of the running attempt; `None` while it waits for its turn.
    pub attempt: Option<Epoch>,
}

/// A migration that came to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedMigration {
    /// The slots.
    pub ranges: SlotRanges,
    /// The last attempt, as it was known to the proxies.
    pub meta: MigrationMeta,
    /// How it ended.
    pub outcome: MigrationOutcome,
    /// The epoch of the views that say so.
    pub epoch: Epoch,
}

/// How a migration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MigrationOutcome {
    /// The target owns the slots; the source may delete what it has of them.
    Committed,
    /// The source still owns them.
    Cancelled,
}

/// Scaling that waits for new nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleJob {
    /// Every proxy of the cluster must have a view at least this new.
    pub epoch: Epoch,
    /// When it was asked for.
    pub since: TimeMs,
}

impl Cluster {
    /// How many nodes it has.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.chunks.len() * CHUNK_NODES
    }

    /// Every shard, in the order of the chunks.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.chunks.len()).flat_map(|chunk| Half::BOTH.map(|shard| ShardId { chunk, shard }))
    }

    /// A shard.
    #[must_use]
    pub fn shard(&self, id: ShardId) -> &Shard {
        self.chunks[id.chunk].shard(id.shard)
    }

    /// A shard, to be changed.
    pub fn shard_mut(&mut self, id: ShardId) -> &mut Shard {
        self.chunks[id.chunk].shard_mut(id.shard)
    }

    /// The shard that has this node as its primary.
    #[must_use]
    pub fn shard_of_primary(&self, node: &Address) -> Option<ShardId> {
        self.shard_ids().find(|id| self.chunks[id.chunk].primary(id.shard) == node)
    }

    /// The shard that has this node as its replica.
    #[must_use]
    pub fn shard_of_replica(&self, node: &Address) -> Option<ShardId> {
        self.shard_ids().find(|id| self.chunks[id.chunk].replica(id.shard) == node)
    }

    /// The chunk that a proxy is in, and as which half.
    #[must_use]
    pub fn place_of(&self, proxy: &Address) -> Option<(usize, Half)> {
        self.chunks.iter().enumerate().find_map(|(place, chunk)| Some((place, chunk.half_of(proxy)?)))
    }

    /// A migration as its proxies know it, while it runs. The addresses are those of the primaries of the
    /// moment; when one of these changes, so does the attempt.
    #[must_use]
    pub fn meta(&self, migration: &Migration) -> Option<MigrationMeta> {
        let (source, target) = (&self.chunks[migration.source.chunk], &self.chunks[migration.target.chunk]);
        Some(MigrationMeta {
            epoch: migration.attempt?,
            source_proxy: source.primary_proxy(migration.source.shard).clone(),
            source_node: source.primary(migration.source.shard).clone(),
            target_proxy: target.primary_proxy(migration.target.shard).clone(),
            target_node: target.primary(migration.target.shard).clone(),
        })
    }

    /// Whether a migration that runs touches the shard.
    #[must_use]
    pub fn is_migrating(&self, id: ShardId) -> bool {
        self.migrations.iter().any(|m| m.attempt.is_some() && (m.source == id || m.target == id))
    }
}
