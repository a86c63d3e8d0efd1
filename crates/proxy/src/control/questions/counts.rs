//! The workers' counters since CONFIG RESETSTAT, and their rates.

use proxy_core::stats::{RateMeter, Rates, Snapshot};

/// What is remembered of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Counts {
    baseline: Snapshot,
    meter: RateMeter,
}

impl Counts {
    /// Takes a reading; to be called at a steady pace.
    pub(super) fn read(&mut self, snapshot: &Snapshot, now_ms: u64) {
        let totals = &snapshot.totals;
        self.meter.observe(now_ms, [totals.requests, totals.bytes_in, totals.bytes_out]);
    }

    /// CONFIG RESETSTAT: counting begins again from here.
    pub(super) fn reset(&mut self, snapshot: Snapshot) {
        self.baseline = snapshot;
    }

    /// What was counted since then.
    pub(super) fn since_reset(&self, snapshot: &Snapshot) -> Snapshot {
        snapshot.since(&self.baseline)
    }

    /// Averages over the last second or so.
    pub(super) fn rates(&self) -> Rates {
        self.meter.rates()
    }
}
