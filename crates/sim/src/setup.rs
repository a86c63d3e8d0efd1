//! What a world is made of.

use crate::planted::Planted;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Machines with a proxy and two nodes each.
    pub hosts: usize,
    /// Chunks of the cluster: two proxies each. What is left of the hosts is spare.
    pub chunks: usize,
    /// Coordinators, each on a machine of its own.
    pub coordinators: usize,
    /// Brokers, each on the machine of a coordinator; all on one store.
    pub brokers: usize,
    /// How many coordinators must report a proxy.
    pub quorum: usize,
    /// By how much clocks run apart at most, in parts per million.
    pub drift_ppm_max: u64,
    /// A coordinator whose machine's clock is wrong: much faster than is allowed for.
    pub hurried_coordinator: Option<usize>,
    /// How far apart machines' dates are at most, in milliseconds.
    pub date_ms_max: u64,
    /// The rule that does not hold.
    pub planted: Option<Planted>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            hosts: 5,
            chunks: 2,
            coordinators: 2,
            brokers: 2,
            quorum: 1,
            drift_ppm_max: 5_000,
            hurried_coordinator: None,
            date_ms_max: 90_000,
            planted: None,
        }
    }
}
