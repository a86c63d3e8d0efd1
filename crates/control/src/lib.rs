//! The control plane's IO: stores, HTTP server, probes and pushes.

pub mod coordinator;
