//! The control plane's IO: stores, HTTP server, probes and pushes.
//!
//! What is decided is decided in `control-core`; this crate keeps what it decides, and carries it out.
#![forbid(unsafe_code)]

pub mod broker;
pub mod config;
pub mod coordinator;
mod reading_note;
mod run_error;
mod stalls;
pub mod store;
mod strict_json;
mod wall_clock;

pub use run_error::RunError;
