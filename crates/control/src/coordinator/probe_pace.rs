//! How often proxies are probed, and how long their silence is tolerated at that pace.

use std::time::Duration;

use control_core::Timing;

use super::clock::whole_ms;

/// With more proxies than this for each second of the probe interval, the interval grows. A probe costs the
/// coordinator some twenty-five microseconds of a core, most of it in the kernel.
const PROBES_PER_SECOND_MAX: u64 = 20_000;
/// Times that depend on fresh answers grow by this many times as much as the interval: a probe may come right before a
/// fault, and the next one may fail for another reason.
const INTERVALS_LONGER: u64 = 2;

/// How often a silent proxy is tried again before the pauses grow.
const RETRIES_SOON: u32 = 4;
/// The longest of these pauses is that many configured intervals, or the interval where that is longer.
const RETRY_GROWTH_MAX: u32 = 8;

/// The pace for a number of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbePace {
    /// Between two probes of one proxy.
    pub(crate) interval: Duration,
    /// Between the first attempts to reach one that does not answer any more: the configured interval.
    pub(crate) retry: Duration,
    /// How long is waited for what.
    pub(crate) timing: Timing,
}

impl ProbePace {
    /// The configured pace, or a slower one where there are too many proxies for it. With the interval grows, by twice
    /// as much, all that depends on how fresh answers are.
    pub(crate) fn of(proxies: usize, interval: Duration, timing: Timing) -> Self {
        let configured_ms = whole_ms(interval).max(1);
        let proxies = u64::try_from(proxies).unwrap_or(u64::MAX);
        let needed_ms = proxies.saturating_mul(1000) / PROBES_PER_SECOND_MAX;
        // In whole factors, so that coordinators that differ by a proxy agree on how long a lease lasts.
        let interval_ms = configured_ms * needed_ms.div_ceil(configured_ms).max(1);
        let longer_ms = (interval_ms - configured_ms) * INTERVALS_LONGER;
        let timing = Timing {
            proxy_dead_ms: timing.proxy_dead_ms + longer_ms,
            lease_ms: timing.lease_ms + longer_ms,
            handover_ms_max: timing.handover_ms_max + longer_ms,
            ..timing
        };
        Self { interval: Duration::from_millis(interval_ms), retry: interval, timing }
    }

    /// How long to wait before a silent proxy is tried again, after `failed` attempts in a row that failed:
    /// soon at first, because it may just have been restarted, then less often: it may have too much to do.
    pub(crate) fn retry_after(&self, failed: u32) -> Duration {
        let longest = self.interval.max(self.retry * RETRY_GROWTH_MAX);
        let growth = 1 << failed.saturating_sub(RETRIES_SOON).min(RETRY_GROWTH_MAX);
        self.retry.saturating_mul(growth).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_proxies_are_probed_less_often() {
        let timing = Timing { proxy_dead_ms: 300, lease_ms: 400, ..Timing::default() };
        for (proxies, interval_ms, dead_ms, lease_ms) in [
            (0, 50, 300, 400),
            (1_000, 50, 300, 400),
            (1_050, 100, 400, 500),
            (2_000, 100, 400, 500),
            (10_000, 500, 1_200, 1_300),
        ] {
            let pace = ProbePace::of(proxies, Duration::from_millis(50), timing);
            let got = (pace.interval.as_millis(), pace.timing.proxy_dead_ms, pace.timing.lease_ms);
            assert_eq!(got, (interval_ms, dead_ms, lease_ms), "{proxies}");
        }
    }

    #[test]
    fn the_silent_are_tried_again_soon_at_first() {
        let pace = ProbePace::of(10_000, Duration::from_millis(50), Timing::default());
        let tried =
            |pace: ProbePace| [1, 4, 5, 6, 7, 8, u32::MAX].map(|failed| pace.retry_after(failed).as_millis());
        assert_eq!(tried(pace), [50, 50, 100, 200, 400, 500, 500]);
        let pace = ProbePace::of(10, Duration::from_millis(50), Timing::default());
        assert_eq!(tried(pace), [50, 50, 100, 200, 400, 400, 400]);
    }
}
