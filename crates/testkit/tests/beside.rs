//! What a client or an operator sees beside another client: one that reads slowly, or asks without end.
//!
//! `BESIDE_STRICT=1` asks for the times that an optimised build keeps on a machine that has nothing else to do.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use testkit::connection::Connection;
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::stalls::unless_stalled;
use testkit::tagged::value;

const PATIENCE: Duration = Duration::from_secs(30);

fn patient(address: SocketAddr) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    connection.set_reply_limit(PATIENCE)?;
    Ok(connection)
}

fn is_strict() -> bool {
    std::env::var_os("BESIDE_STRICT").is_some()
}

/// What is asked of a time: the strict bound, or more of it where the machine does other things.
fn bound(strict: Duration, otherwise: Duration) -> Duration {
    if is_strict() { strict } else { otherwise.max(strict) }
}

/// Times of many replies.
struct Times(Vec<Duration>);

impl Times {
    /// Asks for this again and again, while `goes_on`.
    fn of(connection: &mut Connection, line: &str, mut goes_on: impl FnMut(usize) -> bool) -> Result<Times> {
        let mut took = Vec::new();
        while goes_on(took.len()) {
            let began = Instant::now();
            let reply = connection.say(line)?;
            took.push(began.elapsed());
            ensure!(reply.error().is_none(), "{line}: {reply:?}");
        }
        took.sort_unstable();
        ensure!(took.len() >= 100, "{line} was asked {} times only", took.len());
        Ok(Times(took))
    }

    fn p99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100]
    }

    fn longest(&self) -> Duration {
        self.0[self.0.len() - 1]
    }
}

/// Reads so many bytes at 1 MB/s, or until the other end closes; how many came.
fn read_slowly(mut stream: &TcpStream, bytes: usize) -> Result<usize> {
    const PIECE_BYTES: usize = 50_000;
    let began = Instant::now();
    let mut piece = [0; PIECE_BYTES];
    let mut got = 0;
    while got < bytes {
        got += match stream.read(&mut piece)? {
            0 => break,
            read => read,
        };
        let due = Duration::from_micros(got as u64);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(got)
}

#[test]
fn nobody_waits_for_a_client_that_reads_slowly() -> Result<()> {
    const READ_BYTES: usize = 3_000_000;
    /// Without a slow reader, GETs are timed for as long as with one.
    const ALONE: Duration = Duration::from_secs(3);
    /// The longest that one GET may take; the client reads for 3 s.
    const WAIT_MAX: Duration = Duration::from_millis(1200);
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy =
        ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default().with("thread_number", "1"))?;
    let mut other = patient(proxy.address())?;
    other.say("SET small 1")?.expect_ok()?;
    for (key, mib) in [("eight", 8), ("twenty", 20)] {
        redis.connect()?.call(&[b"SET", key.as_bytes(), &value(key, mib << 20)])?.expect_ok()?;
    }
    for key in ["eight", "twenty"] {
        unless_stalled(|_| {
            let began = Instant::now();
            let without = Times::of(&mut other, "GET small", |_| began.elapsed() < ALONE)?;
            let mut slow = patient(proxy.address())?;
            slow.send(&[b"GET", key.as_bytes()])?;
            let stream = slow.stream().try_clone()?;
            let reader = thread::spawn(move || read_slowly(&stream, READ_BYTES));
            let with = Times::of(&mut other, "GET small", |_| !reader.is_finished())?;
            let read = reader.join().map_err(|_| anyhow!("the reader panicked"))??;
            ensure!(read >= READ_BYTES, "the slow reader got {read} bytes");
            println!(
                "beside a slow reader of {key}: p99 {:?}, longest {:?} of {}; without: p99 {:?}, longest {:?} of {}",
                with.p99(),
                with.longest(),
                with.0.len(),
                without.p99(),
                without.longest(),
                without.0.len()
            );
            ensure!(with.longest() <= WAIT_MAX, "{key}: one GET took {:?}", with.longest());
            let most = bound(without.p99() * 2, Duration::from_millis(20));
            ensure!(with.p99() <= most, "{key}: p99 {:?}, without {:?}", with.p99(), without.p99());
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn operators_are_answered_beside_clients_that_ask_without_end() -> Result<()> {
    const SESSIONS: usize = 500;
    const LISTS: usize = 3_000;
    const STRICT: Duration = Duration::from_millis(10);
    /// On a machine that does other things.
    const OTHERWISE: Duration = Duration::from_millis(50);
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let sessions = (0..SESSIONS).map(|_| proxy.connect()).collect::<Result<Vec<_>>>()?;
    let (mut operator, mut data) = (patient(proxy.address())?, patient(proxy.address())?);
    data.say("SET small 1")?.expect_ok()?;
    unless_stalled(|_| {
        let mut asker = patient(proxy.address())?;
        let lists = b"*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n".repeat(LISTS);
        let asking = thread::spawn(move || -> Result<()> {
            asker.send_raw(&lists)?;
            for _ in 0..LISTS {
                ensure!(asker.read()?.bytes().len() > SESSIONS * 100, "a list of all sessions");
            }
            Ok(())
        });
        let health = Times::of(&mut operator, "UMCTL HEALTH", |_| !asking.is_finished())?;
        asking.join().map_err(|_| anyhow!("the asker panicked"))??;
        println!("HEALTH: p99 {:?}, longest {:?} of {}", health.p99(), health.longest(), health.0.len());
        let most = bound(STRICT, OTHERWISE);
        ensure!(health.p99() <= most, "HEALTH: p99 {:?}", health.p99());
        Ok(())
    })?;
    drop(sessions);
    Ok(())
}
