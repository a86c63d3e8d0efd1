//! Which commands COMMAND shows, and under which names it finds them.

use crate::command::{Command, CommandTable};

/// The listed commands that are no subcommands.
pub(super) fn top_level(table: &CommandTable) -> impl Iterator<Item = &Command> + Clone {
    table.iter().filter(|command| command.listed && !command.absent && !command.name.contains('|'))
}

/// The listed command of a name as COMMAND INFO and DOCS take it: a subcommand is `container|name`.
pub(super) fn named<'t>(table: &'t CommandTable, name: &[u8]) -> Option<&'t Command> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let command = table.lookup(parts.next()?)?;
    let command = match parts.next() {
        Some(inner) => table.subcommand(command, inner)?,
        None => command,
    };
    (command.listed && !command.absent).then_some(command)
}
