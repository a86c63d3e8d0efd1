//! Random calls: whatever is sent, the broker refuses what it cannot take, names what is wrong with it, and is as
//! well as before.
//!
//! BROKER_GARBAGE sets how many calls; a failure prints the call.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::fixture::{TestBroker, embedded, number_from_environment};

const CALLS_DEFAULT: usize = 1500;
/// Every that many calls the whole of the metadata is checked.
const CHECK_EVERY: usize = 100;

/// A call of the document, with what is to be put into it.
#[derive(Clone, Debug)]
struct Draft {
    operation: Index,
    words: Vec<String>,
    body: Body,
    query: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Bytes(Vec<u8>),
    Json(Value),
    /// Something that would be accepted, one place of which is replaced.
    Spoilt {
        sample: Index,
        place: Index,
        by: Value,
    },
}

/// Names and numbers that mean something to the broker, and some that should not.
const WORDS: &[&str] = &[
    "mydb",
    "other",
    "127.0.3.1:5299",
    "127.0.3.2:5299",
    "127.0.3.9:1",
    "0",
    "4",
    "8",
    "-1",
    "18446744073709551615",
    "4611686018427387904",
    "1e9",
    "",
    "..",
    "recovery",
    "[::1]:5",
    "true",
    "x",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(WORDS).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
        Just(json!({})),
        Just(json!([])),
    ]
}

/// Fields that bodies have.
const FIELDS: &[&str] = &[
    "node_number",
    "cluster_node_number",
    "proxy_address",
    "nodes",
    "host",
    "index",
    "cluster_name",
    "slot_range",
    "range_list",
    "tag",
    "replica_addresses",
    "operation",
    "cluster",
    "address",
    "node",
    "proxy",
    "shard",
    "force",
    "Migrating",
    "epoch",
    "now",
    "RaiseEpoch",
    "Configure",
    "compression_strategy",
];

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((select(FIELDS), inner), 0..6).prop_map(|fields| {
                Value::Object(
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let body = prop_oneof![
        2 => Just(Body::None),
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Body::Bytes),
        4 => value().prop_map(Body::Json),
        6 => (any::<Index>(), any::<Index>(), leaf()).prop_map(|(sample, place, by)| Body::Spoilt { sample, place, by }),
    ];
    let name = select(&["offset", "limit", "after", "wait_ms", "history", "live", "x"]);
    let query = proptest::collection::vec((name.prop_map(str::to_owned), word()), 0..3);
    (any::<Index>(), proptest::collection::vec(word(), 3), body, query)
        .prop_map(|(operation, words, body, query)| Draft { operation, words, body, query })
}

/// Bodies that are right, beginning with those of which there is most to spoil.
fn samples(dump: &Value) -> Vec<Value> {
    let task = json!({"cluster_name": "mydb", "slot_range": {"range_list": [[0, 1]], "tag": {"Migrating": {
        "epoch": 1, "src_proxy_address": "127.0.3.1:5299", "src_node_address": "127.0.3.1:6379",
        "dst_proxy_address": "127.0.3.2:5299", "dst_node_address": "127.0.3.2:6379"}}}});
    vec![
        dump.clone(),
        json!({"Restore": dump}),
        task,
        json!({"node_number": 4}),
        json!({"cluster_node_number": 8}),
        json!({"proxy_address": "127.0.3.3:5299", "nodes": ["127.0.3.3:1", "127.0.3.3:2"], "host": "h", "index": 3}),
        json!({"replica_addresses": []}),
        json!({"operation": "scale", "cluster": "mydb", "node_number": 8}),
        json!({"operation": "add_proxy", "proxy": {"proxy_address": "127.0.3.7:1", "nodes": ["h:1", "h:2"]}}),
        json!({"shard": 0, "force": true}),
        json!({"SetConfig": {"cluster": "mydb", "fields": {"compression_strategy": "disabled"}}}),
        json!({"FailOverShard": {"cluster": "mydb", "primary": "127.0.3.1:6379", "fence": null, "force": true,
            "behind_bytes": 0, "now": 0}}),
        json!({"Configure": {"failure_ttl_ms": 60000, "failure_quorum": 1, "migration_limit": 2, "ordered_proxies": false}}),
        json!({"RaiseEpoch": {"epoch": 5}}),
        json!({"TrustMetadata": {"cluster": "mydb", "highest": 7}}),
        json!({"cluster": "mydb", "by": "metadata"}),
        json!({"compression_strategy": "allow_all"}),
    ]
}

/// Replaces one place of a value, or takes it out.
fn spoil(value: &mut Value, place: &Index, by: &Value) {
    let mut places = Vec::new();
    pointers(value, &mut String::new(), &mut places);
    let pointer = place.get(&places).clone();
    let Some((parent, field)) = pointer.rsplit_once('/') else { return };
    let field = field.replace("~1", "/").replace("~0", "~");
    match (value.pointer_mut(parent), by) {
        (Some(Value::Object(fields)), Value::Null) => drop(fields.remove(&field)),
        _ => {
            if let Some(found) = value.pointer_mut(&pointer) {
                *found = by.clone();
            }
        }
    }
}

fn pointers(value: &Value, at: &mut String, found: &mut Vec<String>) {
    found.push(at.clone());
    let length = at.len();
    let mut descend = |key: &str, value: &Value| {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        pointers(value, at, found);
        at.truncate(length);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| descend(key, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, value)| descend(&place.to_string(), value));
        }
        _ => {}
    }
}

/// The calls that the document names.
async fn operations(broker: &TestBroker) -> Vec<(String, String)> {
    let document = broker.get("/api/openapi.json").await;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        found.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    found
}

fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn path(template: &str, draft: &Draft) -> String {
    let mut words = draft.words.iter();
    let parts = template
        .split('/')
        .map(|part| if part.starts_with('{') { encoded(words.next().unwrap()) } else { part.to_owned() });
    let path = parts.collect::<Vec<_>>().join("/");
    let query: Vec<String> =
        draft.query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("{path}?{}", query.join("&"))
}

/// What is wrong with an answer, if anything.
fn fault(status: u16, answer: &str) -> Option<String> {
    if status < 400 {
        return None;
    }
    let Ok(body) = serde_json::from_str::<api::ErrorBody>(answer) else {
        return Some("a refusal without an error in JSON".to_owned());
    };
    let is_input =
        status == 400 && (body.error.starts_with("INVALID_") || body.error.starts_with("MISSING_"));
    if is_input && body.field.is_none() {
        return Some("a refusal of input that names no field".to_owned());
    }
    // The reference's own code for a replica that lacks data.
    (status >= 500 && body.error != "PROXY_NOT_SYNC").then(|| "the broker's own fault".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_harms_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    broker.register(6).await;
    broker.act("POST", "/api/v3/clusters/meta/mydb", json!({"node_number": 8})).await;
    broker.act("POST", "/api/v3/failures/127.0.3.1:5299/somebody", Value::Null).await;
    let operations = operations(&broker).await;
    let mut samples = samples(&broker.get("/api/v3/metadata").await);
    let mut runner = TestRunner::new(Config::default());
    let drafts = draft();
    let mut accepted = 0;
    for number in 1..=number_from_environment("BROKER_GARBAGE", CALLS_DEFAULT) {
        let draft = drafts.new_tree(&mut runner).unwrap().current();
        let (method, template) = draft.operation.get(&operations);
        // The proxies of the metadata are not there, and asking them takes a while.
        if template.ends_with("/recovery") {
            continue;
        }
        let mut path = path(template, &draft);
        if path.contains("wait_ms") {
            path = path.replace("wait_ms", "wait");
        }
        let body = match &draft.body {
            Body::None => Vec::new(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::Json(value) => serde_json::to_vec(value).unwrap(),
            Body::Spoilt { sample, place, by } => {
                let mut value = sample.get(&samples).clone();
                spoil(&mut value, place, by);
                serde_json::to_vec(&value).unwrap()
            }
        };
        let (status, answer) = broker.send(method, &path, body.clone()).await;
        if let Some(fault) = fault(status, &answer) {
            panic!(
                "call {number}: {fault}: {method} {path} {}: {status} {answer}",
                String::from_utf8_lossy(&body)
            );
        }
        accepted += usize::from(status < 400);
        if number % CHECK_EVERY == 0 {
            let dump = broker.get("/api/v3/metadata").await;
            let state: control_core::State = serde_json::from_value(dump.clone()).unwrap();
            state.check().unwrap_or_else(|fault| panic!("after {number} calls: {fault}"));
            samples = self::samples(&dump);
        }
    }
    assert!(accepted > 50, "only {accepted} calls were accepted: that tries too little");
    // It still does what it should.
    broker.act("POST", "/api/v4/commands", json!({"SetReplicaAddresses": []})).await;
    broker.stop().await;
}
