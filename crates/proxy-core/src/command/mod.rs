//! What a command is: its entry in the catalog, where its keys are, and what COMMAND answers.
//!
//! Nothing here does IO, and nothing knows of sessions or nodes.

mod args;
mod catalog;
mod empty;
mod keys;
mod reply;
mod script;

pub use args::Args;
pub use catalog::{
    BeginSearch, Class, ClientCommand, ClusterCommand, Command, CommandCommand, CommandId, CommandTable,
    ConfigCommand, CustomKeys, FindKeys, Flags, KeyFlags, KeyPlan, KeySpec, LegacyRange, LocalCommand, Merge,
    Reason, SlowlogCommand, Unknown,
};
pub use empty::empty_reply;
pub use keys::{KeyError, is_blocking_form, key_positions};
pub use reply::command_reply;
pub use script::{read_only_form, reply_of_replica, runs_on_replica, says_that_it_reads};

#[cfg(test)]
mod tests;
