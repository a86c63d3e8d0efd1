//! Key extraction against COMMAND GETKEYS and COMMAND GETKEYSANDFLAGS.

use super::on_each_server;
use super::request::Request;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use proxy_core::command::{Class, Command, CommandCommand, CommandTable, command_reply, key_positions};
use resp::{Protocol, Value, encode};
use testkit::binary::ServerBinary;
use testkit::connection::Connection;
use testkit::frame::show;

/// Requests whose keys are worth a look, by hand.
const SAMPLES: &str = "
get a
GET a b
mset a 1 b 2
mset a
mset a b c
msetnx a 1 b 2
del a b c
eval s 0
eval s 2 a b c
eval s 3 a
eval s -1
eval s x
eval_ro s 1 a
evalsha s 1 a 2
fcall f 2 a b
fcall f 0 a
zunionstore d 2 a b weights 1 2
zunionstore d 2 a
zunionstore d 0 a
zunion 2 a b
zinter 1 a withscores
zinterstore d 1 a aggregate max
zdiff 1 a
zdiffstore d 2 a b
zintercard 2 a b limit 1
sintercard 2 a b limit 1
sintercard 99999999999999999999 a
lmpop 1 a left
lmpop x a left
lmpop 0 a left
blmpop 0 2 a b left
bzmpop 0 2 a b min
zmpop 2 a b max
xread streams a b 1 2
xread count 3 streams a 1
xread block 1 streams streams a 0 1
xread count 3 a b
xreadgroup group g c streams a >
xreadgroup group g c noack streams a b > >
sort a
sort a store b
sort a store b store c
sort a limit 0 1 store b
sort a alpha desc
sort_ro a alpha
georadius a 1 1 1 m store b
georadius a 1 1 1 m storedist b
georadius a 1 1 1 m count 1 withdist
georadiusbymember a m 1 km store b
georadius_ro a 1 1 1 m
migrate h 1 a 0 10
migrate h 1 a 0 10 copy
migrate h 1 \"\" 0 10 keys a b
migrate h 1 \"\" 0 10 copy auth keys keys a b
migrate h 1 \"\" 0 10 auth2 u keys keys a b
object encoding a
object help
object
memory usage a samples 5
memory doctor
xgroup create a g 0
xgroup help
xinfo stream a full
set a b
set a b get
set a b ex 5 get
bitfield a get u1 0
bitfield a get u1 0 set u1 0 1
bitfield a overflow sat incrby u2 1 1
bitfield_ro a get u1 0
bitop and d a b
copy a b db 1
rename a b
smove a b m
lmove a b left right
blpop a b 0
brpoplpush a b 0
sdiffstore d a b
pfmerge d a b
pfcount a b
pfdebug getreg a
watch a b
geosearchstore d a fromlonlat 1 1 byradius 1 m
zrangestore d a 0 1
lcs a b len
spublish a m
publish a m
ssubscribe a b
ping
ping a b c
nosuch a
client kill a
config get a
restore-asking a 0 b
dump a
touch a b
exists a a a
msetex 2 a 1 b 2 nx
msetex 3 a 1 b 2
delifeq a b
hsetex a fields 1 f v
xackdel a g ids 1 1-1
xdelex a ids 1 1-1
vadd a values 1 1 e
vsim a ele e
command getkeys get a
";

/// Words that options, numbers and keys are drawn from.
const POOL: &[&str] = &[
    "a",
    "b",
    "key",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "99",
    "x",
    "streams",
    "STORE",
    "storedist",
    "keys",
    "get",
    "by",
    "limit",
    "set",
    "block",
    "count",
    "\"\"",
    "#",
    "auth",
];
/// Random requests for each command and number of arguments.
const RANDOM_REQUESTS: usize = 6;
/// Arguments tried beyond a command's arity.
const EXTRA_ARGUMENTS: usize = 4;

#[test]
fn keys_of_samples_are_those_of_the_servers() {
    let table = CommandTable::builtin();
    on_each_server(|binary, connection| {
        let lines = SAMPLES.lines().filter(|line| !line.is_empty());
        let found: Vec<String> =
            lines.flat_map(|line| differences(&table, binary, connection, line)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    });
}

#[test]
fn keys_of_random_requests_are_those_of_the_servers() {
    let table = CommandTable::builtin();
    // A fixed seed: the same requests on every run.
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut lines = Vec::new();
    for command in table.iter() {
        let least = usize::from(command.arity.unsigned_abs());
        let name = command.name.replace('|', " ");
        for count in least..=least + EXTRA_ARGUMENTS {
            for _ in 0..RANDOM_REQUESTS {
                let mut line = name.clone();
                for _ in name.split(' ').count()..count {
                    line.push(' ');
                    line.push_str(POOL[random.next_u32() as usize % POOL.len()]);
                }
                lines.push(line);
            }
        }
    }
    on_each_server(|binary, connection| {
        let lines = lines.iter();
        let found: Vec<String> =
            lines.flat_map(|line| differences(&table, binary, connection, line)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    });
}

/// Where the table's answers on one request differ from the server's.
fn differences(
    table: &CommandTable,
    binary: ServerBinary,
    connection: &mut Connection,
    line: &str,
) -> Vec<String> {
    let request = Request::line(line);
    let mut found = Vec::new();
    if is_another_to(table, connection, &request) || is_known_difference(binary, &request) {
        return found;
    }
    // What is done with a key is told as Redis 8.2 tells it; the others differ in a few places.
    let flags = (binary == ServerBinary::Redis8).then_some(CommandCommand::Getkeysandflags);
    for which in std::iter::once(CommandCommand::Getkeys).chain(flags) {
        let asked = asking(which, &request);
        connection.send_raw(asked.bytes()).expect("sent");
        let theirs = connection.read().expect("a reply");
        let theirs = theirs.bytes();
        if is_arity_of_asking(binary, theirs) {
            continue;
        }
        let mut ours = Vec::new();
        command_reply(which, table, asked.args(), Protocol::Resp2, &mut ours);
        if ours != theirs && !reordered(&ours, theirs) {
            found.push(format!(
                "{binary:?} on {which:?} {line}\n  ours:   {}\n  theirs: {}",
                show(&ours),
                show(theirs)
            ));
        }
        if which == CommandCommand::Getkeys {
            found.extend(routing_difference(table, &request, theirs, line));
        }
    }
    found
}

/// What routing sees of a well-formed request are the keys that the server names.
fn routing_difference(table: &CommandTable, request: &Request, theirs: &[u8], line: &str) -> Option<String> {
    let command = table.resolve(request.args()).ok()?;
    let mut positions = Vec::new();
    let found = key_positions(command, request.args(), &mut positions);
    if command.class != Class::Forward || is_extended(command) || found.is_err() {
        return None;
    }
    let mut expected = Vec::new();
    encode::array(&mut expected, positions.len());
    positions.iter().for_each(|position| encode::bulk(&mut expected, request.args().get(*position as usize)));
    (expected != theirs)
        .then(|| format!("routing of {line}\n  ours:   {}\n  theirs: {}", show(&expected), show(theirs)))
}

/// Routing looks at more than keys (SORT's patterns), or reads the request as the command itself does
/// where the server's own specification is misled (XREAD with a COUNT of "streams", PFMERGE without sources).
fn is_extended(command: &Command) -> bool {
    matches!(&*command.name, "sort" | "sort_ro" | "xread" | "xreadgroup" | "pfmerge")
}

fn asking(which: CommandCommand, request: &Request) -> Request {
    let subcommand: &[u8] = if which == CommandCommand::Getkeys { b"GETKEYS" } else { b"GETKEYSANDFLAGS" };
    let words: Vec<&[u8]> = [&b"COMMAND"[..], subcommand].into_iter().chain(request.args().iter()).collect();
    Request::new(&words)
}

/// Whether the table knows the command and this server does not, or with a narrower arity: the table has the
/// widest of all servers.
fn is_another_to(table: &CommandTable, connection: &mut Connection, request: &Request) -> bool {
    let args = request.args();
    let Some(command) = table.lookup(args.get(0)) else { return false };
    let subcommand = if args.len() > 1 { table.subcommand(command, args.get(1)) } else { None };
    let name = subcommand.unwrap_or(command).name.as_bytes();
    let info = connection.call(&[b"COMMAND", b"INFO", name]).expect("a reply");
    let Ok(Value::Array(infos)) = info.value() else { return true };
    let Some(Value::Array(fields)) = infos.first() else { return true };
    fields.get(1) != Some(&Value::Integer(i64::from(subcommand.unwrap_or(command).arity)))
}

/// Redis 7.0 wants two arguments where later servers want one.
fn is_arity_of_asking(binary: ServerBinary, theirs: &[u8]) -> bool {
    binary == ServerBinary::Redis7
        && theirs.starts_with(b"-ERR wrong number of arguments for 'command|getkeys")
}

/// The same keys with their flags in another order.
fn reordered(ours: &[u8], theirs: &[u8]) -> bool {
    let sorted = |bytes: &[u8]| -> Option<Vec<String>> {
        let Ok(Some((Value::Array(keys), _))) = resp::parse_value(bytes) else { return None };
        let mut shown: Vec<String> = keys.iter().map(sorted_key).collect();
        shown.sort();
        Some(shown)
    };
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    ours.is_some() && ours == theirs
}

fn sorted_key(key: &Value<'_>) -> String {
    let Value::Array(parts) = key else { return format!("{key:?}") };
    let [name, Value::Array(flags)] = parts.as_slice() else { return format!("{key:?}") };
    let mut flags: Vec<String> = flags.iter().map(|flag| format!("{flag:?}")).collect();
    flags.sort();
    format!("{name:?} {flags:?}")
}

/// Where servers differ from each other.
fn is_known_difference(binary: ServerBinary, request: &Request) -> bool {
    let args = request.args();
    let count = |word: &str| args.iter().filter(|arg| arg.eq_ignore_ascii_case(word.as_bytes())).count();
    // Redis names the first STORE and the first STOREDIST, though the command writes to the last of all.
    (args.is(0, "georadius") || args.is(0, "georadiusbymember"))
        && binary != ServerBinary::Valkey9
        && count("store") + count("storedist") > 1
}
