//! The data plane's IO: listeners, workers and their event loop, backends, the control thread.

pub mod config;
mod control_draft;
mod run_error;
mod worker;

pub use control_draft::run;
pub use run_error::RunError;
