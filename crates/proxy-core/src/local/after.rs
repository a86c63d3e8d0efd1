//! What follows an answer, or who gives it.

use model::Slot;

use super::control_request::ControlRequest;
use crate::command::CommandCommand;

/// What is to happen after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing: the reply is written.
    Done,
    /// The reply is written; close the session when it is sent.
    Close,
    /// The reply is written; the session's database is another one.
    SelectChanged,
    /// The reply is written; the session is as if just accepted: what it held must be let go.
    SessionReset,
    /// No reply yet: the thread that sees all workers must answer.
    Control(Box<ControlRequest>),
    /// No reply yet: COMMAND, which the command table answers of itself.
    Command(CommandCommand),
    /// No reply yet: UMCTL, which the control thread understands itself.
    Umctl,
    /// No reply yet: UMFORWARD wraps a command that the engine must route.
    Forwarded,
    /// No reply yet: the number of keys in a slot, which only the nodes know.
    CountKeysInSlot(Slot),
    /// No reply yet: at most `count` keys of a slot, which only the nodes know.
    KeysInSlot {
        /// The slot.
        slot: Slot,
        /// The most keys to return.
        count: u64,
    },
}
