//! The keeper as its shell drives it: what happens, and what it has done then.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod busy;
mod cleaning;
mod fences;
mod roles;
mod stage;
mod stopping;
