//! When something happened, on the clock of one process.

use std::time::Duration;

/// A moment on the clock of one process that never steps back: how long that clock has run. Exact, because the order of
/// a token and a reading decides who may write. It must never be compared with another process's moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// This much later.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long it is since `earlier`; nothing if that lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
