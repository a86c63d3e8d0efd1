//! The OpenAPI document against what is really answered: every GET, and every refusal, has the shape that the
//! document gives it, with no field more or less.

use serde_json::{Value, json};
use testkit::schema::misfit;

use super::fixture::{TestBroker, embedded};

/// A broker of which there is something to be told in every answer.
async fn full(folder: &tempfile::TempDir) -> TestBroker {
    let broker = TestBroker::start(&embedded(folder)).await;
    broker.register(8).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    broker.act("POST", "/api/v4/clusters/mydb/failover", json!({"shard": 0})).await;
    broker.act("POST", "/api/v3/clusters/meta/other", json!({"node_number": 4})).await;
    broker.act("PATCH", "/api/v3/clusters/nodes/other", json!({"node_number": 4})).await;
    broker.act("POST", "/api/v3/clusters/migrations/expand/other", Value::Null).await;
    broker.act("POST", "/api/v3/failures/127.0.3.8:5299/somebody", Value::Null).await;
    broker.act("POST", "/api/v3/proxies/failover/127.0.3.7:5299", Value::Null).await;
    broker
}

#[tokio::test]
async fn answers_have_the_shapes_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let broker = full(&folder).await;
    let document = broker.get("/api/openapi.json").await;
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let answers = &item["get"]["responses"];
        let schema = &answers["200"]["content"]["application/json"]["schema"];
        for (cluster, address) in
            [("mydb", "127.0.3.1:5299"), ("other", "127.0.3.8:5299"), ("none", "h:1"), ("?", "?")]
        {
            if item["get"].is_null() {
                continue;
            }
            let real = path.replace("{cluster}", cluster).replace("{address}", address).replace('?', "%3F");
            let (status, answer) = broker.call("GET", &real, Value::Null).await;
            let described = &answers[status.to_string()];
            assert!(!described.is_null(), "GET {real} answers {status}, which the document does not know");
            let schema = match status {
                200 => schema,
                _ => &described["content"]["application/json"]["schema"],
            };
            if schema.is_null() {
                continue;
            }
            misfit(&document, schema, &answer).unwrap_or_else(|wrong| panic!("GET {real}: {wrong}"));
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} answers were compared");
    // What does not fit is found.
    let cluster = &document["paths"]["/api/v3/clusters/meta/{cluster}"]["get"]["responses"]["200"];
    let schema = &cluster["content"]["application/json"]["schema"];
    let good = broker.get("/api/v3/clusters/meta/mydb").await;
    for (pointer, bad) in [
        ("/cluster/epoch", json!("1")),
        ("/cluster/nodes/0/slots/0/tag", json!("Other")),
        ("/cluster/nodes/0/repl", json!({})),
        ("/cluster/nodes/0/repl/more", json!(1)),
    ] {
        let mut spoilt = good.clone();
        match spoilt.pointer_mut(pointer) {
            Some(place) => *place = bad,
            None => spoilt["cluster"]["nodes"][0]["repl"]["more"] = bad,
        }
        assert!(misfit(&document, schema, &spoilt).is_err(), "{pointer} was not found");
    }
    broker.stop().await;
}
