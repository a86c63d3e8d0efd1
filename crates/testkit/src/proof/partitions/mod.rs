//! Partitions of all kinds: once the replacement of a primary has taken a write, nobody is told OK by the old one.
//!
//! Each lane has a cluster of its own in a network of its own, and takes the next partition when it is done with one:
//!
//! ```text
//!   host 0 ──┐                ┌── brokers' host: a broker, two coordinators
//!            ├── the bridge ──┤
//!   host 1 ──┘                └── clients' host: writers, and whoever replicates a primary on his own account
//! ```

mod kind;
mod lane;
mod plan;
mod report;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};

pub use self::kind::{Beside, Cut, Kind};
use self::lane::Lane;
pub use self::plan::{PartitionsPlan, WritesTo};
pub use self::report::{PartitionsReport, Seen};

/// Runs them all. `tell` is given a line for each.
///
/// # Errors
/// When a cluster does not start, or does not become whole after a partition.
pub fn run(plan: &PartitionsPlan, tell: &(dyn Fn(&str) + Sync)) -> Result<PartitionsReport> {
    let (next, seen) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |number: usize| -> Result<()> {
        let mut lane = Lane::start()?;
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= plan.runs {
                return Ok(());
            }
            let found = lane.run(plan, run)?;
            tell(&format!("lane {number}, partition {run}: {found}"));
            seen.lock().map_err(|_| anyhow!("another lane panicked"))?.push(found);
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..plan.lanes.min(plan.runs)).map(|number| scope.spawn(move || work(number))).collect();
        let ends = lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("a lane panicked"))?);
        // All are waited for before any error is told.
        ends.collect::<Vec<_>>().into_iter().collect::<Result<()>>()
    })?;
    let seen = seen.into_inner().map_err(|_| anyhow!("a lane panicked"))?;
    Ok(PartitionsReport::of(plan.seed, &plan.kinds, &seen))
}
