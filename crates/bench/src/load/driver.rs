//! What a load is driven with, and what comes of it.

use std::path::Path;

/// What a load is driven with.
#[derive(Debug, Clone, Copy)]
pub struct Driver<'a> {
    /// `redis-benchmark`.
    pub program: &'a Path,
    /// The cores of the load.
    pub cores: &'a [usize],
    /// Different keys of single-key operations.
    pub keys: u32,
}

/// What a client sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Answers a second.
    pub per_second: f64,
    /// Median latency, in ms.
    pub p50_ms: f64,
    /// 99th percentile of the latency, in ms.
    pub p99_ms: f64,
}
