//! Times of repeated runs: the median and the worst.

use std::time::Duration;

/// What was measured, run by run.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds a run.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The median and the worst, printed with what they are.
    ///
    /// # Panics
    /// When nothing was measured.
    pub fn report(&mut self, what: &str) -> (Duration, Duration) {
        self.0.sort();
        let (median, worst) = (self.0[self.0.len() / 2], self.0[self.0.len() - 1]);
        println!("{what}: p50 {} ms, worst {} ms of {}", median.as_millis(), worst.as_millis(), self.0.len());
        (median, worst)
    }
}
