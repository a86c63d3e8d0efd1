//! A coordinator that lacks the token for changes: operators are told where they look.

use control::config::BrokerConfig;
use control::coordinator::{self, CoordinatorConfig, RemoteBroker};
use serde_json::{Value, json};
use service::config::Secret;
use service::shutdown::{Phase, Shutdown};

use super::fixture::{TestBroker, embedded, eventually};

#[tokio::test]
async fn a_coordinator_without_the_token_is_a_problem_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let config = BrokerConfig { write_token: Some(Secret::new("w")), ..embedded(&folder) };
    let broker = TestBroker::start(&config).await.with_token("w");
    // Nothing listens at these proxies: there is something to report.
    for host in 1..=2 {
        let body = json!({
            "proxy_address": format!("127.0.0.{host}:1"),
            "nodes": [format!("127.0.0.{host}:2"), format!("127.0.0.{host}:3")],
        });
        broker.act("POST", "/api/v3/proxies/meta", body).await;
    }
    let problems = async || broker.get("/api/v4/overview").await["problems"].to_string();
    assert!(!problems().await.contains("write token"));

    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = CoordinatorConfig { address, ..CoordinatorConfig::default() };
    let metadata = RemoteBroker::new(vec![broker.url.clone()], None, "tester").unwrap();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(coordinator::run(settings, metadata, shutdown.clone()));
    eventually("the problem is shown", async || problems().await.contains("write token").then_some(())).await;
    let (_, metrics) = broker.call("GET", "/metrics", Value::Null).await;
    let denied = metrics
        .as_str()
        .unwrap()
        .lines()
        .find(|line| line.starts_with("undermoon_broker_commands_denied_total"));
    assert!(denied.is_some_and(|line| !line.ends_with(" 0")), "{denied:?}");
    // It does not try as often as it looks.
    assert!(denied.unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() < 20, "{denied:?}");
    shutdown.advance(Phase::Draining);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn events_say_who_asked() {
    let folder = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(&embedded(&folder)).await;
    let register = |number: u8| api::v3::NewProxy {
        proxy_address: format!("127.0.0.{number}:1").parse().unwrap(),
        nodes: vec![
            format!("127.0.0.{number}:2").parse().unwrap(),
            format!("127.0.0.{number}:3").parse().unwrap(),
        ],
        host: None,
        index: None,
    };
    for (number, actor) in [(1, Some("ctl ann@desk")), (2, None), (3, Some("a\u{7}b"))] {
        let actor = actor.map(str::to_owned);
        let options = api::ClientOptions { actor, ..api::ClientOptions::default() };
        let client = api::BrokerClient::new(vec![broker.url.parse().unwrap()], &options).unwrap();
        client.add_proxy(&register(number)).await.unwrap();
    }
    let page = broker.get("/api/v4/events").await;
    let events = page["events"].as_array().unwrap();
    let by = |number: usize| events[events.len() - 3 + number]["by"].as_str().unwrap().to_owned();
    assert_eq!(by(0), "ctl ann@desk at 127.0.0.1");
    assert_eq!(by(1), "somebody at 127.0.0.1");
    assert_eq!(by(2), "somebody at 127.0.0.1", "what cannot stand in a header is left out");
    broker.stop().await;
}
