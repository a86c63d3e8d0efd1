//! The control plane's decisions without IO: metadata, allocation, failover and scaling plans.
//!
//! ```text
//!            Command                      State, Observed, now
//!               │                                  │
//!   State ──▶ apply ──▶ State, Reply           reconcile ──▶ [Action]: commands to apply, views to push
//!               │
//!            query, desired_view ──▶ what the HTTP API answers, what a proxy should have
//! ```
//! All of it is deterministic: time comes in as an argument, nothing is drawn at random, and every table is
//! walked in the order of its keys, so that the same commands give the same state on every broker.
#![forbid(unsafe_code)]

mod allocate;
mod apply;
mod command;
mod diagnose;
mod error;
mod explain;
mod fence_clock;
mod foresee;
mod lease;
mod observed;
pub mod query;
mod reconcile;
mod review;
mod serving;
mod slot_plan;
mod state;
mod time;
mod timing;
mod views;

pub use apply::apply;
pub use command::{Command, FailedOver, KeysSeen, NewProxy, Reply, Stopped};
pub use diagnose::{NodeCondition, ProxyCondition, node_condition, proxy_condition};
pub use error::ApplyError;
pub use explain::explain;
pub use fence_clock::{FenceClock, leases_left};
pub use foresee::foresee;
pub use lease::{
    Grant, Hearing, LeaseTerms, ProbeAnswer, READ_INTERVAL, ReadingNote, Readings, TOKENS_HELD_MAX, Tokens,
    lease_epoch, pause_after_reading,
};
pub use observed::{DatedSeen, FenceSeen, LateSeen, Observed, ProxyObservation, ReplicaSeen, ReportsSeen};
pub use reconcile::{Action, reconcile};
pub use review::{AskedProxies, ClusterReview, Found, NodeContents, ProxyReview, Review, review};
pub use serving::{Serving, ServingChunk, ServingShard};
pub use slot_plan::{SlotMove, even_split, plan_moves};
pub use state::{
    CHUNK_NODES, Chunk, Cluster, Comeback, Comebacks, Difference, EPOCH_GIVEN_MAX, Fence, FenceId,
    FenceReason, FinishedMigration, Half, HostName, LEASE_USUAL_MS, LeaseLimit, Losses, META_VERSION,
    Migration, MigrationOutcome, Proxy, ReporterId, RestartedPrimary, ScaleJob, Shard, ShardId, State,
    StateFault, StoreSettings, SyncState, Table, UNCLEANED_NODES_MAX, Vouch,
};
pub use time::TimeMs;
pub use timing::Timing;
pub use views::{POOL_CLUSTER, desired_view};
