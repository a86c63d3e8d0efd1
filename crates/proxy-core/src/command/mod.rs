//! The command table: what each command is, where its keys are, and what it means to routing.
//!
//! What servers say of their commands comes from a snapshot that is built in ([`CommandTable::builtin`]);
//! what a command means to routing is ours, in `class_table.rs`. Nothing here does IO.

mod args;
mod bits;
mod class;
mod class_table;
mod custom_keys;
mod description;
mod flags;
mod key_error;
mod keys;
mod learn;
mod lookup;
mod merge;
mod plan;
mod refusal;
mod reply;
mod scan;
mod snapshot;
mod spec;
mod spec_walk;
mod table;
mod unknown;

pub use args::Args;
pub use class::{
    Class, ClientCommand, ClusterCommand, CommandCommand, ConfigCommand, LocalCommand, Merge, SlowlogCommand,
};
pub use custom_keys::is_blocking_form;
pub use flags::{Flags, KeyFlags};
pub use key_error::KeyError;
pub use keys::key_positions;
pub use merge::merge;
pub use plan::{CustomKeys, KeyPlan, LegacyRange};
pub use refusal::Reason;
pub use reply::command_reply;
pub use scan::{
    INVALID_CURSOR, SCAN_BACKEND_CURSOR_MAX, SCAN_NODES_MAX, scan_cursor_join, scan_cursor_of,
    scan_cursor_split, scan_end, scan_reply, scan_request,
};
pub use spec::{BeginSearch, FindKeys, KeySpec};
pub use table::{Command, CommandId, CommandTable};
pub use unknown::Unknown;

#[cfg(test)]
mod tests;
