//! Every change that the metadata can undergo, and what it answers.

mod by_hand;
mod parts;
mod reply;
mod stamp;

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch, MigrationMeta, RunId, SlotRanges};
use serde::{Deserialize, Serialize};

pub use self::parts::{NewProxy, Stopped};
pub use self::reply::{FailedOver, Reply};
use crate::serving::Serving;
pub use crate::state::KeysSeen;
use crate::state::{
    Comeback, Comebacks, FenceReason, LeaseLimit, ReporterId, State, StoreSettings, SyncState,
};
use crate::time::TimeMs;

/// One change. It carries the time where it needs one, so that replaying it gives the same state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Takes over the operator's settings.
    Configure(StoreSettings),
    /// Names the brokers that are given a copy.
    SetReplicaAddresses(Vec<String>),
    /// Makes a cluster of that many nodes with all the slots.
    CreateCluster {
        /// Its name.
        cluster: ClusterName,
        /// How many nodes, a multiple of 4.
        node_number: usize,
        /// Settings that differ from the defaults.
        config: BTreeMap<String, String>,
        /// When.
        now: TimeMs,
    },
    /// Does something with a cluster only if it is as the caller has seen it.
    IfUnchanged {
        /// The cluster.
        cluster: ClusterName,
        /// Its epoch when the caller looked.
        epoch: Epoch,
        /// What to do.
        command: Box<Command>,
    },
    /// Ends a cluster and gives its proxies back.
    DeleteCluster {
        /// Its name.
        cluster: ClusterName,
    },
    /// Adds nodes without slots.
    AddNodes {
        /// The cluster.
        cluster: ClusterName,
        /// How many more, a multiple of 4.
        node_number: usize,
        /// When.
        now: TimeMs,
    },
    /// Adds nodes without slots up to a total.
    GrowTo {
        /// The cluster.
        cluster: ClusterName,
        /// How many in the end, a multiple of 4.
        node_number: usize,
        /// When.
        now: TimeMs,
    },
    /// Gives back the chunks without slots.
    RemoveFreeNodes {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Starts to spread the slots evenly over all nodes.
    Expand {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Starts to move the slots onto that many nodes; the others are kept without slots.
    Shrink {
        /// The cluster.
        cluster: ClusterName,
        /// How many nodes keep slots, a multiple of 4.
        node_number: usize,
    },
    /// Adds nodes and moves slots to them when they are ready; or moves the slots onto fewer nodes.
    Scale {
        /// The cluster.
        cluster: ClusterName,
        /// How many nodes shall have slots, a multiple of 4.
        node_number: usize,
        /// When.
        now: TimeMs,
    },
    /// The nodes that [`Command::Scale`] added are ready: the slots may move.
    ContinueScaling {
        /// The cluster.
        cluster: ClusterName,
        /// The job's epoch.
        epoch: Epoch,
    },
    /// The target has everything and the source has stopped: ownership changes.
    CommitMigration {
        /// The cluster.
        cluster: ClusterName,
        /// The slots, all of the migration's.
        ranges: SlotRanges,
        /// The attempt.
        meta: MigrationMeta,
    },
    /// Restarts a migration; a late commit of the old attempt fails.
    RestartMigration {
        /// The cluster.
        cluster: ClusterName,
        /// The attempt that failed.
        attempt: Epoch,
    },
    /// Stops the migrations of a cluster until they are resumed: attempts that run are given up, and begin again.
    PauseMigrations {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Lets the migrations of a cluster go on.
    ResumeMigrations {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Ends all migrations that are not committed, and the wait for new nodes.
    CancelMigrations {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Changes settings of a cluster.
    SetConfig {
        /// The cluster.
        cluster: ClusterName,
        /// The fields and their values.
        fields: BTreeMap<String, String>,
    },
    /// Begins to bring primaries home where no failure stands, by handovers that lose nothing.
    Balance {
        /// The cluster.
        cluster: ClusterName,
        /// When.
        now: TimeMs,
    },
    /// Registers a proxy that was asked and serves nobody, with nodes that hold nothing; or clears the failure of one that is
    /// registered.
    RegisterProxy(NewProxy),
    /// Registers a proxy of which it is not known that it is idle; one that is registered has its failure cleared.
    AnnounceProxy {
        /// The proxy.
        new: NewProxy,
        /// Whether it serves somebody, or its nodes have keys: it is under review, and neither told anything nor given to a
        /// cluster, until an operator decides. Else nobody has been able to say.
        is_at_work: bool,
        /// Whether it says that it has no cluster, or nothing is there at its address: it may be given to a cluster at once,
        /// although nobody knows what its nodes hold.
        #[serde(default)]
        serves_nobody: bool,
    },
    /// Forgets a proxy of the pool.
    RemoveProxy {
        /// The proxy.
        proxy: Address,
    },
    /// The nodes of a proxy hold nothing any more.
    ProxyCleaned {
        /// The proxy.
        proxy: Address,
        /// The epoch of the empty view that it had meanwhile.
        epoch: Epoch,
    },
    /// The nodes of a proxy of the pool may hold something again: they restarted, do not answer, or have keys. One of
    /// which it was never seen that it is idle is put under review, as also where it has a view from elsewhere.
    NoteDirty {
        /// The proxy.
        proxy: Address,
        /// The epoch of the empty view that it had when that was seen.
        epoch: Epoch,
    },
    /// A reporter cannot reach a proxy.
    ReportFailure {
        /// The proxy.
        proxy: Address,
        /// Who says so.
        reporter: ReporterId,
        /// When.
        now: TimeMs,
    },
    /// A proxy that was reported or had failed is well, with all its nodes. Where others report it, this vouches for it.
    ProxyReturned {
        /// The proxy.
        proxy: Address,
        /// Who says so.
        reporter: ReporterId,
        /// When.
        #[serde(default)]
        now: TimeMs,
    },
    /// Takes a failed proxy out of service: replicas take over from its primaries, and a proxy of the pool
    /// takes its place.
    FailOverProxy {
        /// The proxy.
        proxy: Address,
        /// Promote replicas even if they are not known to have the data.
        force: bool,
        /// After which comeback of the proxy this was decided: refused if it has come back since. `None` when an operator
        /// says so.
        #[serde(default)]
        decided_after: Option<Comebacks>,
        /// When.
        now: TimeMs,
    },
    /// Takes a living proxy without primaries out of its cluster: a proxy of the pool takes its place.
    ReplaceProxy {
        /// The proxy.
        proxy: Address,
    },
    /// Begins to take a primary out of service.
    FenceShard {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the primary.
        primary: Address,
        /// Why.
        reason: FenceReason,
        /// When.
        now: TimeMs,
    },
    /// The primary may go on after all.
    LiftFence {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the primary.
        primary: Address,
        /// Which fence.
        fence: Epoch,
        /// How it is known that the primary before this one has stopped, where one was replaced without that.
        #[serde(default)]
        stopped: Option<Stopped>,
    },
    /// Makes the replica the primary.
    FailOverShard {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the primary until now.
        primary: Address,
        /// The fence behind which the primary has stopped; `None` when an operator takes the risk.
        fence: Option<Epoch>,
        /// Promote even if the replica is not known to have the data.
        force: bool,
        /// How many bytes of the replication stream the replica was seen to lack; for the record.
        behind_bytes: Option<u64>,
        /// How many keys both nodes had, where the primary came back without any; for the record.
        #[serde(default)]
        empty_primary: Option<KeysSeen>,
        /// Which process of the primary that was, if it is known: only while the shard waits because of just that one.
        #[serde(default)]
        process: Option<RunId>,
        /// How it is known that the primary has stopped, where there is a fence.
        #[serde(default)]
        stopped: Option<Stopped>,
        /// When.
        now: TimeMs,
    },
    /// Decides on a primary that is another process than before while its replica is not known to have everything.
    DecideComeback {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the primary.
        primary: Address,
        /// What becomes of it.
        comeback: Comeback,
        /// Which process of it; `None` means any process, and of an operator the one that it waits with.
        #[serde(default)]
        process: Option<RunId>,
        /// How many keys both nodes have; for the record.
        keys: KeysSeen,
        /// Whether an operator says so: only about a primary that waits.
        by_operator: bool,
    },
    /// A primary that was to serve with what it has serves.
    EndComeback {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the primary.
        primary: Address,
        /// The process that was seen to serve, if its proxy tells: another than what was decided about says nothing.
        #[serde(default)]
        process: Option<RunId>,
    },
    /// What was seen of a replica.
    SetReplicaSync {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the replica.
        replica: Address,
        /// Whether it has the data.
        sync: SyncState,
    },
    /// The primary of a shard was seen to live for the first time: from now on there may be data.
    BeginShard {
        /// The cluster.
        cluster: ClusterName,
        /// The node that is the primary.
        primary: Address,
    },
    /// Changes how long leases may be.
    LimitLeases {
        /// The limit that the caller has read.
        from: LeaseLimit,
        /// The limit that follows: see [`LeaseLimit`] for what may.
        to: LeaseLimit,
    },
    /// Raises all epochs to a number.
    RaiseEpoch {
        /// The number.
        epoch: Epoch,
    },
    /// Raises all epochs past the highest that any proxy has.
    RecoverEpoch {
        /// The highest that any proxy has.
        highest: Epoch,
    },
    /// Replaces everything.
    Restore(Box<State>),
    /// A proxy has a view that is newer than anything that it was given by these metadata: they are older than what is
    /// served. Refused where they are not.
    BeginReview {
        /// The proxy.
        proxy: Address,
        /// The epoch of its view.
        seen: Epoch,
    },
    /// Takes over how a cluster is served, and ends its review. One that the metadata does not have is added.
    Adopt {
        /// The cluster.
        cluster: ClusterName,
        /// Its epoch when this was decided; `None` if it was not there.
        read: Option<Epoch>,
        /// How it is served.
        serving: Box<Serving>,
        /// The highest epoch that any proxy has.
        highest: Epoch,
        /// When.
        now: TimeMs,
    },
    /// Ends the review of a cluster by the word of an operator that it is as the metadata says, whatever its proxies
    /// have.
    TrustMetadata {
        /// The cluster.
        cluster: ClusterName,
        /// The highest epoch that any proxy has.
        highest: Epoch,
        /// For each of its primaries that does not serve by the newest view: the proxy that may serve in its place, and has to
        /// stop first.
        #[serde(default)]
        deposed: BTreeMap<Address, Address>,
        /// When.
        #[serde(default)]
        now: TimeMs,
    },
    /// Ends the review of a proxy of the pool: it serves nobody. Its nodes are emptied before a cluster gets it.
    SettleProxy {
        /// The proxy.
        proxy: Address,
        /// The epoch of its view.
        seen: Epoch,
    },
}

impl Command {
    /// Whether a shard that is without service is served again when this is done, and its proxy knows.
    #[must_use]
    pub const fn ends_an_outage(&self) -> bool {
        matches!(self, Self::FailOverShard { .. } | Self::LiftFence { .. })
    }
}
