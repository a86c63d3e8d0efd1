//! The types of `/api/v4`: what is this project's own.

mod broker_health;
mod failover;
mod health;
mod observations;
mod review;

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::v3::NewProxy;
pub use broker_health::Health;
pub use failover::{
    FailoverAnswer, FailoverRequest, FailoverState, ReplaceAnswer, ServeRequest, ShardFailover,
};
pub use health::{
    ClusterHealth, ClusterSummary, FenceReason, FenceShown, HostSummary, Level, NodePlace, Overview,
    ShardHealth, Sync,
};
pub use observations::{BusyShard, LateProxy, Observations, UnattachedShard, UnservedShard};
pub use review::{ClusterReview, ProxyReview, Review, ReviewDecision, ReviewedBy};

/// Something that changed, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its number: events are numbered from 1 and without gaps.
    pub number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The kind of change.
    pub kind: String,
    /// The cluster that it concerns first, if it does.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// The proxy or node that it concerns first, if it does.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Who asked for it: the caller's own name, and its address; left out for the broker itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What changed, one sentence each.
    pub words: Vec<String>,
}

/// Answer of `events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The cursor for the next page: give it as `after`.
    pub next: u64,
    /// How many events between the cursor that was given and the first one here are no longer kept.
    pub missed: u64,
}

/// Something long that is under way or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// The slots that move, such as `0-100 200`; empty for a scaling that waits.
    pub slots: String,
    /// How many slots that is.
    pub slot_count: usize,
    /// The node that has or had them.
    #[schema(value_type = Option<String>)]
    pub source: Option<Address>,
    /// The node that gets or got them.
    #[schema(value_type = Option<String>)]
    pub target: Option<Address>,
    /// The running or last attempt.
    #[schema(value_type = Option<u64>)]
    pub attempt: Option<Epoch>,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Waits until the nodes that were added are ready; then it becomes migrations.
    Scaling,
    /// Moves slots.
    Migration,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its turn has not come.
    Waiting,
    /// It is stopped until it is resumed.
    Paused,
    /// It runs.
    Running,
    /// It has done what it should.
    Committed,
    /// It was called off; nothing has moved.
    Cancelled,
}

/// What all jobs of a cluster come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// The cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterName,
    /// Slots of migrations that wait.
    pub slots_waiting: usize,
    /// Slots of migrations that run.
    pub slots_running: usize,
    /// Slots of migrations that are remembered as committed.
    pub slots_committed: usize,
    /// Whether an operator has stopped them.
    pub is_paused: bool,
    /// How many slots a minute have been committed since this broker first saw these migrations; null until one is.
    pub slots_per_minute: Option<u64>,
    /// How long the rest takes at that rate; null while it is not known or the migrations are paused.
    pub seconds_left: Option<u64>,
}

/// Answer of `jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// What waits, runs and has lately ended.
    pub jobs: Vec<Job>,
    /// The sums for each cluster that has any.
    pub progress: Vec<JobProgress>,
}

/// A change to be tried out. `operation` says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlannedChange {
    /// Make a cluster.
    CreateCluster {
        /// Its name.
        #[schema(value_type = String)]
        cluster: ClusterName,
        /// How many nodes.
        node_number: usize,
    },
    /// End a cluster.
    DeleteCluster {
        /// The cluster.
        #[schema(value_type = String)]
        cluster: ClusterName,
    },
    /// Add nodes without slots.
    AddNodes {
        /// The cluster.
        #[schema(value_type = String)]
        cluster: ClusterName,
        /// How many more.
        node_number: usize,
    },
    /// Give back the chunks without slots.
    RemoveFreeNodes {
        /// The cluster.
        #[schema(value_type = String)]
        cluster: ClusterName,
    },
    /// Change the number of nodes with slots.
    Scale {
        /// The cluster.
        #[schema(value_type = String)]
        cluster: ClusterName,
        /// How many nodes with slots in the end.
        node_number: usize,
    },
    /// Bring primaries home.
    Balance {
        /// The cluster.
        #[schema(value_type = String)]
        cluster: ClusterName,
    },
    /// Register a proxy.
    AddProxy {
        /// The proxy.
        proxy: NewProxy,
    },
    /// Forget a proxy.
    RemoveProxy {
        /// The proxy.
        #[schema(value_type = String)]
        address: Address,
    },
    /// Take a proxy out of service.
    FailOverProxy {
        /// The proxy.
        #[schema(value_type = String)]
        address: Address,
    },
    /// Take a living proxy without primaries out of its cluster.
    ReplaceProxy {
        /// The proxy.
        #[schema(value_type = String)]
        address: Address,
    },
    /// Have replicas take over from their primaries, as POST `clusters/{cluster}/failover` does.
    FailOver {
        /// The cluster.
        #[schema(value_type = String)]
        cluster: ClusterName,
        /// From which primaries, and whether by force.
        which: FailoverRequest,
    },
}

/// Answer of POST `plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Whether the change would be accepted now.
    pub accepted: bool,
    /// The code with which it would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What would change, one sentence each; or why it would be refused.
    pub words: Vec<String>,
}

/// Answer of `state`: the whole of the metadata, for coordinators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateAnswer<S> {
    /// What `change` counts in: it differs after the metadata was restored or its epochs were recovered.
    pub history: String,
    /// The number of the last change in it.
    pub change: u64,
    /// The metadata, in the form of a dump; null when it is what the caller knows.
    pub state: Option<S>,
    /// How much longer a lease may last of each proxy that a fence is to stop, in milliseconds, where the broker knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, u64>)]
    pub leases_left_ms: BTreeMap<Address, u64>,
}

/// Which answer of `state` a caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMark {
    /// Its `history`.
    pub history: String,
    /// Its `change`.
    pub change: u64,
}

impl<S> StateAnswer<S> {
    /// What to give with the next call.
    #[must_use]
    pub fn mark(&self) -> StateMark {
        StateMark { history: self.history.clone(), change: self.change }
    }
}

/// Answer of POST `commands`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandAnswer<R> {
    /// What the command answers.
    pub reply: R,
}
