//! A client of the Redis protocol for control purposes: it asks a proxy or a Redis server one thing at a time, each within
//! a time limit.
//!
//! It must never wait without an end, keep a reply of any length, or ask again by itself: what a failure means, and when to
//! try again, is for its user to say.
#![forbid(unsafe_code)]

mod connection;
mod error;

pub use connection::{Link, resolve, within};
pub use error::LinkError;
