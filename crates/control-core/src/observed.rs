//! What one coordinator has seen of the proxies and their nodes.

use std::collections::{BTreeMap, HashMap};

use model::{Address, ClusterName, Epoch, MigrationMeta, Role, SlotRanges};

use crate::state::{Half, ReporterId, State, SyncState};
use crate::time::TimeMs;

/// All that one coordinator has seen. It is memory only: a coordinator that starts anew knows nothing, and
/// does nothing about a proxy until it has watched it long enough.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Who it is.
    pub coordinator: ReporterId,
    /// How long it waits for what.
    pub timing: Timing,
    /// Whether it may take primaries out of service.
    pub may_fail_over: bool,
    /// What it saw of each proxy. Not sorted, because each turn looks up every proxy many times; so nothing may depend on
    /// the order of its rows.
    pub proxies: HashMap<Address, ProxyObservation>,
    /// What it saw of each fence, by the fence's epoch.
    pub fences: BTreeMap<Epoch, FenceSeen>,
    /// What it saw in the metadata of each replica.
    pub replicas: HashMap<Address, ReplicaSeen>,
    /// When it last looked at all.
    pub last_turn: TimeMs,
    /// When it last heard of any proxy.
    pub last_answer: TimeMs,
}

/// What was seen of one fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FenceSeen {
    /// When it was first seen in the metadata.
    pub since: TimeMs,
    /// When the replica was first seen to have let go of its primary.
    pub detached: Option<TimeMs>,
}

/// What the metadata say of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaSeen {
    /// Whether it has its primary's data.
    pub sync: SyncState,
    /// When they were first seen to say so.
    pub since: TimeMs,
    /// When they were last seen to.
    pub last: TimeMs,
}

/// How long a coordinator waits for what; all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A proxy that has been silent that long is dead.
    pub proxy_dead_ms: u64,
    /// A node that its proxy could not reach for that long is dead.
    pub node_dead_ms: u64,
    /// A replica that has been without its living primary for that long has lost it.
    pub link_broken_ms: u64,
    /// How long a lease lasts; and at least as long as a proxy takes to notice that the replica of its
    /// primary is gone, because an attached replica is as good as a lease.
    pub lease_ms: u64,
    /// A handover that is not complete after that long is given up.
    pub handover_ms_max: u64,
    /// Roles that changed are left alone for that long before primaries are brought home.
    pub balance_quiet_ms: u64,
    /// A node that has been dead for that long behind a living proxy is replaced, with its proxy.
    pub node_replace_ms: u64,
    /// A coordinator that did not run for that long has not watched: what was silent meanwhile is not dead.
    pub stall_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            proxy_dead_ms: 300,
            node_dead_ms: 300,
            link_broken_ms: 5_000,
            lease_ms: 400,
            handover_ms_max: 1_000,
            balance_quiet_ms: 5_000,
            node_replace_ms: 30_000,
            stall_ms: 200,
        }
    }
}

/// What was seen of one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyObservation {
    /// Since when it has been watched without a gap.
    pub watched_since: TimeMs,
    /// When the last probe that was answered had been sent: what the answer says was true then or later.
    pub asked: Option<TimeMs>,
    /// When the last answer to a probe came.
    pub answered: Option<TimeMs>,
    /// The last answer.
    pub health: Option<ProxyHealth>,
    /// When it was first seen in the metadata that it has failed; none if it has not.
    pub failed_seen: Option<TimeMs>,
}

impl ProxyObservation {
    fn new(has_failed: bool, now: TimeMs) -> Self {
        let failed_seen = has_failed.then_some(now);
        Self { watched_since: now, asked: None, answered: None, health: None, failed_seen }
    }
}

/// A proxy's answer to a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHealth {
    /// The epoch of its view; 0 if it has none.
    pub view_epoch: Epoch,
    /// The epoch of its nodes' roles; 0 if it was given none.
    pub roles_epoch: Epoch,
    /// The longest lease that it was ever granted, in milliseconds.
    pub lease_longest_ms: u64,
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
    /// It is a primary, and a replica has acknowledged what it wrote a moment ago.
    pub attached: bool,
}

/// Whether a node answers its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It does.
    Up,
    /// It says that it is reading its data from disk.
    Loading,
    /// It does not.
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

impl Observed {
    /// A coordinator that has seen nothing yet.
    #[must_use]
    pub fn new(coordinator: ReporterId, timing: Timing, now: TimeMs) -> Self {
        Self {
            coordinator,
            timing,
            may_fail_over: true,
            proxies: HashMap::new(),
            fences: BTreeMap::new(),
            replicas: HashMap::new(),
            last_turn: now,
            last_answer: now,
        }
    }

    /// Notes what the metadata has of proxies and fences. To be called with each new state and before each
    /// [`crate::reconcile`].
    pub fn note_state(&mut self, state: &State, now: TimeMs) {
        if now.since(self.last_turn) > self.timing.stall_ms {
            // The machine slept or this process was stopped: the silence was ours.
            self.watch_anew(now);
        }
        self.last_turn = now;
        self.proxies.retain(|address, _| state.proxies.contains_key(address));
        for (address, record) in &state.proxies {
            let has_failed = record.failed_since.is_some();
            if let Some(seen) = self.proxies.get_mut(address) {
                seen.failed_seen = has_failed.then(|| seen.failed_seen.unwrap_or(now));
            } else {
                self.proxies.insert(address.clone(), ProxyObservation::new(has_failed, now));
            }
        }
        let mut fences = BTreeMap::new();
        for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
            for shard in Half::BOTH {
                self.note_replica(chunk.replica(shard), chunk.shard(shard).replica, now);
                if let Some(fence) = chunk.shard(shard).fence {
                    fences
                        .insert(fence.epoch, self.fence_seen(fence.epoch, chunk.detaching_proxy(shard), now));
                }
            }
        }
        self.fences = fences;
        self.replicas.retain(|_, seen| seen.last == now);
    }

    fn note_replica(&mut self, replica: &Address, sync: SyncState, now: TimeMs) {
        match self.replicas.get_mut(replica) {
            Some(seen) if seen.sync == sync => seen.last = now,
            Some(seen) => *seen = ReplicaSeen { sync, since: now, last: now },
            None => drop(self.replicas.insert(replica.clone(), ReplicaSeen { sync, since: now, last: now })),
        }
    }

    fn fence_seen(&self, fence: Epoch, detaching_proxy: &Address, now: TimeMs) -> FenceSeen {
        let held = self.fences.get(&fence).copied().unwrap_or(FenceSeen { since: now, detached: None });
        let health = self.proxies.get(detaching_proxy).and_then(|seen| seen.health.as_ref());
        let has_roles = health.is_some_and(|health| health.roles_epoch >= fence);
        FenceSeen { detached: held.detached.or(has_roles.then_some(now)), ..held }
    }

    /// Notes a proxy's answer that has come now, and when the probe that it answers had been sent.
    pub fn note_answer(&mut self, proxy: &Address, health: ProxyHealth, asked: TimeMs, now: TimeMs) {
        if now.since(self.last_answer) >= self.timing.proxy_dead_ms {
            // Nobody was heard at all: this coordinator was cut off, and the proxy that is heard first again must
            // not make the others dead.
            self.watch_anew(now);
        }
        self.last_answer = now;
        if let Some(seen) = self.proxies.get_mut(proxy) {
            (seen.asked, seen.answered) = (Some(asked), Some(now));
            seen.health = Some(health);
        }
    }

    /// What was silent until now is not dead for that.
    fn watch_anew(&mut self, now: TimeMs) {
        self.proxies.values_mut().for_each(|seen| seen.watched_since = now);
    }
}
