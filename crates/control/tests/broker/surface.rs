//! The calls that there are: the reference's table, the OpenAPI document and the router say the same; and the
//! project's own client, with TLS.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use api::{BrokerClient, ClientError, ClientOptions};
use control::config::{BrokerConfig, Text};
use serde_json::Value;
use service::config::Secret;

use super::fixture::{TestBroker, embedded};

/// Every call of the reference's table, and ours.
const CALLS: &[(&str, &str)] = &[
    ("get", "/api/v3/version"),
    ("get", "/api/v3/metadata"),
    ("put", "/api/v3/metadata"),
    ("get", "/api/v3/clusters/names"),
    ("get", "/api/v3/clusters/meta/{cluster}"),
    ("get", "/api/v3/clusters/info/{cluster}"),
    ("post", "/api/v3/clusters/meta/{cluster}"),
    ("delete", "/api/v3/clusters/meta/{cluster}"),
    ("patch", "/api/v3/clusters/nodes/{cluster}"),
    ("put", "/api/v3/clusters/nodes/{cluster}"),
    ("delete", "/api/v3/clusters/free_nodes/{cluster}"),
    ("post", "/api/v3/clusters/migrations/expand/{cluster}"),
    ("post", "/api/v3/clusters/migrations/shrink/{cluster}/{node_number}"),
    ("post", "/api/v3/clusters/migrations/auto/{cluster}/{node_number}"),
    ("put", "/api/v3/clusters/migrations"),
    ("patch", "/api/v3/clusters/config/{cluster}"),
    ("put", "/api/v3/clusters/balance/{cluster}"),
    ("get", "/api/v3/proxies/addresses"),
    ("get", "/api/v3/proxies/meta/{address}"),
    ("get", "/api/v3/proxies/failed/addresses"),
    ("post", "/api/v3/proxies/meta"),
    ("delete", "/api/v3/proxies/meta/{address}"),
    ("post", "/api/v3/failures/{address}/{reporter}"),
    ("get", "/api/v3/failures"),
    ("post", "/api/v3/proxies/failover/{address}"),
    ("post", "/api/v3/resources/failures/check"),
    ("get", "/api/v3/epoch"),
    ("put", "/api/v3/epoch/{epoch}"),
    ("put", "/api/v3/epoch/recovery"),
    ("get", "/api/v3/config"),
    ("put", "/api/v3/config"),
    ("get", "/api/v4/events"),
    ("get", "/api/v4/jobs"),
    ("post", "/api/v4/clusters/{cluster}/serve"),
    ("get", "/api/v4/review"),
    ("post", "/api/v4/review"),
    ("delete", "/api/v4/jobs/{cluster}"),
    ("post", "/api/v4/jobs/{cluster}/pause"),
    ("post", "/api/v4/jobs/{cluster}/resume"),
    ("get", "/api/v4/health"),
    ("get", "/api/v4/overview"),
    ("get", "/api/v4/clusters/{cluster}/health"),
    ("post", "/api/v4/plan"),
    ("post", "/api/v4/clusters/{cluster}/failover"),
    ("post", "/api/v4/proxies/{address}/replace"),
    ("get", "/api/v4/state"),
    ("post", "/api/v4/commands"),
    ("post", "/api/v4/observations"),
    ("get", "/metrics"),
];

/// Every method that a path could have.
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

#[tokio::test]
async fn the_document_the_router_and_the_reference_agree() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    let document = broker.get("/api/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.as_str(), path.as_str()))
        })
        .collect();
    assert_eq!(documented, CALLS.iter().copied().collect::<BTreeSet<_>>());
    // What the router takes: a bad body or an unknown thing is an answer of the call, NOT_FOUND and
    // METHOD_NOT_ALLOWED are not.
    for path in paths.keys() {
        for method in METHODS {
            // Undocumented: `epoch/{epoch}` catches what `epoch/recovery` does not take.
            let real = path.replace("{cluster}", "a").replace("{address}", "h:1").replace("{reporter}", "r");
            let real = real.replace("{node_number}", "4").replace("{epoch}", "x");
            let (_, answer) = broker.call(&method.to_uppercase(), &real, Value::Null).await;
            let is_routed = !matches!(answer["error"].as_str(), Some("NOT_FOUND" | "METHOD_NOT_ALLOWED"));
            assert_eq!(is_routed, documented.contains(&(method, path)), "{method} {path}: {answer}");
        }
    }
    let text = broker.get("/metrics").await;
    assert!(text.as_str().unwrap().contains("undermoon_broker_changes_total 1"), "{text}");
    assert!(
        text.as_str().unwrap().contains("undermoon_broker_requests_total{outcome=\"refused\"}"),
        "{text}"
    );
    broker.stop().await;
}

#[tokio::test]
async fn the_client_over_tls_goes_from_a_dead_broker_to_a_living_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Text(folder.path().join(name).to_string_lossy().into_owned());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &file("key.pem").0, "-out", &file("cert.pem").0])
        .output()
        .expect("openssl is needed for this test");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = BrokerConfig {
        tls_certificate: Some(file("cert.pem")),
        tls_key: Some(file("key.pem")),
        write_token: Some(Secret::new("w")),
        ..embedded(&folder)
    };
    let broker = TestBroker::start(&config).await;
    let authority = std::fs::read(&config.tls_certificate.as_ref().unwrap().0).unwrap();
    let options = ClientOptions {
        token: Some("w".to_owned()),
        authority_pem: Some(authority),
        ..ClientOptions::default()
    };
    let endpoints = ["https://127.0.0.1:1", &broker.url].map(|text| text.parse().unwrap());
    let client = BrokerClient::new(endpoints.to_vec(), &options).unwrap();
    let proxy = api::v3::NewProxy {
        proxy_address: "h:1".parse().unwrap(),
        nodes: vec!["h:2".parse().unwrap(), "h:3".parse().unwrap()],
        host: None,
        index: None,
    };
    client.add_proxy(&proxy).await.unwrap();
    assert_eq!(client.add_proxy(&proxy).await.unwrap_err().code(), Some("ALREADY_EXISTED"));
    assert_eq!(client.proxy_addresses().await.unwrap(), std::slice::from_ref(&proxy.proxy_address));
    let state = client.state::<Value>(None, Duration::ZERO).await.unwrap();
    assert!(state.state.unwrap()["proxies"].get("h:1").is_some());
    let dead = BrokerClient::new(vec!["127.0.0.1:1".parse().unwrap()], &ClientOptions::default()).unwrap();
    assert!(matches!(dead.epoch().await, Err(ClientError::Unreachable { .. })));
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_hangs_is_not_asked_first_again() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    // It takes connections, as the kernel does for a process that is stopped, and never answers.
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = [format!("http://{}", hanging.local_addr().unwrap()), broker.url.clone()];
    let limit = Duration::from_millis(300);
    let new_client = || {
        let endpoints = endpoints.iter().map(|text| text.parse().unwrap()).collect();
        BrokerClient::new(endpoints, &ClientOptions::default()).unwrap().within(limit)
    };
    let client = new_client();
    let proxy = api::v3::NewProxy {
        proxy_address: "h:1".parse().unwrap(),
        nodes: vec!["h:2".parse().unwrap(), "h:3".parse().unwrap()],
        host: None,
        index: None,
    };
    let lost = client.add_proxy(&proxy).await;
    assert!(matches!(lost, Err(ClientError::Unknown { .. })), "{lost:?}");
    client.add_proxy(&proxy).await.unwrap();
    // What can be repeated goes on by itself; and the answer is not older than when this one was asked.
    let begun = Instant::now();
    let (state, asked) = new_client().state_timed::<Value>(None, Duration::ZERO).await.unwrap();
    assert!(state.state.is_some() && asked >= begun + limit, "{:?}", asked - begun);
    broker.stop().await;
}
