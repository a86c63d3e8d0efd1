//! Two brokers on one etcd: no change is lost and none is made twice, whatever is killed.
//!
//! BROKER_CHANGES sets how many changes the concurrent test makes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::fixture::{
    EtcdServer, TestBroker, embedded, eventually, number_from_environment, on_etcd, without_review,
};

const CHANGES_DEFAULT: usize = 500;
/// How many clients each broker has.
const CLIENTS: usize = 8;
/// How many changes are answered before etcd is killed, and how long it is away then.
const CHANGES_BEFORE: usize = 10;
const WITHOUT_ETCD: Duration = Duration::from_millis(100);

fn proxy(number: usize) -> Value {
    let host = format!("127.{}.{}.{}", 1 + number / 62500, number / 250 % 250, number % 250);
    json!({"proxy_address": format!("{host}:5299"), "nodes": [format!("{host}:1"), format!("{host}:2")]})
}

/// Registers proxies through both brokers at once, each number through both: exactly one of the two must be told
/// that it made the change. Then the same with removing them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes() {
    let etcd = EtcdServer::start().await;
    let brokers = [
        Arc::new(TestBroker::start(&on_etcd(&etcd)).await),
        Arc::new(TestBroker::start(&on_etcd(&etcd)).await),
    ];
    let before = brokers[0].get("/api/v4/health").await["change"].as_u64().unwrap();
    // Half of the numbers are removed again: two numbers make three changes.
    let count = (number_from_environment("BROKER_CHANGES", CHANGES_DEFAULT) * 2).div_ceil(3);
    let registered =
        everywhere(&brokers, count, |number| ("POST", "/api/v3/proxies/meta".to_owned(), proxy(number)))
            .await;
    let expected: BTreeMap<(u16, String), usize> =
        BTreeMap::from([((200, String::new()), count), ((409, "ALREADY_EXISTED".to_owned()), count)]);
    assert_eq!(tally(&registered), expected);
    let removed = everywhere(&brokers, count / 2, |number| {
        let address = proxy(number)["proxy_address"].as_str().unwrap().to_owned();
        ("DELETE", format!("/api/v3/proxies/meta/{address}"), Value::Null)
    })
    .await;
    let expected: BTreeMap<(u16, String), usize> =
        BTreeMap::from([((200, String::new()), count / 2), ((404, "PROXY_NOT_FOUND".to_owned()), count / 2)]);
    assert_eq!(tally(&removed), expected);

    // Both see the same, and it is what was asked for.
    let wanted: BTreeSet<String> = (count / 2..count)
        .map(|number| proxy(number)["proxy_address"].as_str().unwrap().to_owned())
        .collect();
    let mut dumps = Vec::new();
    for broker in &brokers {
        let dump = eventually("all changes at each broker", || async {
            let dump = broker.get("/api/v3/metadata").await;
            let found: BTreeSet<String> = dump["proxies"].as_object().unwrap().keys().cloned().collect();
            (found == wanted).then_some(dump)
        })
        .await;
        dumps.push(dump);
    }
    assert_eq!(dumps[0], dumps[1]);
    // Each registration took one epoch: one that was made twice would have taken two.
    assert_eq!(dumps[0]["global_epoch"], json!(count));
    let events = brokers[1].get(&format!("/api/v4/events?after={}&limit=1000", before.min(1))).await;
    let numbers: Vec<u64> =
        events["events"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "events have gaps: {numbers:?}");
}

/// Makes a call for each number through both brokers, many at a time; gives back what each was answered.
async fn everywhere(
    brokers: &[Arc<TestBroker>; 2],
    count: usize,
    call: impl Fn(usize) -> (&'static str, String, Value) + Copy + Send + Sync + 'static,
) -> Vec<(u16, String)> {
    let mut clients = Vec::new();
    for broker in brokers {
        for client in 0..CLIENTS {
            let broker = Arc::clone(broker);
            clients.push(tokio::spawn(async move {
                let mut answers = Vec::new();
                for number in (client..count).step_by(CLIENTS) {
                    let (method, path, body) = call(number);
                    let (status, answer) = broker.call(method, &path, body).await;
                    answers.push((status, answer["error"].as_str().unwrap_or_default().to_owned()));
                }
                answers
            }));
        }
    }
    let mut answers = Vec::new();
    for client in clients {
        answers.extend(client.await.unwrap());
    }
    answers
}

fn tally(answers: &[(u16, String)]) -> BTreeMap<(u16, String), usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry(answer.clone()).or_default() += 1;
    }
    tally
}

/// etcd is killed while changes are made: what was answered is there afterwards, and nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_killed_and_comes_back() {
    let mut etcd = EtcdServer::start().await;
    let broker = Arc::new(TestBroker::start(&on_etcd(&etcd)).await);
    let count = Arc::new(AtomicUsize::new(0));
    let writer = tokio::spawn({
        let (broker, count) = (Arc::clone(&broker), Arc::clone(&count));
        async move {
            let mut answered = BTreeMap::new();
            for number in 0..200 {
                let (status, answer) = broker.call("POST", "/api/v3/proxies/meta", proxy(number)).await;
                answered.insert(number, (status, answer["error"].as_str().unwrap_or_default().to_owned()));
                count.fetch_add(1, Ordering::Relaxed);
            }
            answered
        }
    });
    for _ in 0..2 {
        let before = count.load(Ordering::Relaxed);
        let more = || async { (count.load(Ordering::Relaxed) >= before + CHANGES_BEFORE).then_some(()) };
        eventually("some changes are made", more).await;
        etcd.kill();
        tokio::time::sleep(WITHOUT_ETCD).await;
        etcd.run().await;
    }
    assert!(count.load(Ordering::Relaxed) < 200, "all was asked for before etcd was back");
    let answered = writer.await.unwrap();
    let state = broker.get("/api/v3/metadata").await;
    let mut made = 0;
    for (number, (status, code)) in &answered {
        let address = proxy(*number)["proxy_address"].as_str().unwrap().to_owned();
        let is_there = state["proxies"].get(&address).is_some();
        made += usize::from(is_there);
        match (*status, code.as_str()) {
            (200, _) => assert!(is_there, "{address} was answered and is lost"),
            // Nobody else registers: a second one of this broker's own would say ALREADY_EXISTED.
            (500, "EXTERNAL") => assert!(!is_there, "{address} was refused and is there"),
            (504, "EXTERNAL_TIMEOUT") => {}
            other => panic!("{address}: {other:?}"),
        }
    }
    assert_eq!(state["global_epoch"], json!(made), "one epoch for each registration");
    assert!(
        made >= 100,
        "only {made} of 200 were made: {:?}",
        tally(&answered.into_values().collect::<Vec<_>>())
    );
    eventually("a healthy broker", || async {
        (broker.call("GET", "/api/v4/health", Value::Null).await.0 == 200).then_some(())
    })
    .await;
}

/// A broker that leaves a setting open does not take back what another is configured to have, whoever starts last.
#[tokio::test]
async fn a_broker_that_starts_last_takes_nothing_back() {
    let etcd = EtcdServer::start().await;
    let quorum = async |broker: &TestBroker| {
        broker.get("/api/v3/metadata").await["settings"]["failure_quorum"].clone()
    };
    let configured = |quorum: Option<i64>| control::config::BrokerConfig {
        failure_quorum: quorum.map(service::config::Count::of),
        ..on_etcd(&etcd)
    };
    let first = TestBroker::start(&configured(None)).await;
    assert_eq!(quorum(&first).await, json!(1));
    let second = TestBroker::start(&configured(Some(2))).await;
    let third = TestBroker::start(&configured(None)).await;
    assert_eq!((quorum(&second).await, quorum(&third).await), (json!(2), json!(2)));
    let events = third.get("/api/v4/events").await["events"].clone();
    let told: Vec<&Value> =
        events.as_array().unwrap().iter().filter(|event| event["kind"] == "Configure").collect();
    assert_eq!(told.len(), 1, "{events}");
    assert_eq!(told[0]["words"], json!(["failure_quorum changes from 1 to 2"]));
    assert!(told[0]["by"].as_str().unwrap().ends_with("by its configuration"), "{events}");
    for broker in [first, second, third] {
        broker.stop().await;
    }
}

/// The metadata goes from a file to etcd and back by dump and restore; a broker that starts later finds it.
#[tokio::test]
async fn from_file_to_etcd_and_back() {
    let etcd = EtcdServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = TestBroker::start(&embedded(&folder)).await;
    for number in 0..300 {
        file.act("POST", "/api/v3/proxies/meta", proxy(number)).await;
    }
    file.act("POST", "/api/v3/clusters/meta/large", json!({"node_number": 400})).await;
    let dump = file.get("/api/v3/metadata").await;
    let is_dump = |now: Value| without_review(now) == without_review(dump.clone());
    let first = TestBroker::start(&on_etcd(&etcd)).await;
    let other = TestBroker::start(&on_etcd(&etcd)).await;
    first.act("PUT", "/api/v3/metadata", dump.clone()).await;
    assert!(is_dump(first.get("/api/v3/metadata").await));
    eventually("the dump at the other broker", || async {
        is_dump(other.get("/api/v3/metadata").await).then_some(())
    })
    .await;
    let late = TestBroker::start(&on_etcd(&etcd)).await;
    assert!(is_dump(late.get("/api/v3/metadata").await));
    late.act("DELETE", "/api/v3/clusters/meta/large", Value::Null).await;
    eventually("the deletion at the first broker", || async {
        (first.get("/api/v3/clusters/names").await == json!({"names": []})).then_some(())
    })
    .await;
    // Nobody serves anything at these addresses: an operator's word ends the review.
    for proxy in dump["proxies"].as_object().unwrap().keys() {
        late.act("POST", "/api/v4/commands", json!({"SettleProxy": {"proxy": proxy, "seen": 0}})).await;
    }
    back_to_file(&late, &file, &dump).await;
    for broker in [file, first, other, late] {
        broker.stop().await;
    }
}

/// Everything that metadata can hold, from etcd to a new file; the old file takes it too, and takes no older one.
async fn back_to_file(etcd: &TestBroker, old: &TestBroker, older: &Value) {
    etcd.act("POST", "/api/v3/clusters/meta/small", json!({"node_number": 4})).await;
    etcd.act("PATCH", "/api/v3/clusters/nodes/small", json!({"node_number": 4})).await;
    etcd.act("POST", "/api/v4/clusters/small/failover", json!({"shard": 3})).await;
    etcd.act("POST", "/api/v3/clusters/migrations/expand/small", Value::Null).await;
    etcd.act("POST", "/api/v3/proxies/failover/127.1.1.49:5299", Value::Null).await;
    etcd.act("POST", "/api/v3/failures/127.1.1.48:5299/somebody", Value::Null).await;
    etcd.act("PUT", "/api/v3/config", json!({"replica_addresses": ["127.0.0.1:1"]})).await;
    let dump = etcd.get("/api/v3/metadata").await;
    let folder = tempfile::tempdir().unwrap();
    let new = TestBroker::start(&embedded(&folder)).await;
    for broker in [&new, old] {
        broker.act("PUT", "/api/v3/metadata", dump.clone()).await;
        assert_eq!(without_review(broker.get("/api/v3/metadata").await), dump);
        let refused = broker.call("PUT", "/api/v3/metadata", older.clone()).await;
        assert_eq!((refused.0, &refused.1["error"]), (409, &json!("EPOCH_SMALLER_THAN_CURRENT")));
        assert_eq!(without_review(broker.get("/api/v3/metadata").await), dump);
    }
    new.stop().await;
    let again = TestBroker::start(&embedded(&folder)).await;
    assert_eq!(without_review(again.get("/api/v3/metadata").await), dump, "after a restart");
    again.stop().await;
}
