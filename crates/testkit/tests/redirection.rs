//! A plain client, which knows nothing of clusters, in front of a proxy that forwards (`active_redirection`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use resp::Value;
use testkit::cluster::{ClusterFixture, ClusterOptions};
use testkit::connection::Connection;
use testkit::proxy::ProxyOptions;
use testkit::wait::{Deadline, retry_until};

fn forwarding(max_redirections: &str) -> Result<ClusterFixture> {
    let proxies =
        ProxyOptions::default().with("active_redirection", "true").with("max_redirections", max_redirections);
    ClusterFixture::start(&ClusterOptions { proxies: 3, proxy: proxies, ..ClusterOptions::default() })
}

#[test]
fn a_plain_client_sees_one_redis() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(0)?;
    for protocol in ["2", "3"] {
        client.say(&format!("HELLO {protocol}"))?;
        for db in ["0", "2"] {
            client.say(&format!("SELECT {db}"))?.expect_ok()?;
            for number in 0..300 {
                let (key, value) = (format!("key{number}"), format!("value-{protocol}-{db}-{number}"));
                client.say(&format!("SET {key} {value}"))?.expect_ok()?;
                let reply = client.say(&format!("GET {key}"))?;
                ensure!(reply.bytes() == format!("${}\r\n{value}\r\n", value.len()).as_bytes(), "{reply:?}");
            }
        }
    }
    // What is too large for one read, and what Redis refuses, come back all the same.
    let large = vec![b'x'; 1 << 20];
    for key in ["large-a", "large-b", "large-c", "large-d"] {
        client.call(&[b"SET", key.as_bytes(), &large])?.expect_ok()?;
        ensure!(client.say(&format!("STRLEN {key}"))?.integer()? == 1 << 20);
        let reply = client.say(&format!("LPUSH {key} x"))?;
        ensure!(reply.bytes().starts_with(b"-WRONGTYPE"), "{reply:?}");
    }
    Ok(())
}

#[test]
fn replies_keep_their_order_over_all_proxies() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(1)?;
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for number in 0..2000 {
        let value = format!("{number:06}");
        resp::encode::request(&mut requests, &[b"SET", format!("key{number}").as_bytes(), value.as_bytes()]);
        resp::encode::request(&mut requests, &[b"GET", format!("key{number}").as_bytes()]);
        expected.push(b"+OK\r\n".to_vec());
        expected.push(format!("$6\r\n{value}\r\n").into_bytes());
    }
    client.send_raw(&requests)?;
    for (number, expected) in expected.iter().enumerate() {
        let reply = client.read()?;
        ensure!(reply.bytes() == expected, "reply {number}: {reply:?}");
    }
    Ok(())
}

#[test]
fn a_request_does_not_go_round_in_circles() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(0)?;
    let key =
        (0..).map(|number| format!("key{number}")).find(|key| cluster.owner(key.as_bytes()).ok() == Some(1));
    let key = key.expect("some key is on proxy 1");
    let reply = client.say(&format!("UMFORWARD 0 GET {key}"))?;
    ensure!(reply.bytes().starts_with(b"-"), "no hop was left: {reply:?}");
    let reply = client.say(&format!("UMFORWARD 1 GET {key}"))?;
    ensure!(reply.bytes() == b"$-1\r\n", "one hop is enough: {reply:?}");
    for nonsense in
        ["UMFORWARD 1 UMFORWARD 1 GET a", "UMFORWARD x GET a", "UMFORWARD 1 SELECT 3", "UMFORWARD 999 GET a"]
    {
        let reply = client.say(nonsense)?;
        ensure!(reply.bytes().starts_with(b"-ERR"), "{nonsense}: {reply:?}");
    }
    Ok(())
}

/// The bulks of an array.
fn names(value: &Value<'_>) -> BTreeSet<String> {
    let Value::Array(items) = value else { return BTreeSet::new() };
    let text = |item: &Value<'_>| match item {
        Value::Bulk(name) => Some(String::from_utf8_lossy(name).into_owned()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}

/// All keys by SCAN. How often one comes does not matter.
fn scan(client: &mut Connection, count: &str) -> Result<BTreeSet<String>> {
    const STEPS_MAX: usize = 10_000;
    let (mut cursor, mut found) = ("0".to_owned(), BTreeSet::new());
    for _ in 0..STEPS_MAX {
        let reply = client.say(&format!("SCAN {cursor} COUNT {count}"))?;
        let Value::Array(parts) = reply.value()? else { anyhow::bail!("{reply:?}") };
        let [Value::Bulk(next), keys] = &parts[..] else { anyhow::bail!("{reply:?}") };
        found.extend(names(keys));
        cursor = String::from_utf8_lossy(next).into_owned();
        if cursor == "0" {
            return Ok(found);
        }
    }
    anyhow::bail!("no end after {STEPS_MAX} steps")
}

#[test]
fn commands_without_keys_answer_for_all_proxies() -> Result<()> {
    const KEYS: usize = 300;
    let cluster = forwarding("4")?;
    let expected: BTreeSet<String> = (0..KEYS).map(|number| format!("key{number}")).collect();
    let mut first = cluster.connect(0)?;
    for db in ["2", "0"] {
        first.say(&format!("SELECT {db}"))?.expect_ok()?;
        for key in &expected {
            first.say(&format!("SET {key} x"))?.expect_ok()?;
        }
    }
    let owner = |key: &str| cluster.owner(key.as_bytes());
    let owners =
        |keys: &BTreeSet<String>| keys.iter().map(|key| owner(key)).collect::<Result<BTreeSet<usize>>>();
    ensure!(owners(&expected)?.len() == 3, "every proxy has some of the keys");
    for (number, protocol) in [(0, "2"), (1, "3"), (2, "2")] {
        let mut client = cluster.connect(number)?;
        client.say(&format!("HELLO {protocol}"))?;
        ensure!(client.say("DBSIZE")?.integer()? == KEYS as i64, "proxy {number}");
        ensure!(names(&client.say("KEYS *")?.value()?) == expected, "KEYS at proxy {number}");
        for count in ["1", "7", "1000"] {
            ensure!(scan(&mut client, count)? == expected, "SCAN COUNT {count} at proxy {number}");
        }
        let mut random = BTreeSet::new();
        retry_until(
            Deadline::within(Duration::from_secs(10)),
            "RANDOMKEY gives keys of every proxy",
            || {
                random.insert(client.say("RANDOMKEY")?.text()?);
                ensure!(owners(&random)?.len() == 3, "{random:?}");
                Ok(())
            },
        )?;
        // A script that was loaded here runs wherever its keys are.
        let script = format!("return redis.call('APPEND', KEYS[1], '') + {number}");
        let digest = client.call(&[b"SCRIPT", b"LOAD", script.as_bytes()])?.text()?;
        for key in &expected {
            let reply = client.say(&format!("EVALSHA {digest} 1 {key}"))?;
            ensure!(reply.integer()? == 1 + number as i64, "{key}: {reply:?}");
        }
        ensure!(client.say(&format!("SCRIPT EXISTS {digest}"))?.bytes() == b"*1\r\n:1\r\n");
    }
    // In the order of the session: what was sent before is removed, what is sent afterwards is not.
    for key in &expected {
        first.send(&[b"SET", format!("more-{key}").as_bytes(), b"x"])?;
    }
    first.send(&[b"FLUSHDB"])?;
    for key in &expected {
        first.send(&[b"SET", key.as_bytes(), b"y"])?;
    }
    first.send(&[b"DBSIZE"])?;
    for _ in 0..=2 * KEYS {
        first.read()?.expect_ok()?;
    }
    ensure!(first.read()?.integer()? == KEYS as i64);
    // FLUSHDB has left the other database alone; FLUSHALL does not.
    first.say("SELECT 2")?.expect_ok()?;
    ensure!(first.say("DBSIZE")?.integer()? == KEYS as i64);
    first.say("FLUSHALL")?.expect_ok()?;
    for member in &cluster.members {
        ensure!(member.primary.connect()?.say("DBSIZE")?.integer()? == 0);
    }
    Ok(())
}

#[test]
fn a_script_behind_another_proxy_is_killed() -> Result<()> {
    let cluster = forwarding("4")?;
    for member in &cluster.members {
        member.primary.connect()?.say("CONFIG SET lua-time-limit 100")?.expect_ok()?;
    }
    let key =
        (0..).map(|number| format!("key{number}")).find(|key| cluster.owner(key.as_bytes()).ok() == Some(2));
    let key = key.unwrap_or_default();
    let (mut runner, mut killer) = (cluster.connect(0)?, cluster.connect(0)?);
    runner.set_reply_limit(Duration::from_secs(20))?;
    runner.send(&[b"EVAL", b"while true do end", b"1", key.as_bytes()])?;
    retry_until(Deadline::within(Duration::from_secs(10)), "the script is killed", || {
        killer.say("SCRIPT KILL")?.expect_ok()
    })?;
    let reply = runner.read()?;
    ensure!(reply.error().is_some_and(|error| error.contains("SCRIPT KILL")), "{reply:?}");
    Ok(())
}

#[test]
fn another_proxy_is_waited_for_while_its_node_runs_a_script() -> Result<()> {
    const SCRIPT: &str = "local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end \
                          local till = now() + 4000 while now() < till do end return 'done'";
    let proxies = ProxyOptions::default().with("active_redirection", "true").with("backend_timeout", "1000");
    let options = ClusterOptions { proxies: 3, proxy: proxies, ..ClusterOptions::default() };
    let mut cluster = ClusterFixture::start(&options)?;
    let mut keys = (0..).map(|number| format!("key{number}"));
    let key = keys.find(|key| cluster.owner(key.as_bytes()).ok() == Some(1)).unwrap_or_default();
    let mut clients = (0..4).map(|_| cluster.connect(0)).collect::<Result<Vec<_>>>()?;
    for client in &mut clients {
        client.say(&format!("GET {key}"))?;
    }
    let busy = |cluster: &ClusterFixture| -> Result<Connection> {
        let mut direct = cluster.members[1].primary.connect()?;
        direct.send(&[b"EVAL", SCRIPT.as_bytes(), b"0"])?;
        retry_until(Deadline::within(Duration::from_secs(10)), "the script runs", || {
            let mut probe = cluster.members[1].primary.connect()?;
            probe.send(&[b"PING"])?;
            ensure!(!probe.has_data(Duration::from_millis(100))?, "it answers");
            Ok(())
        })?;
        Ok(direct)
    };
    let mut direct = busy(&cluster)?;
    let began = Instant::now();
    for client in &mut clients {
        client.send(&[b"INCR", key.as_bytes()])?;
    }
    let mut counts = BTreeSet::new();
    for client in &mut clients {
        counts.insert(client.read()?.integer()?);
    }
    ensure!(counts == (1..=4).collect(), "each was executed once: {counts:?}");
    ensure!(began.elapsed() > Duration::from_secs(3), "the script was over after {:?}", began.elapsed());
    ensure!(direct.read()?.text()? == "done");
    // A proxy that does not answer is given up all the same.
    cluster.members[1].proxy.process().freeze()?;
    let began = Instant::now();
    let reply = clients[0].call(&[b"INCR", key.as_bytes()])?;
    ensure!(reply.error().is_some_and(|error| error.contains("may or may not")), "{reply:?}");
    ensure!(began.elapsed() < Duration::from_secs(5), "given up after {:?}", began.elapsed());
    cluster.members[1].proxy.process().thaw()
}

#[test]
fn a_very_large_value_is_forwarded() -> Result<()> {
    const LEN: usize = 70 * 1024 * 1024;
    let cluster = forwarding("4")?;
    let mut client = cluster.connect(0)?;
    client.set_reply_limit(Duration::from_secs(60))?;
    let value = vec![b'x'; LEN];
    for (number, key) in (0..).map(|number| format!("key{number}")).take(12).enumerate() {
        client.call(&[b"SET", key.as_bytes(), &value])?.expect_ok()?;
        ensure!(client.say(&format!("STRLEN {key}"))?.integer()? == LEN as i64);
        if number < 3 {
            ensure!(client.say(&format!("GET {key}"))?.text()?.len() == LEN);
        }
        client.say(&format!("DEL {key}"))?;
    }
    Ok(())
}

/// Waits until a proxy holds requests of its clients.
fn wait_held(cluster: &ClusterFixture, number: usize) -> Result<()> {
    let mut client = cluster.connect(number)?;
    retry_until(Deadline::within(Duration::from_secs(10)), "a request is held", || {
        let info = client.say("INFO clients")?.text()?;
        ensure!(!info.contains("blocked_clients:0"), "{info}");
        Ok(())
    })
}

#[test]
fn no_request_waits_behind_another_clients_held_one() -> Result<()> {
    let cluster = forwarding("4")?;
    let mut keys = (0..).map(|number| format!("key{number}"));
    let key = keys.find(|key| cluster.owner(key.as_bytes()).ok() == Some(1)).unwrap_or_default();
    let (mut writer, mut reader) = (cluster.connect(0)?, cluster.connect(0)?);
    writer.say(&format!("SET {key} before"))?.expect_ok()?;
    reader.set_reply_limit(Duration::from_secs(2))?;
    let mut pauser = cluster.connect(1)?;
    for round in 0..3 {
        let value = |part: &str| format!("{part}-{round}");
        let before = reader.say(&format!("GET {key}"))?.text()?;
        pauser.say("CLIENT PAUSE 60000 WRITE")?.expect_ok()?;
        // In one write, so that reads come behind the held write before anybody can know of it.
        let mut requests = Vec::new();
        for part in ["first", "second"] {
            resp::encode::request(&mut requests, &[b"SET", key.as_bytes(), value(part).as_bytes()]);
            resp::encode::request(&mut requests, &[b"GET", key.as_bytes()]);
        }
        resp::encode::request(&mut requests, &[b"DBSIZE"]);
        writer.send_raw(&requests)?;
        wait_held(&cluster, 1)?;
        for _ in 0..50 {
            ensure!(reader.say(&format!("GET {key}"))?.text()? == before, "read beside the held write");
            ensure!(reader.say("DBSIZE")?.integer()? == 1);
        }
        ensure!(!writer.has_data(Duration::from_millis(50))?, "a session's own requests keep their order");
        pauser.say("CLIENT UNPAUSE")?.expect_ok()?;
        for part in ["first", "second"] {
            writer.read()?.expect_ok()?;
            ensure!(writer.read()?.text()? == value(part), "{part}");
        }
        ensure!(writer.read()?.integer()? == 1);
        ensure!(reader.say(&format!("GET {key}"))?.text()? == value("second"));
    }
    // Many clients, of which each is held, and then goes on.
    pauser.say("CLIENT PAUSE 60000 WRITE")?.expect_ok()?;
    let mut writers = (0..200).map(|_| cluster.connect(0)).collect::<Result<Vec<_>>>()?;
    for writer in &mut writers {
        writer.send(&[b"INCR", format!("{{{key}}}n").as_bytes()])?;
    }
    wait_held(&cluster, 1)?;
    ensure!(reader.say(&format!("GET {key}"))?.text()?.starts_with("second"));
    pauser.say("CLIENT UNPAUSE")?.expect_ok()?;
    let mut counts = BTreeSet::new();
    for writer in &mut writers {
        counts.insert(writer.read()?.integer()?);
    }
    ensure!(counts == (1..=200).collect(), "each was executed once: {counts:?}");
    Ok(())
}

/// What servers that listen at this port have not read yet, bytes.
fn unread_at(port: u16) -> Result<usize> {
    let mut bytes = 0;
    for line in std::fs::read_to_string("/proc/self/net/tcp")?.lines().skip(1) {
        // Number, local and remote address, state, what is to be sent and to be read.
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if words[1].ends_with(&format!(":{port:04X}")) {
            bytes += usize::from_str_radix(words[4].split_once(':').context("two queues")?.1, 16)?;
        }
    }
    Ok(bytes)
}

/// A proxy is killed while its node hangs, and is started again: what the node has still to read of the former process is
/// not executed after what the new one has acknowledged to the same session of another proxy.
#[test]
fn what_a_killed_proxy_had_sent_undoes_nothing_that_its_next_process_acknowledges() -> Result<()> {
    let options = ProxyOptions::default().with("active_redirection", "true");
    let limit = || Deadline::within(Duration::from_secs(20));
    let mut cluster =
        ClusterFixture::start(&ClusterOptions { proxy: options.clone(), ..Default::default() })?;
    let mut keys = (0..).map(|number| format!("key{number}"));
    let key = keys.find(|key| cluster.owner(key.as_bytes()).ok() == Some(1)).unwrap_or_default();
    let port = cluster.members[1].primary.address().port();
    for (epoch, bytes) in [(2, 20_000), (3, 240_000), (4, 240_000), (5, 1_000_000)] {
        let mut client = cluster.connect(0)?;
        let set = |client: &mut Connection, value: &[u8]| client.call(&[b"SET", key.as_bytes(), value]);
        retry_until(limit(), "the key is served", || set(&mut client, b"start")?.expect_ok())?;
        cluster.members[1].primary.process().freeze()?;
        client.send(&[b"SET", key.as_bytes(), &vec![b'o'; bytes]])?;
        retry_until(limit(), "the old value lies at the node", || {
            ensure!(unread_at(port)? >= 20_000, "{} bytes", unread_at(port)?);
            Ok(())
        })?;
        cluster.members[1].proxy.restart(&options)?;
        let reply = client.read()?;
        ensure!(reply.error().is_some_and(|error| error.contains("may or may not")), "{reply:?}");
        cluster.push(epoch)?;
        client.send(&[b"SET", key.as_bytes(), b"new"])?;
        // A request for the node lies there beside the old one, or the proxy has none to send yet.
        client.has_data(Duration::from_millis(300))?;
        cluster.members[1].primary.process().thaw()?;
        if client.read()?.expect_ok().is_err() {
            retry_until(limit(), "the key is served again", || set(&mut client, b"new")?.expect_ok())?;
        }
        retry_until(limit(), "the node has read everything", || {
            ensure!(unread_at(port)? == 0, "{} bytes", unread_at(port)?);
            Ok(())
        })?;
        let after = client.say(&format!("GET {key}"))?.text()?;
        ensure!(
            after == "new",
            "{bytes} bytes: the key has {} bytes after new was acknowledged",
            after.len()
        );
    }
    Ok(())
}
