//! What coordinators read: never behind what was answered to anybody, and never "nothing new" when everything is.

use serde_json::{Value, json};

use super::fixture::{EtcdServer, TestBroker, embedded, eventually, on_etcd};

fn proxy(number: u16) -> Value {
    let at = |place: u16| format!("127.0.0.1:{}", number + place);
    json!({"proxy_address": at(0), "nodes": [at(20_000), at(40_000)]})
}

/// The call that asks for what differs from an answer.
fn after(answer: &Value) -> String {
    let history = answer["history"].as_str().unwrap();
    format!("/api/v4/state?after={}&history={history}", answer["change"])
}

#[tokio::test]
async fn a_store_that_was_replaced_is_news() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let broker = TestBroker::start(&embedded(&folders[0])).await;
    for number in 1..=5 {
        broker.act("POST", "/api/v3/proxies/meta", proxy(number)).await;
    }
    let known = broker.get("/api/v4/state").await;
    assert_eq!(known["state"]["proxies"].as_object().unwrap().len(), 5);
    let same = broker.get(&after(&known)).await;
    assert_eq!((&same["state"], &same["change"]), (&Value::Null, &known["change"]));
    // A number alone says nothing of what it counts in.
    let alone = broker.get(&format!("/api/v4/state?after={}", known["change"])).await;
    assert_ne!(alone["state"], Value::Null);
    let bad = broker.call("GET", "/api/v4/state?after=1&history=xyz", Value::Null).await;
    assert_eq!((bad.0, &bad.1["field"]), (400, &json!("history")));

    // Another store that has come as far, and further, by itself.
    let other = TestBroker::start(&embedded(&folders[1])).await;
    for number in 11..=17 {
        let answer = other.get(&after(&known)).await;
        assert_ne!(answer["state"], Value::Null, "after {} of another history: {answer}", known["change"]);
        other.act("POST", "/api/v3/proxies/meta", proxy(number)).await;
    }

    // A dump restored, and epochs recovered: what was known before is worth nothing. A dump that is refused begins
    // nothing.
    let old = broker.get("/api/v3/metadata").await;
    let mut newer = old.clone();
    newer["global_epoch"] = json!(100);
    for (path, body, status) in [
        ("/api/v3/metadata", newer, 200),
        ("/api/v3/epoch/recovery", Value::Null, 200),
        ("/api/v3/metadata", old, 409),
    ] {
        let known = broker.get("/api/v4/state").await;
        assert_eq!(broker.call("PUT", path, body).await.0, status, "{path}");
        let answer = broker.get(&after(&known)).await;
        assert_eq!(answer["history"] != known["history"], status == 200, "{path}: {answer}");
        assert_eq!(answer["state"] != Value::Null, status == 200, "{path}: {answer}");
    }
    let known = broker.get("/api/v4/state").await;
    for broker in [broker, other] {
        broker.stop().await;
    }
    // The file may have been put back from a copy while nobody had it open.
    let again = TestBroker::start(&embedded(&folders[0])).await;
    assert_ne!(again.get(&after(&known)).await["state"], Value::Null);
    again.stop().await;
}

/// What one broker has answered, the other one shows at once, without waiting for its watch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_any_broker_answered_is_read_from_all() {
    const CHANGES: u16 = 100;
    let mut etcd = EtcdServer::start().await;
    let brokers = [TestBroker::start(&on_etcd(&etcd)).await, TestBroker::start(&on_etcd(&etcd)).await];
    let mut known = brokers[1].get("/api/v4/state").await;
    for number in 1..=CHANGES {
        let (writer, reader) = (&brokers[usize::from(number % 2)], &brokers[usize::from(number % 2 == 0)]);
        writer.act("POST", "/api/v3/proxies/meta", proxy(number)).await;
        let answer = reader.get(&after(&known)).await;
        let found = answer["state"]["proxies"].get(format!("127.0.0.1:{number}"));
        assert!(found.is_some(), "{number} was answered and is not read: {}", answer["change"]);
        known = answer;
    }
    // Without the store nothing can be confirmed, and nothing is said; what was known is still to be had.
    etcd.kill();
    for broker in &brokers {
        let refused = broker.call("GET", &after(&known), Value::Null).await;
        assert_eq!((refused.0, &refused.1["error"]), (500, &json!("EXTERNAL")), "{}", refused.1);
        let dump = broker.get("/api/v3/metadata").await;
        assert!(dump["proxies"].as_object().unwrap().len() >= usize::from(CHANGES) - 1);
    }
    // A client that knows another broker goes there.
    let folder = tempfile::tempdir().unwrap();
    let other = TestBroker::start(&embedded(&folder)).await;
    let endpoints = [&brokers[0].url, &other.url].map(|url| url.parse().unwrap()).to_vec();
    let client = api::BrokerClient::new(endpoints, &api::ClientOptions::default()).unwrap();
    let found = client.state::<Value>(None, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(found.state.unwrap()["proxies"], json!({}));
    other.stop().await;
    etcd.run().await;
    eventually("an answer after the store is back", || async {
        (brokers[0].call("GET", &after(&known), Value::Null).await.0 == 200).then_some(())
    })
    .await;
    for broker in brokers {
        broker.stop().await;
    }
}
