//! How often proxies are probed, and what follows for how long their silence is borne.

use std::time::Duration;

use control_core::Timing;

use super::clock::whole_ms;

/// With more proxies than this for each second of the probe interval, the interval grows. A probe costs both
/// sides some ten microseconds, so this is a few percent of a core.
const PROBES_PER_SECOND_MAX: u64 = 4_000;

/// The pace for a number of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Between two probes of one proxy.
    pub(crate) interval: Duration,
    /// How long is waited for what.
    pub(crate) timing: Timing,
}

impl Pace {
    /// The configured pace, or a slower one where there are too many proxies for it. All that depends on how
    /// fresh answers are slows down with it.
    pub(crate) fn of(proxies: usize, interval: Duration, timing: Timing) -> Self {
        let configured_ms = whole_ms(interval).max(1);
        let proxies = u64::try_from(proxies).unwrap_or(u64::MAX);
        let needed_ms = proxies.saturating_mul(1000) / PROBES_PER_SECOND_MAX;
        if needed_ms <= configured_ms {
            return Self { interval, timing };
        }
        // In whole factors, so that coordinators that differ by a proxy agree on how long a lease lasts.
        let factor = needed_ms.div_ceil(configured_ms);
        let timing = Timing {
            proxy_dead_ms: timing.proxy_dead_ms * factor,
            lease_ms: timing.lease_ms * factor,
            handover_ms_max: timing.handover_ms_max * factor,
            ..timing
        };
        Self { interval: Duration::from_millis(configured_ms * factor), timing }
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
            (200, 50, 300, 400),
            (201, 50, 300, 400),
            (400, 100, 600, 800),
            (10_000, 2_500, 15_000, 20_000),
        ] {
            let pace = Pace::of(proxies, Duration::from_millis(50), timing);
            let got = (pace.interval.as_millis(), pace.timing.proxy_dead_ms, pace.timing.lease_ms);
            assert_eq!(got, (interval_ms, dead_ms, lease_ms), "{proxies}");
        }
    }
}
