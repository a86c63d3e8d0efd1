//! What a proxy's memory is bounded by: not by the size of a value, not by a client that does not read, and
//! hardly by idle connections. Measured as the kernel counts it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, getrlimit, setrlimit};
use testkit::connection::Connection;
use testkit::process::Process;
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::tagged::value;
use testkit::wait::{Deadline, wait_until};

const MIB: u64 = 1 << 20;
/// A value of Redis's largest size.
const LARGEST_BYTES: usize = 512 << 20;
/// What one session that moves a large value may cost.
const STREAMING_BYTES_MAX: u64 = 48 * MIB;
/// What an idle connection may cost that has done one GET.
const IDLE_BYTES_MAX: u64 = 512;
const PIECE_BYTES: usize = 64 * 1024;

/// The pattern of a large value: any shift by less than 64 KiB shows, as does any lost or doubled piece.
fn pattern(offset: usize) -> [u8; PIECE_BYTES] {
    let number = (offset / PIECE_BYTES) as u64;
    let mut piece = [0; PIECE_BYTES];
    for (index, word) in piece.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&(number << 32 | index as u64).to_le_bytes());
    }
    piece
}

fn growth(process: &Process, before: u64) -> Result<u64> {
    Ok(process.memory()?.peak_bytes.saturating_sub(before))
}

#[test]
fn the_largest_value_passes_in_little_memory() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let mut proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let mut stream = TcpStream::connect(proxy.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    let process = proxy.process();
    process.reset_peak_memory()?;
    let idle = process.memory()?.peak_bytes;

    stream.write_all(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${LARGEST_BYTES}\r\n").as_bytes())?;
    for offset in (0..LARGEST_BYTES).step_by(PIECE_BYTES) {
        stream.write_all(&pattern(offset)).with_context(|| format!("writing at {offset}"))?;
    }
    stream.write_all(b"\r\n")?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply)?;
    ensure!(&reply == b"+OK\r\n", "SET was answered with {}", reply.escape_ascii());
    let set = growth(process, idle)?;
    ensure!(set <= STREAMING_BYTES_MAX, "SET cost {} MiB", set / MIB);

    process.reset_peak_memory()?;
    stream.write_all(b"GET big\r\n")?;
    let header = format!("${LARGEST_BYTES}\r\n");
    let mut got = vec![0; header.len()];
    stream.read_exact(&mut got)?;
    ensure!(got == header.as_bytes(), "GET was answered with {}", got.escape_ascii());
    let mut piece = [0; PIECE_BYTES];
    for offset in (0..LARGEST_BYTES).step_by(PIECE_BYTES) {
        stream.read_exact(&mut piece).with_context(|| format!("reading at {offset}"))?;
        ensure!(piece == pattern(offset), "the value differs near {offset}");
    }
    let mut end = [0; 2];
    stream.read_exact(&mut end)?;
    ensure!(&end == b"\r\n");
    let get = growth(process, idle)?;
    println!("512 MiB: SET cost {} KiB, GET {} KiB", set / 1024, get / 1024);
    ensure!(get <= STREAMING_BYTES_MAX, "GET cost {} MiB", get / MIB);
    // The session is as good as new.
    stream.write_all(b"STRLEN big\r\n")?;
    let mut length = [0; 12];
    stream.read_exact(&mut length)?;
    ensure!(&length == b":536870912\r\n", "{}", length.escape_ascii());
    Ok(())
}

#[test]
fn a_client_that_does_not_read_costs_no_more_than_the_budget() -> Result<()> {
    const VALUE_BYTES: usize = 1 << 20;
    const MEMORY_MAX: u64 = 64 * MIB;
    // Sent until the proxy takes no more, or this much: replies of 512 MiB. Redis makes them all at once.
    const REQUESTS_MAX: usize = 512;
    let redis = RedisServer::start(RedisOptions::default())?;
    let options = ProxyOptions::default().with("memory_max", &MEMORY_MAX.to_string());
    let mut proxy = ProxyProcess::in_front_of(redis.address(), &options)?;
    redis.connect()?.call(&[b"SET", b"big", &value("big", VALUE_BYTES)])?.expect_ok()?;
    let address = proxy.address();
    let process = proxy.process();
    process.reset_peak_memory()?;
    let idle = process.memory()?.peak_bytes;

    let mut lazy = TcpStream::connect(address)?;
    lazy.set_nonblocking(true)?;
    let deadline = Deadline::within(Duration::from_secs(5));
    let mut sent = 0;
    while sent < REQUESTS_MAX && !deadline.passed() {
        match lazy.write(b"GET big\r\n") {
            Ok(9) => sent += 1,
            Ok(part) => bail!("a request was taken in part: {part} bytes"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => break,
        }
    }
    // Memory has stopped growing when it stands still for a while.
    let mut last = (process.memory()?.resident_bytes, Instant::now());
    wait_until(Deadline::within(Duration::from_secs(20)), "memory stands still", || {
        let now = process.memory().map_or(0, |memory| memory.resident_bytes);
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(500)
    })?;
    let cost = growth(process, idle)?;
    println!("{sent} unread replies of 1 MiB cost {} KiB", cost / 1024);
    ensure!(cost <= MEMORY_MAX + STREAMING_BYTES_MAX, "unread replies cost {} MiB", cost / MIB);
    // Nobody else is held up meanwhile.
    ensure!(Connection::open(address)?.say("STRLEN big")?.integer()? == VALUE_BYTES as i64);
    Ok(())
}

/// Opens connections that each do one GET and then nothing.
fn idle_connections(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(address).with_context(|| format!("connection {number}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // Closed with a reset, so that ten thousand ports do not stay in TIME_WAIT.
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        stream.write_all(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n")?;
        let mut reply = [0; 7];
        stream.read_exact(&mut reply).with_context(|| format!("GET of connection {number}"))?;
        ensure!(&reply == b"$1\r\n1\r\n", "{}", reply.escape_ascii());
        open.push(stream);
    }
    Ok(open)
}

#[test]
fn idle_connections_cost_next_to_nothing() -> Result<()> {
    const FEW: usize = 1000;
    const MANY: usize = 10_000;
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raising the number of open files")?;
    ensure!(raised.current.is_none_or(|files| files > MANY as u64 + 500), "too few open files: {raised:?}");

    let redis = RedisServer::start(RedisOptions::default())?;
    redis.connect()?.say("SET a 1")?.expect_ok()?;
    let options = ProxyOptions::default().with("maxclients", "20000").with("thread_number", "1");
    let mut proxy = ProxyProcess::in_front_of(redis.address(), &options)?;
    let address = proxy.address();
    let few = idle_connections(address, FEW)?;
    let before = proxy.process().memory()?.resident_bytes;
    let many = idle_connections(address, MANY - FEW)?;
    let after = proxy.process().memory()?.resident_bytes;
    let each = after.saturating_sub(before) / (MANY - FEW) as u64;
    println!("{FEW} connections: {before} B resident, {MANY}: {after} B, {each} B for each more");
    ensure!(each <= IDLE_BYTES_MAX, "an idle connection costs {each} B");
    drop((few, many));
    Ok(())
}
