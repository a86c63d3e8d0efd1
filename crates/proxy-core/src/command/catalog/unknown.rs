//! Why a request calls no command.

use super::command::CommandId;

/// Why a request calls no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// There is no command of that name.
    Command,
    /// The command is a container and has no subcommand of that name.
    Subcommand,
    /// The command exists and takes another number of arguments.
    Arity(CommandId),
}
