//! A proxy that owns every slot answers as the Redis behind it would: random pipelines give the same bytes.
//!
//! `ORACLE_ROUNDS` makes a run longer, `ORACLE_SEED` repeats one.

use std::time::Duration;

use anyhow::Result;
use testkit::binary::ServerBinary;
use testkit::oracle::generate::Kind;
use testkit::oracle::play::Targets;
use testkit::oracle::{Plan, run, server};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::RedisServer;
use testkit::wait::{Deadline, wait_until};

/// Scripts of one test, unless `ORACLE_ROUNDS` says otherwise; each has a few hundred requests.
const ROUNDS: u64 = 60;

fn check(binary: ServerBinary, kind: Kind, test: &str) -> Result<()> {
    // Redis Cluster itself is what commands over several slots are compared with.
    let reference = server(binary, kind == Kind::Scattered)?;
    let node = server(binary, false)?;
    let proxy = ProxyProcess::in_front_of(node.address(), &ProxyOptions::default())?;
    wait_until(Deadline::within(Duration::from_secs(10)), "the proxy knows what its node lacks", || {
        knows_what_is_lacking(&reference, &proxy).unwrap_or(false)
    })?;
    let targets = Targets {
        reference: reference.address(),
        subject: proxy.address(),
        stores: vec![reference.address(), node.address()],
    };
    run(&targets, Plan::from_environment(ROUNDS, kind)?, test)
}

/// The proxy asks its node for its commands when it connects. Until it has the answer it takes commands of newer servers
/// for known: this one came with Redis 7.4 and takes more than a key.
fn knows_what_is_lacking(reference: &RedisServer, proxy: &ProxyProcess) -> Result<bool> {
    let wrong = "HPEXPIREAT key";
    Ok(reference.connect()?.say(wrong)?.bytes() == proxy.connect()?.say(wrong)?.bytes())
}

#[test]
fn redis_7() -> Result<()> {
    check(ServerBinary::Redis7, Kind::OneSlot, "redis_7")
}

#[test]
fn redis_8() -> Result<()> {
    check(ServerBinary::Redis8, Kind::OneSlot, "redis_8")
}

#[test]
fn valkey_9() -> Result<()> {
    check(ServerBinary::Valkey9, Kind::OneSlot, "valkey_9")
}

#[test]
fn cluster_redis_7() -> Result<()> {
    check(ServerBinary::Redis7, Kind::Scattered, "cluster_redis_7")
}

#[test]
fn cluster_redis_8() -> Result<()> {
    check(ServerBinary::Redis8, Kind::Scattered, "cluster_redis_8")
}
