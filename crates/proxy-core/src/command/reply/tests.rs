//! Checks of the COMMAND replies that need no server.

use std::collections::BTreeSet;

use super::command_reply;
use crate::command::catalog::snapshot::TEXT;
use crate::command::{Args, Class, CommandCommand, CommandTable};
use resp::{Protocol, RequestLimits, RequestParser, Value, encode, parse_value};

fn reply(which: CommandCommand, words: &[&str], protocol: Protocol) -> Vec<u8> {
    let table = CommandTable::builtin();
    let mut request = Vec::new();
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    encode::request(&mut request, &words);
    let mut parser = RequestParser::new();
    parser.parse(&request, &RequestLimits::default()).expect("a request");
    let mut out = Vec::new();
    command_reply(which, &table, Args::new(&request, parser.spans()), protocol, &mut out);
    out
}

fn parsed(bytes: &[u8]) -> Value<'_> {
    let (value, len) = parse_value(bytes).expect("well formed").expect("complete");
    assert_eq!(len, bytes.len());
    value
}

#[test]
fn whole_replies_are_well_formed() {
    let columns = TEXT.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names: BTreeSet<&str> =
        columns.filter(|columns| columns[1] != "module").map(|columns| columns[0]).collect();
    let table = CommandTable::builtin();
    let is_refused = |name: &&str| {
        table.iter().any(|command| &&*command.name == name && matches!(command.class, Class::Refuse(_)))
    };
    let served: BTreeSet<&str> = names.into_iter().filter(|name| !is_refused(name)).collect();
    // Of these the proxy serves nothing.
    let is_empty = |name: &&str| {
        let is_container =
            table.lookup(name.as_bytes()).is_some_and(|command| command.class == Class::Container);
        is_container && !served.iter().any(|other| other.starts_with(&format!("{name}|")))
    };
    let names: Vec<&str> = served.iter().copied().filter(|name| !is_empty(name)).collect();
    assert!(!names.contains(&"blpop") && !names.contains(&"acl") && names.contains(&"config|get"));
    let listed = names.len();
    let top = names.iter().filter(|name| !name.contains('|')).count();
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let all = reply(CommandCommand::All, &["COMMAND"], protocol);
        let Value::Array(commands) = parsed(&all) else { panic!("no array") };
        assert_eq!(commands.len(), top);
        assert_eq!(reply(CommandCommand::Info, &["COMMAND", "INFO"], protocol), all);
        let docs = reply(CommandCommand::Docs, &["COMMAND", "DOCS"], protocol);
        match parsed(&docs) {
            Value::Array(flat) => assert_eq!(flat.len(), 2 * top),
            Value::Map(pairs) => assert_eq!(pairs.len(), top),
            other => panic!("{other:?}"),
        }
        let list = reply(CommandCommand::List, &["COMMAND", "LIST"], protocol);
        let Value::Array(found) = parsed(&list) else { panic!("no array") };
        let found: BTreeSet<&[u8]> = found.iter().map(|name| bulk(name)).collect();
        assert_eq!(found, names.iter().map(|name| name.as_bytes()).collect());
        assert_eq!(found.len(), listed);
        assert_eq!(
            reply(CommandCommand::Count, &["COMMAND", "COUNT"], protocol),
            format!(":{top}\r\n").into_bytes()
        );
    }
}

fn bulk<'a>(value: &Value<'a>) -> &'a [u8] {
    match value {
        Value::Bulk(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_proxy_refuses_is_not_described() {
    for (words, expected) in [
        (&["COMMAND", "INFO", "blpop", "config|rewrite"][..], &b"*2\r\n$-1\r\n$-1\r\n"[..]),
        (&["COMMAND", "DOCS", "blpop", "acl"], b"*0\r\n"),
    ] {
        let which = if words[1] == "INFO" { CommandCommand::Info } else { CommandCommand::Docs };
        let reply = reply(which, words, Protocol::Resp2);
        assert!(reply == expected, "{words:?}: {}", reply.escape_ascii());
    }
    for which in [CommandCommand::Info, CommandCommand::Docs] {
        let container = reply(which, &["COMMAND", "X", "config"], Protocol::Resp3);
        let has = |name: &str| container.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(has("config|get") && !has("config|rewrite"), "{which:?}");
    }
}

#[test]
fn modules_are_not_listed_until_they_are_seen() {
    let info = reply(CommandCommand::Info, &["COMMAND", "INFO", "json.get"], Protocol::Resp2);
    assert_eq!(info, b"*1\r\n$-1\r\n");
}
