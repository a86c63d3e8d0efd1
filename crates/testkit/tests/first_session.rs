//! The reference's first session, word for word: once through the model with its own ports, and once on a real
//! proxy with ports that are free here.

use anyhow::Result;
use model::{Address, ClusterName, NodeId, SetCluster, Slot};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};

/// What CLUSTER NODES answers, given the two proxies' addresses.
fn cluster_nodes(own: &str, peer: &str) -> Result<String> {
    let name: ClusterName = "mydb".parse()?;
    let id = |address: &str| -> Result<String> {
        Ok(NodeId::of(&name, &address.parse::<Address>()?).as_str().to_owned())
    };
    Ok(format!(
        "{} {own} myself,master - 0 0 1 connected 0-8000\n{} {peer} master - 0 0 1 connected 8001-16383\n",
        id(own)?,
        id(peer)?
    ))
}

#[test]
fn the_reference_text() -> Result<()> {
    assert_eq!(
        cluster_nodes("127.0.0.1:5299", "127.0.0.1:7000")?,
        "mydb________________9f8fca2805923328____ 127.0.0.1:5299 myself,master - 0 0 1 connected 0-8000\n\
         mydb________________d458dd9b55cc9ad9____ 127.0.0.1:7000 master - 0 0 1 connected 8001-16383\n"
    );
    assert_eq!(Slot::of_key(b"a").index(), 15495);
    assert!(Slot::of_key(b"b").index() <= 8000);
    let line = "v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383";
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    // Written again, it says the same, with the cluster's settings spelled out.
    let again = SetCluster::parse(&words)?.to_args(false).join(" ");
    assert!(again.starts_with(&format!("{line} CONFIG ")), "{again}");
    Ok(())
}

#[test]
fn on_a_real_proxy() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::start(&ProxyOptions::default().with("cluster_nodes_version", "v1"))?;
    let mut session = proxy.connect()?;
    let view = format!(
        "UMCTL SETCLUSTER v2 1 NOFLAGS mydb {} 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383",
        redis.address()
    );
    assert_eq!(session.say(&view)?.bytes(), b"+OK\r\n");
    let own = proxy.address().to_string();
    assert_eq!(session.say("CLUSTER NODES")?.text()?, cluster_nodes(&own, "127.0.0.1:7000")?);
    assert_eq!(session.say("get a")?.bytes(), b"-MOVED 15495 127.0.0.1:7000\r\n");
    assert_eq!(session.say("set b 1")?.bytes(), b"+OK\r\n");
    assert_eq!(redis.connect()?.say("get b")?.text()?, "1");
    Ok(())
}

#[test]
fn addresses_with_a_cluster_port_by_default() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let nodes = proxy.connect()?.say("CLUSTER NODES")?.text()?;
    let wanted = format!(" {}@5299 myself,master - 0 0 1 connected 0-16383\n", proxy.address());
    assert!(nodes.ends_with(&wanted), "{nodes}");
    Ok(())
}
