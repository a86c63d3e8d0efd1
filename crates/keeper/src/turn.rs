//! One call of the keeper: when it is, and what is to be done after it.

use model::Moment;

use crate::port::{Action, Ticket};

/// One call.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) now: Moment,
    pub(crate) tickets: Tickets,
    pub(crate) actions: Vec<Action>,
}

/// Names what the shell does for the keeper.
#[derive(Debug, Default)]
pub(crate) struct Tickets(u64);

impl Tickets {
    /// One that was never given.
    pub(crate) fn next(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}
