//! How clusters are, as the HTTP API tells it: by the metadata, and by asking real proxies.

use std::process::Command;

use serde_json::{Value, json};
use testkit::binary::undermoon;
use testkit::process::Process;
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};

use super::fixture::{TestBroker, embedded, eventually, free_ports};

#[tokio::test]
async fn by_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    broker.register(3).await;
    let empty = broker.get("/api/v4/overview").await;
    assert_eq!(
        (&empty["level"], &empty["problems"], &empty["clusters"]),
        (&json!("well"), &json!([]), &json!([]))
    );
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let none = broker.call("GET", "/api/v4/clusters/other/health", Value::Null).await;
    assert_eq!((none.0, &none.1["error"]), (404, &json!("CLUSTER_NOT_FOUND")));

    let health = broker.get("/api/v4/clusters/mydb/health").await;
    assert_eq!(health["level"], "degraded", "nobody has seen the replicas yet: {health}");
    let place = |host: u8, port: u16| {
        let at = |port: u16| format!("127.0.3.{host}:{port}");
        json!({"node": at(port), "proxy": at(5299), "host": format!("127.0.3.{host}"), "offset": null})
    };
    let first = json!({
        "shard": 0, "slots": "0-8191", "slot_count": 8192, "level": "degraded",
        "problems": ["replica 127.0.3.2:6380 was not yet seen to be in sync"],
        "primary": place(1, 6379), "replica": place(2, 6380), "sync": "fresh", "fence": null, "behind_bytes": null,
    });
    assert_eq!(health["shards"][0], first);
    let seen =
        |replica: &str| json!({"SetReplicaSync": {"cluster": "mydb", "replica": replica, "sync": "InSync"}});
    for replica in ["127.0.3.2:6380", "127.0.3.1:6380"] {
        broker.act("POST", "/api/v4/commands", seen(replica)).await;
    }
    assert_eq!(broker.get("/api/v4/clusters/mydb/health").await["level"], "well");
    let host = |name: &str, free: u8, primaries: u8| json!({"host": name, "proxies": 1, "free": free, "failed": 0, "primaries": primaries, "can_fail": true});
    let overview = broker.get("/api/v4/overview").await;
    assert_eq!(overview["level"], "well", "{overview}");
    assert_eq!(
        overview["hosts"],
        json!([host("127.0.3.1", 0, 1), host("127.0.3.2", 0, 1), host("127.0.3.3", 1, 0)])
    );
    let summary = json!([{
        "name": "mydb", "level": "well", "node_number": 4, "slots_served": 16384, "shards_not_well": 0,
        "is_migrating": false,
    }]);
    assert_eq!(overview["clusters"], summary);

    // Coordinators say that proxies do not take their views: one of the cluster, and one of the pool.
    let late =
        |host: u8| json!({"proxy": format!("127.0.3.{host}:5299"), "for_ms": 3200, "why": "it says no"});
    let told = json!({"coordinator": "c", "process": 1, "unserved": [], "unaskable": [], "late": [late(1), late(3)]});
    broker.act("POST", "/api/v4/observations", told).await;
    let overview = broker.get("/api/v4/overview").await;
    let problem = |host: u8| format!("proxy 127.0.3.{host}:5299 has not taken its view for 3 s: it says no");
    let of = |shard: u8| format!("cluster mydb, shard {shard}: {}", problem(1));
    assert_eq!(
        (&overview["level"], &overview["problems"]),
        (&json!("degraded"), &json!([of(0), of(1), problem(3)]))
    );
    let (_, metrics) = broker.call("GET", "/metrics", Value::Null).await;
    let metrics = metrics.as_str().unwrap().to_owned();
    assert!(metrics.contains("undermoon_broker_proxies_late 2"), "{metrics}");

    // Nothing listens there: asked, nobody answers.
    broker.act("POST", "/api/v4/clusters/mydb/failover", json!({"shard": 0})).await;
    let handing_over = broker.get("/api/v4/clusters/mydb/health").await;
    assert_eq!(handing_over["shards"][0]["fence"]["reason"], "handover", "{handing_over}");
    let dead =
        json!({"FenceShard": {"cluster": "mydb", "primary": "127.0.3.1:6379", "reason": "Dead", "now": 0}});
    broker.act("POST", "/api/v4/commands", dead).await;
    let down = broker.get("/api/v4/overview").await;
    assert_eq!(
        (&down["level"], &down["clusters"][0]["slots_served"]),
        (&json!("down"), &json!(8192)),
        "{down}"
    );
    broker.stop().await;
}

/// A broker on an empty store says so, as long as a coordinator lives that has seen what the metadata had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_empty_store() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let broker = TestBroker::start(&embedded(&folders[0])).await;
    let empty = TestBroker::start(&embedded(&folders[1])).await;
    broker.register(2).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let [port] = free_ports();
    let mut command = Command::new(undermoon().unwrap());
    command.arg("coordinator").env("UNDERMOON_ADDRESS", format!("127.0.0.1:{port}"));
    command.env("UNDERMOON_BROKER_ADDRESS", format!("{},{}", broker.url, empty.url));
    let _coordinator = Process::spawn(&mut command, "coordinator", &folders[0].path().join("log")).unwrap();
    // Nothing listens at its proxies, which the coordinator has looked at by then.
    eventually("a coordinator that has read what there is", || async {
        let overview = broker.get("/api/v4/overview").await;
        (overview["level"] == "down").then_some(())
    })
    .await;
    broker.stop().await;
    let broker = empty;
    let overview = eventually("it says that a cluster is missing", || async {
        let overview = broker.get("/api/v4/overview").await;
        (overview["level"] != "well").then_some(overview)
    })
    .await;
    assert_eq!(overview["level"], "unknown", "{overview}");
    let problem = overview["broker"]["problem"].as_str().unwrap();
    assert!(problem.starts_with("clusters are missing here") && problem.contains(": mydb."), "{overview}");
    assert_eq!(overview["broker"]["healthy"], true, "its store can be used: {overview}");
    broker.stop().await;
}

/// Real proxies and nodes, looked after by a real coordinator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_asking() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    let nodes = [(); 4].map(|()| RedisServer::start(RedisOptions::default()).unwrap());
    let mut proxies = [(); 2].map(|()| ProxyProcess::start(&ProxyOptions::default()).unwrap());
    for (place, proxy) in proxies.iter().enumerate() {
        let pair = [nodes[place * 2].address().to_string(), nodes[place * 2 + 1].address().to_string()];
        let body = json!({"proxy_address": proxy.address().to_string(), "nodes": pair, "host": format!("host-{place}")});
        broker.act("POST", "/api/v3/proxies/meta", body).await;
    }
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let [port] = free_ports();
    let mut command = Command::new(undermoon().unwrap());
    command.arg("coordinator").env("UNDERMOON_ADDRESS", format!("127.0.0.1:{port}"));
    command.env("UNDERMOON_BROKER_ADDRESS", &broker.url);
    let _coordinator = Process::spawn(&mut command, "coordinator", &folder.path().join("log")).unwrap();
    let health = eventually("a cluster that is well", || async {
        let health = broker.get("/api/v4/clusters/mydb/health?live=true").await;
        (health["level"] == "well").then_some(health)
    })
    .await;
    for shard in health["shards"].as_array().unwrap() {
        assert!(shard["primary"]["offset"].as_u64().is_some(), "{shard}");
        assert!(shard["behind_bytes"].as_u64().is_some(), "{shard}");
    }
    // The metadata may not know yet; whoever asks does.
    let second = proxies[1].address().to_string();
    proxies[1].process().freeze().unwrap();
    let health = broker.get("/api/v4/clusters/mydb/health?live=true").await;
    proxies[1].process().thaw().unwrap();
    assert_ne!(health["level"], "well", "{health}");
    let words = health.to_string();
    assert!(words.contains(&format!("proxy {second} does not answer")), "{health}");
    broker.stop().await;
}
