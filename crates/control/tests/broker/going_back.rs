//! etcd is put back from a copy, or loses its data, while brokers run: none of them goes on with what it remembers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fixture::{EtcdServer, TestBroker, eventually, on_etcd};

/// Changes after the copy was made.
const LOST: u16 = 6;

async fn register(broker: &TestBroker, host: u16) {
    let address = format!("127.9.0.{host}");
    let nodes = [format!("{address}:1"), format!("{address}:2")];
    broker
        .act(
            "POST",
            "/api/v3/proxies/meta",
            json!({"proxy_address": format!("{address}:5299"), "nodes": nodes}),
        )
        .await;
}

async fn proxies(broker: &TestBroker) -> Vec<String> {
    let dump = broker.get("/api/v3/metadata").await;
    dump["proxies"].as_object().unwrap().keys().cloned().collect()
}

/// A broker with a cluster, of which a copy of etcd was made, and that has made changes since.
async fn with_a_copy() -> (EtcdServer, TestBroker) {
    let mut etcd = EtcdServer::start().await;
    let broker = TestBroker::start(&on_etcd(&etcd)).await;
    broker.register(2).await;
    broker.act("POST", "/api/v3/clusters/meta/db", json!({"node_number": 4})).await;
    etcd.kill();
    etcd.save();
    etcd.run().await;
    eventually("the broker is back", || async { is_well(&broker).await.then_some(()) }).await;
    for host in 1..=LOST {
        register(&broker, host).await;
    }
    (etcd, broker)
}

async fn is_well(broker: &TestBroker) -> bool {
    broker.call("GET", "/api/v4/health", Value::Null).await.0 == 200
}

/// Whether it knows what etcd holds, everything is under review, and no epoch comes twice.
async fn has_begun_again(broker: &TestBroker, epoch: u64) -> bool {
    let (status, answer) = broker.call("GET", "/api/v4/state", Value::Null).await;
    let state = &answer["state"];
    status == 200
        && state["proxies"].as_object().unwrap().len() < usize::from(LOST)
        && state["global_epoch"].as_u64().unwrap() > epoch
        && state["clusters"]["db"]["review"] == json!(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_forgets_what_its_store_does_not_hold_any_more() {
    let (mut etcd, broker) = with_a_copy().await;
    let before = broker.get("/api/v4/state").await;
    let epoch = broker.get("/api/v4/health").await["epoch"].as_u64().unwrap();
    assert_eq!(proxies(&broker).await.len(), 2 + usize::from(LOST));
    etcd.kill();
    etcd.put_back();
    etcd.run().await;
    eventually("it has begun again", || async { has_begun_again(&broker, epoch).await.then_some(()) }).await;
    assert_eq!(proxies(&broker).await.len(), 2);
    let after = broker.get("/api/v4/state").await;
    assert_ne!(after["history"], before["history"], "whoever knows the lost changes is told that all is new");
    assert!(is_well(&broker).await);
    register(&broker, 1).await;
    let events = broker.get("/api/v4/events").await["events"].clone();
    let told = events.as_array().unwrap().iter().filter(|event| event["kind"] == "RecoverEpoch");
    assert_eq!(told.count(), 1, "{events}");
    let other = TestBroker::start(&on_etcd(&etcd)).await;
    assert_eq!(proxies(&other).await, proxies(&broker).await);
    broker.stop().await;
    other.stop().await;
}

/// Another broker, started on what was put back, makes changes until etcd's revisions are what they were, or higher.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_does_not_take_other_changes_of_the_same_number_for_its_own() {
    for made in [LOST, LOST + 3] {
        let (mut etcd, broker) = with_a_copy().await;
        let epoch = broker.get("/api/v4/health").await["epoch"].as_u64().unwrap();
        etcd.kill();
        // It hears nothing of all this.
        let url = etcd.move_away();
        etcd.put_back();
        etcd.run().await;
        let other = TestBroker::start(&on_etcd(&etcd)).await;
        for number in 0..made {
            let body = json!({"migration_max_blocking_time": (5_000 + number).to_string()});
            other.act("PATCH", "/api/v3/clusters/config/db", body).await;
        }
        etcd.kill();
        etcd.move_to(url);
        etcd.run().await;
        eventually("it has begun again", || async { has_begun_again(&broker, epoch).await.then_some(()) })
            .await;
        let dump = broker.get("/api/v3/metadata").await;
        let config = &dump["clusters"]["db"]["config"]["migration_max_blocking_time"];
        assert_eq!(*config, json!((5_000 + made - 1).to_string()), "{dump}");
        register(&broker, 1).await;
        broker.stop().await;
        other.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_lost_everything_is_for_an_operator_to_decide() {
    let (mut etcd, broker) = with_a_copy().await;
    etcd.kill();
    etcd.wipe();
    etcd.run().await;
    let problem = || async {
        let (_, health) = broker.call("GET", "/api/v4/health", Value::Null).await;
        health["problem"]
            .as_str()
            .filter(|problem| problem.contains("it is empty; put its data back"))
            .map(str::to_owned)
    };
    eventually("it says so", problem).await;
    // The broker sees each second whether etcd takes writes; that makes nothing of it well.
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        assert!(problem().await.is_some());
        assert_ne!(broker.call("GET", "/api/v4/state", Value::Null).await.0, 200, "leases would rest on it");
    }
    // What it remembers can be saved.
    assert_eq!(proxies(&broker).await.len(), 2 + usize::from(LOST));
    broker.stop().await;
}
