//! How soon the metadata is read again, so that leases go on.

use std::time::Duration;

/// Between two readings that cost little.
pub const READ_INTERVAL: Duration = Duration::from_millis(50);
/// Reading takes at most one part of the time in this many, where leases allow that.
const SHARE: u32 = 4;
/// A pause takes at most this part of a lease, so that one that was granted is renewed before it ends.
const LEASE_PART: u32 = 2;
/// This part of a lease is left to the age of the token by which it is granted, and to the probe that grants it.
const TOKEN_PART: u32 = 4;

/// How long to wait after a reading that took `took`. Most of that may have been waiting for a broker that hung, so it
/// says little about what reading costs.
///
/// A lease that a reading grants counts from a token that came before that reading began, and the next one is granted
/// when the next reading has ended: two readings, the pause and the age of the token have to fit into a lease, where they
/// can.
#[must_use]
pub fn pause_after_reading(took: Duration, lease_ms: u64) -> Duration {
    let lease = Duration::from_millis(lease_ms);
    let half = lease / LEASE_PART;
    let readings = took.saturating_mul(2);
    // No pause makes up for readings that take a lease themselves.
    let longest =
        if readings < lease { half.min((lease - lease / TOKEN_PART).saturating_sub(readings)) } else { half };
    took.saturating_mul(SHARE).min(longest).max(READ_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        for (took_ms, lease_ms, expected_ms) in [
            (0, 400, 50),
            (12, 400, 50),
            (20, 400, 80),
            (60, 400, 180),
            (100, 400, 100),
            (150, 400, 50),
            (4_000, 400, 200),
            (200, 1_300, 575),
            (90, 60, 50),
        ] {
            let pause = pause_after_reading(Duration::from_millis(took_ms), lease_ms);
            assert_eq!(pause, Duration::from_millis(expected_ms), "{took_ms} {lease_ms}");
        }
    }
}
