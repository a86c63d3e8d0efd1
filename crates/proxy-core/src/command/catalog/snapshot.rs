//! Reads the built-in snapshot of commands. Its format is described in `snapshot/make.py`, which writes it.

use super::class::Class;
use super::class_table::TABLE;
use super::command::{Command, CommandId};
use super::escape::unescape;
use super::flags::Flags;
use super::plan::{KeyPlan, LegacyRange};
use super::refusal::Reason;
use super::spec::KeySpec;
use std::collections::HashMap;

/// What Redis 8.2, Valkey 9.1 and Redis 7.0 say of their commands, the commands of modules, and our own.
pub(in crate::command) const TEXT: &str = include_str!("../../../snapshot/commands.txt");

/// What a column without content holds.
const BLANK: &str = "-";

/// What the servers' column holds for the command of a module that none of them loads.
const MODULE: &str = "module";

/// The columns of one line.
struct Line<'a> {
    name: &'a str,
    servers: &'a str,
    arity: &'a str,
    flags: &'a str,
    keys: &'a str,
    acl: &'a str,
    tips: &'a str,
    specs: &'a str,
    /// The remaining columns, which only COMMAND DOCS reads.
    docs: &'a str,
}

impl<'a> Line<'a> {
    fn split(line: &'a str) -> Option<Line<'a>> {
        let mut columns = line.splitn(9, '\t');
        let name = columns.next()?;
        let servers = columns.next()?;
        Some(Line {
            name,
            servers,
            arity: columns.next()?,
            flags: columns.next()?,
            keys: columns.next()?,
            acl: columns.next()?,
            tips: columns.next()?,
            specs: columns.next()?,
            docs: columns.next()?,
        })
    }
}

/// All commands of the snapshot, in its order, which is that of their names.
///
/// # Panics
/// When the snapshot is malformed, which the build's tests rule out.
pub(super) fn commands() -> Vec<Command> {
    let classes = classes();
    let mut commands: Vec<Command> = Vec::with_capacity(TEXT.lines().count());
    for line in TEXT.lines() {
        let id = CommandId(u16::try_from(commands.len()).expect("fewer commands than ids"));
        let command =
            command(line, id, &classes).unwrap_or_else(|| panic!("malformed snapshot line: {line}"));
        commands.push(command);
    }
    commands
}

/// The class of each name in the class table.
fn classes() -> HashMap<&'static str, Class> {
    TABLE.iter().flat_map(|(class, names)| names.split_whitespace().map(move |name| (name, *class))).collect()
}

fn command(line: &'static str, id: CommandId, classes: &HashMap<&str, Class>) -> Option<Command> {
    let line = Line::split(line)?;
    let flags = Flags::from_words(line.flags.split(','));
    let mut numbers = line.keys.split(',').map(str::parse);
    let mut number = || numbers.next()?.ok();
    let legacy = LegacyRange { first: number()?, last: number()?, step: number()? };
    let specs: Box<[KeySpec]> = match line.specs {
        BLANK => Box::default(),
        specs => specs.split(';').map(KeySpec::from_snapshot).collect::<Option<_>>()?,
    };
    Some(Command {
        id,
        name: line.name.into(),
        arity: line.arity.parse().ok()?,
        flags,
        keys: KeyPlan::of(line.name, flags, legacy, &specs),
        class: classes.get(line.name).copied().unwrap_or(Class::Refuse(Reason::Unproven)),
        subcommands: Box::default(),
        legacy,
        specs,
        acl: words(line.acl),
        tips: words(line.tips),
        listed: line.servers != MODULE,
        absent: false,
        docs: line.docs,
    })
}

fn words(column: &str) -> Box<[Box<str>]> {
    match column {
        BLANK => Box::default(),
        column => column.split(',').map(|word| unescape(word).into()).collect(),
    }
}
