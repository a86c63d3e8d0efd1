//! UMCTL on a running proxy in front of real servers: the first session, epochs, roles, and what is reported.

use crate::fixture::{LIMIT, Proxy, ask, ask_until, redis};
use proxy::config::NodesVersion;
use testkit::wait::{Deadline, wait_until};

#[test]
fn the_first_session() {
    let node = redis();
    let proxy = Proxy::start(|config| config.cluster_nodes_version = NodesVersion::V1);
    let mut client = proxy.connect();
    let (me, node) = (proxy.address, node.address());
    for (line, expected) in [
        ("UMCTL READY".to_owned(), ":0"),
        ("UMCTL GETEPOCH".to_owned(), ":0"),
        ("UMCTL LISTCLUSTER".to_owned(), "*0"),
        ("GET a".to_owned(), "-ERR_CLUSTER_NOT_FOUND "),
        (
            format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {node} 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383"),
            "OK",
        ),
        ("UMCTL READY".to_owned(), ":1"),
        ("UMCTL GETEPOCH".to_owned(), ":1"),
        ("UMCTL LISTCLUSTER".to_owned(), "*1\r\n$4\r\nmydb"),
        ("GET a".to_owned(), "-MOVED 15495 127.0.0.1:7000"),
        ("SET b 1".to_owned(), "OK"),
        ("GET b".to_owned(), "1"),
        (format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {node} 1 0-16383"), "-OLD_EPOCH"),
        (format!("UMCTL SETCLUSTER v2 1 FORCE mydb {node} 1 0-16383"), "OK"),
        ("GET a".to_owned(), "$-1"),
        ("UMCTL SETCLUSTER v2 2 NOFLAGS mydb 10.1.1.1:6379 1 0-16383".to_owned(), "-ERR_NOT_MY_META"),
        (
            format!("UMCTL SETCLUSTER v2 2 NOFLAGS mydb {node} 1 0-1 CONFIG colour blue"),
            "OK, but unknown CONFIG fields were ignored: colour",
        ),
        ("UMCTL SETCLUSTER v1".to_owned(), "-ERR invalid metadata: argument 1"),
        ("UMCTL GETEPOCH".to_owned(), ":2"),
        ("UMCTL SETCLUSTER v2 3 NOFLAGS mydb".to_owned(), "OK"),
        ("UMCTL READY".to_owned(), ":0"),
        ("GET a".to_owned(), "-ERR_CLUSTER_NOT_FOUND "),
    ] {
        let reply = ask(&mut client, &line);
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    ask(
        &mut client,
        &format!("UMCTL SETCLUSTER v2 4 NOFLAGS mydb {node} 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383"),
    );
    let nodes = ask(&mut client, "CLUSTER NODES");
    assert!(nodes.contains(&format!(" {me} myself,master - 0 0 4 connected 0-8000\n")), "{nodes}");
    assert!(
        nodes.contains("d458dd9b55cc9ad9____ 127.0.0.1:7000 master - 0 0 4 connected 8001-16383\n"),
        "{nodes}"
    );
}

#[test]
fn a_view_holds_on_every_worker_once_it_is_answered() {
    let node = redis();
    let proxy = Proxy::start(|_| {});
    let mut clients: Vec<_> = (0..16).map(|_| proxy.connect()).collect();
    for epoch in 1..50 {
        let slots = if epoch % 2 == 0 { "0-16383" } else { "0-1" };
        let line = format!("UMCTL SETCLUSTER v2 {epoch} NOFLAGS mydb {} 1 {slots}", node.address());
        assert_eq!(ask(&mut clients[0], &line), "OK");
        for client in &mut clients {
            let served = ask(client, "GET a") == "$-1";
            assert_eq!(served, epoch % 2 == 0, "epoch {epoch}");
        }
    }
}

#[test]
fn roles_are_set_and_kept() {
    let (mut primary, replica) = (redis(), redis());
    let proxy = Proxy::start(|_| {});
    let mut client = proxy.connect();
    let (a, b) = (primary.address(), replica.address());
    let set_repl = |epoch: u32, one: std::net::SocketAddr, other: std::net::SocketAddr| {
        format!(
            "UMCTL SETREPL {epoch} NOFLAGS master mydb {one} 0 replica mydb {other} 1 {one} 127.0.0.1:5299"
        )
    };
    assert_eq!(ask(&mut client, &set_repl(1, a, b)), "OK");
    assert!(ask(&mut client, &set_repl(1, b, a)).starts_with("-OLD_EPOCH"));
    let mut to_primary = primary.connect().unwrap();
    let mut to_replica = replica.connect().unwrap();
    let replicates = format!("master_port:{}", a.port());
    ask_until(&mut to_replica, "INFO replication", |info| {
        info.contains(&replicates) && info.contains("master_link_status:up")
    });
    let seen = ask_until(&mut client, "UMCTL INFOREPL", |info| info.contains("link=up"));
    assert!(seen.contains(&format!("address={a},wanted=master,state=up,role=master")), "{seen}");
    assert!(seen.contains(&format!("address={b},wanted=replica of {a},state=up,role=replica")), "{seen}");

    // Somebody changes the role behind our back: it is set again.
    assert_eq!(ask(&mut to_replica, "REPLICAOF NO ONE"), "OK");
    ask_until(&mut to_replica, "INFO replication", |info| {
        info.contains(&replicates) && info.contains("master_link_status:up")
    });

    // A node that is right is left alone: its replica's link has not been touched since.
    let syncs = |info: &str| info.lines().find(|line| line.starts_with("sync_full:")).map(str::to_owned);
    let before = syncs(&ask(&mut to_primary, "INFO stats"));
    let looks = |commands: &str| -> u64 {
        let line = commands.lines().find_map(|line| line.strip_prefix("cmdstat_info:calls=")).unwrap_or("0,");
        line.split(',').next().unwrap().parse().unwrap()
    };
    // Our own questions count as looks too; so the proxy's are told by the time: it asks once a second.
    let started = std::time::Instant::now();
    wait_until(Deadline::within(LIMIT), "the proxy has looked twice", || {
        started.elapsed() > std::time::Duration::from_secs(2)
    })
    .unwrap();
    let commands = ask(&mut to_primary, "INFO commandstats");
    assert!(looks(&commands) >= 4, "{commands}");
    assert!(
        !commands.contains("cmdstat_replicaof"),
        "a primary was told its role though it had it: {commands}"
    );
    assert_eq!(syncs(&ask(&mut to_primary, "INFO stats")), before);

    // The roles are exchanged; then one node dies and comes back with its old role.
    assert_eq!(ask(&mut client, &set_repl(2, b, a)), "OK");
    ask_until(&mut to_primary, "INFO replication", |info| info.contains("role:slave"));
    ask_until(&mut to_replica, "INFO replication", |info| info.contains("role:master"));
    primary.process().kill();
    ask_until(&mut client, "UMCTL INFOREPL", |info| info.contains("state=down"));
    primary.restart().unwrap();
    ask_until(&mut primary.connect().unwrap(), "INFO replication", |info| info.contains("role:slave"));
    ask_until(&mut client, "UMCTL INFOREPL", |info| !info.contains("state=down"));
}
