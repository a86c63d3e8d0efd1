//! What clients see when a backend dies, freezes or is cut off: an error or a right reply, never a wrong one and
//! never a hang; and how a proxy ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::connection::{Connection, ConnectionError};
use testkit::load::{Load, LoadPlan, Tally};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::relay::Relay;
use testkit::tagged::{Verdict, judge, store, value};
use testkit::wait::{Deadline, retry_until};

/// The proxies' time limit for a backend.
const BACKEND_TIMEOUT: Duration = Duration::from_millis(800);
/// What a busy machine may add to a time limit.
const SLACK: Duration = Duration::from_millis(1700);
/// How long the proxy may take until it serves again after a fault has gone.
const RECOVERY: Duration = Duration::from_secs(15);
const VALUE_BYTES: usize = 100;

fn options() -> ProxyOptions {
    ProxyOptions::default().with("backend_timeout", &BACKEND_TIMEOUT.as_millis().to_string())
}

/// A server whose data outlives its death.
fn durable_redis() -> Result<RedisServer> {
    RedisServer::start(RedisOptions { append_only: true, ..RedisOptions::default() })
}

fn keys() -> Vec<String> {
    (0..300).map(|number| format!("key{number:03}")).collect()
}

/// Stores the keys and begins to read them.
fn load(proxy: &ProxyProcess) -> Result<Load> {
    let plan = LoadPlan {
        address: proxy.address(),
        sessions: 4,
        depth: 40,
        keys: keys(),
        value_bytes: VALUE_BYTES,
        reply_limit: BACKEND_TIMEOUT + SLACK,
    };
    store(&mut proxy.connect()?, &plan.keys, VALUE_BYTES)?;
    let load = Load::start(&plan);
    load.wait_right(500, RECOVERY)?;
    Ok(load)
}

/// Nothing moved, so no error may say so. LOADING is what a restarted server says itself.
fn ensure_plain_errors(tally: &Tally) -> Result<()> {
    for text in tally.failed.keys() {
        let plain = ["ERR ", "CLUSTERDOWN ", "LOADING "].iter().any(|code| text.starts_with(code));
        ensure!(plain, "an odd error: {text}");
    }
    println!("{tally:?}");
    Ok(())
}

#[test]
fn a_killed_backend() -> Result<()> {
    let mut redis = durable_redis()?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &options())?;
    let load = load(&proxy)?;
    for _ in 0..3 {
        redis.process().kill();
        load.wait_failed(BACKEND_TIMEOUT + SLACK)?;
        outage_is_answered(&proxy)?;
        redis.restart()?;
        load.wait_right(500, RECOVERY)?;
    }
    ensure_plain_errors(&load.finish()?)
}

/// During an outage a new session is served, and its request for the dead backend is answered in time.
fn outage_is_answered(proxy: &ProxyProcess) -> Result<()> {
    let mut session = proxy.connect()?;
    ensure!(session.say("PING")?.text()? == "PONG");
    let start = Instant::now();
    let reply = session.say("GET key000")?;
    let verdict = judge("key000", VALUE_BYTES, &reply)?;
    ensure!(matches!(verdict, Verdict::Failed(_)), "an answer from a dead server: {reply:?}");
    ensure!(start.elapsed() <= BACKEND_TIMEOUT + SLACK, "answered after {:?}", start.elapsed());
    Ok(())
}

#[test]
fn a_frozen_backend() -> Result<()> {
    let mut redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &options())?;
    let load = load(&proxy)?;
    for _ in 0..3 {
        redis.process().freeze()?;
        load.wait_failed(BACKEND_TIMEOUT + SLACK)?;
        outage_is_answered(&proxy)?;
        // Thawed, it answers what it was asked before the freeze: nobody may get those replies now.
        redis.process().thaw()?;
        load.wait_right(500, RECOVERY)?;
    }
    ensure_plain_errors(&load.finish()?)
}

#[test]
fn a_cut_line() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let relay = Relay::start(redis.address())?;
    let proxy = ProxyProcess::in_front_of(relay.address(), &options())?;
    let load = load(&proxy)?;
    for fault in [Relay::cut, Relay::silence, Relay::cut] {
        fault(&relay);
        load.wait_failed(BACKEND_TIMEOUT + SLACK)?;
        relay.mend();
        load.wait_right(500, RECOVERY)?;
    }
    ensure_plain_errors(&load.finish()?)
}

#[test]
fn a_reply_cut_in_its_middle() -> Result<()> {
    const BYTES: usize = 8 << 20;
    let redis = RedisServer::start(RedisOptions::default())?;
    redis.connect()?.call(&[b"SET", b"big", &value("big", BYTES)])?.expect_ok()?;
    // Lets one piece of the value through and then no more.
    let (mut armed, mut passed) = (false, 0);
    let relay = Relay::tampering(redis.address(), move |bytes| {
        armed |= bytes.starts_with(b"$8388608\r\n");
        passed += if armed { bytes.len() } else { 0 };
        if passed > BYTES / 2 && passed <= BYTES {
            bytes.clear();
        }
    })?;
    let proxy = ProxyProcess::in_front_of(relay.address(), &options())?;
    let mut session = proxy.connect()?;
    session.set_reply_limit(BACKEND_TIMEOUT + SLACK)?;
    session.send(&[b"GET", b"big"])?;
    // A reply that has begun cannot become an error: the only honest end is to close.
    match session.read() {
        Err(ConnectionError::Closed { .. }) => {}
        Ok(reply) if reply.error().is_some() => {}
        Ok(reply) => bail!("half a value was made into a reply: {reply:?}"),
        Err(error) => return Err(error).context("instead of a closed connection"),
    }
    retry_until(Deadline::within(RECOVERY), "other sessions are served", || {
        let reply = proxy.connect()?.say("STRLEN big")?;
        ensure!(reply.integer().ok() == Some(BYTES as i64), "{reply:?}");
        Ok(())
    })
}

#[test]
fn a_session_that_does_not_read_holds_up_nobody() -> Result<()> {
    const BYTES: usize = 256 << 10;
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &options().with("thread_number", "1"))?;
    store(&mut proxy.connect()?, &["big".to_owned(), "big2".to_owned()], BYTES)?;
    let mut lazy = proxy.connect()?;
    const REQUESTS: usize = 1000;
    lazy.send_raw(&b"GET big\r\n".repeat(REQUESTS))?;
    let mut busy = proxy.connect()?;
    for _ in 0..50 {
        let start = Instant::now();
        let reply = busy.say("GET big2").context("the busy session")?;
        let verdict = judge("big2", BYTES, &reply)?;
        ensure!(verdict == Verdict::Right, "the busy session: {verdict:?}");
        ensure!(start.elapsed() < BACKEND_TIMEOUT + SLACK, "a request waited for {:?}", start.elapsed());
    }
    // The lazy one may have been dropped for all that it was owed, but what it gets is right and in order.
    for number in 0..REQUESTS {
        match lazy.read() {
            Ok(reply) => {
                let verdict = judge("big", BYTES, &reply).with_context(|| format!("reply {number}"))?;
                ensure!(verdict == Verdict::Right, "reply {number}: {verdict:?}");
            }
            Err(ConnectionError::Closed { .. }) => break,
            Err(error) => return Err(error).with_context(|| format!("reply {number}")),
        }
    }
    Ok(())
}

#[test]
fn protocol_errors_as_redis_gives_them() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &options())?;
    let long_line = vec![b'x'; 70_000];
    let cases: &[&[u8]] = &[
        b"*x\r\n",
        b"*2147483648\r\n",
        b"*1\r\nx\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$abc\r\n",
        b"*1\r\n$536870913\r\n",
        b"*2\r\n$4\r\nECHO\r\n$99999999999999999999\r\n",
        b"ECHO \"open\r\n",
        b"ECHO 'x'y\r\n",
        b"PING\r\n*1\r\n$4\r\nPING\r\n*1\r\n+PING\r\n",
        &long_line,
        &[b"*", long_line.as_slice()].concat(),
        &[b"*1\r\n$", long_line.as_slice()].concat(),
    ];
    for case in cases {
        let answer = |mut session: Connection| -> Result<Vec<Vec<u8>>> {
            session.set_reply_limit(Duration::from_secs(5))?;
            session.send_raw(case)?;
            Ok(session.read_until_closed()?.iter().map(|frame| frame.bytes().to_vec()).collect())
        };
        let shown = || case[..case.len().min(40)].escape_ascii().to_string();
        let right = answer(redis.connect()?).with_context(|| format!("Redis, {}", shown()))?;
        let got = answer(proxy.connect()?).with_context(|| format!("the proxy, {}", shown()))?;
        let text = |frames: &[Vec<u8>]| frames.concat().escape_ascii().to_string();
        ensure!(right == got, "{}:\n redis {}\n proxy {}", shown(), text(&right), text(&got));
        ensure!(text(&right).contains("Protocol error"), "{} is no protocol error", shown());
    }
    Ok(())
}

#[test]
fn more_clients_than_allowed() -> Result<()> {
    const CLIENTS: usize = 8;
    let redis = RedisServer::start(RedisOptions::default())?;
    let options = options().with("maxclients", &CLIENTS.to_string());
    let proxy = ProxyProcess::in_front_of(redis.address(), &options)?;
    let served = || -> Result<Connection> {
        let mut session = proxy.connect()?;
        session.say("SET a 1")?.expect_ok()?;
        Ok(session)
    };
    // The connections that pushed the view may not be gone yet.
    let fill = || retry_until(Deadline::within(RECOVERY), "a place is free", served);
    let mut sessions = (0..CLIENTS).map(|_| fill()).collect::<Result<Vec<_>>>()?;
    for _ in 0..20 {
        let frames = proxy.connect()?.read_until_closed()?;
        ensure!(frames.len() == 1, "{frames:?}");
        ensure!(frames[0].bytes() == b"-ERR max number of clients reached\r\n", "{frames:?}");
    }
    for session in &mut sessions {
        ensure!(session.say("GET a")?.text()? == "1");
    }
    sessions.pop();
    fill()?;
    Ok(())
}

#[test]
fn sigterm_finishes_what_is_in_flight() -> Result<()> {
    const REQUESTS: usize = 100;
    let redis = RedisServer::start(RedisOptions::default())?;
    let relay = Relay::start(redis.address())?;
    let mut proxy = ProxyProcess::in_front_of(relay.address(), &options())?;
    let names = keys();
    store(&mut redis.connect()?, &names, VALUE_BYTES)?;
    let mut session = proxy.connect()?;
    ensure!(judge(&names[0], VALUE_BYTES, &session.say(&format!("GET {}", names[0]))?)? == Verdict::Right);
    redis.connect()?.say("CONFIG RESETSTAT")?.expect_ok()?;
    relay.delay(BACKEND_TIMEOUT / 3);
    for name in &names[..REQUESTS] {
        session.send(&[b"GET", name.as_bytes()])?;
    }
    // Redis has answered them all, and the replies are on their slow way back.
    retry_until(Deadline::within(RECOVERY), "Redis has the requests", || {
        let stats = redis.connect()?.say("INFO commandstats")?.text()?;
        ensure!(stats.contains(&format!("cmdstat_get:calls={REQUESTS},")), "{stats}");
        Ok(())
    })?;
    proxy.process().terminate()?;
    for name in &names[..REQUESTS] {
        let verdict = judge(name, VALUE_BYTES, &session.read().with_context(|| format!("GET {name}"))?)?;
        ensure!(verdict == Verdict::Right, "GET {name}: {verdict:?}");
    }
    let rest = session.read_until_closed()?;
    ensure!(rest.is_empty(), "more replies than requests: {rest:?}");
    let status = proxy.process().wait_exit(RECOVERY)?;
    ensure!(status.code() == Some(0), "it ended with {status}: {}", proxy.process().log_tail());
    Ok(())
}

#[test]
fn sigterm_with_idle_sessions_ends_soon() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let mut proxy = ProxyProcess::in_front_of(redis.address(), &options())?;
    let mut session = proxy.connect()?;
    session.say("SET a 1")?.expect_ok()?;
    proxy.process().terminate()?;
    ensure!(session.read_until_closed()?.is_empty());
    let status = proxy.process().wait_exit(Duration::from_secs(5))?;
    ensure!(status.code() == Some(0), "it ended with {status}: {}", proxy.process().log_tail());
    Ok(())
}
