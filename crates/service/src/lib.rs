//! What every long-running process of this project needs: configuration, logs, metrics, shutdown, build
//! information and exit codes.
//!
//! Nothing here knows what a proxy or a broker is, and nothing here is on the path of a request.

#![forbid(unsafe_code)]

pub mod build_info;
pub mod config;
pub mod exit;
pub mod logging;
pub mod metrics;
pub mod open_files;
pub mod shutdown;
