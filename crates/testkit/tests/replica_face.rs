//! What a replica face answers, line by line as a replica of a real Redis Cluster does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::cluster::{ClusterFixture, ClusterOptions};
use testkit::connection::Connection;
use testkit::port::Port;
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, retry_until};

/// How long a cluster may take to form.
const FORM_LIMIT: Duration = Duration::from_secs(60);
/// A library with a function that writes, and one that says that it does not.
const LIBRARY: &str = "#!lua name=lib\n\
    redis.register_function('w', function(keys) return redis.call('set', keys[1], 'x') end)\n\
    redis.register_function{function_name='r', flags={'no-writes'}, \
    callback=function(keys) return redis.call('get', keys[1]) end}";
const READ: &str = "return redis.call('get', KEYS[1])";
const WRITE: &str = "return redis.call('set', KEYS[1], 'x')";
/// The SHA-1 of no script.
const NO_SHA: &str = "0123456789012345678901234567890123456789";

/// A primary and its replica that answer a client, and the primary's address.
struct Pair {
    primary: Connection,
    replica: Connection,
    primary_address: String,
}

impl Pair {
    /// A reply at the replica, the primary's address by its name.
    fn say(&mut self, words: &[&str]) -> Result<String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let reply = self.replica.call(&words)?;
        Ok(String::from_utf8_lossy(reply.bytes()).replace(&self.primary_address, "PRIMARY"))
    }

    fn prepare(&mut self) -> Result<()> {
        self.primary.say("SET a 1")?.expect_ok()?;
        self.primary.call(&[b"FUNCTION", b"LOAD", LIBRARY.as_bytes()])?;
        retry_until(Deadline::within(FORM_LIMIT), "the replica has all", || {
            let keys = self.say(&["DBSIZE"])?;
            let functions = self.say(&["FUNCTION", "LIST"])?;
            ensure!(keys == ":1\r\n" && functions.contains("lib"), "{keys} {functions}");
            Ok(())
        })?;
        // Scripts are not replicated.
        self.say(&["SCRIPT", "LOAD", READ])?;
        self.say(&["SCRIPT", "LOAD", WRITE])?;
        Ok(())
    }
}

/// Two servers of a Redis Cluster, and what they need while they run.
struct Real {
    pair: Pair,
    _servers: [RedisServer; 2],
    _buses: [Port; 2],
}

fn real_cluster() -> Result<Real> {
    let buses = [Port::reserve()?, Port::reserve()?];
    let start = |bus: &Port| {
        let options = RedisOptions { cluster: true, ..RedisOptions::default() };
        RedisServer::start(options.with("cluster-port", &bus.number().to_string()))
    };
    let servers = [start(&buses[0])?, start(&buses[1])?];
    let (mut primary, mut replica) = (servers[0].connect()?, servers[1].connect()?);
    let id = primary.say("CLUSTER MYID")?.text()?;
    replica.say("CLUSTER RESET HARD")?.expect_ok()?;
    let (address, bus) = (servers[0].address(), buses[0].number());
    replica.say(&format!("CLUSTER MEET {} {} {bus}", address.ip(), address.port()))?.expect_ok()?;
    retry_until(Deadline::within(FORM_LIMIT), "it knows the other", || {
        replica.say(&format!("CLUSTER REPLICATE {id}"))?.expect_ok()
    })?;
    retry_until(Deadline::within(FORM_LIMIT), "it replicates", || {
        let info = replica.say("INFO replication")?.text()?;
        ensure!(info.contains("master_link_status:up"), "{info}");
        let state = replica.say("CLUSTER INFO")?.text()?;
        ensure!(state.contains("cluster_state:ok"), "{state}");
        Ok(())
    })?;
    let pair = Pair { primary, replica, primary_address: address.to_string() };
    Ok(Real { pair, _servers: servers, _buses: buses })
}

fn proxies() -> Result<ClusterFixture> {
    let proxy = ProxyOptions::default().with("replica_port_offset", "1");
    ClusterFixture::start(&ClusterOptions { proxies: 2, proxy, ..ClusterOptions::default() })
}

/// The proxy that owns the key `a`, and the other's replica face.
fn pair_of(cluster: &ClusterFixture) -> Result<Pair> {
    let owner = cluster.owner(b"a")?;
    let replica = Connection::open(cluster.members[1 - owner].proxy.replica_address()?)?;
    let primary_address = cluster.members[owner].proxy.address().to_string();
    Ok(Pair { primary: cluster.connect(owner)?, replica, primary_address })
}

const DIALOGUE: &[&[&str]] = &[
    &["GET", "a"],
    &["EVAL", READ, "1", "a"],
    &["EVAL_RO", READ, "1", "a"],
    &["READONLY"],
    &["GET", "a"],
    &["SET", "a", "2"],
    &["MGET", "a", "{a}b"],
    &["EVAL", READ, "1", "a"],
    &["EVAL", WRITE, "1", "a"],
    &["EVAL", "#!lua\nreturn redis.call('get', KEYS[1])", "1", "a"],
    &["EVAL", "#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])", "1", "a"],
    &["EVAL", "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1], 'x')", "1", "a"],
    &["EVAL", "return", "x", "a"],
    &["EVAL", "#!lua flags=nonsense\nreturn 1", "1", "a"],
    &["EVAL_RO", READ, "1", "a"],
    &["EVAL_RO", WRITE, "1", "a"],
    &["EVALSHA", NO_SHA, "1", "a"],
    &["EVALSHA", "READ_SHA", "1", "a"],
    &["EVALSHA", "WRITE_SHA", "1", "a"],
    &["EVALSHA_RO", "READ_SHA", "1", "a"],
    &["EVALSHA_RO", "WRITE_SHA", "1", "a"],
    &["FCALL", "r", "1", "a"],
    &["FCALL", "w", "1", "a"],
    &["FCALL", "nothing", "1", "a"],
    &["FCALL_RO", "r", "1", "a"],
    &["FCALL_RO", "w", "1", "a"],
    &["EVAL", "return 1", "0"],
    &["EVAL", "return redis.call('set', 'a', '1')", "0"],
    &["EVAL", "#!lua\nreturn 1", "0"],
    &["FCALL", "w", "0"],
    &["DBSIZE"],
    &["KEYS", "*"],
    &["SCAN", "0"],
    &["RANDOMKEY"],
    &["FLUSHALL"],
    &["FLUSHDB"],
    &["FUNCTION", "FLUSH"],
    &["WAIT", "0", "10"],
    &["WAIT", "x", "10"],
    &["CLUSTER", "COUNTKEYSINSLOT", "15495"],
    &["CLUSTER", "GETKEYSINSLOT", "15495", "10"],
    &["OBJECT", "ENCODING", "a"],
    &["READWRITE"],
    &["GET", "a"],
    &["EVAL", READ, "1", "a"],
    &["FCALL_RO", "r", "1", "a"],
];

/// The SHA-1 that a server has for a script.
fn sha(pair: &mut Pair, script: &str) -> Result<String> {
    let reply = pair.say(&["SCRIPT", "LOAD", script])?;
    Ok(reply.lines().nth(1).context("a SHA-1")?.to_owned())
}

#[test]
fn it_answers_as_a_replica_of_redis_cluster() -> Result<()> {
    let (mut real, cluster) = (real_cluster()?, proxies()?);
    let mut ours = pair_of(&cluster)?;
    real.pair.prepare()?;
    ours.prepare()?;
    let (read, write) = (sha(&mut real.pair, READ)?, sha(&mut real.pair, WRITE)?);
    for words in DIALOGUE {
        let words: Vec<&str> = words
            .iter()
            .map(|word| match *word {
                "READ_SHA" => read.as_str(),
                "WRITE_SHA" => write.as_str(),
                word => word,
            })
            .collect();
        let (expected, found) = (real.pair.say(&words)?, ours.say(&words)?);
        ensure!(found == expected, "{words:?}: {found:?}, and a replica of Redis {expected:?}");
    }
    // Nothing of all that was a write.
    ensure!(ours.primary.say("GET a")?.bytes() == b"$1\r\n1\r\n");
    Ok(())
}

#[test]
fn its_own_proxy_s_slots_are_moved_to_the_primary_face() -> Result<()> {
    let cluster = proxies()?;
    let owner = cluster.owner(b"a")?;
    let mut face = Connection::open(cluster.members[owner].proxy.replica_address()?)?;
    let moved = format!("MOVED 15495 {}", cluster.members[owner].proxy.address());
    for line in ["GET a", "READONLY", "GET a", "SET a 1", "EVAL return 1 a"] {
        let reply = face.say(line)?;
        if line == "READONLY" {
            reply.expect_ok()?;
        } else {
            reply.expect_error(&moved)?;
        }
    }
    // And at the primary face READONLY is of no use: it has one role.
    let mut other = cluster.connect(1 - owner)?;
    other.say("READONLY")?.expect_ok()?;
    other.say("GET a")?.expect_error(&moved)?;
    Ok(())
}

#[test]
fn roles_are_those_of_the_face() -> Result<()> {
    let cluster = proxies()?;
    let owner = cluster.owner(b"a")?;
    let address = cluster.members[owner].proxy.address();
    let replica_address = cluster.members[1 - owner].proxy.replica_address()?;
    let mut face = Connection::open(replica_address)?;
    let role =
        format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:{}\r\n$9\r\nconnected\r\n:0\r\n", address.port());
    ensure!(face.say("ROLE")?.bytes() == role.as_bytes());
    let info = face.say("INFO")?.text()?;
    let port = replica_address.port();
    for line in [
        "role:slave".to_owned(),
        format!("master_port:{}", address.port()),
        "master_link_status:up".to_owned(),
        format!("tcp_port:{port}"),
    ] {
        ensure!(info.contains(&format!("{line}\r\n")), "{line} is not in {info}");
    }
    let hello = face.say("HELLO")?;
    ensure!(hello.bytes().windows(17).any(|part| part == b"role\r\n$7\r\nreplica"), "{hello:?}");
    let info = cluster.connect(owner)?.say("INFO replication")?.text()?;
    ensure!(
        info.contains("role:master") && info.contains(&format!("slave0:ip=127.0.0.1,port={port}")),
        "{info}"
    );
    // The nodes of both faces have the same ids wherever one asks, and each face its own.
    let ids = |connection: &mut Connection| -> Result<String> { connection.say("CLUSTER MYID")?.text() };
    let (mine, theirs) = (ids(&mut face)?, ids(&mut cluster.connect(owner)?)?);
    let nodes = cluster.connect(1 - owner)?.say("CLUSTER NODES")?.text()?;
    let line = format!("{mine} {replica_address}@5299 slave {theirs} ");
    ensure!(nodes.contains(&line), "{line} is not in {nodes}");
    Ok(())
}

#[test]
fn both_faces_are_named_as_they_are_announced() -> Result<()> {
    let options = ProxyOptions::default().with("replica_port_offset", "1");
    let proxy = ProxyProcess::start(&options.with("announce_address", "127.0.0.1:5000"))?;
    let view = "SETCLUSTER v2 1 NOFLAGS db 127.0.0.1:1 1 8192-16383 127.0.0.1:2 REPLICA 1 0-8191 \
                PEER 127.0.0.1:6000 1 0-8191 127.0.0.1:6000 REPLICA 1 8192-16383";
    proxy.umctl(&view.split(' ').collect::<Vec<_>>())?.expect_ok()?;
    for address in [proxy.address(), proxy.replica_address()?] {
        let mut face = Connection::open(address)?;
        let nodes = face.say("CLUSTER NODES")?.text()?;
        let mut found: Vec<&str> =
            nodes.lines().filter_map(|line| line.split(' ').nth(1)?.split('@').next()).collect();
        found.sort_unstable();
        ensure!(found == ["127.0.0.1:5000", "127.0.0.1:5001", "127.0.0.1:6000", "127.0.0.1:6001"], "{nodes}");
    }
    let mut face = Connection::open(proxy.replica_address()?)?;
    face.say("SET a 1")?.expect_error("MOVED 15495 127.0.0.1:5000")?;
    face.say("SET b 1")?.expect_error("MOVED 3300 127.0.0.1:6000")?;
    Ok(())
}
