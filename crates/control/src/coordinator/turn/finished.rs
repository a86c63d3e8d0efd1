//! What tasks tell the loop of turns.

use model::Address;

/// What a task has done.
#[derive(Debug)]
pub(crate) enum Finished {
    /// A shard has a primary that may serve, and more commands are on their way.
    Promotion,
    /// All commands of a turn were sent; and why the broker did not let this coordinator change anything, if so.
    Commands { denied: Option<String> },
    /// A push or a cleaning ended; and why it failed, if so.
    Proxy { proxy: Address, failure: Option<String> },
}
