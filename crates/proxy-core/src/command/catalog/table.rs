//! The table of commands and the way from a request to the command it calls.

use super::class::Class;
use super::flags::Flags;
use super::lookup::NameIndex;
use super::plan::{KeyPlan, LegacyRange};
use super::snapshot;
use super::spec::KeySpec;
use super::unknown::Unknown;
use crate::command::Args;
use resp::Protocol;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Which command; dense from 0, so that it can index statistics. A subcommand has its own.
/// A learned command keeps its number only within the table that learned it and those made from that one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u16);

impl CommandId {
    /// The number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its number.
    pub id: CommandId,
    /// In lower case; `client|kill` for a subcommand.
    pub name: Box<str>,
    /// How many arguments with the name; negative: at least that many.
    pub arity: i16,
    /// The server's flags.
    pub flags: Flags,
    /// Where the keys are.
    pub keys: KeyPlan,
    /// What it means to routing.
    pub class: Class,
    /// The subcommands of a container, else empty.
    pub subcommands: Box<[CommandId]>,
    /// First, last and step of the keys, as `COMMAND` lists them.
    pub legacy: LegacyRange,
    /// The server's key specifications.
    pub specs: Box<[KeySpec]>,
    /// ACL categories, without `@`.
    pub acl: Box<[Box<str>]>,
    /// Command tips.
    pub tips: Box<[Box<str>]>,
    /// Whether COMMAND shows it: not a module's command that no backend was seen to have.
    pub listed: bool,
    /// Backends have told their commands, and none of them has this one.
    pub absent: bool,
    /// The documentation columns of the snapshot; empty for a learned command.
    pub(in crate::command) docs: &'static str,
}

impl Command {
    /// Whether it can be forwarded without a closer look: one key, no form that blocks.
    #[inline]
    pub fn is_simple(&self) -> bool {
        matches!(self.keys, KeyPlan::First)
            && matches!(self.class, Class::Forward)
            && !self.flags.contains(Flags::BLOCKING)
            && !self.absent
    }

    /// Whether this many arguments, the name among them, are allowed.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { count >= arity } else { count == arity }
    }
}

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

    /// The reply to COMMAND without arguments, encoded once.
    pub(in crate::command) fn encoded(&self, protocol: Protocol) -> &[u8] {
        let place = match protocol {
            Protocol::Resp2 => &self.encoded[0],
            Protocol::Resp3 => &self.encoded[1],
        };
        place.get_or_init(|| crate::command::reply::all(self, protocol).into())
    }

    /// All commands in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Command> + Clone {
        self.commands.iter()
    }
}
