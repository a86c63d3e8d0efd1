//! What failover promises, measured on real processes: clients that write while something dies, and what they saw.
//!
//! Nothing here decides whether a machine was fast enough to measure on; see [`stalls`](crate::stalls).

pub mod control_part;
pub mod death;
pub mod figure;
mod first_write;
pub mod half;
pub mod load;
pub mod partitions;
pub mod survivors;
pub mod targets;
pub mod times;
pub mod writers;

pub use first_write::first_write;
