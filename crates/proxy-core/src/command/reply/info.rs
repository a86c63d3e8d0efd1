//! COMMAND INFO: what the table knows of commands, ten fields each.

use super::names::{named, shown_subcommands, top_level};
use crate::command::{Args, BeginSearch, Command, CommandTable, FindKeys, KeySpec};
use resp::{Protocol, encode};

/// Fields of one command since Redis 7.0.
const FIELDS: usize = 10;

/// All commands; subcommands stand inside their containers.
pub(super) fn all(table: &CommandTable, protocol: Protocol, out: &mut Vec<u8>) {
    let commands = top_level(table);
    encode::array(out, commands.clone().count());
    commands.for_each(|command| one(table, command, protocol, out));
}

/// The commands of these names, null for a name that there is not.
pub(super) fn some(table: &CommandTable, names: Args<'_>, protocol: Protocol, out: &mut Vec<u8>) {
    encode::array(out, names.len());
    for name in names.iter() {
        match named(table, name) {
            Some(command) => one(table, command, protocol, out),
            None => encode::null(out, protocol),
        }
    }
}

fn one(table: &CommandTable, command: &Command, protocol: Protocol, out: &mut Vec<u8>) {
    encode::array(out, FIELDS);
    encode::bulk(out, command.name.as_bytes());
    encode::integer(out, i64::from(command.arity));
    encode::set(out, protocol, command.flags.words().count());
    command.flags.words().for_each(|word| encode::simple(out, word));
    let legacy = command.legacy;
    [legacy.first, legacy.last, legacy.step]
        .iter()
        .for_each(|number| encode::integer(out, i64::from(*number)));
    encode::set(out, protocol, command.acl.len());
    command.acl.iter().for_each(|category| encode::simple(out, &format!("@{category}")));
    encode::set(out, protocol, command.tips.len());
    command.tips.iter().for_each(|tip| encode::bulk(out, tip.as_bytes()));
    encode::set(out, protocol, command.specs.len());
    command.specs.iter().for_each(|spec| key_spec(spec, protocol, out));
    // Redis writes no subcommands as an empty set and some as an array.
    let inner = shown_subcommands(table, command);
    match inner.clone().count() {
        0 => encode::set(out, protocol, 0),
        count => {
            encode::array(out, count);
            inner.for_each(|command| one(table, command, protocol, out));
        }
    }
}

fn key_spec(spec: &KeySpec, protocol: Protocol, out: &mut Vec<u8>) {
    encode::map(out, protocol, if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        encode::bulk(out, b"notes");
        encode::bulk(out, spec.notes.as_bytes());
    }
    encode::bulk(out, b"flags");
    encode::set(out, protocol, spec.flags.words().count());
    spec.flags.words().for_each(|word| encode::simple(out, word));
    encode::bulk(out, b"begin_search");
    match &spec.begin {
        BeginSearch::Index(index) => typed(b"index", &[("index", i64::from(*index))], protocol, out),
        BeginSearch::Keyword { word, start } => {
            header(b"keyword", 2, protocol, out);
            encode::bulk(out, b"keyword");
            encode::bulk(out, word.as_bytes());
            encode::bulk(out, b"startfrom");
            encode::integer(out, i64::from(*start));
        }
        BeginSearch::Unknown => typed(b"unknown", &[], protocol, out),
    }
    encode::bulk(out, b"find_keys");
    match spec.find {
        FindKeys::Range { last, step, limit } => {
            let fields =
                [("lastkey", i64::from(last)), ("keystep", i64::from(step)), ("limit", i64::from(limit))];
            typed(b"range", &fields, protocol, out);
        }
        FindKeys::Count { number, first, step } => {
            let fields = [
                ("keynumidx", i64::from(number)),
                ("firstkey", i64::from(first)),
                ("keystep", i64::from(step)),
            ];
            typed(b"keynum", &fields, protocol, out);
        }
        FindKeys::Unknown => typed(b"unknown", &[], protocol, out),
    }
}

/// A map of a type and the numbers that belong to it.
fn typed(kind: &[u8], fields: &[(&str, i64)], protocol: Protocol, out: &mut Vec<u8>) {
    header(kind, fields.len(), protocol, out);
    for (name, number) in fields {
        encode::bulk(out, name.as_bytes());
        encode::integer(out, *number);
    }
}

/// The beginning of such a map; its fields follow.
fn header(kind: &[u8], fields: usize, protocol: Protocol, out: &mut Vec<u8>) {
    encode::map(out, protocol, 2);
    encode::bulk(out, b"type");
    encode::bulk(out, kind);
    encode::bulk(out, b"spec");
    encode::map(out, protocol, fields);
}
