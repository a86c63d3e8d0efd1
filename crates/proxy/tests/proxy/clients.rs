//! Commands that concern the clients of all workers.

use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::fixture::{LIMIT, Proxy, ask, ask_until, redis};
use proxy::config::HostPort;
use testkit::connection::{Connection, ConnectionError};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, wait_until};

fn id(client: &mut Connection) -> u64 {
    ask(client, "CLIENT ID").trim_start_matches(':').parse().unwrap()
}

fn listed(list: &str) -> Vec<u64> {
    list.lines()
        .map(|line| line.strip_prefix("id=").unwrap().split(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn clients_of_all_workers_are_listed_and_killed() {
    let proxy = Proxy::start(|_| {});
    let mut asker = proxy.connect();
    let mut clients: Vec<Connection> = (0..20).map(|_| proxy.connect()).collect();
    let mut ids: Vec<u64> = clients.iter_mut().map(id).collect();
    let own = id(&mut asker);
    ask(&mut clients[3], "CLIENT SETNAME worker-3");
    let list = ask(&mut asker, "CLIENT LIST");
    let mut expected = ids.clone();
    expected.push(own);
    expected.sort_unstable();
    assert_eq!(listed(&list), expected, "each once, by number");
    assert!(list.contains(&format!("id={} ", ids[3])) && list.contains(" name=worker-3 "), "{list}");
    let own_line = list.lines().find(|line| line.starts_with(&format!("id={own} "))).unwrap();
    assert!(own_line.contains(" cmd=client|list "), "{own_line}");

    let two = format!("CLIENT LIST ID {} {}", ids[0], ids[1]);
    assert_eq!(listed(&ask(&mut asker, &two)), [ids[0].min(ids[1]), ids[0].max(ids[1])]);
    assert_eq!(ask(&mut asker, &format!("CLIENT KILL ID {}", ids[0])), ":1");
    assert_eq!(ask(&mut asker, &format!("CLIENT KILL ID {}", ids[0])), ":0");
    assert!(matches!(clients[0].say("PING"), Err(ConnectionError::Closed { .. })));
    ids.remove(0);
    clients.remove(0);
    assert_eq!(ask(&mut asker, "CLIENT KILL TYPE normal"), format!(":{}", ids.len()), "all but the asker");
    for mut client in clients {
        assert!(matches!(client.say("PING"), Err(ConnectionError::Closed { .. })));
    }
    assert_eq!(listed(&ask(&mut asker, "CLIENT LIST")), [own]);
    assert_eq!(ask(&mut asker, "CLIENT UNBLOCK 1"), ":0");
}

#[test]
fn a_pause_holds_on_every_worker() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut asker = proxy.connect();
    let mut clients: Vec<Connection> = (0..8).map(|_| proxy.connect()).collect();
    assert_eq!(ask(&mut asker, "CLIENT PAUSE 60000 WRITE"), "OK");
    for client in &mut clients {
        // The pause reaches the other workers at about the time of its answer.
        ask(client, "GET a");
        client.send(&[b"SET", b"a", b"1"]).unwrap();
        assert!(!client.has_data(Duration::from_millis(20)).unwrap(), "a write waits");
    }
    assert_eq!(ask(&mut asker, "CLIENT UNPAUSE"), "OK");
    for client in &mut clients {
        client.read().unwrap().expect_ok().unwrap();
    }
}

#[test]
fn settings_change_on_every_worker() {
    let proxy = Proxy::start(|_| {});
    let mut asker = proxy.connect();
    for (line, expected) in [
        ("CONFIG SET maxclients 5000 slowlog-max-len 7", "OK"),
        ("CONFIG SET databases 3", "-ERR CONFIG SET failed (possibly related to argument 'databases')"),
        ("CONFIG SET loglevel debug", "-ERR CONFIG SET failed (possibly related to argument 'loglevel')"),
        ("CONFIG RESETSTAT", "OK"),
        ("SLOWLOG LEN", ":0"),
        ("UMCTL SLOWLOG RESET", "OK"),
        ("CONFIG SET requirepass secret", "OK"),
    ] {
        let reply = ask(&mut asker, line);
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    for _ in 0..8 {
        let mut client = proxy.connect();
        assert!(ask(&mut client, "GET a").starts_with("-NOAUTH"));
        assert_eq!(ask(&mut client, "AUTH secret"), "OK");
        assert_eq!(ask(&mut client, "CONFIG GET maxclients"), "*2\r\n$10\r\nmaxclients\r\n$4\r\n5000");
    }
}

#[test]
fn info_tells_of_the_nodes() {
    let node = RedisServer::start(RedisOptions::default().with("databases", "4")).unwrap();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    ask(&mut client, "SET a 1");
    let info = ask_until(&mut client, "INFO", |info| info.contains("db0:keys=1,"));
    let version = ask(&mut node.connect().unwrap(), "INFO server");
    let version = version.lines().find(|line| line.starts_with("redis_version:")).unwrap().to_owned();
    for line in [&*version, "cluster_enabled:1", "role:master", "connected_clients:1"] {
        assert!(info.lines().any(|found| found == line), "no {line} in {info}");
    }
    // The node has fewer databases than are configured.
    ask_until(&mut client, "CONFIG GET databases", |reply| reply.ends_with("\r\n4"));
    assert_eq!(ask(&mut client, "SELECT 3"), "OK");
    assert!(ask(&mut client, "SELECT 4").starts_with("-ERR DB index"));
}

#[test]
fn nodes_with_a_password() {
    let secret = "backend-secret";
    // A server with a password would not answer those who wait for its start; so it is set afterwards.
    let (primary, replica) = (redis(), redis());
    for node in [&primary, &replica] {
        assert_eq!(ask(&mut node.connect().unwrap(), &format!("CONFIG SET requirepass {secret}")), "OK");
    }
    let proxy = Proxy::serving(&primary, |config| {
        config.backend_password = Some(service::config::Secret::new(secret));
    });
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "SET a 1"), "OK");
    let (a, b) = (primary.address(), replica.address());
    let line = format!("UMCTL SETREPL 1 NOFLAGS master mydb {a} 0 replica mydb {b} 1 {a} 127.0.0.1:5299");
    assert_eq!(ask(&mut client, &line), "OK");
    ask_until(&mut client, "UMCTL INFOREPL", |info| info.contains("link=up"));
    let mut direct = replica.connect().unwrap();
    assert_eq!(ask(&mut direct, &format!("AUTH {secret}")), "OK");
    wait_until(Deadline::within(LIMIT), "the replica has the key", || ask(&mut direct, "GET a") == "1")
        .unwrap();
}

/// More waits of these clients than is read of one that waits, so that neither its end nor the breaking of its connection
/// is seen by reading.
#[test]
fn clients_that_leave_during_a_pause_are_noticed() {
    const REQUEST: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n";
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    ask_until(&mut client, "GET k", |reply| reply == "$-1");
    assert_eq!(ask(&mut client, "CLIENT PAUSE 60000 WRITE"), "OK");
    for is_reset in [false, true] {
        for _ in 0..10 {
            let mut leaver = TcpStream::connect(proxy.address).unwrap();
            leaver.write_all(&REQUEST.repeat(120 * 1024 / REQUEST.len())).unwrap();
            if is_reset {
                rustix::net::sockopt::set_socket_linger(&leaver, Some(Duration::ZERO)).unwrap();
            }
        }
    }
    wait_until(Deadline::within(LIMIT), "nobody is left", || {
        listed(&ask(&mut client, "CLIENT LIST")).len() == 1
    })
    .unwrap();
    assert_eq!(ask(&mut client, "CLIENT UNPAUSE"), "OK");
    assert_eq!(ask(&mut client, "GET k"), "$-1");
}

#[test]
fn a_client_is_named_by_its_own_address_where_the_proxy_listens_for_both_families() {
    let proxy = Proxy::start(|config| {
        config.announce_address = Some(HostPort(config.address.to_string().parse().unwrap()));
        config.address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, config.address.port()));
    });
    let mut killed = proxy.connect();
    let mine = killed.stream().local_addr().unwrap();
    assert!(ask(&mut killed, "CLIENT INFO").contains(&format!(" addr={mine} ")), "{mine}");
    assert_eq!(ask(&mut proxy.connect(), &format!("CLIENT KILL ADDR {mine}")), ":1");
    wait_until(Deadline::within(LIMIT), "it is gone", || killed.say("PING").is_err()).unwrap();
}
