//! Dialogues: the same lines to a real server and to the proxy's answers, compared reply by reply.

use std::net::SocketAddr;

use testkit::binary::ServerBinary;
use testkit::connection::Connection;
use testkit::port::Port;
use testkit::redis_server::{RedisOptions, RedisServer};

use crate::subject::Subject;

/// A real server and a subject whose session has the same number and ends as the connection to it.
pub(crate) struct Pair {
    pub(crate) server: Connection,
    pub(crate) subject: Subject,
    // After the connection, so that it stops when that is closed.
    _redis: RedisServer,
}

impl Pair {
    pub(crate) fn start(options: RedisOptions) -> Pair {
        let redis = RedisServer::start(options).unwrap();
        let mut server = Connection::open(redis.address()).unwrap();
        let id = text(&server.say("client id").unwrap());
        let id = id.trim_start_matches(':').trim_end().parse().unwrap();
        let info = text(&server.say("info server").unwrap());
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap();
        let ends: (SocketAddr, SocketAddr) =
            (server.stream().local_addr().unwrap(), server.stream().peer_addr().unwrap());
        let subject = Subject::new(id, ends, version);
        Pair { server, subject, _redis: redis }
    }

    /// Says each line to both.
    pub(crate) fn check(&mut self, dialogue: &[&str]) {
        for line in dialogue {
            self.server.send_raw(format!("{line}\r\n").as_bytes()).unwrap();
            let expected = text(&self.server.read().unwrap());
            let found = String::from_utf8_lossy(&self.subject.say(line)).into_owned();
            assert_eq!(found, expected, "{line}");
        }
    }
}

pub(crate) fn text(frame: &testkit::frame::Frame) -> String {
    String::from_utf8_lossy(frame.bytes()).into_owned()
}

/// A node of Redis Cluster. Its bus has a reserved port of its own, because the port that Redis derives may be in
/// use; it is free again when the second part is dropped.
pub(crate) fn cluster_node() -> (RedisOptions, Port) {
    let bus = Port::reserve().unwrap();
    let options = RedisOptions { cluster: true, ..RedisOptions::default() };
    (options.with("cluster-port", &bus.number().to_string()), bus)
}

fn check(options: RedisOptions, dialogue: &[&str]) {
    Pair::start(options).check(dialogue);
}

#[test]
fn connection() {
    check(
        RedisOptions::default(),
        &[
            "ping",
            "PING hello",
            "ping 'a b'",
            "ping a b",
            "echo x",
            "echo ''",
            "echo",
            "select 3",
            "select 0",
            "select 15",
            "select 16",
            "select -1",
            "select x",
            "select 01",
            "select 99999999999",
            "select",
            "lolwut",
            "reset",
            "reset 1",
            "client setname me",
            "client getname",
            "reset",
            "client getname",
            "time 1",
            "role",
            "quit",
        ],
    );
}

#[test]
fn authentication() {
    check(
        RedisOptions::default(),
        &[
            // Without a password.
            "auth",
            "auth a",
            "auth default anything",
            "auth nobody anything",
            "auth a b c",
            "ping",
            // Who is in stays in.
            "config set requirepass secret",
            "ping",
            "auth default wrong",
            "ping",
            // After RESET one has to authenticate.
            "reset",
            "ping",
            "echo x",
            "select 1",
            "client id",
            "config get port",
            "nonsense",
            "get",
            "get x",
            "auth wrong",
            "auth nobody secret",
            "auth a b c",
            "hello x",
            "hello 4",
            "hello 3",
            "hello 3 setname a",
            "hello 3 auth default wrong",
            "hello 3 auth nobody secret",
            "hello 3 auth default",
            "hello 3 foo bar",
            "ping",
            "auth secret",
            "ping",
            "reset",
            "auth default secret",
            "ping",
            // A login in HELLO holds, although its name is refused.
            "reset",
            "hello 3 auth default secret setname 'a b'",
            "ping",
            "client getname",
            // Removing the password lets everybody in.
            "config set requirepass ''",
            "reset",
            "ping",
        ],
    );
}

#[test]
fn hello() {
    let (options, _bus) = cluster_node();
    check(
        options,
        &[
            "hello",
            "hello 3",
            "hello",
            "client getname",
            "hello 2",
            "hello 2 setname me",
            "client getname",
            "hello 3 setname",
            "hello 3 setname 'a b'",
            "hello 3 auth a",
            "hello 3 setname you auth default x",
            "client getname",
            "hello 3 setname ''",
            "client getname",
            "hello 1",
            "hello 2.0",
            "hello 03",
            "client trackinginfo",
            "reset",
            "client trackinginfo",
            "lolwut",
        ],
    );
}

/// Wrong options before, behind and between good ones: what takes effect differs from version to version.
#[test]
fn options_of_hello() {
    for binary in ServerBinary::ALL {
        check(
            RedisOptions::of(binary),
            &[
                "hello 2 setname 'a b' junk",
                "hello 3 setname alice junk",
                "client getname",
                "hello 3 setname bob auth nobody x",
                "client getname",
                "hello 3 auth nobody x setname carl",
                "client getname",
                "hello 3 auth nobody x setname 'a b'",
                "hello 3 auth nobody x junk",
                "hello 3 setname dora setname 'a b'",
                "client getname",
                "hello 3 setname emil setname",
                "client getname",
                "hello 4 setname fred",
                "client getname",
                "hello 2 junk",
                "client getname",
                "config set requirepass secret",
                "reset",
                "hello 3 setname 'a b'",
                "hello 3 setname gina auth default wrong",
                "hello 3 setname gina junk",
                "hello 3 auth default secret setname hugo junk",
                "client getname",
                "reset",
                "hello 2 setname ina auth default secret auth default wrong",
                "client getname",
                "reset",
                "hello 2 auth default wrong auth default secret junk",
                "client getname",
                "auth secret",
                "client getname",
            ],
        );
    }
}

#[test]
fn client() {
    check(
        RedisOptions::default(),
        &[
            "client",
            "client nonsense",
            "client id",
            "client id x",
            "client getname",
            "client setname a-b",
            "client getname",
            "client setname 'a b'",
            "client setname \"a\\nb\"",
            "client setname \"\\xff\"",
            "client setname ''",
            "client getname",
            "client setname",
            "client no-evict on",
            "client no-evict off",
            "client no-evict maybe",
            "client getredir",
            "client trackinginfo",
            "client kill",
            "client kill nobody",
            "client kill 1.2.3.4:5",
            "client kill id 0",
            "client kill id x",
            "client kill id -3",
            "client kill id 999999",
            "client kill id 1 id",
            "client kill type nobody",
            "client kill type pubsub",
            "client kill type replica",
            "client kill user nobody",
            "client kill user default",
            "client kill skipme maybe",
            "client kill skipme yes",
            "client kill addr 1.2.3.4:5 laddr 1.2.3.4:6",
            "client kill foo bar",
            "client kill id 01",
            "client list foo",
            "client list type",
            "client list type nobody",
            "client list id",
            "client list id x",
            "client list id 1 x",
            "client list type normal id 1",
            "client pause",
            "client pause x",
            "client pause -1",
            "client pause 1 nobody",
            "client pause x nobody",
            "client pause 1 write",
            "client unpause",
            "client pause 9223372036854775808",
            "client unpause",
            "client unpause x",
            "client unblock x",
            "client unblock 999999",
            "client unblock 999999 error",
            "client unblock 999999 nobody",
            "client unblock -1",
        ],
    );
}

#[test]
fn config() {
    check(
        RedisOptions::default(),
        &[
            "config",
            "config nonsense",
            "config get",
            "config get nonsense",
            "config get maxclients",
            "config get MAXCLIENTS",
            "config get maxclient[s]",
            "config get appendonl?",
            "config get timeout timeout",
            "config get databases",
            "config get proto-max-bulk-len",
            "config get loglevel",
            "config set timeout 17",
            "config get timeout",
            "config set requirepass x",
            "config get requirepass",
            "config set requirepass ''",
            "config get requirepass",
            "config set",
            "config set a",
            "config set a b",
            "config set timeout 1 foo",
            "config set foo 1 timeout 5",
            "config get timeout",
            "config set databases 3",
            "config set maxclients x",
            "config set maxclients 0",
            "config set maxclients 1x",
            "config set timeout 1 timeout 2",
            "config set timeout 1 TIMEOUT 2",
            "config set timeout -1",
            "config set timeout 99999999999",
            "config set loglevel verbose",
            "config get loglevel",
            "config set slowlog-log-slower-than x",
            "config set slowlog-log-slower-than -1",
            "config get slowlog-log-slower-than",
            "config set proto-max-bulk-len 1mb",
            "config get proto-max-bulk-len",
            "config set proto-max-bulk-len 1xb",
            "config resetstat",
            "config resetstat x",
        ],
    );
}

#[test]
fn wait() {
    let errors = [
        "wait",
        "wait 1",
        "wait 1 2 3",
        "wait x y",
        "wait 1 y",
        "wait x -1",
        "wait 1 -1",
        "wait 1 9223372036854775808",
        "wait 9223372036854775808 1",
        "wait 1 01",
        "wait 01 1",
    ];
    check(RedisOptions::default(), &errors);
    let newer = [
        "wait 1 9223372036854775807",
        "waitaof",
        "waitaof 0 0",
        "waitaof x y z",
        "waitaof 0 y z",
        "waitaof 0 0 z",
        "waitaof 0 0 -1",
        "waitaof 2 x 10",
        "waitaof -1 0 10",
        "waitaof 0 -1 10",
        "waitaof 0 0 9223372036854775807",
    ];
    for binary in [ServerBinary::Redis8, ServerBinary::Valkey9] {
        check(RedisOptions::of(binary), &[&errors[..], &newer[..]].concat());
    }
}

#[test]
fn slowlog() {
    check(
        RedisOptions::default(),
        &[
            "slowlog",
            "slowlog nonsense",
            "slowlog get",
            "slowlog get 0",
            "slowlog get -1",
            "slowlog get -2",
            "slowlog get x",
            "slowlog get 1 2",
            "slowlog len",
            "slowlog len x",
            "slowlog reset",
            "slowlog reset x",
        ],
    );
}
