//! The data plane's IO: listeners, workers and their event loop, backends, the control thread.

pub mod config;
