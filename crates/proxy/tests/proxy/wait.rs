//! WAIT and WAITAOF, with real replicas.

use std::time::{Duration, Instant};

use proxy::config::ProxyConfig;
use service::config::Milliseconds;
use service::shutdown::Phase;
use testkit::binary::ServerBinary;
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};

use crate::fixture::{LIMIT, Proxy, ask, ask_until};

/// A server and one that replicates it, in step.
fn pair(binary: ServerBinary) -> [RedisServer; 2] {
    let options = RedisOptions { append_only: true, ..RedisOptions::of(binary) };
    let primary = RedisServer::start(options.clone()).unwrap();
    let of = format!("127.0.0.1 {}", primary.address().port());
    let replica = RedisServer::start(options.with("replicaof", &of)).unwrap();
    ask_until(&mut primary.connect().unwrap(), "INFO replication", |info| info.contains("state=online"));
    [primary, replica]
}

/// A proxy that serves half of the slots from each.
fn serving(nodes: [&RedisServer; 2], change: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    let proxy = Proxy::start(change);
    let [one, other] = nodes.map(RedisServer::address);
    let line = format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {one} 1 0-8191 {other} 1 8192-16383");
    assert_eq!(ask(&mut proxy.connect(), &line), "OK");
    proxy
}

fn send(client: &mut Connection, line: &str) {
    client.send_raw(format!("{line}\r\n").as_bytes()).unwrap();
}

/// The slots of these are in the first and in the second half.
const KEYS: [&str; 2] = ["b", "a"];

#[test]
fn the_primary_whose_replicas_lag_counts() {
    for binary in ServerBinary::ALL {
        let [one, _one_replica] = pair(binary);
        let [other, mut other_replica] = pair(binary);
        let proxy = serving([&one, &other], |_| {});
        let (mut client, mut bystander) = (proxy.connect(), proxy.connect());
        for key in KEYS {
            assert_eq!(ask(&mut client, &format!("SET {key} 1")), "OK");
        }
        assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1", "{binary:?}");
        other_replica.process().freeze().unwrap();
        assert_eq!(ask(&mut client, "SET a 2"), "OK");
        let began = Instant::now();
        send(&mut client, "WAIT 1 400");
        assert_eq!(ask(&mut bystander, "GET a"), "2", "{binary:?}: nobody else waits");
        assert!(
            began.elapsed() < Duration::from_millis(400),
            "{binary:?}: the machine is too slow for this test"
        );
        assert_eq!(client.read().unwrap().bytes(), b":0\r\n", "{binary:?}");
        assert!(began.elapsed() >= Duration::from_millis(390), "{binary:?}: {:?}", began.elapsed());
        send(&mut client, "WAIT 1 0");
        assert!(!client.has_data(Duration::from_millis(200)).unwrap(), "{binary:?}");
        other_replica.process().thaw().unwrap();
        client.set_reply_limit(LIMIT).unwrap();
        assert_eq!(client.read().unwrap().bytes(), b":1\r\n", "{binary:?}");
    }
}

#[test]
fn a_wait_in_a_pipeline_is_for_what_stands_before_it() {
    let [node, mut replica] = pair(ServerBinary::Redis7);
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    replica.process().freeze().unwrap();
    send(&mut client, "SET a 1\r\nINCR a\r\nWAIT 1 300\r\nGET a");
    let replies: Vec<Vec<u8>> = (0..4).map(|_| client.read().unwrap().bytes().to_vec()).collect();
    assert_eq!(replies.concat(), b"+OK\r\n:2\r\n:0\r\n$1\r\n2\r\n");
    replica.process().thaw().unwrap();
    send(&mut client, "SET a 5\r\nWAIT 1 20000");
    client.set_reply_limit(LIMIT).unwrap();
    assert_eq!(client.read().unwrap().bytes(), b"+OK\r\n");
    assert_eq!(client.read().unwrap().bytes(), b":1\r\n");
    let mut direct = replica.connect().unwrap();
    assert_eq!(ask(&mut direct, "GET a"), "5", "the replica has what was waited for");
}

#[test]
fn wait_aof() {
    for binary in [ServerBinary::Redis8, ServerBinary::Valkey9] {
        let [node, mut replica] = pair(binary);
        let proxy = Proxy::serving(&node, |_| {});
        let mut client = proxy.connect();
        assert_eq!(ask(&mut client, "SET a 1"), "OK");
        assert_eq!(ask(&mut client, "WAITAOF 1 1 20000"), "*2\r\n:1\r\n:1", "{binary:?}");
        replica.process().freeze().unwrap();
        assert_eq!(ask(&mut client, "SET a 2"), "OK");
        assert_eq!(ask(&mut client, "WAITAOF 0 1 200").split_once(':').unwrap().0, "*2\r\n", "{binary:?}");
        assert!(ask(&mut client, "WAITAOF 0 1 200").ends_with(":0"), "{binary:?}");
        replica.process().thaw().unwrap();
    }
}

#[test]
fn the_node_words_what_only_it_knows() {
    let node = RedisServer::start(RedisOptions::of(ServerBinary::Redis8)).unwrap();
    let proxy = Proxy::serving(&node, |_| {});
    let (mut client, mut direct) = (proxy.connect(), node.connect().unwrap());
    let line = "WAITAOF 1 0 100";
    assert_eq!(ask(&mut client, line), ask(&mut direct, line), "there is no append-only file");
    let [older, replica] = pair(ServerBinary::Redis7);
    let proxy = Proxy::serving(&older, |_| {});
    let (mut client, mut direct) = (proxy.connect(), older.connect().unwrap());
    let unknown = ask(&mut direct, line);
    assert!(unknown.starts_with("-ERR unknown command 'WAITAOF'"), "{unknown}");
    ask_until(&mut client, line, |reply| reply == unknown);
    let proxy = Proxy::serving(&replica, |_| {});
    let (mut client, mut direct) = (proxy.connect(), replica.connect().unwrap());
    assert_eq!(ask(&mut client, "WAIT 1 1"), ask(&mut direct, "WAIT 1 1"), "a replica cannot wait");
}

#[test]
fn who_cannot_be_answered_is_told_so() {
    let mut node = RedisServer::start(RedisOptions::default()).unwrap();
    let proxy = Proxy::serving(&node, |config| config.backend_timeout = Milliseconds::of(300));
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "WAIT 0 100"), ":0");
    node.process().freeze().unwrap();
    let reply = ask(&mut client, "WAIT 0 100");
    assert!(reply.starts_with("-ERR waiting at backend") && reply.contains("no answer within"), "{reply}");
    node.process().thaw().unwrap();
    // What was kept from before was closed by the node, and is replaced.
    assert_eq!(ask(&mut client, "WAIT 0 100"), ":0");
    node.restart().unwrap();
    assert_eq!(ask(&mut client, "WAIT 0 100"), ":0");
    let alone = Proxy::start(|_| {});
    let reply = ask(&mut alone.connect(), "WAIT 1 0");
    assert!(reply.starts_with("-ERR_CLUSTER_NOT_FOUND"), "{reply}");
}

#[test]
fn a_wait_without_an_end_does_not_hold_up_the_end_of_the_proxy() {
    let node = RedisServer::start(RedisOptions::default()).unwrap();
    let proxy = Proxy::serving(&node, |_| {});
    let mut bystander = proxy.connect();
    let mut clients: Vec<Connection> = (0..3).map(|_| proxy.connect()).collect();
    clients.iter_mut().for_each(|client| send(client, "WAIT 1 0"));
    ask_until(&mut bystander, "INFO clients", |info| info.contains("blocked_clients:3\r\n"));
    proxy.shutdown.advance(Phase::Draining);
    for client in &mut clients {
        assert_eq!(client.read().unwrap().error().unwrap(), "ERR the proxy is shutting down");
    }
    proxy.join().unwrap();
}

#[test]
fn who_leaves_waits_no_longer() {
    let node = RedisServer::start(RedisOptions::default()).unwrap();
    let proxy = Proxy::serving(&node, |_| {});
    let mut bystander = proxy.connect();
    // As many as may wait at a time: some break the connection, some close their end and still read.
    let leaving: Vec<Connection> = (0..256).map(|_| proxy.connect()).collect();
    let mut half_open = Vec::new();
    for (number, mut client) in leaving.into_iter().enumerate() {
        send(&mut client, "WAIT 9 0");
        if number % 2 == 0 {
            half_open.push(client);
        }
    }
    half_open.iter_mut().for_each(|client| client.finish_sending().unwrap());
    for client in &mut half_open {
        client.set_reply_limit(LIMIT).unwrap();
        assert_eq!(client.read().unwrap().bytes(), b":0\r\n");
    }
    ask_until(&mut bystander, "INFO clients", |info| {
        info.contains("blocked_clients:0\r\n") && info.contains("connected_clients:1\r\n")
    });
    assert_eq!(ask(&mut bystander, "WAIT 1 10"), ":0", "there is room for others");
}

/// Metadata that names another server than the one that replicates the primary.
#[test]
fn a_replica_that_the_metadata_does_not_name_does_not_count() {
    for binary in [ServerBinary::Redis7, ServerBinary::Valkey9] {
        let [node, replica] = pair(binary);
        let named =
            RedisServer::start(RedisOptions { append_only: true, ..RedisOptions::of(binary) }).unwrap();
        let proxy = Proxy::serving(&node, |_| {});
        let mut client = proxy.connect();
        let names = |epoch: u32, replica: &RedisServer| {
            let (primary, peer) = (node.address(), replica.address());
            format!("UMCTL SETREPL {epoch} NOFLAGS master mydb {primary} 1 {peer} {peer}")
        };
        assert_eq!(ask(&mut client, "SET a 1"), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1", "{binary:?}: nobody is named, and each counts");
        assert_eq!(ask(&mut client, &names(2, &named)), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 200"), ":0", "{binary:?}: another has it");
        let of = format!("REPLICAOF 127.0.0.1 {}", node.address().port());
        assert_eq!(ask(&mut named.connect().unwrap(), &of), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1", "{binary:?}");
        assert_eq!(ask(&mut client, "WAIT 2 2000"), ":1", "{binary:?}: one is named");
        assert_eq!(ask(&mut client, &names(3, &replica)), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1", "{binary:?}");
    }
}

/// A server that announces the address of the replica that the metadata names, as with a copied `redis.conf`.
#[test]
fn a_replica_that_announces_the_address_of_the_named_one_does_not_count() {
    for binary in ServerBinary::ALL {
        let [node, mut replica] = pair(binary);
        let named = replica.address();
        let options = RedisOptions { append_only: true, ..RedisOptions::of(binary) };
        let options = options
            .with("replicaof", &format!("127.0.0.1 {}", node.address().port()))
            .with("replica-announce-ip", "127.0.0.1")
            .with("replica-announce-port", &named.port().to_string());
        let _impostor = RedisServer::start(options).unwrap();
        ask_until(&mut node.connect().unwrap(), "INFO replication", |info| {
            info.matches(&format!("port={},state=online", named.port())).count() == 2
        });
        let proxy = Proxy::serving(&node, |_| {});
        let mut client = proxy.connect();
        let names = format!("UMCTL SETREPL 2 NOFLAGS master mydb {} 1 {named} {named}", node.address());
        assert_eq!(ask(&mut client, &names), "OK");
        assert_eq!(ask(&mut client, "SET a 1"), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1", "{binary:?}: the named one has it");
        replica.process().freeze().unwrap();
        assert_eq!(ask(&mut client, "SET a 2"), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 400"), ":0", "{binary:?}: the named one hangs");
        replica.process().thaw().unwrap();
        assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1", "{binary:?}: it goes on");
        replica.process().kill();
        assert_eq!(ask(&mut client, "SET a 3"), "OK");
        assert_eq!(ask(&mut client, "WAIT 1 400"), ":0", "{binary:?}: the named one has died");
    }
}

/// What the session wrote went to a node that has died; the proxy's other primary knows nothing of it.
#[test]
fn a_wait_is_about_the_nodes_that_took_the_writes() {
    let [one, _one_replica] = pair(ServerBinary::Redis7);
    let [other, _other_replica] = pair(ServerBinary::Redis7);
    let proxy = serving([&one, &other], |_| {});
    let mut clients = [proxy.connect(), proxy.connect()];
    for (client, key) in clients.iter_mut().zip(KEYS) {
        assert_eq!(ask(client, &format!("SET {key} 1")), "OK");
        assert_eq!(ask(client, "WAIT 1 20000"), ":1", "{key}");
    }
    // Another proxy has the first half from now on.
    let view = |epoch: u32, own: &str| {
        format!("UMCTL SETCLUSTER v2 {epoch} NOFLAGS mydb {own} PEER 127.0.0.9:5299 1 0-8191")
    };
    let other = format!("{} 1 8192-16383", other.address());
    assert_eq!(ask(&mut proxy.connect(), &view(2, &other)), "OK");
    assert_eq!(ask(&mut clients[1], "WAIT 1 20000"), ":1", "all that it wrote is here");
    assert_eq!(ask(&mut clients[0], "WAIT 1 20000"), ":0");
    assert!(clients[0].read().is_err(), "it is disconnected, as from a server that has died");
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "SET a 2"), "OK");
    assert_eq!(ask(&mut client, "WAIT 1 20000"), ":1");
}
