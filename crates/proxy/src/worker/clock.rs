//! The clocks that a worker reads: once a turn, and before it writes to clients where that matters.

use std::time::Duration;

use proxy_core::engine::Moment;
use rustix::time::{ClockId, clock_gettime};

/// The monotonic clock and the Unix time, µs.
pub(super) fn moment() -> Moment {
    Moment { us: micros(ClockId::Monotonic), unix_us: micros(ClockId::Realtime) }
}

/// The monotonic clock as of the kernel's last tick, µs: some nanoseconds to read, some milliseconds late.
pub(super) fn coarse_us() -> u64 {
    micros(ClockId::MonotonicCoarse)
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32).as_micros() as u64
}
