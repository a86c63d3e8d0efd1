//! The keys of commands that key specifications cannot describe, found as each command reads its arguments.

use super::error::KeyError;
use crate::command::{Args, Command, CustomKeys, Flags, KeyFlags, KeyPlan};

/// What a rule finds: the argument and what is done with that key.
pub(super) type Found<'a> = &'a mut dyn FnMut(u32, KeyFlags);

const SOURCE: KeyFlags = KeyFlags::RO.union(KeyFlags::ACCESS);
const TARGET: KeyFlags = KeyFlags::OW.union(KeyFlags::UPDATE);
const TAKEN: KeyFlags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE);

/// The keys by a command's own rule. The patterns of SORT are not among them.
pub(super) fn keys(
    rule: CustomKeys,
    command: &Command,
    args: Args<'_>,
    found: Found<'_>,
) -> Result<(), KeyError> {
    match rule {
        CustomKeys::Sort => sort(command, args, found),
        CustomKeys::GeoRadius => geo_radius(args, found),
        CustomKeys::Migrate => return migrate(args, found),
        CustomKeys::StreamRead => {
            let (first, count) = StreamOptions::of(command, args)?.streams;
            for position in first..first + count {
                found(position, SOURCE);
            }
        }
    }
    Ok(())
}

fn sort(command: &Command, args: Args<'_>, found: Found<'_>) {
    found(1, SOURCE);
    if command.flags.contains(Flags::READONLY) {
        return;
    }
    let store = sort_options(args).filter(|(_, option)| *option == SortOption::Store).last();
    if let Some((value, _)) = store {
        found(value, TARGET);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SortOption {
    By,
    Get,
    Store,
}

/// The options of SORT that name keys, each with its value's argument.
fn sort_options(args: Args<'_>) -> impl Iterator<Item = (u32, SortOption)> {
    let mut index = 2;
    std::iter::from_fn(move || {
        while index < args.len() {
            let option = index;
            index += 1;
            let rest = args.len() - index;
            let known = if args.is(option, "by") {
                SortOption::By
            } else if args.is(option, "get") {
                SortOption::Get
            } else if args.is(option, "store") {
                SortOption::Store
            } else {
                index += if args.is(option, "limit") { 2 } else { 0 };
                continue;
            };
            if rest >= 1 {
                index += 1;
                return Some((option as u32 + 1, known));
            }
        }
        None
    })
}

/// What SORT reads besides its keys: the arguments that hold a pattern whose keys are all in the slot of
/// the pattern itself. As Redis Cluster does, a pattern that may name keys of any slot is refused.
pub(super) fn sort_patterns(args: Args<'_>, out: &mut Vec<u32>) -> Result<(), KeyError> {
    for (value, option) in sort_options(args) {
        let pattern = args.get(value as usize);
        let error = match option {
            SortOption::Store => continue,
            // Without a star BY means "do not sort" and reads no key.
            SortOption::By if !pattern.contains(&b'*') => continue,
            SortOption::By => KeyError::SortBy,
            // The element itself.
            SortOption::Get if pattern == b"#" => continue,
            SortOption::Get => KeyError::SortGet,
        };
        if !keeps_slot(pattern) {
            return Err(error);
        }
        out.push(value);
    }
    Ok(())
}

/// Whether all keys that a pattern may name are in the pattern's own slot: it has no wildcard, or none
/// before the end of its hash tag.
fn keeps_slot(pattern: &[u8]) -> bool {
    let mut tag = None;
    for (index, byte) in pattern.iter().enumerate() {
        match byte {
            b'*' | b'?' | b'[' | b'\\' => return false,
            b'{' if tag.is_none() => tag = Some(index),
            b'}' if tag.is_some_and(|start| index > start + 1) => return true,
            // An empty tag is none, and no later one counts: the whole key is hashed.
            b'}' if tag.is_some() => return !pattern.contains(&b'*'),
            _ => {}
        }
    }
    true
}

fn geo_radius(args: Args<'_>, found: Found<'_>) {
    found(1, SOURCE);
    // Options follow the unit, which is argument 4 or 5.
    let mut index = 5;
    let mut target = None;
    while index + 1 < args.len() {
        if args.is(index, "store") || args.is(index, "storedist") {
            index += 1;
            target = Some(index as u32);
        }
        index += 1;
    }
    if let Some(target) = target {
        found(target, TARGET);
    }
}

fn migrate(args: Args<'_>, found: Found<'_>) -> Result<(), KeyError> {
    let mut index = 6;
    // KEYS as the last word has no keys after it and is not taken for the option.
    while index + 1 < args.len() {
        if args.is(index, "keys") {
            if !args.get(3).is_empty() {
                return Err(KeyError::Syntax);
            }
            (index + 1..args.len()).for_each(|position| found(position as u32, TAKEN));
            return Ok(());
        }
        index += match () {
            () if args.is(index, "auth") => 2,
            () if args.is(index, "auth2") => 3,
            () => 1,
        };
    }
    found(3, TAKEN);
    Ok(())
}

/// What XREAD and XREADGROUP say before and after STREAMS.
struct StreamOptions {
    /// BLOCK is given.
    block: bool,
    /// The first stream's argument and the number of streams.
    streams: (u32, u32),
}

impl StreamOptions {
    fn of(command: &Command, args: Args<'_>) -> Result<StreamOptions, KeyError> {
        let mut block = false;
        let mut index = 1;
        while index < args.len() {
            let rest = args.len() - index - 1;
            if args.is(index, "streams") && rest >= 1 {
                if !rest.is_multiple_of(2) {
                    return Err(KeyError::Unbalanced);
                }
                return Ok(StreamOptions { block, streams: (index as u32 + 1, rest as u32 / 2) });
            }
            let values = if args.is(index, "block") {
                block = true;
                1
            } else if args.is(index, "count") || is_claim(command, args, index) {
                1
            } else if args.is(index, "group") {
                2
            } else if args.is(index, "noack") {
                0
            } else {
                return Err(KeyError::Syntax);
            };
            if rest < values {
                return Err(KeyError::Syntax);
            }
            index += 1 + values;
        }
        Err(KeyError::Syntax)
    }
}

/// XREADGROUP of Redis 8.4 and later can claim idle entries while it reads.
fn is_claim(command: &Command, args: Args<'_>, index: usize) -> bool {
    &*command.name == "xreadgroup" && args.is(index, "claim")
}

/// Whether this request may hold its connection until something happens, though the command does not
/// always: XREAD and XREADGROUP with BLOCK. One that is not well formed does not block.
pub fn is_blocking_form(command: &Command, args: Args<'_>) -> bool {
    command.keys == KeyPlan::Custom(CustomKeys::StreamRead)
        && StreamOptions::of(command, args).is_ok_and(|options| options.block)
}
