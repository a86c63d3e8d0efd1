//! The metadata: every proxy, every cluster, and the failures that stand.

mod check;
mod chunk;
mod cluster;
mod fault;
mod keys;
mod lease_limit;
mod names;
mod proxy;
mod settings;
mod store;
mod table;
mod version;

pub use chunk::{CHUNK_NODES, Chunk, Comeback, Fence, FenceReason, Half, Losses, Shard, SyncState};
pub(crate) use cluster::FINISHED_MIGRATIONS_KEPT;
pub use cluster::{Cluster, FenceId, FinishedMigration, Migration, MigrationOutcome, ScaleJob, ShardId};
pub use fault::StateFault;
pub use keys::KeysSeen;
pub use lease_limit::{LEASE_USUAL_MS, LeaseLimit};
pub(crate) use names::HOST_NAME_BYTES_MAX;
pub use names::{HostName, ReporterId};
pub use proxy::{Comebacks, Proxy, Vouch};
pub use settings::{RestartedPrimary, StoreSettings};
pub use store::State;
pub use table::{Difference, Table};
pub use version::{EPOCH_GIVEN_MAX, META_VERSION, UNCLEANED_NODES_MAX};
