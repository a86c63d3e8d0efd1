//! INFO tells of everything that the client has an answer to.

use crate::fixture::{Proxy, ask, ask_until, redis, text};

/// The value of a field of a section.
fn field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
}

#[test]
fn keys_are_counted_when_they_are_asked_for() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    ask_until(&mut client, "GET a", |reply| reply == "$-1");
    for keys in 1..=50 {
        assert_eq!(ask(&mut client, &format!("SET key:{keys} x")), "OK");
        for line in ["INFO keyspace", "INFO"] {
            let keyspace = field(&ask(&mut client, line), "db0").unwrap_or_default();
            assert!(keyspace.starts_with(&format!("keys={keys},")), "{line} after {keys} SETs: {keyspace}");
        }
    }
    // What was sent before it, though not answered yet, ran before it.
    (0..50).for_each(|key| client.send(&[b"SET", format!("more:{key}").as_bytes(), b"x"]).unwrap());
    client.send(&[b"INFO", b"keyspace"]).unwrap();
    (0..50).for_each(|_| client.read().unwrap().expect_ok().unwrap());
    let keyspace = field(&text(&client.read().unwrap()), "db0").unwrap_or_default();
    assert!(keyspace.starts_with("keys=100,"), "{keyspace}");
    // In another database.
    assert_eq!(ask(&mut client, "SELECT 2"), "OK");
    assert_eq!(ask(&mut client, "SET a x"), "OK");
    assert_eq!(field(&ask(&mut client, "INFO keyspace"), "db2").unwrap(), "keys=1,expires=0,avg_ttl=0");
}

#[test]
fn error_codes_of_scripts_are_counted_as_redis_counts_them() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let (mut client, mut direct) = (proxy.connect(), node.connect().unwrap());
    ask_until(&mut client, "GET a", |reply| reply == "$-1");
    ask(&mut direct, "CONFIG RESETSTAT");
    ask(&mut client, "CONFIG RESETSTAT");
    ask(&mut client, "SET a text");
    let scripts = [
        "return redis.error_reply('MYCODE it failed')",
        "return redis.error_reply('My:Code it failed')",
        "return redis.error_reply('short')",
        "return redis.call('LPUSH', KEYS[1], 'x')",
        "return redis.call('NOSUCH', KEYS[1])",
        "error('in Lua')",
    ];
    for (times, script) in scripts.iter().enumerate() {
        for _ in 0..=times {
            let reply = client.call(&[b"EVAL", script.as_bytes(), b"1", b"a"]).unwrap();
            assert!(reply.error().is_some(), "{script}");
        }
    }
    let counted = |info: &str| {
        let lines = info.lines().filter(|line| line.starts_with("errorstat_"));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let ours = counted(&ask(&mut client, "INFO errorstats"));
    assert_eq!(ours, counted(&ask(&mut direct, "INFO errorstats")));
    assert!(ours.contains(&"errorstat_MYCODE:count=1".to_owned()), "{ours:?}");
}
