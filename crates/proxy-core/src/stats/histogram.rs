//! Latencies in buckets whose width grows with the value: two for each doubling, from 1 µs to 3 s.
//!
//! ```text
//! bucket   0  1  2  3  4    5    6     7      8 …      43
//! µs       0  1  2  3  4-5  6-7  8-11  12-15  16-23 …  3145728 and more
//! ```
//! So an estimate is never more than half above the true value, and a histogram is 352 bytes.

use super::Counter;

/// Buckets of a histogram.
pub const BUCKETS: usize = 44;

/// A histogram with one writer.
#[derive(Debug)]
pub struct Histogram([Counter; BUCKETS]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram(std::array::from_fn(|_| Counter::default()))
    }
}

impl Histogram {
    /// Counts `times` observations of `us` microseconds.
    #[inline]
    pub fn record(&self, us: u64, times: u64) {
        self.0[bucket(us)].add(times);
    }

    /// Adds what was counted so far to `sum`.
    pub fn add_to(&self, sum: &mut LatencyCounts) {
        for (total, counter) in sum.0.iter_mut().zip(&self.0) {
            *total += counter.get();
        }
    }
}

/// The counts of one or several histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyCounts([u64; BUCKETS]);

impl Default for LatencyCounts {
    fn default() -> LatencyCounts {
        LatencyCounts([0; BUCKETS])
    }
}

impl LatencyCounts {
    /// Observations counted.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// An upper bound of the latency in µs of the fastest `fraction` (0 to 1) of the observations, or
    /// the last bucket's lowest value where there is no bound; `None` if there are no observations.
    pub fn percentile_us(&self, fraction: f64) -> Option<u64> {
        let total = self.total();
        // A count of observations beyond 2^52 would lose its last digit here, which matters to nobody.
        let due = ((total as f64 * fraction).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += count;
            seen >= due
        })?;
        Some(upper_us(at).min(lower_us(BUCKETS - 1)))
    }

    /// Each bucket's highest value in µs, and how many observations are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().enumerate().map(|(index, count)| (upper_us(index), *count))
    }

    /// The observations since `earlier`, a reading of the same histograms.
    pub fn since(&self, earlier: &LatencyCounts) -> LatencyCounts {
        LatencyCounts(std::array::from_fn(|index| self.0[index].saturating_sub(earlier.0[index])))
    }

    /// Adds the observations of `other`.
    pub fn add(&mut self, other: &LatencyCounts) {
        for (total, count) in self.0.iter_mut().zip(&other.0) {
            *total += count;
        }
    }
}

/// The bucket of `us`: its highest bit gives the pair, the bit below it which of the two.
#[inline]
fn bucket(us: u64) -> usize {
    if us < 2 {
        return us as usize;
    }
    let octave = us.ilog2();
    let half = (us >> (octave - 1)) & 1;
    ((2 * octave) as usize + half as usize).min(BUCKETS - 1)
}

/// The highest value of a bucket; of the last, `u64::MAX`.
fn upper_us(index: usize) -> u64 {
    if index + 1 >= BUCKETS { u64::MAX } else { lower_us(index + 1) - 1 }
}

/// The lowest value of a bucket.
fn lower_us(index: usize) -> u64 {
    if index < 2 {
        return index as u64;
    }
    let base = 1_u64 << (index / 2);
    base + (index % 2) as u64 * (base / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_the_drawing() {
        for (us, expected) in
            [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (7, 5), (11, 6), (15, 7), (16, 8), (23, 8)]
        {
            assert_eq!(bucket(us), expected, "{us}");
        }
        assert_eq!(bucket(3_145_727), BUCKETS - 2);
        assert_eq!(bucket(3_145_728), BUCKETS - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_value_is_within_its_bucket(us in 0_u64..10_000_000) {
            let index = bucket(us);
            prop_assert!(lower_us(index) <= us && us <= upper_us(index));
        }
    }

    #[test]
    fn percentiles_are_upper_bounds() {
        let histogram = Histogram::default();
        let mut counts = LatencyCounts::default();
        assert_eq!(counts.percentile_us(0.5), None);
        histogram.record(3, 98);
        histogram.record(100, 1);
        histogram.record(1000, 1);
        let slow = Histogram::default();
        slow.record(u64::MAX, 1);
        let mut slow_counts = LatencyCounts::default();
        slow.add_to(&mut slow_counts);
        assert_eq!(slow_counts.percentile_us(0.5), Some(3_145_728));
        histogram.add_to(&mut counts);
        assert_eq!(counts.total(), 100);
        for (fraction, expected) in [(0.0, 3), (0.5, 3), (0.98, 3), (0.99, 127), (1.0, 1023)] {
            assert_eq!(counts.percentile_us(fraction), Some(expected), "{fraction}");
        }
    }

    #[test]
    fn since_is_what_came_after() {
        let histogram = Histogram::default();
        let (mut first, mut second) = (LatencyCounts::default(), LatencyCounts::default());
        histogram.record(3, 5);
        histogram.add_to(&mut first);
        histogram.record(3, 2);
        histogram.add_to(&mut second);
        assert_eq!(second.since(&first).total(), 2);
    }
}
