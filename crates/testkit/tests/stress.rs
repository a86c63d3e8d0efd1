//! Limits and failures that meet, on real processes: no client's replies, order or time suffer from another client that
//! does not read, from a node that is stopped, dies or is busy, or from slots that move. What the simulated tests of
//! `proxy-core` show for every interleaving is shown here once with sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use model::{
    ClusterConfig, Epoch, LocalNode, PeerProxy, SLOT_COUNT, Slot, SlotAssignment, SlotRange, SlotRanges,
    SlotTag, View,
};
use testkit::connection::Connection;
use testkit::proxy::{ProxyOptions, ProxyProcess, cluster_name, model_address};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::tagged::value;
use testkit::wait::{Deadline, retry_until, wait_until};

const MIB: u64 = 1 << 20;
const MEMORY_MAX: u64 = 64 * MIB;
/// What a proxy may take beyond its budget: buffers of sockets that are being read and written, and its own.
const BESIDE_BUDGET: u64 = 48 * MIB;
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that can be told to be busy, and to fill itself.
fn redis() -> Result<RedisServer> {
    RedisServer::start(RedisOptions::default().with("enable-debug-command", "yes"))
}

/// The `part`-th of `parts` equal parts of all slots.
fn part_of_slots(part: usize, parts: usize) -> Result<SlotRanges> {
    let slot = |index: usize| u16::try_from(index).ok().and_then(Slot::new);
    let first = slot(part * SLOT_COUNT / parts);
    let last = slot((part + 1) * SLOT_COUNT / parts - 1);
    let range = first.zip(last).and_then(|(first, last)| SlotRange::new(first, last));
    Ok(SlotRanges::from(range.context("the bounds of a part of the slots")?))
}

fn owned(ranges: SlotRanges) -> Vec<SlotAssignment> {
    vec![SlotAssignment { ranges, tag: SlotTag::None }]
}

fn view(epoch: u64, local: Vec<LocalNode>, peers: Vec<PeerProxy>) -> Result<View> {
    Ok(View { epoch: Epoch(epoch), cluster: cluster_name()?, local, peers, config: ClusterConfig::default() })
}

/// A proxy in front of these servers, which have an equal part of the slots each.
fn in_front_of(servers: &[RedisServer], options: &ProxyOptions) -> Result<ProxyProcess> {
    let node = |(part, server): (usize, &RedisServer)| -> Result<LocalNode> {
        let slots = owned(part_of_slots(part, servers.len())?);
        Ok(LocalNode { address: model_address(server.address())?, slots })
    };
    let local = servers.iter().enumerate().map(node).collect::<Result<Vec<_>>>()?;
    let proxy = ProxyProcess::start(options)?;
    proxy.set_view(&view(1, local, Vec::new())?)?;
    proxy.wait_ready()?;
    Ok(proxy)
}

/// A key of this part of the slots.
fn key_in(part: usize, parts: usize) -> Result<String> {
    let slots = part_of_slots(part, parts)?;
    let mut keys = (0..).map(|number| format!("k{number}"));
    keys.find(|key| slots.contains(Slot::of_key(key.as_bytes()))).context("every part has keys")
}

fn patient(address: SocketAddr) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    connection.set_reply_limit(PATIENCE)?;
    Ok(connection)
}

#[test]
fn a_node_dies_while_another_is_stopped_and_very_much_is_parked() -> Result<()> {
    const VALUES: usize = 45;
    const VALUE_BYTES: usize = 900_000;
    let mut servers = [redis()?, redis()?, redis()?];
    let options = ProxyOptions::default().with("backend_timeout", "60000");
    let mut proxy = in_front_of(&servers, &options)?;
    let keys = [key_in(0, 3)?, key_in(1, 3)?, key_in(2, 3)?];
    let mut client = patient(proxy.address())?;
    for key in &keys {
        client.call(&[b"SET", key.as_bytes(), &value(key, VALUE_BYTES)])?.expect_ok()?;
    }
    servers[0].process().freeze()?;
    for (key, times) in keys.iter().zip([1, VALUES, 0]) {
        (0..times).try_for_each(|_| client.send(&[b"GET", key.as_bytes()]))?;
    }
    // All of them wait for the reply of the node that is stopped. Or the proxy has ended.
    wait_until(Deadline::within(PATIENCE), "the replies are parked", || {
        let parked = proxy.process().memory().map_or(u64::MAX, |memory| memory.resident_bytes);
        parked > 36 * MIB || proxy.process().exited().is_some()
    })?;
    servers[2].process().freeze()?;
    client.send(&[b"GET", keys[2].as_bytes()])?;
    // The GET is with the node, or on its way.
    ensure!(Connection::open(proxy.address())?.say("PING")?.bytes() == b"+PONG\r\n");
    servers[2].process().kill();
    let mut other = patient(proxy.address())?;
    ensure!(other.say(&format!("STRLEN {}", keys[1]))?.integer()? == VALUE_BYTES as i64);
    servers[0].process().thaw()?;
    for (key, times) in keys.iter().zip([1, VALUES]) {
        for number in 0..times {
            let reply = client.read()?;
            ensure!(
                reply.value()? == resp::Value::Bulk(&value(key, VALUE_BYTES)),
                "{key}, {number}: {reply:?}"
            );
        }
    }
    let failed = client.read()?;
    ensure!(failed.error().is_some(), "its node is dead: {failed:?}");
    ensure!(proxy.process().exited().is_none(), "the proxy lives");
    Ok(())
}

/// A client that asks for these many bytes of a large value and does not read them, once they have begun to come.
fn lazy(address: SocketAddr, key: &str, times: usize) -> Result<Connection> {
    let mut lazy = patient(address)?;
    (0..times).try_for_each(|_| lazy.send(&[b"GET", key.as_bytes()]))?;
    let mut first = [0];
    let peeked = lazy.stream().peek(&mut first)?;
    ensure!(peeked == 1 && first == *b"$", "{first:?}");
    Ok(lazy)
}

#[test]
fn a_session_keeps_its_order_beside_a_client_that_does_not_read() -> Result<()> {
    const RUNS: usize = 8;
    const PIPELINE_BYTES: usize = 160_000;
    let redis = redis()?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let mut direct = patient(redis.address())?;
    direct.call(&[b"SET", b"big", &value("big", 32 << 20)])?.expect_ok()?;
    for run in 0..RUNS {
        let lazy = lazy(proxy.address(), "big", 1)?;
        let mut session = patient(proxy.address())?;
        direct.send(&[b"DEBUG", b"SLEEP", b"0.3"])?;
        let filling = vec![b'x'; 1_000];
        let mut pipeline = Vec::new();
        let mut sent = 0;
        while pipeline.len() < PIPELINE_BYTES {
            resp::encode::request(&mut pipeline, &[b"SET", b"filling", &filling]);
            sent += 1;
        }
        resp::encode::request(&mut pipeline, &[b"SET", b"k", b"1"]);
        session.send_raw(&pipeline)?;
        thread::sleep(Duration::from_millis(120)); // the node is busy, and this is what is tried: to send more later
        session.send_raw(b"SET k 2\r\nGET k\r\n")?;
        for _ in 0..sent + 2 {
            session.read()?.expect_ok()?;
        }
        ensure!(session.read()?.bytes() == b"$1\r\n2\r\n", "run {run}");
        drop(lazy);
        direct.read()?.expect_ok()?;
        // What could still come to the node comes now.
        let late = Deadline::within(Duration::from_millis(200));
        while !late.passed() {
            let now = direct.say("GET k")?;
            ensure!(now.bytes() == b"$1\r\n2\r\n", "run {run}: an acknowledged write is lost: {now:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

#[test]
fn a_session_keeps_its_order_when_a_slot_moves_to_another_proxy() -> Result<()> {
    let (old, new) = (redis()?, redis()?);
    let options = ProxyOptions::default().with("active_redirection", "true");
    let (old_proxy, new_proxy) = (ProxyProcess::start(&options)?, ProxyProcess::start(&options)?);
    let push = |epoch: u64, (old_slots, new_slots): (SlotRanges, SlotRanges)| -> Result<()> {
        let sides = [(&old_proxy, &old, old_slots), (&new_proxy, &new, new_slots)];
        for me in 0..2 {
            let [mine, other] = [&sides[me], &sides[1 - me]];
            let slots =
                |ranges: &SlotRanges| if ranges.is_empty() { Vec::new() } else { owned(ranges.clone()) };
            let local = LocalNode { address: model_address(mine.1.address())?, slots: slots(&mine.2) };
            let peer = PeerProxy { address: model_address(other.0.address())?, slots: slots(&other.2) };
            mine.0.set_view(&view(epoch, vec![local], vec![peer])?)?;
        }
        Ok(())
    };
    push(1, (part_of_slots(0, 2)?, part_of_slots(1, 2)?))?;
    old_proxy.wait_ready()?;
    new_proxy.wait_ready()?;
    let key = key_in(0, 2)?;
    let mut client = patient(new_proxy.address())?;
    client.say(&format!("SET {key} 0"))?.expect_ok()?;
    // The first SET comes to the old owner and is held there.
    old_proxy.connect()?.say("CLIENT PAUSE 2000 WRITE")?.expect_ok()?;
    client.send_raw(format!("SET {key} 1\r\n").as_bytes())?;
    thread::sleep(Duration::from_millis(200)); // nothing tells that it has come: a run in which it has not shows less
    push(2, (SlotRanges::default(), SlotRanges::all()))?;
    client.send_raw(format!("SET {key} 2\r\nGET {key}\r\n").as_bytes())?;
    client.read()?.expect_ok()?;
    client.read()?.expect_ok()?;
    ensure!(client.read()?.bytes() == b"$1\r\n2\r\n");
    // Until long after the old owner has let go what it held.
    let late = Deadline::within(Duration::from_millis(2500));
    while !late.passed() {
        let now = new.connect()?.say(&format!("GET {key}"))?;
        ensure!(now.bytes() == b"$1\r\n2\r\n", "an acknowledged write is lost: {now:?}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Sends a request again and again without ever reading, until the proxy takes no more or closes the connection.
fn pour(stream: &mut TcpStream, request: &[u8], times: usize) -> Result<()> {
    stream.set_nonblocking(true)?;
    let bytes = request.repeat(times);
    let deadline = Deadline::within(Duration::from_secs(10));
    let mut sent = 0;
    while sent < bytes.len() && !deadline.passed() {
        match stream.write(&bytes[sent..]) {
            Ok(more) => sent += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(_) => return Ok(()), // it was closed
        }
    }
    Ok(())
}

/// What the proxy's memory has grown by at most, once it has stood still for a while.
fn growth(proxy: &mut ProxyProcess, before: u64) -> Result<u64> {
    let mut last = (0, Instant::now());
    wait_until(Deadline::within(PATIENCE), "memory stands still", || {
        let now = proxy.process().memory().map_or(0, |memory| memory.resident_bytes);
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(700)
    })?;
    Ok(proxy.process().memory()?.peak_bytes.saturating_sub(before))
}

#[test]
fn answers_of_the_proxy_itself_are_in_the_budget() -> Result<()> {
    let redis = redis()?;
    let options = ProxyOptions::default().with("memory_max", &MEMORY_MAX.to_string());
    let mut proxy = ProxyProcess::in_front_of(redis.address(), &options)?;
    let idle: Vec<Connection> = (0..100).map(|_| proxy.connect()).collect::<Result<_>>()?;
    proxy.process().reset_peak_memory()?;
    let before = proxy.process().memory()?.peak_bytes;
    let mut lazy = TcpStream::connect(proxy.address())?;
    pour(&mut lazy, b"CLIENT LIST\r\n", 16_000)?;
    let cost = growth(&mut proxy, before)?;
    println!("unread CLIENT LISTs cost {} MiB", cost / MIB);
    ensure!(cost <= MEMORY_MAX + BESIDE_BUDGET, "unread replies cost {} MiB", cost / MIB);
    ensure!(patient(proxy.address())?.say("PING")?.bytes() == b"+PONG\r\n");
    drop(idle);
    Ok(())
}

#[test]
fn parts_of_gathered_replies_are_in_the_budget() -> Result<()> {
    let servers = [redis()?, redis()?];
    let options =
        ProxyOptions::default().with("memory_max", &MEMORY_MAX.to_string()).with("backend_timeout", "60000");
    let mut proxy = in_front_of(&servers, &options)?;
    servers[1].connect()?.say(&format!("DEBUG POPULATE 20000 {}", "long".repeat(15)))?.expect_ok()?;
    let mut lazy = patient(proxy.address())?;
    ensure!(lazy.say("DBSIZE")?.integer()? == 20_000);
    proxy.process().reset_peak_memory()?;
    let before = proxy.process().memory()?.peak_bytes;
    let [mut stopped, _lives] = servers;
    stopped.process().freeze()?;
    pour(&mut lazy.writer()?, b"KEYS *\r\n", 150)?;
    wait_until(Deadline::within(PATIENCE), "parts of replies are held", || {
        proxy.process().memory().is_ok_and(|memory| memory.peak_bytes > before + 16 * MIB)
    })?;
    let cost = growth(&mut proxy, before)?;
    println!("half of 150 gathered replies cost {} MiB", cost / MIB);
    ensure!(cost <= MEMORY_MAX + BESIDE_BUDGET, "parts of replies cost {} MiB", cost / MIB);
    stopped.process().thaw()?;
    ensure!(patient(proxy.address())?.say("DBSIZE")?.integer()? == 20_000);
    Ok(())
}

#[test]
fn a_pipeline_may_be_sent_whole_before_it_is_read() -> Result<()> {
    const GETS: usize = 500_000;
    let redis = redis()?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let mut client = patient(proxy.address())?;
    client.call(&[b"SET", b"a", &value("a", 100)])?.expect_ok()?;
    let mut reply = Vec::new();
    resp::encode::bulk(&mut reply, &value("a", 100));
    client.send_raw(&b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n".repeat(GETS)).context("sending all of it")?;
    let mut stream = client.stream().try_clone()?;
    let (mut got, expected) = (vec![0; reply.len() * 1_000], reply.repeat(1_000));
    for number in 0..GETS / 1_000 {
        stream.read_exact(&mut got).with_context(|| format!("the thousand number {number}"))?;
        ensure!(got == expected, "of the thousand number {number}, one differs");
    }
    Ok(())
}

#[test]
fn when_memory_is_short_the_client_that_holds_most_goes() -> Result<()> {
    let redis = redis()?;
    let options = ProxyOptions::default().with("memory_max", &MEMORY_MAX.to_string());
    let mut proxy = ProxyProcess::in_front_of(redis.address(), &options)?;
    let big = value("big", 1 << 20);
    redis.connect()?.call(&[b"SET", b"big", &big])?.expect_ok()?;
    let mut some = lazy(proxy.address(), "big", 12)?;
    let mut most = TcpStream::connect(proxy.address())?;
    let mut reads = patient(proxy.address())?;
    pour(&mut most, b"GET big\r\n", 200)?;
    let dropped = |reads: &mut Connection| -> Result<bool> {
        ensure!(reads.say("GET big")?.value()? == resp::Value::Bulk(&big));
        Ok(reads.say("INFO stats")?.text()?.contains("client_output_buffer_limit_disconnections:1\r\n"))
    };
    retry_until(Deadline::within(PATIENCE), "a client is dropped", || {
        ensure!(dropped(&mut reads)?);
        Ok(())
    })?;
    most.set_nonblocking(false)?;
    most.set_read_timeout(Some(PATIENCE))?;
    let mut rest = Vec::new();
    // What is in its socket already, then the end; or a reset.
    let _ = most.read_to_end(&mut rest);
    ensure!(rest.len() < 200 * big.len(), "the client that held the most was closed");
    for number in 0..12 {
        ensure!(
            some.read()?.value()? == resp::Value::Bulk(&big),
            "reply {number} of the client that held less"
        );
    }
    let log = proxy.process().log_tail();
    ensure!(log.contains("closed the client that holds most: memory is short"), "{log}");
    Ok(())
}
