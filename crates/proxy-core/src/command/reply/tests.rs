//! Checks of the COMMAND replies that need no server.

use super::command_reply;
use crate::command::catalog::snapshot::TEXT;
use crate::command::{Args, CommandCommand, CommandTable};
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
    let names: Vec<&str> =
        columns.filter(|columns| columns[1] != "module").map(|columns| columns[0]).collect();
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
        let Value::Array(names) = parsed(&list) else { panic!("no array") };
        assert_eq!(names.len(), listed);
        assert_eq!(
            reply(CommandCommand::Count, &["COMMAND", "COUNT"], protocol),
            format!(":{top}\r\n").into_bytes()
        );
    }
}

#[test]
fn modules_are_not_listed_until_they_are_seen() {
    let info = reply(CommandCommand::Info, &["COMMAND", "INFO", "json.get"], Protocol::Resp2);
    assert_eq!(info, b"*1\r\n$-1\r\n");
}
