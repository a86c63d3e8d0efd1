//! Measures this proxy, other proxies and plain Redis side by side.
//!
//! One run starts every process itself, pins each measured process alone on one core and Redis with the
//! load on another, alternates over the targets so that noise hits all alike, and reports medians.
//! What to measure (`plan`), what was measured (`report`), how it is judged (`goals`) and shown (`table`,
//! `chart`, `docs`) are plain data and pure functions; `run`, `load`, `targets` and `child` do the work.
//! It must never write a figure that this run did not measure.

#![forbid(unsafe_code)]

pub mod chart;
pub mod child;
pub mod cores;
pub mod docs;
pub mod goals;
pub mod idle;
pub mod load;
pub mod machine;
pub mod options;
pub mod plan;
pub mod report;
pub mod run;
pub mod table;
pub mod targets;
pub mod usage;
pub mod wire;
