//! The proxy's decisions without IO: command table, sessions, routing, replies.

pub mod command;
