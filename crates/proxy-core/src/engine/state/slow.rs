//! Which requests are slow, and which of those are logged.

/// The threshold of the slow log, and how many requests were beyond it.
#[derive(Debug, Default)]
pub(in crate::engine) struct SlowRequests {
    /// A request that takes at least this long is slow, µs; `None` where no request is.
    from_us: Option<u32>,
    seen: u32,
}

impl SlowRequests {
    /// Requests are slow from this time on, µs; below 0 none is.
    pub(in crate::engine) fn set_threshold(&mut self, from_us: i64) {
        self.from_us = u32::try_from(from_us).ok();
    }

    /// Whether a request that took this long is slow, µs.
    #[inline]
    pub(in crate::engine) fn is_slow(&self, took_us: u32) -> bool {
        self.from_us.is_some_and(|from_us| took_us >= from_us)
    }

    /// Whether every request counts as slow.
    pub(in crate::engine) fn is_every_one(&self) -> bool {
        self.from_us == Some(0)
    }

    /// Counts a slow request; whether it is the one of `rate` that is logged.
    pub(in crate::engine) fn is_sampled(&mut self, rate: u32) -> bool {
        self.seen = self.seen.wrapping_add(1);
        self.seen.is_multiple_of(rate.max(1))
    }
}
