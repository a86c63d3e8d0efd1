//! Counters of the data plane: each written by one worker thread, read by any.
//!
//! Nothing here is a read-modify-write on shared memory, and nothing locks per request. A reader sees each
//! counter as it was at some recent moment, but not all of them at the same one; so sums may be off by what is
//! in flight.

mod counter;
mod error_counts;
mod histogram;
mod rate;
mod snapshot;
mod worker;

pub use counter::Counter;
pub use histogram::{BUCKETS, Histogram, LatencyCounts};
pub use rate::{RateMeter, Rates};
pub use snapshot::{BackendTotals, CommandTotals, Snapshot, Totals};
pub use worker::{BackendStats, COMMANDS_MAX, CommandStats, WorkerStats};
