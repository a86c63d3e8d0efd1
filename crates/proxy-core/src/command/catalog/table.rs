//! The table of commands and the way from a request to the command it calls.

use super::command::{Command, CommandId};
use super::lookup::NameIndex;
use super::snapshot;
use super::unknown::Unknown;
use crate::command::Args;
use resp::Protocol;
use std::collections::HashMap;
use std::sync::OnceLock;

/// All commands. Immutable: what a backend teaches makes a new table.
pub struct CommandTable {
    commands: Box<[Command]>,
    names: NameIndex,
    /// The reply to COMMAND, for RESP2 and RESP3, once it was asked for.
    encoded: [OnceLock<Box<[u8]>>; 2],
    /// Whether a backend has told its commands.
    pub(super) taught: bool,
}

impl std::fmt::Debug for CommandTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "CommandTable({} commands)", self.commands.len())
    }
}

impl CommandTable {
    /// The table of the built-in snapshot.
    pub fn builtin() -> CommandTable {
        CommandTable::new(snapshot::commands(), false)
    }

    /// Indexes the commands; the subcommands of containers are found by their names.
    pub(super) fn new(mut commands: Vec<Command>, taught: bool) -> CommandTable {
        let mut inner: HashMap<Box<str>, Vec<CommandId>> = HashMap::new();
        for command in &commands {
            if let Some((container, _)) = command.name.split_once('|') {
                inner.entry(container.into()).or_default().push(command.id);
            }
        }
        for command in &mut commands {
            command.subcommands = inner.remove(&command.name).unwrap_or_default().into();
        }
        let top = commands.iter().filter(|command| !command.name.contains('|'));
        let names = NameIndex::new(top.map(|command| (command.id, &*command.name)));
        CommandTable { commands: commands.into(), names, encoded: Default::default(), taught }
    }

    /// The command of that name, in any case; containers, but no subcommands.
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<&Command> {
        self.names.find(name).map(|id| self.by_id(id))
    }

    /// The subcommand of that name (without the container's), in any case.
    pub fn subcommand(&self, container: &Command, name: &[u8]) -> Option<&Command> {
        let skip = container.name.len() + 1;
        let mut inner = container.subcommands.iter().map(|id| self.by_id(*id));
        inner.find(|command| command.name.as_bytes()[skip..].eq_ignore_ascii_case(name))
    }

    /// The command that a request calls: its name, the subcommand where there is one, and its arity are
    /// checked, in Redis's order.
    ///
    /// # Errors
    /// With what [`Unknown::write`] needs for Redis's own error.
    ///
    /// # Panics
    /// When there are no arguments at all.
    #[inline]
    pub fn resolve(&self, args: Args<'_>) -> Result<&Command, Unknown> {
        let mut command =
            self.lookup(args.get(0)).filter(|command| !command.absent).ok_or(Unknown::Command)?;
        if !command.subcommands.is_empty() && args.len() > 1 {
            let inner = self.subcommand(command, args.get(1)).filter(|inner| !inner.absent);
            command = inner.ok_or(Unknown::Subcommand)?;
        }
        if !command.accepts(args.len()) {
            return Err(Unknown::Arity(command.id));
        }
        Ok(command)
    }

    /// The command of that number, if there is one.
    pub fn get(&self, id: CommandId) -> Option<&Command> {
        self.commands.get(id.index())
    }

    /// The command of that number.
    ///
    /// # Panics
    /// When the number is not of this table.
    #[inline]
    pub fn by_id(&self, id: CommandId) -> &Command {
        &self.commands[id.index()]
    }

    /// How many commands there are, subcommands among them; one more than the largest number.
    #[expect(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// The reply to COMMAND without arguments, which `encode` makes the first time.
    pub(in crate::command) fn encoded(
        &self,
        protocol: Protocol,
        encode: fn(&CommandTable, Protocol) -> Vec<u8>,
    ) -> &[u8] {
        let place = match protocol {
            Protocol::Resp2 => &self.encoded[0],
            Protocol::Resp3 => &self.encoded[1],
        };
        place.get_or_init(|| encode(self, protocol).into())
    }

    /// All commands in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Command> + Clone {
        self.commands.iter()
    }
}
