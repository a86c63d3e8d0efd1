//! The clocks that a worker reads: once a turn, and before it writes to clients where that matters.

use proxy_core::engine::Moment;

use crate::clock;

/// The time that fences are counted by, and the Unix time, µs.
pub(super) fn moment() -> Moment {
    Moment { us: now_us(), unix_us: clock::unix().as_micros() as u64 }
}

/// The time that fences are counted by, µs: some tens of nanoseconds to read. The kernel has no coarser clock that runs on
/// while the machine sleeps.
pub(super) fn now_us() -> u64 {
    clock::micros(clock::now())
}
