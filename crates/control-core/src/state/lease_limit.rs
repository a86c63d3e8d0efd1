//! How long the leases may be that primaries have.
//!
//! Coordinators may be configured apart, be restarted with another setting, or grant longer leases in a larger pool; and one
//! that has granted long ones may be gone when a primary is to be replaced. So the longest lease that may still be held
//! stands in the metadata:
//! ```text
//!            granted  held
//!              400     400
//!   raise     5000    5000   before the first coordinator grants 5 s
//!   lower      400    5000   nobody grants more than 400 ms by metadata that says so
//!   end        400     400   5 s later: the last long lease has run out
//! ```

use serde::{Deserialize, Serialize};

/// How long leases are unless an operator sets something else, in milliseconds.
pub const LEASE_USUAL_MS: u64 = 400;

/// The longest leases, in milliseconds. `granted_ms` is never more than `held_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseLimit {
    /// No coordinator that has read this grants a longer one.
    pub granted_ms: u64,
    /// No primary holds a longer one.
    pub held_ms: u64,
}

impl Default for LeaseLimit {
    fn default() -> Self {
        Self { granted_ms: LEASE_USUAL_MS, held_ms: LEASE_USUAL_MS }
    }
}

impl LeaseLimit {
    /// Nothing is written then, because earlier versions read no record with a field that they do not know.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Leases of that length may be granted.
    #[must_use]
    pub fn raised(self, lease_ms: u64) -> Self {
        let granted_ms = self.granted_ms.max(lease_ms);
        Self { granted_ms, held_ms: self.held_ms.max(granted_ms) }
    }

    /// No longer leases than that are granted from now on; those that were may still be held.
    #[must_use]
    pub fn lowered(self, lease_ms: u64) -> Self {
        Self { granted_ms: self.granted_ms.min(lease_ms.max(LEASE_USUAL_MS)), ..self }
    }

    /// The longer leases have run out.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { held_ms: self.granted_ms, ..self }
    }

    /// Whether a change to `next` is one of these three.
    #[must_use]
    pub(crate) fn may_become(self, next: Self) -> bool {
        let LeaseLimit { granted_ms, held_ms } = next;
        next == self.raised(granted_ms)
            || next == self.lowered(granted_ms)
            || (next == self.ended() && granted_ms <= held_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_out_is_shortened() {
        let long = LeaseLimit::default().raised(5_000);
        assert_eq!(long, LeaseLimit { granted_ms: 5_000, held_ms: 5_000 });
        let lowered = long.lowered(300);
        assert_eq!(lowered, LeaseLimit { granted_ms: LEASE_USUAL_MS, held_ms: 5_000 });
        assert_eq!(lowered.raised(1_000), LeaseLimit { granted_ms: 1_000, held_ms: 5_000 });
        assert_eq!(lowered.ended(), LeaseLimit::default());
        for (before, after, expected) in [
            (LeaseLimit::default(), long, true),
            (long, lowered, true),
            (lowered, LeaseLimit::default(), true),
            // Both at once would forget leases that are held.
            (long, LeaseLimit::default(), false),
            (lowered, LeaseLimit { granted_ms: 400, held_ms: 1_000 }, false),
            (long, LeaseLimit { granted_ms: 5_000, held_ms: 400 }, false),
            (long, LeaseLimit { granted_ms: 0, held_ms: 5_000 }, false),
        ] {
            assert_eq!(before.may_become(after), expected, "{before:?} {after:?}");
        }
    }
}
