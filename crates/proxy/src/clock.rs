//! The clock that leases, fences and views are counted by, on the control side and in the workers alike.
//!
//! It runs on while the machine sleeps (CLOCK_BOOTTIME): after that no worker may think that a lease still lasts. A virtual
//! machine that its host stops without telling it shows on no clock of its own.

use std::time::Duration;

use model::Moment;
use rustix::time::{ClockId, clock_gettime};

/// Now.
pub(crate) fn now() -> Moment {
    Moment(read(ClockId::Boottime))
}

/// The Unix time.
pub(crate) fn unix() -> Duration {
    read(ClockId::Realtime)
}

/// A moment as workers count time, µs.
pub(crate) fn micros(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_micros()).unwrap_or(u64::MAX)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
