//! The keys of a request: which arguments they are, for routing and for COMMAND GETKEYS.

use super::custom;
use super::error::KeyError;
use super::spec_walk::{KeyGroup, keys_of};
use crate::command::{Args, Command, CustomKeys, FindKeys, Flags, KeyFlags, KeyPlan};

/// Appends to `out` every argument that decides where `args` must go, which must have the arity of
/// `command`. These are its keys, a shard channel, and SORT's patterns. Nothing is appended for a command
/// without keys, and for one with optional keys that has none here: then any primary may serve it.
///
/// # Errors
/// When the keys cannot be told; the request would then fail on a server too, with the same text.
pub fn key_positions(command: &Command, args: Args<'_>, out: &mut Vec<u32>) -> Result<(), KeyError> {
    match command.keys {
        KeyPlan::None => Ok(()),
        KeyPlan::First if args.len() < 2 => Err(KeyError::Syntax),
        KeyPlan::First => {
            out.push(1);
            Ok(())
        }
        KeyPlan::Range { first, last, step } => {
            let last = if last < 0 { args.len() as i64 + i64::from(last) } else { i64::from(last) };
            let group = KeyGroup::within(args, first as usize, last, step as usize)?;
            group.append(out);
            Ok(())
        }
        KeyPlan::Specs => by_specs(command, args, KeyFlags::EMPTY, &mut |position, _| out.push(position)),
        KeyPlan::Custom(rule) => {
            custom::keys(rule, command, args, &mut |position, _| out.push(position))?;
            if rule == CustomKeys::Sort { custom::sort_patterns(args, out) } else { Ok(()) }
        }
    }
}

/// The keys that COMMAND GETKEYS names, with what is done to each.
///
/// # Errors
/// When the keys cannot be told.
pub(in crate::command) fn named_keys(
    command: &Command,
    args: Args<'_>,
) -> Result<Vec<(u32, KeyFlags)>, KeyError> {
    let mut keys = Vec::new();
    let mut found = |position, flags| keys.push((position, flags));
    match command.keys {
        KeyPlan::Custom(rule) if rule != CustomKeys::StreamRead => {
            custom::keys(rule, command, args, &mut found)?;
        }
        _ if command.specs.is_empty() => {
            let mut positions = Vec::new();
            key_positions(command, args, &mut positions)?;
            positions.into_iter().for_each(|position| found(position, KeyFlags::EMPTY));
        }
        _ => by_specs(command, args, KeyFlags::NOT_KEY, &mut found)?,
    }
    for (_, flags) in &mut keys {
        if flags.contains(KeyFlags::VARIABLE_FLAGS) {
            *flags = flags_by_arguments(command, args, *flags);
        }
    }
    Ok(keys)
}

/// Whether COMMAND GETKEYS can name keys of this command at all.
pub(in crate::command) fn has_named_keys(command: &Command) -> bool {
    match command.keys {
        KeyPlan::None => false,
        _ if command.specs.is_empty() => true,
        _ => command.specs.iter().any(|spec| !spec.flags.contains(KeyFlags::NOT_KEY)),
    }
}

/// The keys by the command's specifications, but for those with a flag of `except`.
fn by_specs(
    command: &Command,
    args: Args<'_>,
    except: KeyFlags,
    found: &mut dyn FnMut(u32, KeyFlags),
) -> Result<(), KeyError> {
    let mut any = false;
    for spec in command.specs.iter().filter(|spec| !spec.flags.intersects(except)) {
        let Some(group) = keys_of(spec, args)? else {
            if matches!(spec.find, FindKeys::Count { .. }) && !takes_no_key(command) {
                return Err(KeyError::Zero);
            }
            continue;
        };
        any = true;
        group.positions().for_each(|position| found(position, spec.flags));
    }
    if any || takes_no_key(command) { Ok(()) } else { Err(KeyError::Syntax) }
}

fn takes_no_key(command: &Command) -> bool {
    command.flags.contains(Flags::NO_MANDATORY_KEYS)
}

/// What SET and BITFIELD do with their key depends on their options.
fn flags_by_arguments(command: &Command, args: Args<'_>, declared: KeyFlags) -> KeyFlags {
    let read = KeyFlags::RO.union(KeyFlags::ACCESS);
    let read_and_write = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE);
    let write = KeyFlags::OW.union(KeyFlags::UPDATE);
    match &*command.name {
        "set" if (3..args.len()).any(|index| args.is(index, "get")) => read_and_write,
        "set" => write,
        "bitfield" if bitfield_writes(args) => read_and_write,
        "bitfield" => read,
        _ => declared.without(KeyFlags::VARIABLE_FLAGS),
    }
}

/// What is no operation is taken for one that writes, to be safe.
fn bitfield_writes(args: Args<'_>) -> bool {
    let mut index = 2;
    while index < args.len() {
        let rest = args.len() - index - 1;
        index += match rest {
            2.. if args.is(index, "get") => 3,
            1.. if args.is(index, "overflow") => 2,
            _ => return true,
        };
    }
    false
}
