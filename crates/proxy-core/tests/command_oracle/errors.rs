//! Errors of requests that call no command, or whose keys cannot be told: byte for byte the servers'.

use super::on_each_server;
use super::request::Request;
use proxy_core::command::{CommandTable, Unknown, key_positions};
use resp::{Value, encode};
use testkit::binary::ServerBinary;
use testkit::frame::show;

/// The table's error for a request, which there must be.
fn refusal(table: &CommandTable, request: &Request) -> Option<Vec<u8>> {
    let error: Unknown = table.resolve(request.args()).err()?;
    let mut out = Vec::new();
    error.write(table, request.args(), &mut out);
    Some(out)
}

/// All of a reply, readable and without loss.
fn text(reply: &[u8]) -> String {
    reply.escape_ascii().to_string()
}

#[test]
fn unknown_commands_get_the_servers_own_errors() {
    let long = vec![b'x'; 200];
    let requests: &[&[&[u8]]] = &[
        &[b"foo"],
        &[b"FOO", b"a", b"B"],
        &[b"foo", b""],
        &[b""],
        &[&long],
        &[b"foo", &long],
        &[b"foo", &long[..100], &long[..100], b"tail"],
        &[b"foo", &long[..60], &long[..60], b"tail"],
        &[b"foo", &long[..120], b"", b"tail"],
        &[b"foo", &long[..128], b"tail"],
        &[b"foo", &long[..127], b"tail"],
        &[b"foo", b"a\0b", b"c"],
        &[b"f\0oo", b"a"],
        &[b"foo", b"a\r\nb", b"\xff\xfe"],
        &[b"foo\r\n"],
        // Not `get\0`: a server compares names up to a zero byte, and takes it for GET if both have one place in its table,
        // which another process has elsewhere.
        &[b"gex\0", b"a"],
        &[b"client", b"foo"],
        &[b"cLient", b"fo\no", b"a"],
        &[b"client", b"i\0d"],
        &[b"Config", &long],
        &[b"object", b""],
        &[b"client|id"],
        &[b"client|kill", b"a"],
        &[b"xgroup"],
        &[b"client"],
    ];
    let table = CommandTable::builtin();
    on_each_server(|binary, connection| {
        for words in requests {
            let request = Request::new(words);
            connection.send_raw(request.bytes()).expect("sent");
            let theirs = connection.read().expect("a reply");
            let ours = refusal(&table, &request).expect("an error");
            assert_eq!(text(&ours), text(theirs.bytes()), "{binary:?} on {}", show(request.bytes()));
        }
    });
}

#[test]
fn every_command_with_a_wrong_number_of_arguments_gets_the_servers_own_error() {
    let table = CommandTable::builtin();
    on_each_server(|binary, connection| {
        let mut tried = 0;
        for command in table.iter().filter(|command| command.listed) {
            let info = connection.call(&[b"COMMAND", b"INFO", command.name.as_bytes()]).expect("a reply");
            let Ok(Value::Array(infos)) = info.value() else { continue };
            let Some(Value::Array(fields)) = infos.first() else { continue };
            if fields.get(1) != Some(&Value::Integer(i64::from(command.arity))) {
                continue;
            }
            tried += 1;
            // One argument too few, and one too many where there may be no more; never one that runs.
            let names: Vec<&[u8]> = command.name.split('|').map(str::as_bytes).collect();
            let arity = usize::from(command.arity.unsigned_abs());
            let too_many = (command.arity > 0).then_some(arity + 1);
            let too_few = (arity > names.len()).then_some(arity - 1);
            for count in too_few.into_iter().chain(too_many) {
                let mut words = names.clone();
                words.resize(count, b"1");
                let request = Request::new(&words);
                connection.send_raw(request.bytes()).expect("sent");
                let theirs = connection.read().expect("a reply");
                let ours = refusal(&table, &request);
                let ours = ours.unwrap_or_else(|| panic!("{} with {count} arguments", command.name));
                assert_eq!(text(&ours), text(theirs.bytes()), "{binary:?} on {}", show(request.bytes()));
            }
        }
        assert!(tried > 300, "only {tried} commands were tried");
    });
}

/// Requests of forwarded commands whose keys cannot be told.
const KEYLESS: &str = "
eval return x a
eval return -1 a
eval return 99 a
eval return 01 a
eval_ro return 99999999999999999999 a
zunion x a
zunion 0 a
zunion -1 a
zunion 99 a
zunionstore d 0 a
zinterstore d x a
zinter 9 a
zdiff 0 a
zdiffstore d 5 a
zintercard 0 a
zintercard 2 a
sintercard 0 a
sintercard x a
sintercard 2 a
lmpop 0 a left
lmpop x a left
lmpop 5 a left
zmpop -1 a min
zmpop 5 a min
xread streams a b 1
xread count 1 a b
xread count 1 foo
xread block 10 streams a
xread streams a b c
xreadgroup group g c streams a b >
xreadgroup group g c count 1 a
xreadgroup group g c foo a b
";

/// Those that only Valkey 9.1 has.
const KEYLESS_VALKEY: &str = "
msetex x a 1
msetex 0 a 1
msetex 5 a 1
";

#[test]
fn requests_without_clear_keys_get_the_commands_own_error() {
    let table = CommandTable::builtin();
    on_each_server(|binary, connection| {
        let more = if binary == ServerBinary::Valkey9 { KEYLESS_VALKEY } else { "" };
        // Redis 7.0 and Valkey word the imbalance of XREAD and XREADGROUP otherwise.
        let same = |line: &str| binary == ServerBinary::Redis8 || !line.contains("streams");
        for line in KEYLESS.lines().chain(more.lines()).filter(|line| !line.is_empty() && same(line)) {
            let request = Request::line(line);
            connection.send_raw(request.bytes()).expect("sent");
            let theirs = connection.read().expect("a reply");
            let command = table.resolve(request.args()).expect("a command");
            let error = key_positions(command, request.args(), &mut Vec::new()).expect_err(line);
            let mut ours = Vec::new();
            encode::error(&mut ours, &error.text(command));
            assert_eq!(text(&ours), text(theirs.bytes()), "{binary:?} on {line}");
        }
    });
}

#[test]
fn sort_patterns_are_judged_as_redis_cluster_judges_them() {
    let table = CommandTable::builtin();
    let cases = [
        // (request, the arguments that decide the slot, or the error)
        ("sort a by nosort", Ok(vec![1])),
        ("sort a get #", Ok(vec![1])),
        ("sort a by w_*", Err("ERR BY option of SORT denied in Cluster mode when")),
        ("sort a get w_*", Err("ERR GET option of SORT denied in Cluster mode when")),
        ("sort a by {a}w_*", Ok(vec![1, 3])),
        ("sort a get {a}*->f get # store b", Ok(vec![1, 7, 3])),
        ("sort a get {*}x", Err("ERR GET option of SORT denied in Cluster mode when")),
        ("sort a get *{a}", Err("ERR GET option of SORT denied in Cluster mode when")),
        ("sort a get {}*", Err("ERR GET option of SORT denied in Cluster mode when")),
        ("sort a by {a}* limit 0 1 get #", Ok(vec![1, 3])),
        ("sort_ro a get {a}*", Ok(vec![1, 3])),
    ];
    for (line, expected) in cases {
        let request = Request::line(line);
        let command = table.resolve(request.args()).expect("a command");
        let mut positions = Vec::new();
        match (key_positions(command, request.args(), &mut positions), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(positions, expected, "{line}"),
            (Err(error), Err(start)) => assert!(error.text(command).starts_with(start), "{line}: {error:?}"),
            (found, expected) => panic!("{line}: {found:?}, not {expected:?}"),
        }
    }
}
