//! Why a command was refused.

use model::{Address, ClusterName, ConfigError, Epoch};

use crate::state::{EPOCH_GIVEN_MAX, HOST_NAME_BYTES_MAX, StateFault, UNCLEANED_NODES_MAX};

/// Why a command was refused. The state is as it was before.
///
/// [`ApplyError::code`] is what `/api/v3` answers in `{"error":"…"}`, [`ApplyError::status`] the HTTP
/// status; the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The name cannot be a cluster's.
    #[error("'{0}' is not a cluster name: 1 to 30 of A-Z, a-z, 0-9, '@', '_' and '-'")]
    InvalidClusterName(String),
    /// The number of nodes makes no sense here.
    #[error("{got} nodes: {accepted}")]
    InvalidNodeNumber {
        /// The number that was given.
        got: usize,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// A proxy's or a node's address cannot be taken.
    #[error("address {address}: {reason}")]
    InvalidProxyAddress {
        /// The address.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// The proxy is registered, and not with these nodes or on this host.
    #[error("proxy {proxy} is registered with the nodes {} and {} on host {host}; its failure was not cleared", nodes[0], nodes[1])]
    RegisteredOtherwise {
        /// The proxy.
        proxy: Address,
        /// The nodes that it is registered with.
        nodes: [Address; 2],
        /// The failure domain that it is registered in.
        host: String,
    },
    /// A failure domain's name cannot be taken.
    #[error("a host is named by 1 to {HOST_NAME_BYTES_MAX} bytes without control characters and spaces")]
    InvalidHost,
    /// A setting does not exist.
    #[error("there is no cluster setting '{0}'")]
    UnknownConfig(String),
    /// A setting does not take the value.
    #[error(transparent)]
    InvalidConfig(#[from] ConfigError),
    /// There is nothing to move.
    #[error("the slots of cluster {0} are spread evenly already")]
    SlotsAlreadyEven(ClusterName),
    /// Proxies are ordered, and this one has no place in the order.
    #[error("proxies are ordered here: proxy {0} needs an index")]
    MissingProxyIndex(Address),
    /// What was said to be a migration is not one.
    #[error("the tag of a migration that is to be committed is Migrating")]
    InvalidMigrationTask,
    /// There is no such cluster.
    #[error("there is no cluster {0}")]
    ClusterNotFound(ClusterName),
    /// There is no such proxy, or no such node in the role that was named.
    #[error("{0} is not registered, or not in that role")]
    ProxyNotFound(Address),
    /// Every chunk has slots.
    #[error("cluster {0} has no nodes without slots")]
    FreeNodeNotFound(ClusterName),
    /// No migration has these slots and this attempt: it was restarted or cancelled.
    #[error("no migration with attempt {0} and these slots is running")]
    MigrationTaskNotFound(Epoch),
    /// Nothing is being moved.
    #[error("no slots of cluster {0} are moving or waiting to be moved")]
    JobNotFound(ClusterName),
    /// The name is taken.
    #[error("cluster {0} exists already")]
    AlreadyExisted(ClusterName),
    /// The cluster is not as the caller has seen it.
    #[error(
        "cluster {cluster} has changed since it was looked at: its epoch was {read} and is {now}; nothing was changed"
    )]
    Changed {
        /// The cluster.
        cluster: ClusterName,
        /// Its epoch when the caller looked.
        read: Epoch,
        /// Its epoch.
        now: Epoch,
    },
    /// The proxy serves a cluster.
    #[error("proxy {0} is in use")]
    InUse(Address),
    /// The proxy cannot leave its cluster while it has primaries.
    #[error("proxy {0} has primaries: hand them over first")]
    HasPrimaries(Address),
    /// The proxy cannot leave its cluster now.
    #[error("proxy {proxy} cannot be replaced now: {why}")]
    NotReplaceable {
        /// The proxy.
        proxy: Address,
        /// Why not.
        why: &'static str,
    },
    /// Too many proxies were removed before their nodes had been emptied.
    #[error(
        "the nodes of proxy {0} are not empty, and {UNCLEANED_NODES_MAX} such nodes are remembered already: wait until \
         a coordinator has emptied them, or register removed proxies again to have theirs emptied"
    )]
    TooManyUncleaned(Address),
    /// The pool has not enough proxies.
    #[error("{needed} proxies are needed and {free} are free{}", held_back_words(*.held_back))]
    NoAvailableResource {
        /// How many are needed.
        needed: usize,
        /// How many are free.
        free: usize,
        /// How many more are in the pool, and given to nobody for now.
        held_back: usize,
    },
    /// The pool has enough proxies, and too many of them on one host.
    #[error("too many of the free proxies are on host {host}: a chunk needs two hosts")]
    ResourceNotBalance {
        /// The host that cannot be paired.
        host: String,
    },
    /// Slots are moving.
    #[error("slots of cluster {0} are moving; wait until that is done")]
    MigrationRunning(ClusterName),
    /// Nodes are being added.
    #[error("nodes are being added to cluster {0}; wait until that is done")]
    NodeNumberChanging(ClusterName),
    /// It has that many nodes.
    #[error("cluster {0} has that many nodes already")]
    NodeNumAlreadyEnough(ClusterName),
    /// Nodes without slots must be given back first.
    #[error("cluster {0} has nodes without slots; give them back first")]
    FreeNodeFound(ClusterName),
    /// Something changed meanwhile. Read again and retry.
    #[error("{0}; read again and retry")]
    Retry(&'static str),
    /// The store is ahead of that.
    #[error("epoch {given} is not above the current epoch {current}")]
    EpochSmallerThanCurrent {
        /// The epoch that was given.
        given: Epoch,
        /// The one that stands.
        current: Epoch,
    },
    /// Hardly any epochs would be left.
    #[error("epoch {0} is above the highest that can be asked for, {EPOCH_GIVEN_MAX}")]
    EpochTooLarge(Epoch),
    /// The dump is of another version or contradicts itself.
    #[error("the metadata cannot be restored: {0}")]
    InvalidMeta(#[from] StateFault),
    /// Not while proxies are ordered.
    #[error("proxies are ordered here: {0}")]
    OrderedProxyEnabled(&'static str),
    /// With ordered proxies there is one cluster.
    #[error("proxies are ordered here, and cluster {0} exists")]
    OneClusterAlreadyExisted(ClusterName),
    /// The free proxies do not continue the order.
    #[error("the free proxies do not continue the order: index {expected} is missing")]
    ProxyResourceOutOfOrder {
        /// The first index that is missing.
        expected: u64,
    },
    /// Nobody knows yet whether the metadata is as old as what is served.
    #[error(
        "{0} is under review: the metadata may be older than what its proxies know; see GET /api/v4/review, and say there \
         what is right"
    )]
    UnderReview(String),
    /// What a cluster is said to be served by cannot be taken over.
    #[error("what the proxies serve cannot be taken over: {0}")]
    NotAdoptable(String),
    /// There is nothing to decide.
    #[error("{0} is not under review")]
    NotUnderReview(String),
    /// The replica is not known to have the data.
    #[error("the replica {0} is not in sync; promoting it would lose writes")]
    ReplicaNotInSync(Address),
}

/// Why free proxies are fewer than those of the pool.
fn held_back_words(count: usize) -> String {
    if count == 0 {
        return String::new();
    }
    format!(
        "; {count} more are in the pool and given to nobody yet: no coordinator has seen that they are idle, or their nodes \
         may hold the only copy of something"
    )
}

impl ApplyError {
    /// The code of `/api/v3`, and the HTTP status that goes with it.
    const fn answer(&self) -> (&'static str, u16) {
        match self {
            Self::InvalidClusterName(_) => ("INVALID_CLUSTER_NAME", 400),
            Self::InvalidNodeNumber { .. } => ("INVALID_NODE_NUMBER", 400),
            Self::InvalidProxyAddress { .. } => ("INVALID_PROXY_ADDRESS", 400),
            Self::UnknownConfig(_) | Self::InvalidConfig(_) => ("INVALID_CONFIG", 400),
            Self::SlotsAlreadyEven(_) => ("SLOTS_ALREADY_EVEN", 400),
            Self::MissingProxyIndex(_) => ("MISSING_SERVER_PROXY_INDEX", 400),
            Self::InvalidMigrationTask => ("INVALID_MIGRATION_TASK", 400),
            Self::EpochTooLarge(_) | Self::InvalidHost => ("INVALID_REQUEST", 400),
            Self::ClusterNotFound(_) => ("CLUSTER_NOT_FOUND", 404),
            Self::ProxyNotFound(_) => ("PROXY_NOT_FOUND", 404),
            Self::FreeNodeNotFound(_) => ("FREE_NODE_NOT_FOUND", 404),
            Self::MigrationTaskNotFound(_) => ("MIGRATION_TASK_NOT_FOUND", 404),
            Self::JobNotFound(_) => ("JOB_NOT_FOUND", 404),
            Self::AlreadyExisted(_) => ("ALREADY_EXISTED", 409),
            Self::Changed { .. } => ("CHANGED", 412),
            Self::RegisteredOtherwise { .. } => ("REGISTERED_OTHERWISE", 409),
            Self::InUse(_) | Self::TooManyUncleaned(_) => ("IN_USE", 409),
            Self::HasPrimaries(_) => ("HAS_PRIMARIES", 409),
            Self::NotReplaceable { .. } => ("NOT_REPLACEABLE", 409),
            Self::NoAvailableResource { .. } => ("NO_AVAILABLE_RESOURCE", 409),
            Self::ResourceNotBalance { .. } => ("RESOURCE_NOT_BALANCE", 409),
            Self::MigrationRunning(_) => ("MIGRATION_RUNNING", 409),
            Self::NodeNumberChanging(_) => ("NODE_NUMBER_CHANGING", 409),
            Self::NodeNumAlreadyEnough(_) => ("NODE_NUM_ALREADY_ENOUGH", 409),
            Self::FreeNodeFound(_) => ("FREE_NODE_FOUND", 409),
            Self::Retry(_) => ("RETRY", 409),
            Self::EpochSmallerThanCurrent { .. } => ("EPOCH_SMALLER_THAN_CURRENT", 409),
            Self::InvalidMeta(_) => ("INVALID_META_VERSION", 409),
            Self::OrderedProxyEnabled(_) => ("ORDERED_PROXY_ENABLED", 409),
            Self::OneClusterAlreadyExisted(_) => ("ONE_CLUSTER_ALREADY_EXISTED", 409),
            Self::ProxyResourceOutOfOrder { .. } => ("PROXY_RESOURCE_OUT_OF_ORDER", 409),
            Self::UnderReview(_) => ("UNDER_REVIEW", 409),
            Self::NotAdoptable(_) => ("NOT_ADOPTABLE", 409),
            Self::NotUnderReview(_) => ("NOT_UNDER_REVIEW", 409),
            Self::ReplicaNotInSync(_) => ("PROXY_NOT_SYNC", 500),
        }
    }

    /// The code that `/api/v3` answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.answer().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.answer().1
    }
}
