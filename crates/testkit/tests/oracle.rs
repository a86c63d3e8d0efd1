//! A proxy that owns every slot answers as the Redis behind it would: random pipelines give the same bytes.
//!
//! `ORACLE_ROUNDS` makes a run longer, `ORACLE_SEED` repeats one.

use anyhow::Result;
use testkit::binary::ServerBinary;
use testkit::oracle::generate::Kind;
use testkit::oracle::play::Targets;
use testkit::oracle::vocabulary::SETTINGS;
use testkit::oracle::{Plan, run};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};

/// Scripts of one test, unless `ORACLE_ROUNDS` says otherwise; each has a few hundred requests.
const ROUNDS: u64 = 60;

fn server(binary: ServerBinary, cluster: bool) -> Result<RedisServer> {
    let mut options = RedisOptions { cluster, ..RedisOptions::of(binary) };
    for (name, value) in SETTINGS {
        options = options.with(name, value);
    }
    RedisServer::start(options)
}

fn check(binary: ServerBinary, kind: Kind, test: &str) -> Result<()> {
    // Redis Cluster itself is what commands over several slots are compared with.
    let reference = server(binary, kind == Kind::Scattered)?;
    let node = server(binary, false)?;
    let proxy = ProxyProcess::in_front_of(node.address(), &ProxyOptions::default())?;
    let targets = Targets {
        reference: reference.address(),
        subject: proxy.address(),
        stores: vec![reference.address(), node.address()],
    };
    run(&targets, Plan::from_environment(ROUNDS, kind)?, test)
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
