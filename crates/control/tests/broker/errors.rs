//! How calls are refused: each row is a call, its status, its code and the field that it names.

use std::sync::Arc;

use serde_json::{Value, json};
use service::config::{Bytes, Count, Milliseconds, Secret};

use super::fixture::{TestBroker, embedded, eventually};

/// Method, path and body.
type Call<'a> = (&'a str, &'a str, Value);
/// Status, code, and the field that is named.
type Refusal = (u16, &'static str, Option<&'static str>);

async fn check(
    broker: &TestBroker,
    (method, path, body): (&str, &str, Value),
    expected: (u16, &str, Option<&str>),
) {
    let (status, answer) = broker.call(method, path, body).await;
    let found = (status, answer["error"].as_str().unwrap_or_default(), answer["field"].as_str());
    assert_eq!(found, expected, "{method} {path}: {answer}");
}

/// Clusters and their slots.
fn of_clusters() -> Vec<(Call<'static>, Refusal)> {
    let none = Value::Null;
    let nodes = |number: i64| json!({"node_number": number});
    let config = |field: &str, value: &str| json!({field: value});
    let task = json!({"cluster_name": "mydb", "slot_range": {"range_list": [[0, 1]], "tag": "None"}});
    vec![
        (("POST", "/api/v3/clusters/meta/my.db", nodes(4)), (400, "INVALID_CLUSTER_NAME", Some("cluster"))),
        (
            ("GET", "/api/v3/clusters/meta/my.db", none.clone()),
            (400, "INVALID_CLUSTER_NAME", Some("cluster")),
        ),
        (("POST", "/api/v3/clusters/meta/b", nodes(3)), (400, "INVALID_NODE_NUMBER", Some("node_number"))),
        (("POST", "/api/v3/clusters/meta/b", nodes(0)), (400, "INVALID_NODE_NUMBER", Some("node_number"))),
        (("POST", "/api/v3/clusters/meta/b", nodes(-4)), (400, "INVALID_NODE_NUMBER", Some("node_number"))),
        (("POST", "/api/v3/clusters/meta/b", json!({})), (400, "INVALID_NODE_NUMBER", Some("node_number"))),
        (("POST", "/api/v3/clusters/meta/mydb", nodes(4)), (409, "ALREADY_EXISTED", None)),
        (("POST", "/api/v3/clusters/meta/b", nodes(8)), (409, "NO_AVAILABLE_RESOURCE", None)),
        (("DELETE", "/api/v3/clusters/meta/b", none.clone()), (404, "CLUSTER_NOT_FOUND", None)),
        (("GET", "/api/v3/clusters/info/b", none.clone()), (404, "CLUSTER_NOT_FOUND", None)),
        (("PATCH", "/api/v3/clusters/nodes/b", nodes(4)), (404, "CLUSTER_NOT_FOUND", None)),
        (
            ("PUT", "/api/v3/clusters/nodes/mydb", json!({"cluster_node_number": 4})),
            (409, "NODE_NUM_ALREADY_ENOUGH", None),
        ),
        (("DELETE", "/api/v3/clusters/free_nodes/mydb", none.clone()), (404, "FREE_NODE_NOT_FOUND", None)),
        (
            ("POST", "/api/v3/clusters/migrations/expand/mydb", none.clone()),
            (400, "SLOTS_ALREADY_EVEN", None),
        ),
        (
            ("POST", "/api/v3/clusters/migrations/shrink/mydb/x", none.clone()),
            (400, "INVALID_NODE_NUMBER", Some("node_number")),
        ),
        (
            ("POST", "/api/v3/clusters/migrations/shrink/mydb/4", none.clone()),
            (400, "INVALID_NODE_NUMBER", Some("node_number")),
        ),
        (
            ("PUT", "/api/v3/clusters/migrations", task),
            (400, "INVALID_MIGRATION_TASK", Some("slot_range.tag")),
        ),
        (("PATCH", "/api/v3/clusters/config/mydb", config("x", "1")), (400, "INVALID_CONFIG", Some("x"))),
        (
            ("PATCH", "/api/v3/clusters/config/mydb", config("compression_strategy", "zip")),
            (400, "INVALID_CONFIG", Some("compression_strategy")),
        ),
    ]
}

/// Proxies and failures.
fn of_proxies() -> Vec<(Call<'static>, Refusal)> {
    let none = Value::Null;
    let proxy = |address: &str, node: &str| json!({"proxy_address": address, "nodes": [node, "h:2"]});
    vec![
        (
            ("POST", "/api/v3/proxies/meta", proxy("h", "h:1")),
            (400, "INVALID_PROXY_ADDRESS", Some("proxy_address")),
        ),
        (
            ("POST", "/api/v3/proxies/meta", proxy("h:3", "h")),
            (400, "INVALID_PROXY_ADDRESS", Some("nodes[0]")),
        ),
        (
            ("POST", "/api/v3/proxies/meta", proxy("h:3", "h:2")),
            (400, "INVALID_PROXY_ADDRESS", Some("nodes")),
        ),
        (("DELETE", "/api/v3/proxies/meta/h:1", none.clone()), (404, "PROXY_NOT_FOUND", None)),
        (("DELETE", "/api/v3/proxies/meta/h", none.clone()), (400, "INVALID_PROXY_ADDRESS", Some("address"))),
        (("POST", "/api/v3/failures/h:1/r", none.clone()), (404, "PROXY_NOT_FOUND", None)),
        (("POST", "/api/v3/proxies/failover/h:1", none.clone()), (404, "PROXY_NOT_FOUND", None)),
        (("GET", "/api/v3/proxies/addresses?limit=x", none.clone()), (400, "INVALID_REQUEST", Some("limit"))),
    ]
}

/// Everything else.
fn of_the_whole() -> Vec<(Call<'static>, Refusal)> {
    let none = Value::Null;
    vec![
        (("PUT", "/api/v3/epoch/1", none.clone()), (409, "EPOCH_SMALLER_THAN_CURRENT", None)),
        (
            ("PUT", "/api/v3/epoch/18446744073709551615", none.clone()),
            (400, "INVALID_REQUEST", Some("epoch")),
        ),
        (("PUT", "/api/v3/epoch/x", none.clone()), (400, "INVALID_REQUEST", Some("epoch"))),
        (("PUT", "/api/v3/metadata", json!({})), (400, "INVALID_REQUEST", Some("version"))),
        (
            ("PUT", "/api/v3/config", json!({"replica_addresses": ["h:1", "ftp://h"]})),
            (400, "INVALID_REQUEST", Some("replica_addresses[1]")),
        ),
        (("GET", "/api/v4/events?after=-1", none.clone()), (400, "INVALID_REQUEST", Some("after"))),
        (("POST", "/api/v4/plan", json!({"operation": "x"})), (400, "INVALID_REQUEST", Some("operation"))),
        (("POST", "/api/v4/commands", json!({"Nothing": 1})), (400, "INVALID_REQUEST", Some("."))),
        (("GET", "/api/v3/nothing", none.clone()), (404, "NOT_FOUND", None)),
        (("PUT", "/api/v3/version", none.clone()), (405, "METHOD_NOT_ALLOWED", None)),
        (("PUT", "/api/v3/metadata", json!("x".repeat(5000))), (413, "BODY_TOO_LARGE", None)),
    ]
}

#[tokio::test]
async fn refusals() {
    let folder = tempfile::tempdir().unwrap();
    let config = control::config::BrokerConfig { body_bytes_max: Bytes::of(4096), ..embedded(&folder) };
    let broker = TestBroker::start(&config).await;
    broker.register(5).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let used = broker.get("/api/v3/clusters/meta/mydb").await["cluster"]["nodes"][0]["proxy_address"].clone();
    let used = used.as_str().unwrap();
    for (call, expected) in [of_clusters(), of_proxies(), of_the_whole()].concat() {
        check(&broker, call, expected).await;
    }
    let path = format!("/api/v3/proxies/meta/{used}");
    check(&broker, ("DELETE", &path, Value::Null), (409, "IN_USE", None)).await;
    let change = broker.get("/api/v4/health").await["change"].clone();
    let dry = json!({"operation": "delete_cluster", "cluster": "mydb"});
    let plan = broker.act("POST", "/api/v4/plan", dry).await;
    assert_eq!(plan["words"], json!(["cluster mydb is deleted, 2 proxies go back to the pool"]));
    assert_eq!(broker.get("/api/v4/health").await["change"], change, "a dry run changes nothing");
    broker.stop().await;
}

#[tokio::test]
async fn tokens() {
    let folder = tempfile::tempdir().unwrap();
    let config = control::config::BrokerConfig {
        write_token: Some(Secret::new("writing")),
        read_token: Some(Secret::new("reading")),
        ..embedded(&folder)
    };
    let broker = TestBroker::start(&config).await;
    let read = ("GET", "/api/v3/epoch", Value::Null);
    let write = ("PUT", "/api/v3/epoch/7", Value::Null);
    check(&broker, read.clone(), (401, "UNAUTHORIZED", None)).await;
    check(&broker, write.clone(), (401, "UNAUTHORIZED", None)).await;
    broker.get("/api/v4/health").await;
    broker.get("/api/openapi.json").await;
    let broker = broker.with_token("reading");
    broker.get("/api/v3/epoch").await;
    check(&broker, write.clone(), (403, "FORBIDDEN", None)).await;
    let broker = broker.with_token("writing");
    broker.act("PUT", "/api/v3/epoch/7", Value::Null).await;
    assert_eq!(broker.get("/api/v3/epoch").await, json!(7));
    broker.stop().await;
}

/// More requests at a time than are allowed, and one that takes longer than allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_and_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let config = control::config::BrokerConfig {
        requests_max: Count::of(2),
        request_timeout_ms: Milliseconds::of(1500),
        ..embedded(&folder)
    };
    let broker = Arc::new(TestBroker::start(&config).await);
    let known = broker.get("/api/v4/state").await;
    let history = known["history"].as_str().unwrap();
    let wait = format!("/api/v4/state?after={}&history={history}&wait_ms=30000", known["change"]);
    // One more than may wait at a time.
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (broker, wait) = (Arc::clone(&broker), wait.clone());
            tokio::spawn(async move { broker.call("GET", &wait, Value::Null).await })
        })
        .collect();
    eventually("a refusal", || async {
        waiting.iter().any(tokio::task::JoinHandle::is_finished).then_some(())
    })
    .await;
    // Those that wait keep nobody else from being answered.
    broker.get("/api/v4/state").await;
    broker.get("/api/v3/epoch").await;
    let mut answers = Vec::new();
    for call in waiting {
        let (status, answer) = call.await.unwrap();
        answers.push((status, answer["error"].as_str().unwrap_or_default().to_owned()));
    }
    answers.sort();
    let late = (504, "EXTERNAL_TIMEOUT".to_owned());
    assert_eq!(answers, [(503, "BUSY".to_owned()), late.clone(), late]);
    broker.get("/api/v3/epoch").await;
    Arc::into_inner(broker).unwrap().stop().await;
}
