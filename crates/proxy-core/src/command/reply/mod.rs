//! The answers of COMMAND and its subcommands, in Redis 7's form.
//!
//! They name what a client can use here: no command that the proxy refuses, and of a module's commands those that a
//! backend was seen to have. COMMAND GETKEYS answers for refused commands, too: it names nothing.

mod docs;
mod info;
mod list;
mod names;
mod unknown;

use super::keys::{has_named_keys, named_keys};
use crate::command::{Args, CommandCommand, CommandTable, Flags, KeyFlags};
use crate::errors;
use resp::{Protocol, encode};

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full Redis command.",
    "HELP",
    "    Prints this help.",
];

/// Appends the reply to a COMMAND request, whose arity `resolve` has checked.
pub fn command_reply(
    which: CommandCommand,
    table: &CommandTable,
    args: Args<'_>,
    protocol: Protocol,
    out: &mut Vec<u8>,
) {
    let names = args.skip(2);
    match which {
        CommandCommand::All => out.extend_from_slice(table.encoded(protocol, whole)),
        CommandCommand::Info if names.is_empty() => out.extend_from_slice(table.encoded(protocol, whole)),
        CommandCommand::Info => info::some(table, names, protocol, out),
        CommandCommand::Count => {
            let count = names::top_level(table).count();
            encode::integer(out, i64::try_from(count).expect("fewer commands than ids"));
        }
        CommandCommand::Docs => docs::reply(table, names, protocol, out),
        CommandCommand::List => list::reply(table, names, out),
        CommandCommand::Getkeys => keys(table, names, KeyDetail::Name, protocol, out),
        CommandCommand::Getkeysandflags => keys(table, names, KeyDetail::NameAndFlags, protocol, out),
        CommandCommand::Help => {
            encode::array(out, HELP.len());
            HELP.iter().for_each(|line| encode::simple(out, line));
        }
    }
}

/// The reply to COMMAND without arguments; the table keeps it.
fn whole(table: &CommandTable, protocol: Protocol) -> Vec<u8> {
    let mut out = Vec::new();
    info::all(table, protocol, &mut out);
    out
}

/// Whether the flags of each key are wanted: GETKEYSANDFLAGS, not GETKEYS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyDetail {
    Name,
    NameAndFlags,
}

/// The keys of the request that `args` carries.
fn keys(table: &CommandTable, args: Args<'_>, detail: KeyDetail, protocol: Protocol, out: &mut Vec<u8>) {
    let found = match find_keys(table, args) {
        Ok(found) => found,
        Err(text) => return encode::error(out, text),
    };
    encode::array(out, found.len());
    for (position, flags) in found {
        let key = args.get(position as usize);
        if detail == KeyDetail::Name {
            encode::bulk(out, key);
            continue;
        }
        encode::array(out, 2);
        encode::bulk(out, key);
        encode::set(out, protocol, flags.words().count());
        flags.words().for_each(|word| encode::simple(out, word));
    }
}

/// The keys of a request, or Redis's error, looked for in Redis's order.
fn find_keys(table: &CommandTable, args: Args<'_>) -> Result<Vec<(u32, KeyFlags)>, &'static str> {
    let command = table
        .lookup(args.get(0))
        .filter(|command| command.listed && !command.absent)
        .ok_or(errors::INVALID_COMMAND)?;
    let command = match command.subcommands.len() {
        1.. if args.len() > 1 => table.subcommand(command, args.get(1)).ok_or(errors::INVALID_COMMAND)?,
        _ => command,
    };
    if !has_named_keys(command) {
        return Err(errors::NO_KEY_ARGUMENTS);
    }
    if !command.accepts(args.len()) {
        return Err(errors::INVALID_ARITY);
    }
    match named_keys(command, args) {
        Ok(found) => Ok(found),
        Err(_) if command.flags.contains(Flags::NO_MANDATORY_KEYS) => Ok(Vec::new()),
        Err(_) => Err(errors::INVALID_ARGUMENTS),
    }
}

#[cfg(test)]
mod tests;
