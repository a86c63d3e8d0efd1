//! The admin HTTP server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::fixture::{LIMIT, Proxy, ask, redis, wait_until_sent};
use service::shutdown::Phase;
use testkit::wait::{Deadline, retry_until};

/// Sends a whole request on a connection of its own and gives the whole response.
fn request(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

fn get(address: SocketAddr, path: &str) -> String {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")).unwrap()
}

/// The value of a line of metrics.
fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn health_and_readiness() {
    let node = redis();
    let proxy = Proxy::start(|_| {});
    let first_line = |path: &str| get(proxy.admin, path).lines().next().unwrap().to_owned();
    assert_eq!(first_line("/healthz"), "HTTP/1.1 200 OK");
    assert!(get(proxy.admin, "/").contains("/metrics"));
    assert_eq!(first_line("/nothing"), "HTTP/1.1 404 Not Found");
    let not_ready = get(proxy.admin, "/readyz");
    assert!(
        not_ready.starts_with("HTTP/1.1 503 ")
            && not_ready.ends_with("no cluster: waiting for UMCTL SETCLUSTER\n")
    );
    let line = format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {} 1 0-16383", node.address());
    assert_eq!(ask(&mut proxy.connect(), &line), "OK");
    retry_until(Deadline::within(LIMIT), "the proxy says that it is ready", || {
        anyhow::ensure!(first_line("/readyz") == "HTTP/1.1 200 OK");
        Ok(())
    })
    .unwrap();
    let post =
        request(proxy.admin, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
}

#[test]
fn readiness_ends_with_the_drain() {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "GET a"), "$-1");
    node.process().freeze().unwrap();
    client.send(&[b"GET", b"a"]).unwrap();
    wait_until_sent(&mut proxy.connect(), 2);
    proxy.shutdown.advance(Phase::Draining);
    retry_until(Deadline::within(LIMIT), "the proxy says that it is draining", || {
        anyhow::ensure!(get(proxy.admin, "/readyz").ends_with("draining\n"));
        Ok(())
    })
    .unwrap();
    node.process().thaw().unwrap();
    assert!(client.read().unwrap().is_null());
}

#[test]
fn metrics_count() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut clients: Vec<_> = (0..10).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        for _ in 0..10 {
            ask(client, "SET a 1");
        }
        ask(client, "LPUSH a 1");
    }
    let up = format!("undermoon_proxy_node_up{{node=\"{}\"}}", node.address());
    let metrics = retry_until(Deadline::within(LIMIT), "the node is seen", || {
        let metrics = get(proxy.admin, "/metrics");
        anyhow::ensure!(value(&metrics, &up) == Some(1.0), "{metrics}");
        Ok(metrics)
    })
    .unwrap();
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    for (name, expected) in [
        ("undermoon_proxy_command_calls_total{command=\"set\"}", 100.0),
        ("undermoon_proxy_command_failed_total{command=\"lpush\"}", 10.0),
        ("undermoon_proxy_command_duration_seconds_count{command=\"set\"}", 100.0),
        ("undermoon_proxy_sessions", 10.0),
        ("undermoon_proxy_epoch", 1.0),
        ("undermoon_proxy_ready", 1.0),
    ] {
        assert_eq!(value(&metrics, name), Some(expected), "{name} in {metrics}");
    }
    let connected = format!("undermoon_proxy_backend_requests_total{{node=\"{}\",db=\"0\"}}", node.address());
    assert!(
        value(&metrics, &connected).is_some_and(|requests| requests >= 110.0),
        "{connected} in {metrics}"
    );
    assert!(metrics.trim_end().ends_with("# EOF"));
}

#[test]
fn requests_have_a_limit() {
    let proxy = Proxy::start(|_| {});
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    // The server may close while we still write, which is an error here and as good an answer.
    if let Ok(response) = request(proxy.admin, &huge) {
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 431 "), "{response}");
    }
    assert!(get(proxy.admin, "/healthz").starts_with("HTTP/1.1 200 "));
}
