//! The data plane's IO: listeners, workers and their event loop, backends, the control thread.

mod clock;
pub mod config;
mod control;
mod open_files;
mod run_error;
mod worker;

pub use control::{run, run_logged};
pub use run_error::RunError;
