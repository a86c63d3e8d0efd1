//! COMMAND DOCS: the documentation columns of the snapshot, which redis-cli shows as hints.
//!
//! The history of a command is left out: nobody reads it from a proxy and it would double the snapshot.

use super::names::{named, shown_subcommands, top_level};
use crate::command::catalog::escape::unescape;
use crate::command::{Args, Command, CommandTable};
use resp::{Protocol, encode};

/// The documentation of these commands, of all where there are none; a name that there is not is left out.
pub(super) fn reply(table: &CommandTable, names: Args<'_>, protocol: Protocol, out: &mut Vec<u8>) {
    let commands: Vec<&Command> = if names.is_empty() {
        top_level(table).collect()
    } else {
        names.iter().filter_map(|name| named(table, name)).collect()
    };
    write(table, &commands, protocol, out);
}

fn write(table: &CommandTable, commands: &[&Command], protocol: Protocol, out: &mut Vec<u8>) {
    encode::map(out, protocol, commands.len());
    for command in commands {
        encode::bulk(out, command.name.as_bytes());
        one(table, command, protocol, out);
    }
}

/// One command's documentation: a map whose fields are there only where there is something to say.
fn one(table: &CommandTable, command: &Command, protocol: Protocol, out: &mut Vec<u8>) {
    let mut columns = command.docs.split('\t').map(|column| (column != "-").then_some(column));
    let mut column = || columns.next().flatten();
    let (since, group, complexity, summary, notes, arguments) =
        (column(), column(), column(), column(), column(), column());
    let note = |name: &str| {
        notes?.split(';').find_map(|note| note.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let texts = [("summary", summary), ("since", since), ("group", group), ("complexity", complexity)];
    let flags = note("flags");
    let later = [("deprecated_since", note("deprecated")), ("replaced_by", note("replaced"))];
    let inner: Vec<&Command> = shown_subcommands(table, command).collect();
    let count = texts.iter().filter(|(_, text)| text.is_some()).count()
        + later.iter().filter(|(_, text)| text.is_some()).count()
        + usize::from(flags.is_some())
        + usize::from(arguments.is_some())
        + usize::from(!inner.is_empty());
    encode::map(out, protocol, count);
    for (name, text) in texts {
        field(name, text, out);
    }
    if let Some(flags) = flags {
        encode::bulk(out, b"doc_flags");
        encode::set(out, protocol, flags.split(',').count());
        flags.split(',').for_each(|flag| encode::simple(out, flag));
    }
    for (name, text) in &later {
        field(name, text.as_deref(), out);
    }
    if let Some(text) = arguments {
        encode::bulk(out, b"arguments");
        Arguments { text, protocol }.list(out);
    }
    if !inner.is_empty() {
        encode::bulk(out, b"subcommands");
        write(table, &inner, protocol, out);
    }
}

fn field(name: &str, text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        encode::bulk(out, name.as_bytes());
        encode::bulk(out, text.as_bytes());
    }
}

/// A list of arguments in the snapshot's form, read from the left.
struct Arguments<'a> {
    text: &'a str,
    protocol: Protocol,
}

impl<'a> Arguments<'a> {
    /// Words up to the end of the list, each with its children; what was read is no longer in `text`.
    fn list(&mut self, out: &mut Vec<u8>) {
        let mut count = 0;
        let mut listed = Vec::new();
        loop {
            self.argument(&mut listed);
            count += 1;
            match self.text.strip_prefix(' ') {
                Some(rest) => self.text = rest,
                None => break,
            }
        }
        encode::array(out, count);
        out.extend_from_slice(&listed);
    }

    fn argument(&mut self, out: &mut Vec<u8>) {
        let end = self.text.find([' ', '(', ')']).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        let mut parts = word.split(':').map(Some).chain(std::iter::repeat(None));
        let mut part = || parts.next().flatten().filter(|part| !part.is_empty()).map(unescape);
        let kind = part().unwrap_or_default();
        let name = part().unwrap_or_default();
        let (token, display, key_spec, since, deprecated) = (part(), part(), part(), part(), part());
        let display = display.map(|display| if display == "=" { name.clone() } else { display });
        // A pure token is never without its token, which may be the empty one (MIGRATE).
        let token = if kind.starts_with('t') { token.or(Some("".into())) } else { token };
        let flags: Vec<&str> = kind.chars().skip(1).filter_map(flag_name).collect();
        let children = self.text.starts_with('(');
        let absent =
            [&token, &display, &key_spec, &since, &deprecated].iter().filter(|part| part.is_none()).count();
        let count = 7 - absent + usize::from(!flags.is_empty()) + usize::from(children);
        encode::map(out, self.protocol, count);
        field("name", Some(&name), out);
        field("type", kind.chars().next().and_then(type_name), out);
        field("display_text", display.as_deref(), out);
        if let Some(index) = key_spec.and_then(|index| index.parse().ok()) {
            encode::bulk(out, b"key_spec_index");
            encode::integer(out, index);
        }
        field("token", token.as_deref(), out);
        field("since", since.as_deref(), out);
        field("deprecated_since", deprecated.as_deref(), out);
        if !flags.is_empty() {
            encode::bulk(out, b"flags");
            encode::set(out, self.protocol, flags.len());
            flags.iter().for_each(|flag| encode::simple(out, flag));
        }
        if let Some(rest) = self.text.strip_prefix('(') {
            self.text = rest;
            encode::bulk(out, b"arguments");
            self.list(out);
            self.text = self.text.strip_prefix(')').unwrap_or(self.text);
        }
    }
}

fn type_name(letter: char) -> Option<&'static str> {
    Some(match letter {
        's' => "string",
        'i' => "integer",
        'd' => "double",
        'k' => "key",
        'p' => "pattern",
        'u' => "unix-time",
        't' => "pure-token",
        'o' => "oneof",
        'b' => "block",
        _ => return None,
    })
}

fn flag_name(mark: char) -> Option<&'static str> {
    match mark {
        '?' => Some("optional"),
        '*' => Some("multiple"),
        '+' => Some("multiple_token"),
        _ => None,
    }
}
