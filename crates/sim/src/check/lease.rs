//! A healthy primary keeps its lease: no client is refused while nothing that is wrong explains it.

use crate::clock::TrueUs;
use crate::violation::{Invariant, Violation};

/// A proxy has refused a client because it has neither a lease nor an attached replica.
pub(crate) fn refused(shard: usize, is_lease_owed: bool, now: TrueUs) -> Option<Violation> {
    let what = || format!("shard {shard}: a write is refused for want of a lease, and nothing explains that");
    is_lease_owed.then(|| Violation { invariant: Invariant::LeaseKept, at: now, what: what() })
}
