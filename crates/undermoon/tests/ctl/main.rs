//! `undermoon ctl` against a real broker process, as a person or a script meets it: what it prints, what it waits
//! for, how it fails. Where a coordinator is needed, a test plays it through the broker's own API; with a real one
//! `ctl` is tried in `tests/up.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broker;
mod changing;
mod errors;
mod reading;
mod waiting;
