//! The command table: what each command is, where its keys are, and what it means to routing.
//!
//! What servers say of their commands comes from a snapshot that is built in ([`CommandTable::builtin`]);
//! what a command means to routing is ours, in `class_table.rs`. Nothing here does IO.

mod bits;
mod class;
mod class_table;
mod flags;
mod lookup;
mod plan;
mod refusal;
mod snapshot;
mod spec;
mod table;

pub use class::{
    Class, ClientCommand, ClusterCommand, CommandCommand, ConfigCommand, LocalCommand, Merge, SlowlogCommand,
};
pub use flags::{Flags, KeyFlags};
pub use plan::{CustomKeys, KeyPlan, LegacyRange};
pub use refusal::Reason;
pub use spec::{BeginSearch, FindKeys, KeySpec};
pub use table::{Command, CommandId, CommandTable};

#[cfg(test)]
mod tests;
