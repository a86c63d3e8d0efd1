//! Brokers that give copies of their metadata to each other, or to one that is in use.

use std::time::Duration;

use serde_json::{Value, json};

use super::fixture::{TestBroker, embedded, eventually};

/// The problems of a broker that name the other as one that was not given a copy.
async fn refusals(broker: &TestBroker, other: &TestBroker) -> Vec<String> {
    let overview = broker.get("/api/v4/overview").await;
    let problems = overview["problems"].as_array().unwrap().iter();
    let problems = problems.map(|problem| problem.as_str().unwrap().to_owned());
    problems.filter(|text| text.contains(&format!("broker {} was not given a copy", other.url))).collect()
}

/// What a broker is to keep: its cluster, not under review, and to whom it gives copies.
async fn kept(broker: &TestBroker) -> (Value, Value, Value) {
    let dump = broker.get("/api/v3/metadata").await;
    (
        dump["clusters"]["mydb"]["review"].clone(),
        dump["global_epoch"].clone(),
        dump["replica_addresses"].clone(),
    )
}

#[tokio::test]
async fn two_that_copy_to_each_other_overwrite_nothing() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let live = TestBroker::start(&embedded(&folder)).await;
    let other = TestBroker::start(&embedded(&other_folder)).await;
    live.register(2).await;
    live.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 4})).await;
    let give = async |from: &TestBroker, to: &TestBroker| {
        from.act("PUT", "/api/v3/config", json!({"replica_addresses": [to.url]})).await;
    };
    // The stand-in has the copy, as it is meant. Then it is told to give copies, too.
    give(&live, &other).await;
    let before = kept(&live).await;
    eventually("a copy", async || (kept(&other).await.1 == before.1).then_some(())).await;
    give(&other, &live).await;
    for (from, to) in [(&other, &live), (&live, &other)] {
        // A change, so that there is something to copy.
        from.act("PUT", "/api/v3/config", json!({"replica_addresses": [to.url, to.url]})).await;
        let problem = eventually("a refusal", async || refusals(from, to).await.pop()).await;
        assert!(problem.contains("gives copies itself"), "{problem}");
    }
    let now = kept(&live).await;
    assert_eq!((&now.0, &now.1), (&before.0, &before.1), "{now:?}");
    assert_eq!(now.2, json!([other.url, other.url]));
    // One that gives none any more is a stand-in again.
    other.act("PUT", "/api/v3/config", json!({"replica_addresses": []})).await;
    eventually("a copy", async || refusals(&live, &other).await.is_empty().then_some(())).await;
    live.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn one_that_coordinators_speak_to_takes_no_copy() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let back = TestBroker::start(&embedded(&folder)).await;
    let in_use = TestBroker::start(&embedded(&other_folder)).await;
    let url = in_use.url.clone();
    let seen = json!({"coordinator": "c", "process": 1, "unserved": [], "unaskable": []});
    in_use.act("POST", "/api/v4/observations", seen.clone()).await;
    back.register(2).await;
    back.act("PUT", "/api/v3/config", json!({"replica_addresses": [url]})).await;
    let problem = eventually("a refusal", async || {
        in_use.act("POST", "/api/v4/observations", seen.clone()).await;
        refusals(&back, &in_use).await.pop()
    })
    .await;
    assert!(problem.contains("coordinators speak to this broker"), "{problem}");
    assert_eq!(in_use.get("/api/v3/proxies/addresses").await, json!({"addresses": []}));
    // Nobody uses it any more: the copy is tried again.
    eventually("a copy", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let found = in_use.get("/api/v3/proxies/addresses").await;
        (found["addresses"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert!(refusals(&back, &in_use).await.is_empty());
    back.stop().await;
    in_use.stop().await;
}
