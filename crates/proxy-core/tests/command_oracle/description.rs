//! COMMAND INFO, DOCS, LIST and HELP against the servers' own.

use super::on_each_server;
use super::request::Request;
use proxy_core::command::{Class, CommandCommand, CommandTable, Flags, command_reply};
use resp::{Protocol, Value, parse_value};
use testkit::binary::ServerBinary;

/// Commands whose arity or description the snapshot takes from another server than Redis 8.2.
const WIDENED: &[&str] = &["cluster|replicate", "command|getkeys", "command|getkeysandflags", "script|debug"];

fn ours(table: &CommandTable, which: CommandCommand, line: &str, protocol: Protocol) -> Vec<u8> {
    let request = Request::line(line);
    let mut out = Vec::new();
    command_reply(which, table, request.args(), protocol, &mut out);
    out
}

/// A value with everything in a fixed order that has none: sets, maps and lists of subcommands; and without
/// the history of commands, which the snapshot leaves out.
fn canonical(value: &Value<'_>) -> String {
    match value {
        Value::Set(items) => sorted("set", items.iter().map(canonical).collect()),
        Value::Map(pairs) => {
            let kept = pairs.iter().filter(|(key, _)| *key != Value::Bulk(b"history"));
            sorted(
                "map",
                kept.map(|(key, value)| format!("{}={}", canonical(key), canonical(value))).collect(),
            )
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(canonical).collect();
            let nested = items.iter().all(|item| matches!(item, Value::Array(_)));
            if nested { sorted("list", texts) } else { format!("list[{}]", texts.join(" ")) }
        }
        Value::Bulk(text) | Value::Simple(text) => text.escape_ascii().to_string(),
        other => format!("{other:?}"),
    }
}

fn sorted(kind: &str, mut items: Vec<String>) -> String {
    items.sort();
    format!("{kind}[{}]", items.join(" "))
}

fn canonical_bytes(bytes: &[u8]) -> String {
    canonical(&parse_value(bytes).expect("well formed").expect("complete").0)
}

#[test]
fn descriptions_are_those_of_redis_8() {
    let table = CommandTable::builtin();
    on_each_server(|binary, connection| {
        if binary != ServerBinary::Redis8 {
            return;
        }
        connection.say("HELLO 3").expect("RESP3");
        for command in table.iter().filter(|command| command.listed && command.subcommands.is_empty()) {
            let name = &*command.name;
            if matches!(command.class, Class::Refuse(_)) {
                continue; // not shown
            }
            // A module's commands are in capitals there, and their documentation names the module.
            if WIDENED.contains(&name) || command.flags.contains(Flags::MODULE) {
                continue;
            }
            for (which, word) in [(CommandCommand::Info, "INFO"), (CommandCommand::Docs, "DOCS")] {
                let line = format!("COMMAND {word} {name}");
                let theirs = connection.say(&line).expect("a reply");
                let known = theirs.bytes() != b"*1\r\n_\r\n" && theirs.bytes() != b"%0\r\n";
                if known {
                    let ours = ours(&table, which, &line, Protocol::Resp3);
                    assert_eq!(canonical_bytes(&ours), canonical_bytes(theirs.bytes()), "{line}");
                }
            }
        }
    });
}

#[test]
fn short_replies_are_equal_to_the_byte() {
    let table = CommandTable::builtin();
    let cases = [
        (CommandCommand::Help, "COMMAND HELP"),
        (CommandCommand::Info, "COMMAND INFO nosuch config|nosuch get|x json.get"),
        (CommandCommand::Info, "COMMAND INFO get client|id CLIENT|ID eval select"),
        (CommandCommand::Docs, "COMMAND DOCS nosuch"),
        (CommandCommand::List, "COMMAND LIST x"),
        (CommandCommand::List, "COMMAND LIST FILTERBY x y"),
        (CommandCommand::List, "COMMAND LIST FILTERBY MODULE x"),
        (CommandCommand::List, "COMMAND LIST FILTERBY ACLCAT nosuch"),
        (CommandCommand::List, "COMMAND LIST FILTERBY PATTERN zdiffst?re"),
    ];
    on_each_server(|binary, connection| {
        if binary != ServerBinary::Redis7 {
            return;
        }
        for (protocol, hello) in [(Protocol::Resp2, "HELLO 2"), (Protocol::Resp3, "HELLO 3")] {
            connection.say(hello).expect("a protocol");
            for (which, line) in cases {
                let theirs = connection.say(line).expect("a reply");
                let ours = ours(&table, which, line, protocol);
                assert!(
                    ours == theirs.bytes(),
                    "{line}\nours:   {}\ntheirs: {}",
                    ours.escape_ascii(),
                    theirs.bytes().escape_ascii()
                );
            }
        }
    });
}

/// A server that the snapshot was taken from has nothing to teach, but for what it calls its own.
#[test]
fn known_servers_teach_nothing_new() {
    let table = CommandTable::builtin();
    on_each_server(|binary, connection| {
        for hello in ["HELLO 2", "HELLO 3"] {
            connection.say(hello).expect("a protocol");
            let reply = connection.say("COMMAND").expect("a reply");
            let learned = table.learn(&reply.value().expect("well formed"));
            assert_eq!(learned.len(), table.len(), "{binary:?}");
            for (old, new) in table.iter().zip(learned.iter()) {
                assert_eq!(
                    (old.class, old.keys, old.arity),
                    (new.class, new.keys, new.arity),
                    "{binary:?} {}",
                    old.name
                );
            }
        }
    });
}
