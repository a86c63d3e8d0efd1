//! Chaos on real processes: a cluster that manages itself, clients whose every operation is recorded, faults in an
//! order that a seed decides, and a judgement of what the clients saw.

pub mod client;
mod clock;
pub mod credentials;
pub mod fault;
mod full;
pub mod judge;
pub mod kind;
pub mod network;
pub mod options;
mod orders;
pub mod owners;
pub mod plan;
pub mod report;
mod restore;
pub mod run;
pub mod services;
mod target;
pub mod trouble;
pub mod watch;
pub mod workload;

/// What the cluster is called.
const CLUSTER: &str = "chaos";
