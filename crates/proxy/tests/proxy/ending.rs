//! How a proxy ends: draining, its time limit, and starts that must fail.

use std::time::{Duration, Instant};

use crate::fixture::{LIMIT, Proxy, ask, redis};
use proxy::RunError;
use proxy::config::ProxyConfig;
use service::config::Milliseconds;
use service::shutdown::{Phase, Shutdown};
use testkit::connection::{Connection, ConnectionError};
use testkit::wait::{Deadline, wait_until};

#[test]
fn what_is_in_flight_is_answered() {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut busy: Vec<Connection> = (0..8).map(|_| proxy.connect()).collect();
    let mut idle = proxy.connect();
    for client in &mut busy {
        assert_eq!(ask(client, "GET a"), "$-1");
    }
    ask(&mut idle, "PING");
    node.process().freeze().unwrap();
    for client in &mut busy {
        client.send(&[b"SET", b"a", b"1"]).unwrap();
    }
    // What was sent before the drain counts as in flight once the proxy has read it.
    wait_until(Deadline::within(LIMIT), "the proxy has the requests", || {
        ask(&mut idle, "CLIENT LIST").lines().filter(|line| line.contains(" qbuf=0 ")).count() == 9
    })
    .unwrap();
    proxy.shutdown.advance(Phase::Draining);
    wait_until(Deadline::within(LIMIT), "nobody is let in any more", || {
        Connection::open(proxy.address).is_err()
    })
    .unwrap();
    assert!(matches!(idle.read(), Err(ConnectionError::Closed { partial: 0 })), "an idle client is let go");
    assert!(!proxy.has_ended(), "requests are in flight");
    node.process().thaw().unwrap();
    for client in &mut busy {
        client.read().unwrap().expect_ok().unwrap();
        assert!(matches!(client.read(), Err(ConnectionError::Closed { partial: 0 })));
    }
    proxy.join().unwrap();
}

#[test]
fn a_drain_has_a_time_limit() {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |config| {
        config.shutdown_timeout_ms = Milliseconds::of(300);
        config.backend_timeout = Milliseconds::of(60_000);
    });
    let mut client = proxy.connect();
    ask(&mut client, "GET a");
    node.process().freeze().unwrap();
    client.send(&[b"GET", b"a"]).unwrap();
    let begun = Instant::now();
    assert_eq!(ask(&mut proxy.connect(), "UMCTL SHUTDOWN"), "OK");
    proxy.join().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300), "it waited");
    assert!(matches!(client.read(), Err(ConnectionError::Closed { partial: 0 })));
}

#[test]
fn stopping_does_not_wait() {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |config| config.backend_timeout = Milliseconds::of(60_000));
    let mut client = proxy.connect();
    ask(&mut client, "GET a");
    node.process().freeze().unwrap();
    client.send(&[b"GET", b"a"]).unwrap();
    proxy.shutdown.advance(Phase::Stopping);
    proxy.join().unwrap();
}

#[test]
fn addresses_in_use_are_named() {
    let proxy = Proxy::start(|_| {});
    let taken = [
        ProxyConfig { address: proxy.address, ..ProxyConfig::default() },
        ProxyConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            admin_address: Some(proxy.admin),
            ..ProxyConfig::default()
        },
    ];
    for (config, address) in taken.into_iter().zip([proxy.address, proxy.admin]) {
        let error = proxy::run(config, Shutdown::new()).unwrap_err();
        assert!(matches!(&error, RunError::Listen(refused, _) if *refused == address), "{error}");
    }
}
