//! One command, as the table has it.

use super::class::Class;
use super::flags::Flags;
use super::plan::{KeyPlan, LegacyRange};
use super::spec::KeySpec;

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
