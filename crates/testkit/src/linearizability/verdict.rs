//! What is asked of a history, and what can be wrong with it.

use crate::history::{Operation, Value};

/// How many states the search of one history may look at before it gives up.
pub const STATES_MAX: usize = 5_000_000;

/// What the key holds before the history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Nothing: the key does not exist.
    Absent,
    /// Something that the history has to tell: one value that is read but never written.
    Any,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The key was both written and incremented: a fault of the workload, not of what it tests.
    #[error("the key was used both as a register and as a counter")]
    TwoKinds,
    /// One value was written, or answered to INCR, twice. For INCR this is a lost or doubled increment.
    #[error("the value {0} was made twice: {first}; and {second}", first = .1[0], second = .1[1])]
    MadeTwice(Value, Box<[Operation; 2]>),
    /// A read found what nobody wrote, or what was only written after the read.
    #[error("a value from nowhere: {0}")]
    FromNowhere(Box<Operation>),
    /// No order explains the replies.
    #[error("{0}")]
    NoOrder(Box<Stuck>),
    /// The search became larger than [`STATES_MAX`]: nothing is known.
    #[error("not decided after {0} states")]
    Undecided(usize),
}

/// How far the search for an order came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// How many operations could be put in order.
    pub ordered: usize,
    /// The value that the key then had.
    pub value: Option<Value>,
    /// The last of those in order, the latest at the end.
    pub before: Vec<Operation>,
    /// Operations of which one should have come next, and none fits; the most pressing one first.
    pub next: Vec<Operation>,
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
        writeln!(
            formatter,
            "no order explains the replies; after {} operations, the last of them",
            self.ordered
        )?;
        for operation in &self.before {
            writeln!(formatter, "    {operation}")?;
        }
        writeln!(formatter, "  the key holds {value}, and none of these can follow:")?;
        for operation in &self.next {
            writeln!(formatter, "    {operation}")?;
        }
        Ok(())
    }
}
