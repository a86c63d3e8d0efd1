//! Whether a proxy says the truth of itself when its nodes die or hang.

use std::time::{Duration, Instant};

use testkit::redis_server::RedisServer;

use crate::fixture::{LIMIT, Proxy, ask, ask_until, redis};
use crate::http::get;

/// From a node's end to the last of the three saying so. It is below a second on a machine that is not busy.
const SOON: Duration = Duration::from_secs(3);

fn check(stop: impl FnOnce(&mut RedisServer), begin_again: impl FnOnce(&mut RedisServer)) {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    client.set_reply_limit(LIMIT).unwrap();
    ask_until(&mut client, "UMCTL READY", |ready| ready == ":1");
    assert!(
        ask(&mut client, "CLUSTER INFO").contains("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n")
    );
    let ready = |proxy: &Proxy| get(proxy.admin, "/readyz").0;
    assert_eq!(ready(&proxy), 200);
    stop(&mut node);
    let began = Instant::now();
    ask_until(&mut client, "UMCTL READY", |ready| ready == ":0");
    let info = ask_until(&mut client, "CLUSTER INFO", |info| info.contains("cluster_state:fail"));
    let took = began.elapsed();
    println!("told after {took:?}");
    assert!(took < SOON, "{took:?}");
    assert!(
        info.contains("cluster_slots_ok:0\r\n") && info.contains("cluster_slots_fail:16384\r\n"),
        "{info}"
    );
    let (status, body) = get(proxy.admin, "/readyz");
    assert_eq!((status, body), (503, format!("no answer from {}\n", node.address())));
    begin_again(&mut node);
    ask_until(&mut client, "UMCTL READY", |ready| ready == ":1");
    ask_until(&mut client, "CLUSTER INFO", |info| info.contains("cluster_state:ok"));
    assert_eq!(ready(&proxy), 200);
}

#[test]
fn the_only_node_dies() {
    check(|node| node.process().kill(), |node| node.restart().unwrap());
}

#[test]
fn the_only_node_hangs() {
    check(|node| node.process().freeze().unwrap(), |node| node.process().thaw().unwrap());
}
