//! What a proxy tells coordinators: how it and its nodes are. Its written form is in `wire::health`.

use crate::address::Address;
use crate::assignment::MigrationMeta;
use crate::cluster_name::ClusterName;
use crate::epoch::Epoch;
use crate::run_id::RunId;
use crate::slot_ranges::SlotRanges;
use crate::wire::Role;

/// For how long, in milliseconds, a replica that has acknowledged counts as attached: its primary serves without a lease
/// meanwhile. A coordinator that has had the replica let go waits for as long before it promotes anybody, so leases must
/// not be shorter.
pub const ATTACHED_FOR_MS: u64 = 300;

/// The same, in milliseconds, for as long as a lease lasts and for [`ATTACHED_SOON_FOR_MS`] after it: a proxy that has just
/// lost its coordinators asks more often, and whoever takes over from it need not wait for so long.
pub const ATTACHED_SOON_MS: u64 = 100;

/// For how long after its lease a proxy goes by [`ATTACHED_SOON_MS`], in milliseconds: longer than it takes to find it dead
/// and to have its replica let go.
pub const ATTACHED_SOON_FOR_MS: u64 = 1_000;

/// An answer to UMCTL HEALTH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthAnswer {
    /// Names the moment of the answer to the proxy: a lease that is granted with it counts from then.
    pub token: Vec<u8>,
    /// How the proxy and its nodes are.
    pub health: ProxyHealth,
}

/// A proxy's answer to a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHealth {
    /// Which process of the proxy answers. None where it is of a version that does not tell.
    pub run_id: Option<RunId>,
    /// The epoch of its view; 0 if it has none.
    pub view_epoch: Epoch,
    /// The epoch of its nodes' roles; 0 if it was given none.
    pub roles_epoch: Epoch,
    /// The longest lease that it was ever granted, in milliseconds.
    pub lease_longest_ms: u64,
    /// How much longer its lease lasts, in milliseconds: with none, its primaries serve by their attached replicas alone.
    /// None where its proxy is of a version that does not tell.
    pub lease_ms: Option<u64>,
    /// For how long from now on, in milliseconds and at least, it goes by [`ATTACHED_SOON_MS`]. None where its proxy is of a
    /// version that does not, or was never granted a lease.
    pub attached_soon_for_ms: Option<u64>,
    /// Its nodes.
    pub nodes: Vec<NodeHealth>,
    /// Imports that wait to be committed.
    pub finished: Vec<FinishedImport>,
}

/// An import whose target has everything, and whose source has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedImport {
    /// The cluster.
    pub cluster: ClusterName,
    /// The slots.
    pub ranges: SlotRanges,
    /// The attempt.
    pub meta: MigrationMeta,
}

/// What a proxy says of one of its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// The node.
    pub address: Address,
    /// Whether it answers.
    pub state: NodeState,
    /// It is another process than the one that was given its role: what it had in memory is lost. It stays
    /// so, and out of service as a primary, until it is made a replica or is told by SETREPL with FORCE to
    /// make do with what it has.
    pub restarted: bool,
    /// What it says it is.
    pub role: Role,
    /// The node that it replicates.
    pub primary: Option<Address>,
    /// Its link to that one; none for a primary.
    pub link: Option<LinkState>,
    /// How far it is in the replication stream, in bytes.
    pub offset: u64,
    /// It was a primary and has stopped, with nothing under way any more; and a replica has acknowledged all that it
    /// had then.
    pub replicated: bool,
    /// It is a primary, and the replica that the metadata names has acknowledged what it wrote a moment ago.
    pub attached: bool,
    /// The epoch of the roles under which it was last seen, asked after they had come, to be what they say. None where its
    /// proxy is of a version that does not tell.
    pub role_epoch: Option<Epoch>,
    /// Which process it is. None where it does not answer, or its proxy is of a version that does not tell.
    pub run_id: Option<RunId>,
    /// How many keys it has, in all databases. None where it does not answer, or its proxy is of a version that does not
    /// tell.
    pub keys: Option<u64>,
    /// It writes each change to a log on its disk (`aof_enabled` of INFO persistence): after a restart it has what it had
    /// before, but for the last second. False where its proxy is of a version that does not tell.
    pub keeps_log: bool,
}

/// Whether a node answers its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It does.
    Up,
    /// It says that it is reading its data from disk.
    Loading,
    /// It does not, or says that it is busy; and its process is seen to work.
    Busy {
        /// For how long it has not answered, in milliseconds.
        for_ms: u64,
    },
    /// It does not, and nobody can look at its process: it is on another host than its proxy, or hidden from it.
    Unseen {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// It does not: nobody listens at its address, or its process does nothing.
    Down {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
}

/// A replica's link to its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It follows.
    Up,
    /// It is being given everything anew, and has nothing that could be used until that is done.
    Syncing,
    /// It has lost its primary.
    Down {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
}
