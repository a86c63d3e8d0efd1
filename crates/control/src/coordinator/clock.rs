//! The coordinator's clock: it never steps back while the process runs, whatever is done to the machine's time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use control_core::TimeMs;
use model::Moment;

/// Counts from the machine's time when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_ms: u64,
}

impl Clock {
    /// A clock that is right now.
    pub(crate) fn new() -> Self {
        // A clock before 1970 is not set at all; counting from 0 does no harm, as only differences count.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started: Instant::now(), started_ms: whole_ms(unix) }
    }

    /// The time.
    pub(crate) fn now(&self) -> TimeMs {
        self.at(Instant::now())
    }

    /// An instant as leases count it: exact.
    pub(crate) fn moment(&self, instant: Instant) -> Moment {
        Moment(instant.saturating_duration_since(self.started))
    }

    /// The time at an instant since this clock was made.
    pub(crate) fn at(&self, instant: Instant) -> TimeMs {
        TimeMs(self.started_ms + whole_ms(instant.saturating_duration_since(self.started)))
    }
}

/// A duration in milliseconds, rounded down.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
