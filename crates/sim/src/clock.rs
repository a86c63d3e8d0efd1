//! The clocks of machines: each runs at its own speed, and shows another date.

use std::time::Duration;

use control_core::TimeMs;
use model::Moment;

/// The true time, in microseconds. Nobody in the world can read it.
pub type TrueUs = u64;

/// From here on a clock is not inexact but wrong, in parts per million.
const WRONG_PPM: u64 = 1_000_000;

/// One machine's clocks.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// What the clock that never steps back shows at the beginning of the world.
    pub(crate) since_boot_us: u64,
    /// By how much it runs fast, in parts per million; slow below 0.
    pub(crate) drift_ppm: i64,
    /// The date at the beginning of the world.
    pub(crate) date_ms: u64,
    /// How long it has stood still.
    pub(crate) stood_still_us: u64,
}

impl Clock {
    /// What the clock that never steps back shows.
    #[must_use]
    pub(crate) fn moment(&self, now: TrueUs) -> Moment {
        Moment(Duration::from_micros(self.since_boot_us + self.run_us(now)))
    }

    /// The date.
    #[must_use]
    pub(crate) fn date(&self, now: TrueUs) -> TimeMs {
        TimeMs(self.date_ms + self.run_us(now) / 1000)
    }

    /// When it will show that moment; now if it has.
    #[must_use]
    pub(crate) fn when(&self, moment: Moment, now: TrueUs) -> TrueUs {
        let left = u64::try_from(moment.since(self.moment(now)).as_micros()).unwrap_or(u64::MAX / 4);
        if let Some(fast) = u64::try_from(self.drift_ppm).ok().filter(|fast| *fast >= WRONG_PPM) {
            return now + left * 1_000_000 / (1_000_000 + fast) + 10;
        }
        // A timer is never early; a clock that is fast gets there sooner, but no machine needs it to be exact.
        now + left + left / 64 * u64::from(self.drift_ppm < 0)
    }

    fn run_us(&self, now: TrueUs) -> u64 {
        let run = now.saturating_sub(self.stood_still_us);
        let gained = i64::try_from(run).unwrap_or(i64::MAX) / 1_000_000 * self.drift_ppm;
        let rest = i64::try_from(run % 1_000_000).unwrap_or(0) * self.drift_ppm / 1_000_000;
        run.saturating_add_signed(gained + rest)
    }
}
