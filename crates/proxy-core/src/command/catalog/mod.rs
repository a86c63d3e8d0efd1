//! The catalog: what each command is, and what it means to routing.
//!
//! What servers say of their commands comes from a snapshot that is built in ([`CommandTable::builtin`]) and
//! from live backends ([`CommandTable::learn`]); what a command means to routing is ours, in `class_table.rs`.

mod bits;
mod class;
pub(super) mod class_table;
mod command;
mod description;
pub(super) mod escape;
mod flags;
mod learn;
mod lookup;
mod plan;
mod refusal;
pub(super) mod snapshot;
mod spec;
mod table;
mod unknown;

pub use class::{
    Class, ClientCommand, ClusterCommand, CommandCommand, ConfigCommand, LocalCommand, Merge, SlowlogCommand,
};
pub use command::{Command, CommandId};
pub use flags::{Flags, KeyFlags};
pub use plan::{CustomKeys, KeyPlan, LegacyRange};
pub use refusal::Reason;
pub use spec::{BeginSearch, FindKeys, KeySpec};
pub use table::CommandTable;
pub use unknown::Unknown;
