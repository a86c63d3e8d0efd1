//! HTTP for operators: each call, who may, and the document against what is answered.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proxy::config::ProxyConfig;
use serde_json::{Value, json};
use service::config::Secret;
use testkit::wait::{Deadline, retry_until};

use crate::fixture::{LIMIT, Proxy, ask, redis};

/// Sends a request on a connection of its own; status and body of the response.
fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let body = response.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

/// GET without a token.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    send(address, "GET", path, "", "")
}

/// A call without a token; the body is JSON.
fn call(proxy: &Proxy, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = send(proxy.admin, method, path, "", &body);
    (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
}

fn read(proxy: &Proxy, path: &str) -> Value {
    let (status, answer) = call(proxy, "GET", path, &Value::Null);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[test]
fn what_a_proxy_is() {
    let node = redis();
    let proxy = Proxy::start(|config| config.password = Some(Secret::new("hidden")));
    let view = read(&proxy, "/v1/view");
    assert_eq!((&view["cluster"], &view["ready"]), (&Value::Null, &json!(false)));
    assert_eq!(view["reason"], "no cluster: waiting for UMCTL SETCLUSTER");
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "AUTH hidden"), "OK");
    let address = node.address().to_string();
    assert_eq!(ask(&mut client, &format!("UMCTL SETREPL 5 NOFLAGS master mydb {address} 0")), "OK");
    let line =
        format!("UMCTL SETCLUSTER v2 6 NOFLAGS mydb {address} 1 0-9999 PEER 127.0.0.1:1 1 10000-16383");
    assert_eq!(ask(&mut client, &line), "OK");
    let view = retry_until(Deadline::within(LIMIT), "it is ready", || {
        let view = read(&proxy, "/v1/view");
        anyhow::ensure!(view["ready"] == true, "{view}");
        Ok(view)
    })
    .unwrap();
    assert_eq!(
        (&view["epoch"], &view["slots_owned"], &view["reason"]),
        (&json!(6), &json!(10000), &Value::Null)
    );
    let owned = json!([{"address": address, "slots": [{"ranges": [[0, 9999]], "state": "owned"}]}]);
    assert_eq!(view["local"], owned);
    assert_eq!(view["peers"][0]["slots"][0]["ranges"], json!([[10000, 16383]]));
    let roles = read(&proxy, "/v1/roles");
    assert_eq!(roles["epoch"], 5);
    let shown = &roles["nodes"][0];
    assert_eq!(
        (&shown["wanted"], &shown["role"], &shown["state"]),
        (&json!("master"), &json!("master"), &json!("up"))
    );
    for _ in 0..5 {
        assert_eq!(ask(&mut client, "SET b 1"), "OK");
    }
    let commands = read(&proxy, "/v1/commands");
    let set =
        commands["commands"].as_array().unwrap().iter().find(|command| command["name"] == "set").unwrap();
    assert_eq!((&set["calls"], set["p99_us"].is_u64()), (&json!(5), true), "{set}");
    let backends = read(&proxy, "/v1/backends");
    assert_eq!(backends["backends"][0]["node"], address);
    assert!(backends["backends"][0]["requests"].as_u64().unwrap() >= 5);
    let settings = read(&proxy, "/v1/settings");
    assert_eq!(settings["settings"]["requirepass"], json!({"value": "***", "changeable": true}));
    assert_eq!(settings["settings"]["databases"], json!({"value": "16", "changeable": false}));
}

/// More callers of `/metrics` than there are places, each with many requests under way: a liveness probe is answered.
#[test]
fn a_probe_beside_many_callers_of_metrics() {
    const CALLERS: usize = 70;
    const PROBES: usize = 30;
    let proxy = Proxy::start(|_| {});
    let address = proxy.admin;
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let took = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // A caller that has to make room comes again.
                    let _ = ask_for_metrics(address, &over, &served);
                }
            });
        }
        let is_flooded = retry_until(Deadline::within(LIMIT), "the callers are at work", || {
            anyhow::ensure!(served.load(Ordering::Relaxed) > CALLERS);
            Ok(())
        });
        let probe = |_| {
            let asked = Instant::now();
            let answer = std::panic::catch_unwind(|| get(address, "/healthz"));
            (answer.ok(), asked.elapsed())
        };
        let probes: Vec<_> = if is_flooded.is_ok() { (0..PROBES).map(probe).collect() } else { Vec::new() };
        over.store(true, Ordering::Relaxed);
        is_flooded.unwrap();
        for (answer, _) in &probes {
            assert_eq!(answer, &Some((200, "ok\n".to_owned())), "{probes:?}");
        }
        let mut took: Vec<_> = probes.into_iter().map(|(_, took)| took).collect();
        took.sort_unstable();
        took
    });
    // Places are free when the next text of metrics is made, after 50 ms at most; the rest is for a slow machine.
    let (median, slowest) = (took[PROBES / 2], took[PROBES - 1]);
    assert!(median < Duration::from_millis(250) && slowest < Duration::from_secs(2), "{took:?}");
}

/// Sends requests for metrics, many at a time, and reads what comes.
fn ask_for_metrics(address: SocketAddr, over: &AtomicBool, served: &AtomicUsize) -> std::io::Result<()> {
    const AT_A_TIME: usize = 20;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut received = vec![0; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        stream.write_all("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(AT_A_TIME).as_bytes())?;
        let mut bytes = 0;
        while bytes < AT_A_TIME * 3000 {
            match stream.read(&mut received)? {
                0 => return Ok(()),
                read => bytes += read,
            }
        }
        served.fetch_add(AT_A_TIME, Ordering::Relaxed);
    }
    Ok(())
}

#[test]
fn sessions_are_listed_in_pages_and_closed() {
    let proxy = Proxy::start(|_| {});
    let mut clients: Vec<_> = (0..5).map(|_| proxy.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(ask(client, &format!("CLIENT SETNAME c{number}")), "OK");
    }
    let (mut names, mut after) = (Vec::new(), 0);
    loop {
        let page = read(&proxy, &format!("/v1/sessions?limit=2&after={after}"));
        assert!(
            page["sessions"].as_array().unwrap().len() <= 2 && page["total"].as_u64().unwrap() >= 5,
            "{page}"
        );
        names.extend(page["sessions"].as_array().unwrap().iter().map(|session| session["name"].clone()));
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    // Workers number their sessions as they accept them.
    let mut names: Vec<&str> =
        names.iter().filter_map(Value::as_str).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    assert_eq!(names, ["c0", "c1", "c2", "c3", "c4"]);
    let id = ask(&mut clients[2], "CLIENT ID");
    let path = format!("/v1/sessions/{}", &id[1..]);
    assert_eq!(call(&proxy, "DELETE", &path, &Value::Null).0, 204);
    retry_until(Deadline::within(LIMIT), "the session is closed", || {
        anyhow::ensure!(clients[2].say("PING").is_err());
        Ok(())
    })
    .unwrap();
    assert_eq!(ask(&mut clients[3], "PING"), "PONG");
    let (status, refusal) = call(&proxy, "DELETE", &path, &Value::Null);
    assert_eq!((status, &refusal["error"]), (404, &json!("SESSION_NOT_FOUND")));
    for (path, key) in [
        ("/v1/sessions?limit=0", "limit"),
        ("/v1/sessions?after=x", "after"),
        ("/v1/slowlog?limit=5000", "limit"),
    ] {
        let (status, refusal) = call(&proxy, "GET", path, &Value::Null);
        assert_eq!(
            (status, &refusal["error"], &refusal["key"]),
            (400, &json!("INVALID_PARAMETER"), &json!(key))
        );
    }
}

#[test]
fn settings_change_or_the_refusal_says_why() {
    let proxy = Proxy::start(|_| {});
    let change = |body: Value| call(&proxy, "PATCH", "/v1/settings", &body);
    let (status, settings) = change(json!({"maxclients": 77, "active-redirection": true, "timeout": "60"}));
    assert_eq!(status, 200, "{settings}");
    assert_eq!(settings["settings"]["maxclients"]["value"], "77");
    let mut client = proxy.connect();
    assert!(ask(&mut client, "CONFIG GET maxclients").ends_with("77"));
    for (body, status, key, words) in [
        (json!({"maxclients": 0}), 400, json!("maxclients"), "must be between 1 and"),
        (json!({"maxclients": 5, "databases": 3}), 400, json!("databases"), "immutable"),
        (json!({"maxclient": 5}), 400, json!("maxclient"), "accepted: backend-timeout"),
        (json!({"maxclients": [5]}), 400, json!("maxclients"), "a text, a number"),
        (json!({"active-redirection": "maybe"}), 400, json!("active-redirection"), "'yes' or 'no'"),
        (json!({}), 400, Value::Null, "names no setting"),
        (json!([1]), 400, Value::Null, "no JSON object"),
        // The tests' process has no log of its own to change.
        (json!({"loglevel": "debug"}), 409, Value::Null, "the log of this process cannot be changed"),
    ] {
        let (got, refusal) = change(body.clone());
        assert_eq!((got, &refusal["key"]), (status, &key), "{body}: {refusal}");
        assert!(refusal["message"].as_str().unwrap().contains(words), "{body}: {refusal}");
    }
    assert!(ask(&mut client, "CONFIG GET maxclients").ends_with("77"), "nothing of a refused change holds");
}

#[test]
fn the_slow_log() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    assert_eq!(ask(&mut client, "CONFIG SET slowlog-log-slower-than 0"), "OK");
    assert_eq!(ask(&mut client, "SET a 1"), "OK");
    let entry = retry_until(Deadline::within(LIMIT), "the request is in the slow log", || {
        let log = read(&proxy, "/v1/slowlog?limit=10");
        let entries = log["entries"].as_array().unwrap().clone();
        entries
            .into_iter()
            .find(|entry| entry["args"] == json!(["SET", "a", "1"]))
            .ok_or(anyhow::anyhow!("{log}"))
    })
    .unwrap();
    assert!(entry["us"].is_u64() && entry["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{entry}");
    assert_eq!(ask(&mut client, "CONFIG SET slowlog-log-slower-than -1"), "OK");
    assert_eq!(call(&proxy, "DELETE", "/v1/slowlog", &Value::Null).0, 204);
    assert_eq!(read(&proxy, "/v1/slowlog"), json!({"entries": []}));
}

#[test]
fn drain_ends_the_proxy() {
    let proxy = Proxy::start(|_| {});
    let (status, answer) = call(&proxy, "POST", "/v1/drain", &Value::Null);
    assert_eq!((status, answer), (202, json!({"draining": true})));
    proxy.join().unwrap();
}

#[test]
fn who_may_call() {
    let secured = |config: &mut ProxyConfig| {
        config.password = Some(Secret::new("a client's"));
        config.control_password = Some(Secret::new("op"));
    };
    let proxy = Proxy::start(secured);
    let document: Value = serde_json::from_str(&get(proxy.admin, "/openapi.json").1).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "1");
        for method in item.as_object().unwrap().keys() {
            let is_open = ["/metrics", "/healthz", "/readyz"].contains(&path.as_str());
            for header in ["", "Authorization: Bearer a client's\r\n", "Authorization: Bearer \r\n"] {
                let (status, _) = send(proxy.admin, &method.to_uppercase(), &path, header, "");
                assert_eq!(status == 401, !is_open, "{method} {path} {header:?}: {status}");
            }
        }
    }
    assert_eq!(send(proxy.admin, "GET", "/v1/view", "Authorization: Bearer op\r\n", "").0, 200);
    // Without a password this machine may call, but no web page that is open on it.
    let open = Proxy::start(|_| {});
    assert_eq!(send(open.admin, "GET", "/v1/view", "", "").0, 200);
    assert_eq!(send(open.admin, "POST", "/v1/drain", "Origin: http://evil.example\r\n", "").0, 403);
    assert!(!open.has_ended());
}

#[test]
fn the_document_says_what_is_answered() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    ask(&mut client, "CONFIG SET slowlog-log-slower-than 0");
    ask(&mut client, "SET a 1");
    let (_, document) = get(proxy.admin, "/openapi.json");
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            // The end of the proxy has a test of its own.
            if path == "/v1/drain" {
                continue;
            }
            for (real, body) in [
                (path.replace("{id}", "999999"), Value::Null),
                (path.replace("{id}", "x") + "?limit=0", json!({"maxclients": "x"})),
                (path.clone(), json!({"maxclients": "100"})),
            ] {
                let (status, answer) = call(&proxy, &method.to_uppercase(), &real, &body);
                let response = &described["responses"][status.to_string()];
                assert!(
                    !response.is_null(),
                    "{method} {real} answers {status}, which the document does not know"
                );
                let schema = &response["content"]["application/json"]["schema"];
                if !schema.is_null() {
                    testkit::schema::misfit(&document, schema, &answer)
                        .unwrap_or_else(|wrong| panic!("{method} {real}: {wrong}"));
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 20, "only {checked} answers were compared");
}

/// A liveness probe would end the proxy.
#[test]
fn half_requests_keep_no_health_check_waiting() {
    let proxy = Proxy::start(|_| {});
    let begun = Instant::now();
    let half = |_| {
        let mut stream = TcpStream::connect(proxy.admin).unwrap();
        stream.write_all(b"GET / HT").unwrap();
        stream
    };
    let halves: Vec<TcpStream> = (0..200).map(half).collect();
    assert_eq!(get(proxy.admin, "/healthz").0, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    drop(halves);
}
