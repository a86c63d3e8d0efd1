//! A client of the Redis protocol for control purposes: it asks a proxy or a Redis server one thing at a time, each within
//! a time limit.
//!
//! | step | call | ends by |
//! |---|---|---|
//! | find the server | [`Places::of`], or a part of [`Link::connect`] | its deadline |
//! | connect | [`Link::open`], or [`Link::connect`], which also gives the password | its deadline |
//! | ask, as often as wanted | [`Link::ask`], then [`Reply::value`] or [`Reply::text`] | its deadline, the limit of a reply's length |
//! | wait between two questions | [`Link::broken`], where the end of the server is to be noticed at once | the connection's end |
//!
//! It must never wait without an end, keep a reply of any length, take the reply to one question for the answer to another,
//! or ask again by itself: what a failure means, and when to try again, is for its user to say.
#![forbid(unsafe_code)]

mod connection;
mod error;
mod places;
mod reply;

pub use connection::{Link, within};
pub use error::LinkError;
pub use places::Places;
pub use reply::Reply;
