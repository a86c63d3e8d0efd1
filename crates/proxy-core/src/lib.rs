//! The proxy's decisions without IO: command table, sessions, routing, replies.
#![forbid(unsafe_code)]

pub mod errors;
pub mod glob;
pub mod profile;
pub mod settings;
pub mod stats;
