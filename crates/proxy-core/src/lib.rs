//! The proxy's decisions without IO: command table, sessions, routing, replies.
//!
//! No sockets, threads, clocks or randomness: time and random numbers arrive as arguments.
#![forbid(unsafe_code)]

pub mod authority;
pub mod cluster_replies;
pub mod command;
pub mod decimal;
pub mod engine;
pub mod errors;
pub mod face;
pub mod glob;
pub mod info;
pub mod local;
pub mod merge;
pub mod profile;
pub mod route;
pub mod settings;
pub mod slowlog;
pub mod stats;
