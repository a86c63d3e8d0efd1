//! Instants as the control plane counts them.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch. A shell takes it from a clock that never steps back while the process
/// runs; between machines it is only as good as their clocks, so nothing that must be safe compares two
/// machines' instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeMs(pub u64);

impl TimeMs {
    /// How long it is since `earlier`, in milliseconds; 0 if that lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
