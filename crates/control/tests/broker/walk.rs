//! A walk through the reference as an independent client takes it.

use serde_json::{Value, json};

use super::fixture::{TestBroker, embedded};

#[tokio::test]
async fn a_clusters_life() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    assert_eq!(broker.get("/api/v3/version").await, json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(broker.get("/api/v3/epoch").await, json!(0));
    assert_eq!(broker.get("/api/v3/clusters/names").await, json!({"names": []}));
    assert_eq!(broker.get("/api/v3/clusters/meta/mydb").await, json!({"cluster": null}));
    assert_eq!(broker.get("/api/v3/proxies/meta/127.0.3.1:5299").await, json!({"proxy": null}));

    broker.register(6).await;
    let pool = broker.get("/api/v3/proxies/addresses?offset=1&limit=2").await;
    assert_eq!(pool, json!({"addresses": ["127.0.3.2:5299", "127.0.3.3:5299"]}));
    let free = broker.get("/api/v3/proxies/meta/127.0.3.1:5299").await;
    assert_eq!(free["proxy"]["free_nodes"], json!(["127.0.3.1:6379", "127.0.3.1:6380"]));
    assert_eq!(free["proxy"]["nodes"], json!([]));

    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    check_chunk(&broker).await;
    scale_and_commit(&broker).await;

    broker.act("DELETE", "/api/v3/clusters/meta/mydb", Value::Null).await;
    assert_eq!(broker.get("/api/v3/clusters/names").await, json!({"names": []}));
    broker.act("DELETE", "/api/v3/proxies/meta/127.0.3.6:5299", Value::Null).await;
    broker.stop().await;

    // Another process finds it all again.
    let broker = TestBroker::start(&embedded(&folder)).await;
    let left = broker.get("/api/v3/proxies/addresses").await;
    assert_eq!(left["addresses"].as_array().unwrap().len(), 5);
    let events = broker.get("/api/v4/events?limit=1000").await;
    let kinds: Vec<&str> =
        events["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "RegisterProxy").count(), 6, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"RemoveProxy"));
    let next = events["next"].as_u64().unwrap();
    let rest = broker.get(&format!("/api/v4/events?after={next}")).await;
    assert_eq!(rest, json!({"events": [], "next": next, "missed": 0}));
    broker.stop().await;
}

/// The shape of a new chunk: nodes 0 and 2 are masters, 3 replicates 0 and 1 replicates 2.
async fn check_chunk(broker: &TestBroker) {
    let meta = broker.get("/api/v3/clusters/meta/mydb").await;
    let cluster = &meta["cluster"];
    assert_eq!(cluster["name"], "mydb");
    assert_eq!(cluster["config"]["compression_strategy"], "disabled");
    let nodes = cluster["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 4);
    for (place, (role, peer, slots)) in [
        ("master", 3, Some(json!([[0, 8191]]))),
        ("replica", 2, None),
        ("master", 1, Some(json!([[8192, 16383]]))),
        ("replica", 0, None),
    ]
    .into_iter()
    .enumerate()
    {
        let node = &nodes[place];
        assert_eq!(node["cluster_name"], "mydb");
        assert_eq!(node["repl"]["role"], role, "node {place}");
        let other = &nodes[peer];
        let peers = json!([{"node_address": other["address"], "proxy_address": other["proxy_address"]}]);
        assert_eq!(node["repl"]["peers"], peers, "node {place}");
        let expected = slots.map_or(json!([]), |ranges| json!([{"range_list": ranges, "tag": "None"}]));
        assert_eq!(node["slots"], expected, "node {place}");
    }
    let address = nodes[0]["proxy_address"].as_str().unwrap();
    let proxy = broker.get(&format!("/api/v3/proxies/meta/{address}")).await["proxy"].clone();
    assert_eq!(proxy["nodes"], json!([nodes[0], nodes[1]]));
    assert_eq!(proxy["epoch"], cluster["epoch"]);
    assert_eq!(proxy["peers"][0]["proxy_address"], nodes[2]["proxy_address"]);
    assert_eq!(proxy["peers"][0]["slots"], nodes[2]["slots"]);
    assert_eq!(proxy["clusters_config"]["mydb"], cluster["config"]);
    let info = json!({"name": "mydb", "node_number": 4, "node_number_with_slots": 4, "is_migrating": false});
    assert_eq!(broker.get("/api/v3/clusters/info/mydb").await, info);
}

async fn scale_and_commit(broker: &TestBroker) {
    broker.act("PATCH", "/api/v3/clusters/nodes/mydb", json!({"node_number": 4})).await;
    let info = broker.get("/api/v3/clusters/info/mydb").await;
    assert_eq!((&info["node_number"], &info["node_number_with_slots"]), (&json!(8), &json!(4)));
    let plan = json!({"operation": "scale", "cluster": "mydb", "node_number": 8});
    let plan = broker.act("POST", "/api/v4/plan", plan).await;
    assert_eq!(plan["accepted"], true, "{plan}");
    broker.act("POST", "/api/v3/clusters/migrations/expand/mydb", Value::Null).await;
    assert_eq!(broker.get("/api/v3/clusters/info/mydb").await["is_migrating"], true);
    let refused = broker
        .call("PATCH", "/api/v3/clusters/config/mydb", json!({"compression_strategy": "allow_all"}))
        .await;
    assert_eq!((refused.0, &refused.1["error"]), (409, &json!("MIGRATION_RUNNING")));
    pause_and_resume(broker).await;
    let mut commits = 0;
    while let Some(slots) = migrating(&broker.get("/api/v3/clusters/meta/mydb").await) {
        let task = json!({"cluster_name": "mydb", "slot_range": slots});
        broker.act("PUT", "/api/v3/clusters/migrations", task.clone()).await;
        // Again is the same; another attempt than the one that runs is refused.
        broker.act("PUT", "/api/v3/clusters/migrations", task.clone()).await;
        let mut late = task;
        let attempt = &mut late["slot_range"]["tag"]["Migrating"]["epoch"];
        *attempt = json!(attempt.as_u64().unwrap() + 1000);
        let late = broker.call("PUT", "/api/v3/clusters/migrations", late).await;
        assert_eq!((late.0, &late.1["error"]), (404, &json!("MIGRATION_TASK_NOT_FOUND")));
        commits += 1;
        assert!(commits <= 8, "there is no end to it");
    }
    assert_eq!(commits, 2);
    let jobs = broker.get("/api/v4/jobs").await;
    assert_eq!(
        jobs["progress"],
        json!([
            {"cluster": "mydb", "slots_waiting": 0, "slots_running": 0, "slots_committed": 8192,
                "is_paused": false, "slots_per_minute": null, "seconds_left": null}
        ])
    );
    let info = json!({"name": "mydb", "node_number": 8, "node_number_with_slots": 8, "is_migrating": false});
    assert_eq!(broker.get("/api/v3/clusters/info/mydb").await, info);
    broker.act("POST", "/api/v3/clusters/migrations/shrink/mydb/4", Value::Null).await;
    broker.act("DELETE", "/api/v4/jobs/mydb", Value::Null).await;
    assert_eq!(broker.get("/api/v3/clusters/info/mydb").await["is_migrating"], false);
}

async fn pause_and_resume(broker: &TestBroker) {
    let states = async || {
        let jobs = broker.get("/api/v4/jobs").await;
        let states =
            jobs["jobs"].as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap().to_owned());
        (states.collect::<Vec<_>>(), jobs["progress"][0]["is_paused"].as_bool().unwrap())
    };
    assert_eq!(states().await, (vec!["running".to_owned(); 2], false));
    broker.act("POST", "/api/v4/jobs/mydb/pause", Value::Null).await;
    assert_eq!(states().await, (vec!["paused".to_owned(); 2], true));
    assert_eq!(migrating(&broker.get("/api/v3/clusters/meta/mydb").await), None);
    broker.act("POST", "/api/v4/jobs/mydb/resume", Value::Null).await;
    assert_eq!(states().await, (vec!["running".to_owned(); 2], false));
}

/// The first slots that are on their way out, as the node that has them says.
fn migrating(meta: &Value) -> Option<Value> {
    let nodes = meta["cluster"]["nodes"].as_array().unwrap();
    let all = nodes.iter().flat_map(|node| node["slots"].as_array().unwrap());
    all.clone().find(|slots| slots["tag"].get("Migrating").is_some()).cloned()
}

#[tokio::test]
async fn failures_and_failover() {
    let folder = tempfile::tempdir().unwrap();
    let config = control::config::BrokerConfig {
        failure_quorum: Some(service::config::Count::of(2)),
        ..embedded(&folder)
    };
    let broker = TestBroker::start(&config).await;
    broker.register(3).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let nodes = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["nodes"].clone();
    let lost = nodes[0]["proxy_address"].as_str().unwrap().to_owned();
    broker.act("POST", &format!("/api/v3/failures/{lost}/first"), Value::Null).await;
    broker.act("POST", &format!("/api/v3/failures/{lost}/first"), Value::Null).await;
    assert_eq!(broker.get("/api/v3/failures").await, json!({"addresses": []}), "one reporter is no quorum");
    broker.act("POST", &format!("/api/v3/failures/{lost}/second"), Value::Null).await;
    assert_eq!(broker.get("/api/v3/failures").await, json!({"addresses": [lost]}));

    let answer = broker.act("POST", &format!("/api/v3/proxies/failover/{lost}"), Value::Null).await;
    let new = answer["proxy"]["address"].as_str().unwrap().to_owned();
    assert_ne!(new, lost);
    assert_eq!(broker.get("/api/v3/failures").await, json!({"addresses": []}));
    assert_eq!(broker.get("/api/v3/proxies/failed/addresses").await, json!({"addresses": [lost]}));
    let meta = broker.get("/api/v3/clusters/meta/mydb").await;
    let roles: Vec<(&str, &str)> = meta["cluster"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["proxy_address"].as_str().unwrap(), node["repl"]["role"].as_str().unwrap()))
        .collect();
    let other = nodes[2]["proxy_address"].as_str().unwrap();
    assert_eq!(roles, [(&*new, "replica"), (&*new, "replica"), (other, "master"), (other, "master")]);

    // It comes back: registering it again clears its failure.
    let body = json!({"proxy_address": lost, "nodes": [nodes[0]["address"], nodes[1]["address"]]});
    let again = broker.call("POST", "/api/v3/proxies/meta", body).await;
    assert_eq!((again.0, &again.1["error"]), (409, &json!("ALREADY_EXISTED")));
    assert_eq!(broker.get("/api/v3/proxies/failed/addresses").await, json!({"addresses": []}));
    let unused = broker.act("POST", &format!("/api/v3/proxies/failover/{lost}"), Value::Null).await;
    assert_eq!(unused, json!({"proxy": null}));
    let check = broker.act("POST", "/api/v3/resources/failures/check", Value::Null).await;
    assert_eq!(check["hosts_cannot_fail"].as_array().unwrap().len(), 2, "{check}");
    broker.stop().await;
}

#[tokio::test]
async fn dumps_epochs_and_copies() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let broker = TestBroker::start(&embedded(&folders[0])).await;
    let replica = TestBroker::start(&embedded(&folders[1])).await;
    broker.register(2).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let settings = json!({"replica_addresses": [replica.url]});
    broker.act("PUT", "/api/v3/config", settings.clone()).await;
    assert_eq!(broker.get("/api/v3/config").await, settings);
    super::fixture::eventually("a copy at the replica", || async {
        let names = replica.get("/api/v3/clusters/names").await;
        (names == json!({"names": ["mydb"]})).then_some(())
    })
    .await;
    assert_eq!(replica.get("/api/v3/config").await, json!({"replica_addresses": []}));

    broker.act("PUT", "/api/v3/epoch/1000", Value::Null).await;
    assert_eq!(broker.get("/api/v3/epoch").await, json!(1000));
    let dump = broker.get("/api/v3/metadata").await;
    replica.act("PUT", "/api/v3/metadata", dump.clone()).await;
    // A copy is never trusted more than what is served: it is under review until coordinators speak to its broker.
    let copy = replica.get("/api/v3/metadata").await;
    assert_eq!(copy["clusters"]["mydb"]["review"], json!(true));
    assert_eq!(super::fixture::without_review(copy), super::fixture::without_review(dump));
    // Nothing listens at the proxies' addresses of this one: it is told which ones are silent.
    let body = json!({"proxy_address": "127.0.0.1:1", "nodes": ["127.0.0.1:2", "127.0.0.1:3"]});
    let alone = tempfile::tempdir().unwrap();
    let alone = TestBroker::start(&embedded(&alone)).await;
    alone.act("POST", "/api/v3/proxies/meta", body).await;
    let epoch = alone.get("/api/v3/epoch").await.as_u64().unwrap();
    let silent = alone.act("PUT", "/api/v3/epoch/recovery", Value::Null).await;
    assert_eq!(silent, json!({"addresses": ["127.0.0.1:1"]}));
    assert!(alone.get("/api/v3/epoch").await.as_u64().unwrap() > epoch);
    for broker in [broker, replica, alone] {
        broker.stop().await;
    }
}
