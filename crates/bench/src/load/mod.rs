//! The load: drives one case against one port and says how fast and how late the answers were.
//! It must never count an error as an answer: see [`data::check`] and [`data::Served`].

mod closed;
pub mod data;
mod driver;
mod open;

pub use driver::{Driver, Outcome};

use crate::plan::{Case, Load};

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
