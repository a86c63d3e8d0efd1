//! The oracle tried on itself: two plain Redis servers must agree, and every planted fault must be found.

use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Result, bail};
use testkit::binary::ServerBinary;
use testkit::oracle::generate::{Kind, generate};
use testkit::oracle::play::{Targets, play};
use testkit::oracle::{Plan, run, server};
use testkit::redis_server::RedisServer;
use testkit::relay::Relay;

fn agree(binary: ServerBinary, kind: Kind, test: &str) -> Result<()> {
    let (one, two) = (server(binary, kind == Kind::Scattered)?, server(binary, kind == Kind::Scattered)?);
    let targets = Targets {
        reference: one.address(),
        subject: two.address(),
        stores: vec![one.address(), two.address()],
    };
    run(&targets, Plan::from_environment(15, kind)?, test)
}

#[test]
fn redis_7_agrees_with_itself() -> Result<()> {
    agree(ServerBinary::Redis7, Kind::OneSlot, "redis_7_agrees_with_itself")
}

#[test]
fn redis_8_agrees_with_itself() -> Result<()> {
    agree(ServerBinary::Redis8, Kind::OneSlot, "redis_8_agrees_with_itself")
}

#[test]
fn valkey_9_agrees_with_itself() -> Result<()> {
    agree(ServerBinary::Valkey9, Kind::OneSlot, "valkey_9_agrees_with_itself")
}

#[test]
fn redis_cluster_agrees_with_itself() -> Result<()> {
    agree(ServerBinary::Redis7, Kind::Scattered, "redis_cluster_agrees_with_itself")
}

/// Plays until the fault shows, and fails if it does not within a number of scripts.
fn finds(fault: &str, stores: [&RedisServer; 2], subject: SocketAddr) -> Result<()> {
    const SCRIPTS: u64 = 30;
    let targets = Targets {
        reference: stores[0].address(),
        subject,
        stores: stores.iter().map(|server| server.address()).collect(),
    };
    for seed in 0..SCRIPTS {
        if let Some(mismatch) = play(&targets, &generate(seed, Kind::OneSlot))? {
            println!("{fault}: step {}, {}", mismatch.step, mismatch.what);
            return Ok(());
        }
    }
    bail!("{fault} was not found in {SCRIPTS} scripts")
}

/// Replaces the first `from` in the bytes.
fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    if let Some(place) = bytes.windows(from.len()).position(|window| window == from) {
        bytes.splice(place..place + from.len(), to.iter().copied());
    }
}

#[test]
fn planted_faults_are_found() -> Result<()> {
    let (one, two) = (server(ServerBinary::Redis7, false)?, server(ServerBinary::Redis7, false)?);
    type Tamper = Box<dyn FnMut(&mut Vec<u8>) + Send>;
    let mut pieces = 0;
    let mut held: VecDeque<Vec<u8>> = VecDeque::new();
    let faults: Vec<(&str, Tamper)> = vec![
        (
            "an error's text with a letter changed",
            Box::new(|bytes| replace(bytes, b"wrong kind", b"wrong Kind")),
        ),
        ("a null that becomes an empty string", Box::new(|bytes| replace(bytes, b"$-1\r\n", b"$0\r\n\r\n"))),
        ("two integers swapped", Box::new(|bytes| replace(bytes, b":1\r\n:0\r\n", b":0\r\n:1\r\n"))),
        ("a RESP3 null in RESP2's form", Box::new(|bytes| replace(bytes, b"_\r\n", b"$-1\r\n"))),
        (
            "the fiftieth piece of the replies lost",
            Box::new(move |bytes| {
                pieces += 1;
                if pieces == 50 {
                    bytes.clear();
                }
            }),
        ),
        (
            "replies that come one piece late",
            Box::new(move |bytes| {
                held.push_back(std::mem::take(bytes));
                if held.len() > 1 {
                    *bytes = held.pop_front().unwrap_or_default();
                }
            }),
        ),
    ];
    for (fault, tamper) in faults {
        let relay = Relay::tampering(two.address(), tamper)?;
        finds(fault, [&one, &two], relay.address())?;
    }
    Ok(())
}

#[test]
fn a_store_that_differs_is_found() -> Result<()> {
    let (one, two) = (server(ServerBinary::Redis7, false)?, server(ServerBinary::Redis7, false)?);
    // Without memory, the second server refuses every write.
    two.connect()?.say("CONFIG SET maxmemory 1")?.expect_ok()?;
    finds("a store that refuses writes", [&one, &two], two.address())
}
