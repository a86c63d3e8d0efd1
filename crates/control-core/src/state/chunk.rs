//! Two proxies on two hosts with four nodes: two shards that back each other up.
//!
//! ```text
//!              first half            second half
//!   proxies    proxy 0               proxy 1
//!   shard 0    node 0  (home)        node 3
//!   shard 1    node 1                node 2  (home)
//! ```
//! Normally each shard's primary is at home. Each moves on its own, so that one dead node does not take
//! the other shard along.

use std::fmt;

use model::{Address, Epoch, RunId, SlotRanges};
use serde::{Deserialize, Serialize};

use super::keys::KeysSeen;
use crate::time::TimeMs;

/// How many nodes a chunk has.
pub const CHUNK_NODES: usize = 4;

/// One of the two proxies of a chunk, with its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Half {
    /// The proxy with nodes 0 and 1; home of shard 0.
    First,
    /// The proxy with nodes 2 and 3; home of shard 1.
    Second,
}

impl Half {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Two proxies on two hosts with four nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The proxy of each half.
    pub proxies: [Address; 2],
    /// The nodes of each half; the first is the one of the shard that is at home there.
    pub nodes: [[Address; 2]; 2],
    /// The two shards.
    pub shards: [Shard; 2],
}

/// A primary with its replica, and the slots that they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The slots that it owns, those on their way out included.
    pub slots: SlotRanges,
    /// Where the primary is; the replica is in the other half.
    pub primary: Half,
    /// Whether the replica may be promoted.
    pub replica: SyncState,
    /// Set while the primary is being taken out of service.
    pub fence: Option<Fence>,
    /// When the roles were last changed, or a handover was begun that was then given up.
    pub changed: TimeMs,
    /// An operator has put the primary where it is: it is not brought home until somebody balances the cluster, or
    /// it fails.
    #[serde(default)]
    pub stays: bool,
    /// How often it has lost its primary lately: one that fails again and again is brought home less and less often.
    #[serde(default, skip_serializing_if = "Losses::is_none")]
    pub losses: Losses,
    /// The proxy whose primary was replaced without having been stopped first, as an operator may order. Until it has
    /// stopped, the new primary is fenced and not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposed: Option<Address>,
    /// Set while the primary is another process than before, has not served yet, and its replica is not known to have
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comeback: Option<Comeback>,
    /// The process of the primary about which `comeback` was decided, if its proxy tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comeback_process: Option<RunId>,
    /// How many keys both nodes had when that was decided; for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comeback_keys: Option<KeysSeen>,
    /// While `comeback` stands: the replica, or the node in whose place it is, was seen to have keys, or was in sync. It is not
    /// passed over for being silent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica_has_keys: bool,
    /// The proxy that was replaced while a node behind it had the shard's data, until the replica in its place is in sync.
    /// Until then that node may hold the only copy besides the primary's, and is not emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Address>,
    /// No coordinator has seen its primary live since it got this place: there are no data yet that a replica could lack.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unbegun: bool,
}

impl Shard {
    /// Nothing is decided, or to be decided, of a primary that restarted.
    pub(crate) fn forget_comeback(&mut self) {
        (self.comeback, self.comeback_process, self.comeback_keys) = (None, None, None);
        self.replica_has_keys = false;
    }

    /// Whether what was decided of a primary that restarted was decided of this process.
    #[must_use]
    pub fn is_comeback_of(&self, process: Option<&RunId>) -> bool {
        self.comeback_process.is_none() || self.comeback_process.as_ref() == process
    }
}

/// What becomes of a primary that restarted while its replica is not known to have everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comeback {
    /// Its replica may have more than it has: nobody serves the shard until an operator decides, or more is known.
    Waits,
    /// It is to serve with what it has.
    Serves,
}

/// How often a shard has lost its primary, each time not long after the time before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// How often.
    pub count: u32,
    /// When last.
    pub last: TimeMs,
}

/// A primary that was lost longer ago than this does not count any more.
const LOSSES_KEPT_MS: u64 = 600_000;
/// How many losses are borne before the pauses grow.
const LOSSES_BORNE: u32 = 2;
/// By what the pause before a primary is brought home grows at most, in powers of two.
const DOUBLINGS_MAX: u32 = 6;

impl Losses {
    /// There were none: nothing is written, because earlier versions read no record with a field that they do not know.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// After one more.
    #[must_use]
    pub const fn next(self, now: TimeMs) -> Self {
        let count = if now.since(self.last) > LOSSES_KEPT_MS { 0 } else { self.count };
        Self { count: count.saturating_add(1), last: now }
    }

    /// How many times as long as usual it stays away from home.
    #[must_use]
    pub fn patience(self) -> u64 {
        1 << self.count.saturating_sub(LOSSES_BORNE).min(DOUBLINGS_MAX)
    }
}

/// What is known of a replica's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SyncState {
    /// Both nodes are new and nobody has looked yet.
    Fresh,
    /// It was seen following its primary, and has not been seen otherwise since.
    InSync,
    /// It is new here, or was seen to have lost its primary, its data or its process.
    OutOfSync,
}

/// A primary that must stop: its proxy is given a view without its slots, and no lease any more. If it is
/// thought dead, its replica is told to let go of it, too: a primary serves on without a lease while a
/// replica is attached. When its proxy has that view, or its last lease has run out and the replica has been
/// gone for as long, another may take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The epoch of the view that says so; names this fence.
    pub epoch: Epoch,
    /// When it was set.
    pub since: TimeMs,
    /// Why.
    pub reason: FenceReason,
}

/// Why a primary must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FenceReason {
    /// It is gone; the replica lets go of it and takes over with what it has.
    Dead,
    /// It is well; the replica takes over once it has everything.
    Handover,
    /// As [`FenceReason::Handover`], and an operator wants it: the new primary stays where it is.
    Planned,
}

impl FenceReason {
    /// Whether nothing is wrong with the primary, and nothing may be lost.
    #[must_use]
    pub const fn is_handover(self) -> bool {
        matches!(self, Self::Handover | Self::Planned)
    }
}

/// For operators, after "because".
impl fmt::Display for FenceReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Dead => "it counts as dead",
            Self::Handover => "its replica is to take over without loss",
            Self::Planned => "an operator has asked its replica to take over without loss",
        })
    }
}

impl Shard {
    /// A shard of two new nodes.
    #[must_use]
    pub const fn new(home: Half, slots: SlotRanges, now: TimeMs) -> Self {
        let (replica, stays) = (SyncState::Fresh, false);
        let losses = Losses { count: 0, last: TimeMs(0) };
        Self {
            slots,
            primary: home,
            replica,
            fence: None,
            changed: now,
            stays,
            losses,
            deposed: None,
            comeback: None,
            comeback_process: None,
            comeback_keys: None,
            replica_has_keys: false,
            former: None,
            is_unbegun: true,
        }
    }
}

impl Chunk {
    /// The node of a shard in a half.
    #[must_use]
    pub fn node(&self, shard: Half, half: Half) -> &Address {
        let [at_home, guest] = &self.nodes[half.index()];
        if shard == half { at_home } else { guest }
    }

    /// The shard; it has the name of the half where it is at home.
    #[must_use]
    pub fn shard(&self, shard: Half) -> &Shard {
        &self.shards[shard.index()]
    }

    /// The shard, to be changed.
    pub fn shard_mut(&mut self, shard: Half) -> &mut Shard {
        &mut self.shards[shard.index()]
    }

    /// The proxy of a half.
    #[must_use]
    pub fn proxy(&self, half: Half) -> &Address {
        &self.proxies[half.index()]
    }

    /// The node that is the shard's primary.
    #[must_use]
    pub fn primary(&self, shard: Half) -> &Address {
        self.node(shard, self.shard(shard).primary)
    }

    /// The node that is the shard's replica.
    #[must_use]
    pub fn replica(&self, shard: Half) -> &Address {
        self.node(shard, self.shard(shard).primary.other())
    }

    /// The proxy that fronts the shard's primary.
    #[must_use]
    pub fn primary_proxy(&self, shard: Half) -> &Address {
        self.proxy(self.shard(shard).primary)
    }

    /// The proxy that fronts the shard's replica.
    #[must_use]
    pub fn replica_proxy(&self, shard: Half) -> &Address {
        self.proxy(self.shard(shard).primary.other())
    }

    /// The proxy that a fence is to stop: that of the primary, or that of the one before it.
    #[must_use]
    pub fn stopping_proxy(&self, shard: Half) -> &Address {
        self.shard(shard).deposed.as_ref().unwrap_or_else(|| self.primary_proxy(shard))
    }

    /// The proxy of the node that a fence has let go of the primary that is to stop.
    #[must_use]
    pub fn detaching_proxy(&self, shard: Half) -> &Address {
        match self.shard(shard).deposed {
            Some(_) => self.primary_proxy(shard),
            None => self.replica_proxy(shard),
        }
    }

    /// The node that a fence has let go of the primary that is to stop.
    #[must_use]
    pub fn detaching_node(&self, shard: Half) -> &Address {
        match self.shard(shard).deposed {
            Some(_) => self.primary(shard),
            None => self.replica(shard),
        }
    }

    /// Whether a fence keeps leases from the proxy of the shard's primary. One that has taken over from a primary which
    /// may not have stopped has a view without the slots, and needs its lease for its other shard.
    #[must_use]
    pub fn is_lease_kept_back(&self, shard: Half) -> bool {
        self.shard(shard).fence.is_some() && self.shard(shard).deposed.is_none()
    }

    /// The half that a proxy is.
    #[must_use]
    pub fn half_of(&self, proxy: &Address) -> Option<Half> {
        Half::BOTH.into_iter().find(|half| self.proxy(*half) == proxy)
    }

    /// Whether neither shard has a slot.
    #[must_use]
    pub fn is_without_slots(&self) -> bool {
        self.shards.iter().all(|shard| shard.slots.is_empty())
    }

    /// How many slots both shards have.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.count()).sum()
    }

    /// The shards whose primary is in a half.
    pub fn primaries_in(&self, half: Half) -> impl Iterator<Item = Half> {
        Half::BOTH.into_iter().filter(move |shard| self.shard(*shard).primary == half)
    }
}
