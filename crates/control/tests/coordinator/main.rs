//! A coordinator against imitated proxies on real sockets: it finds, fills, and fails over.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot go on ends the test")]

mod crowd;
mod crowd_process;
mod fixture;
mod imitated;

mod admin;
mod many;
mod refused;
mod takeover;
