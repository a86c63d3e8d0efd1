//! What must hold, and that it does not.

use crate::clock::TrueUs;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// No two primaries of one shard acknowledge writes at one time, and none late.
    OneWriter,
    /// What a client was acknowledged and the named replica confirmed is not lost by a failover; nothing that was
    /// acknowledged by one that is planned.
    NoLoss,
    /// A healthy primary keeps its lease.
    LeaseKept,
    /// The cluster heals when nothing breaks any more.
    Heals,
    /// The metadata comes to rest when nothing changes outside.
    NoFlapping,
}

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When.
    pub at: TrueUs,
    /// What was seen.
    pub what: String,
}
