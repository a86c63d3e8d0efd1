//! Which commands COMMAND shows, and under which names it finds them.

use crate::command::{Class, Command, CommandTable};

/// Whether COMMAND tells of a command: not of one that no node has, and not of one that this proxy refuses.
pub(super) fn is_shown(table: &CommandTable, command: &Command) -> bool {
    let is_served = match command.class {
        Class::Refuse(_) => false,
        // A name alone; that of a container of which nothing is served would lead nowhere.
        Class::Container => shown_subcommands(table, command).next().is_some(),
        _ => true,
    };
    command.listed && !command.absent && is_served
}

/// The subcommands of a container that are shown.
pub(super) fn shown_subcommands<'t>(
    table: &'t CommandTable,
    container: &'t Command,
) -> impl Iterator<Item = &'t Command> + Clone {
    let inner = container.subcommands.iter().map(|id| table.by_id(*id));
    inner.filter(|command| is_shown(table, command))
}

/// The commands shown that are no subcommands.
pub(super) fn top_level(table: &CommandTable) -> impl Iterator<Item = &Command> + Clone {
    table.iter().filter(|command| !command.name.contains('|') && is_shown(table, command))
}

/// The command shown of a name as COMMAND INFO and DOCS take it: a subcommand is `container|name`.
pub(super) fn named<'t>(table: &'t CommandTable, name: &[u8]) -> Option<&'t Command> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let command = table.lookup(parts.next()?)?;
    let command = match parts.next() {
        Some(inner) => table.subcommand(command, inner)?,
        None => command,
    };
    is_shown(table, command).then_some(command)
}
