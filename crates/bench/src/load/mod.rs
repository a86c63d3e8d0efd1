//! The load: drives one case against one port and says how fast and how late the answers were.
//! It must never count an error as an answer: see [`data::check`] and [`data::Served`].

mod closed;
pub mod data;
mod open;

use std::path::Path;

use crate::plan::{Case, Load};

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

impl Driver<'_> {
    /// Makes `requests` requests as the case says and waits for all answers. `seed` fixes what is random,
    /// so that every target sees the same arrivals.
    ///
    /// # Errors
    /// When the server breaks a connection, answers something else, or takes too long.
    pub fn drive(&self, case: &Case, port: u16, requests: u64, seed: u64) -> anyhow::Result<Outcome> {
        match case.load {
            Load::Closed { connections, pipeline } => {
                closed::drive(self, case, closed::Shape { port, connections, pipeline, requests })
            }
            Load::Open { connections, per_second } => {
                let arrivals = open::Arrivals::random(requests, per_second, connections, self.keys, seed);
                open::drive(port, connections, &arrivals, &data::value(case.value_bytes))
            }
            Load::Idle { .. } => anyhow::bail!("idle connections are no load"),
        }
    }
}
