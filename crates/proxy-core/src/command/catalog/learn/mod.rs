//! What a live backend's COMMAND reply adds to the table.
//!
//! Routing is ours: the class of a command that the table knows never changes. A command that it does not
//! know is forwarded only where the backend says where its keys are and nothing that it says speaks against
//! a shared connection; else it is refused. So nothing is ever forwarded by guess.

use super::class::{Class, LocalCommand};
use super::command::{Command, CommandId};
use super::description::{Description, items};
use super::flags::{Flags, KeyFlags};
use super::plan::{KeyPlan, is_plain};
use super::refusal::Reason;
use super::spec::{BeginSearch, FindKeys, KeySpec};
use super::table::CommandTable;
use resp::Value;

/// The most commands that a table holds, however many a backend claims to have.
const COMMANDS_MAX: usize = 4096;
/// Flags of a command that may not run on a connection that others share.
const UNSAFE: Flags = Flags::ADMIN
    .union(Flags::PUBSUB)
    .union(Flags::NOSCRIPT)
    .union(Flags::BLOCKING)
    .union(Flags::ASKING)
    .union(Flags::NO_AUTH)
    .union(Flags::NO_MULTI);

impl CommandTable {
    /// This table with what a backend's reply to COMMAND says beyond it. Numbers of known commands stay.
    ///
    /// A command that no backend has told of so far is unknown from then on, as it is to the backends.
    ///
    /// Of a known command the arity is widened, and where the backend finds its keys elsewhere than the
    /// table does, the backend is believed: it is the one that will read them.
    #[must_use]
    pub fn learn(&self, command_reply: &Value<'_>) -> CommandTable {
        let mut commands: Vec<Command> = self.iter().cloned().collect();
        if !self.taught {
            commands
                .iter_mut()
                .filter(|command| needs_backend(command))
                .for_each(|command| command.absent = true);
        }
        for entry in items(command_reply).unwrap_or_default() {
            let Some(described) = Description::read(entry) else { continue };
            if described.name.contains('|') {
                continue;
            }
            for inner in described.subcommands {
                let Some(inner) = Description::read(inner) else { continue };
                // Before Redis 7 there were none; since then each is named with its container.
                if inner.name.split_once('|').is_some_and(|(container, _)| container == described.name) {
                    let known = self.find(&inner.name);
                    take(&mut commands, known, &inner);
                }
            }
            if described.subcommands.is_empty() {
                present_whole(&mut commands, &described.name);
            }
            take(&mut commands, self.find(&described.name), &described);
        }
        CommandTable::new(commands, true)
    }

    /// The number of a command or subcommand by its full name.
    fn find(&self, name: &str) -> Option<CommandId> {
        let Some((container, inner)) = name.split_once('|') else {
            return self.lookup(name.as_bytes()).map(|command| command.id);
        };
        let container = self.lookup(container.as_bytes())?;
        self.subcommand(container, inner.as_bytes()).map(|command| command.id)
    }
}

/// Whether the command is of use only with a backend that has it.
fn needs_backend(command: &Command) -> bool {
    match command.class {
        Class::Forward | Class::ForwardAny | Class::FanOut(_) => true,
        Class::Local(local) => matches!(local, LocalCommand::Wait | LocalCommand::Waitaof),
        Class::Container | Class::Refuse(_) => false,
    }
}

/// Before Redis 7 a container did not tell its subcommands: all of them count as present.
fn present_whole(commands: &mut [Command], container: &str) {
    let inner =
        |command: &&mut Command| command.name.split_once('|').is_some_and(|(outer, _)| outer == container);
    commands.iter_mut().filter(inner).for_each(|command| command.absent = false);
}

fn take(commands: &mut Vec<Command>, known: Option<CommandId>, described: &Description<'_, '_>) {
    match known {
        Some(id) => update(&mut commands[id.index()], described),
        None => add(commands, described),
    }
}

fn update(command: &mut Command, described: &Description<'_, '_>) {
    command.listed = true;
    command.absent = false;
    command.arity = widest(command.arity, described.arity);
    let Some(specs) = &described.specs else { return };
    if specs.is_empty() || same_places(&command.specs, specs) || !specs.iter().all(is_complete) {
        return;
    }
    command.specs.clone_from(specs);
    command.legacy = described.legacy;
    let movable = described.flags.contains(Flags::MOVABLEKEYS);
    command.flags = command.flags.without(Flags::MOVABLEKEYS);
    if movable {
        command.flags = command.flags.union(Flags::MOVABLEKEYS);
    }
    command.keys = KeyPlan::of(&command.name, command.flags, command.legacy, &command.specs);
}

fn add(commands: &mut Vec<Command>, described: &Description<'_, '_>) {
    // A name twice in one reply is learned once.
    if commands.len() >= COMMANDS_MAX || commands.iter().any(|command| *command.name == *described.name) {
        return;
    }
    let specs = described.specs.clone().unwrap_or_default();
    let keys = KeyPlan::of(&described.name, described.flags, described.legacy, &specs);
    commands.push(Command {
        id: CommandId(u16::try_from(commands.len()).expect("COMMANDS_MAX is less than 65536")),
        name: described.name.as_str().into(),
        arity: described.arity,
        flags: described.flags,
        keys,
        class: if may_forward(described, keys, &specs) { Class::Forward } else { UNPROVEN },
        subcommands: Box::default(),
        legacy: described.legacy,
        specs,
        acl: described.acl.clone(),
        tips: described.tips.clone(),
        listed: true,
        absent: false,
        docs: "",
    });
}

const UNPROVEN: Class = Class::Refuse(Reason::Unproven);

/// Whether what a backend says of a command is enough to forward it.
fn may_forward(described: &Description<'_, '_>, keys: KeyPlan, specs: &[KeySpec]) -> bool {
    // With keys that move, and only fixed places told, a module finds the rest by code of its own.
    let by_code = described.flags.contains(Flags::MOVABLEKEYS) && specs.iter().all(is_plain);
    keys != KeyPlan::None
        && described.subcommands.is_empty()
        && !described.flags.intersects(UNSAFE)
        && specs.iter().all(is_complete)
        && !by_code
}

fn is_complete(spec: &KeySpec) -> bool {
    !spec.flags.contains(KeyFlags::INCOMPLETE)
        && spec.begin != BeginSearch::Unknown
        && spec.find != FindKeys::Unknown
}

/// Whether two descriptions find the same keys, whatever is done with them.
fn same_places(one: &[KeySpec], two: &[KeySpec]) -> bool {
    one.len() == two.len()
        && one.iter().zip(two).all(|(one, two)| one.begin == two.begin && one.find == two.find)
}

/// The arity that accepts whatever either of two accepts.
fn widest(one: i16, two: i16) -> i16 {
    if one == two {
        return one;
    }
    let least = one.unsigned_abs().min(two.unsigned_abs());
    i16::try_from(least).map_or(i16::MIN, |least| -least)
}

#[cfg(test)]
mod tests;
