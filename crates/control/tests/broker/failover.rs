//! Planned failover as an operator asks for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fixture::{TestBroker, embedded};

const CALL: &str = "/api/v4/clusters/mydb/failover";

/// The primaries of shards 0 and 1, as `clusters/meta` has them.
async fn primaries(broker: &TestBroker) -> [String; 2] {
    let meta = broker.get("/api/v3/clusters/meta/mydb").await;
    let text = |node: &Value| node["address"].as_str().unwrap().to_owned();
    let is_primary = |place: usize| meta["cluster"]["nodes"][place]["repl"]["role"] == "master";
    // Nodes 0 and 3 are the first shard, 2 and 1 the second.
    [(0, 3), (2, 1)].map(|(home, guest)| {
        assert_ne!(is_primary(home), is_primary(guest));
        text(&meta["cluster"]["nodes"][if is_primary(home) { home } else { guest }])
    })
}

#[tokio::test]
async fn by_shard_node_and_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    broker.register(2).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let nodes = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["nodes"].clone();
    let at_home = primaries(&broker).await;

    // A handover begins with a fence, and ends with the promotion behind it.
    let begun = broker.act("POST", CALL, json!({"shard": 1})).await;
    let fence = begun["shards"][0]["fence"].clone();
    let expected = json!([{
        "shard": 1, "from": nodes[2]["address"], "to": nodes[1]["address"],
        "state": "handing_over", "fence": fence,
    }]);
    assert_eq!(begun["shards"], expected);
    let epoch = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["epoch"].clone();
    assert_eq!(fence, epoch);
    assert_eq!(primaries(&broker).await, at_home, "the roles stay until the replica has everything");
    let again = broker.act("POST", CALL, json!({"shard": 1})).await;
    assert_eq!(again, begun, "asking again changes nothing");
    let promote = json!({"FailOverShard": {
        "cluster": "mydb", "primary": nodes[2]["address"], "fence": fence, "force": false,
        "behind_bytes": 0, "now": 0,
    }});
    broker.act("POST", "/api/v4/commands", promote).await;
    let first = nodes[0]["address"].as_str().unwrap();
    let second = nodes[1]["address"].as_str().unwrap();
    assert_eq!(primaries(&broker).await, [first, second]);

    // The replica of that one has nothing yet, as far as is known: it takes force.
    let refused = broker.call("POST", CALL, json!({"node": second})).await;
    assert_eq!((refused.0, &refused.1["error"]), (500, &json!("PROXY_NOT_SYNC")));
    let proxy = nodes[0]["proxy_address"].clone();
    let refused = broker.call("POST", CALL, json!({"proxy": proxy})).await;
    assert_eq!((refused.0, &refused.1["error"]), (500, &json!("PROXY_NOT_SYNC")));
    let shown = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["epoch"].clone();
    let forced = broker.act("POST", CALL, json!({"proxy": proxy, "force": true})).await;
    let moved: Vec<&Value> =
        forced["shards"].as_array().unwrap().iter().map(|shard| &shard["state"]).collect();
    // Nobody has seen the old ones stop, and nobody is there to serve.
    assert_eq!(moved, ["waiting", "waiting"]);
    for shard in forced["shards"].as_array().unwrap() {
        assert_eq!(shard["waits_for"], proxy, "{shard}");
        let problem = shard["problem"].as_str().unwrap_or_default();
        assert!(
            problem.ends_with(&format!("of {} does not answer", shard["to"].as_str().unwrap())),
            "{shard}"
        );
        assert!(shard["fence"].is_u64(), "{shard}");
    }
    let after = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["epoch"].clone();
    assert!(after.as_u64() > shown.as_u64());
    let [third, fourth] = [2, 3].map(|place: usize| nodes[place]["address"].as_str().unwrap());
    assert_eq!(primaries(&broker).await, [fourth, third]);
    let none = broker.act("POST", CALL, json!({"proxy": proxy, "force": true})).await;
    assert_eq!(none, json!({"shards": []}), "it has no primary any more");
    broker.stop().await;
}

/// A coordinator says that the last lease has run out. Its clock may be wrong, or its request a program's that has not waited.
/// A cluster of two shards whose primaries have replicas in sync, as nodes in the order of the reference.
async fn two_shards(broker: &TestBroker) -> Value {
    broker.register(2).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let nodes = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["nodes"].clone();
    for replica in [1, 3] {
        let replica = &nodes[replica]["address"];
        let sync = json!({"SetReplicaSync": {"cluster": "mydb", "replica": replica, "sync": "InSync"}});
        broker.act("POST", "/api/v4/commands", sync).await;
    }
    nodes
}

/// Takes a primary out of service as dead; the fence's epoch.
async fn fence(broker: &TestBroker, primary: &Value) -> Value {
    let fence = json!({"FenceShard": {"cluster": "mydb", "primary": primary, "reason": "Dead", "now": 0}});
    broker.act("POST", "/api/v4/commands", fence).await;
    broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["epoch"].clone()
}

/// Asks for a promotion behind this fence until it is made.
async fn promote(broker: &TestBroker, (primary, fence): (&Value, &Value), stopped: &Value) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let promotion = json!({"FailOverShard": {
            "cluster": "mydb", "primary": primary, "fence": fence, "force": false, "behind_bytes": 0, "now": 0,
            "stopped": stopped,
        }});
        let (status, answer) = broker.call("POST", "/api/v4/commands", promotion).await;
        if status == 200 {
            return;
        }
        assert_eq!((status, answer["error"].as_str()), (409, Some("RETRY")), "{answer}");
        assert!(Instant::now() < deadline, "{answer}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_lease_is_over_by_the_brokers_own_clock() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    let nodes = two_shards(&broker).await;
    for (primary, stopped, lease_ms) in [
        (0, json!({"LeaseOver": {"lease_ms": 1000}}), 1_000),
        // An earlier version does not say how it knows.
        (2, Value::Null, 400),
    ] {
        let primary = &nodes[primary]["address"];
        let begun = Instant::now();
        let fence = fence(&broker, primary).await;
        // Somebody reads who does not say whom it has heard.
        let _ = broker.read_saying(None).await;
        // A stop that was heard of before the fence is of another one.
        let early = json!({"FailOverShard": {
            "cluster": "mydb", "primary": primary, "fence": fence, "force": false, "behind_bytes": 0, "now": 0,
            "stopped": {"Heard": {"epoch": fence.as_u64().unwrap() - 1}},
        }});
        let (status, answer) = broker.call("POST", "/api/v4/commands", early).await;
        assert_eq!((status, answer["error"].as_str()), (409, Some("RETRY")), "{answer}");
        promote(&broker, (primary, &fence), &stopped).await;
        assert!(begun.elapsed() >= Duration::from_millis(lease_ms), "{stopped}: {:?}", begun.elapsed());
    }
    broker.stop().await;
}

/// A proxy of which no coordinator had a token for a lease: its last lease is over when it is fenced.
#[tokio::test]
async fn a_lease_is_over_after_the_last_token_that_anybody_had() {
    const LEASE_END: Duration = Duration::from_millis(420);
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    let nodes = two_shards(&broker).await;
    let (primary, proxy) = (&nodes[0]["address"], nodes[0]["proxy_address"].as_str().unwrap());
    let silent = |reader: u64, number: u64| format!("{reader} {number} {proxy}=1");
    for reader in [7, 8] {
        let _ = broker.read_saying(Some(&format!("{reader} 1 "))).await;
    }
    // Both read on and hear nothing of it, until a lease by its last token is over.
    let (asked, mut number) = (Instant::now(), 2);
    while asked.elapsed() < LEASE_END {
        for reader in [7, 8] {
            let _ = broker.read_saying(Some(&silent(reader, number))).await;
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let fenced = Instant::now();
    let fence = fence(&broker, primary).await;
    let left = |answer: &Value| answer["leases_left_ms"][proxy].as_u64().unwrap();
    assert_eq!(left(&broker.read_saying(Some(&silent(7, number))).await), 0);
    promote(&broker, (primary, &fence), &json!({"LeaseOver": {"lease_ms": 400}})).await;
    let took = fenced.elapsed();
    assert!(took >= Duration::from_millis(145), "{took:?}: the replica must let go first");
    // By now somebody could have granted again, of whom nobody knows.
    let second = &nodes[2]["address"];
    let other = nodes[2]["proxy_address"].as_str().unwrap();
    let begun = Instant::now();
    let fence = self::fence(&broker, second).await;
    let answer = broker.read_saying(None).await;
    assert!(answer["leases_left_ms"][other].as_u64().unwrap() > 300, "{answer}");
    promote(&broker, (second, &fence), &json!({"LeaseOver": {"lease_ms": 400}})).await;
    assert!(begun.elapsed() >= LEASE_END.saturating_sub(Duration::from_millis(15)), "{:?}", begun.elapsed());
    broker.stop().await;
}

#[tokio::test]
async fn refusals() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    broker.register(3).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let nodes = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["nodes"].clone();
    let check = async |path: &str, body: Value, expected: (u16, &str, Option<&str>)| {
        let (status, answer) = broker.call("POST", path, body.clone()).await;
        let found = (status, answer["error"].as_str().unwrap_or_default(), answer["field"].as_str());
        assert_eq!(found, expected, "{path} {body}: {answer}");
    };
    check("/api/v4/clusters/none/failover", json!({"shard": 0}), (404, "CLUSTER_NOT_FOUND", None)).await;
    check(CALL, json!({}), (400, "INVALID_REQUEST", Some("node"))).await;
    check(CALL, json!({"shard": 0, "node": "h:1"}), (400, "INVALID_REQUEST", Some("node"))).await;
    check(CALL, json!({"shard": -1}), (400, "INVALID_REQUEST", Some("shard"))).await;
    check(CALL, json!({"shard": 2}), (404, "SHARD_NOT_FOUND", Some("shard"))).await;
    check(CALL, json!({"node": "h:1"}), (404, "PROXY_NOT_FOUND", Some("node"))).await;
    check(CALL, json!({"proxy": "h:1"}), (404, "PROXY_NOT_FOUND", Some("proxy"))).await;
    // The replica's proxy is reported: a handover to it would only stop the writes for a while.
    let reported = nodes[2]["proxy_address"].as_str().unwrap();
    broker.act("POST", &format!("/api/v3/failures/{reported}/somebody"), Value::Null).await;
    check(CALL, json!({"node": nodes[0]["address"]}), (500, "PROXY_NOT_SYNC", None)).await;
    broker.stop().await;
}
