//! The time of day, as the metadata counts it.

use std::time::{SystemTime, UNIX_EPOCH};

use control_core::TimeMs;

/// Now. It may step back when the machine's clock is set.
pub(crate) fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
