//! What was seen of fences, primaries, replicas and reports, with when that was first so.

use std::collections::BTreeMap;

use model::Epoch;

use crate::state::{Comeback, ReporterId, SyncState};
use crate::time::TimeMs;

/// What was seen of one fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FenceSeen {
    /// When it was first seen in the metadata.
    pub since: TimeMs,
    /// When the replica was first seen to have let go of its primary: it was asked after the order, and said so.
    pub detached: Option<TimeMs>,
    /// When the last lease of the proxy that is to stop is over at the latest, where the broker knows: counted from the last
    /// token that any coordinator had, which came before the fence.
    pub lease_over: Option<TimeMs>,
}

/// A primary that has no replica attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alone {
    /// Since when.
    pub since: TimeMs,
    /// Since when it has had no lease, either: it refuses all requests. None where it has one.
    pub stopped_since: Option<TimeMs>,
}

/// A proxy that has an older view, or older roles, than the metadata has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateSeen {
    /// The epoch of what it has, of view and roles the older.
    pub has: Epoch,
    /// Since when it has had that and was to have something newer.
    pub since: TimeMs,
}

/// What the metadata says of who hears a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportsSeen {
    /// Who reports it as failed.
    pub reports: BTreeMap<ReporterId, DatedSeen>,
    /// That somebody hears it all the same.
    pub vouch: Option<DatedSeen>,
}

/// Something in the metadata with a date by another's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatedSeen {
    /// The date: it tells this from what is said later.
    pub at: TimeMs,
    /// When it was first seen, by the own clock.
    pub since: TimeMs,
}

impl DatedSeen {
    /// `before` if it has this date, else a value seen now for the first time.
    pub(super) fn follow(before: Option<Self>, at: TimeMs, now: TimeMs) -> Self {
        before.filter(|seen| seen.at == at).unwrap_or(Self { at, since: now })
    }
}

/// What the metadata says of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaSeen {
    /// When the roles of its shard were last changed.
    pub changed: DatedSeen,
    /// Whether it has its primary's data.
    pub sync: SyncState,
    /// When they were first seen to say so.
    pub since: TimeMs,
    /// What was decided of its primary, if that came back as another process and does not serve yet.
    pub comeback: Option<Comeback>,
    /// When they were first seen to say that.
    pub comeback_since: TimeMs,
    /// When they were last seen to say anything of it.
    pub last: TimeMs,
}
