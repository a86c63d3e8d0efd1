//! Whether the history of one key is linearizable: whether each operation can have happened at one instant between
//! its call and its reply, so that every reply is what a single copy of the key would have answered.
//!
//! The search is that of Wing and Gong, with Lowe's memory of states that were reached before ("Testing for
//! linearizability", 2017). Values are unique, and that keeps it small: once a value is overwritten it cannot come
//! back, so a write is tried only when nobody will read the present value any more.
//!
//! Operations without an answer may have happened at any time after their call, or never.

mod prepare;
mod search;
#[cfg(test)]
mod tests;
mod verdict;

pub use verdict::{Initial, STATES_MAX, Stuck, Violation};

use crate::history::Operation;

/// Judges the history of one key; the order of `operations` does not matter.
///
/// # Errors
/// The [`Violation`] found.
pub fn check(initial: Initial, operations: &[Operation]) -> Result<(), Violation> {
    search::search(&prepare::prepare(initial, operations)?)
}
