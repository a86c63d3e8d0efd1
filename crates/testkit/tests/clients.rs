//! Real clients against a cluster of three proxies: what the world uses must work as it is.

use std::net::SocketAddr;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use redis::Commands;
use testkit::binary::{node_directory, on_path, python, repository_root};
use testkit::cluster::{ClusterFixture, ClusterOptions};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};

fn cluster() -> Result<ClusterFixture> {
    ClusterFixture::start(&ClusterOptions::default())
}

fn words(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// Runs a client to its end and hands back what it wrote; its failure is ours, with all that it said.
fn run(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("running {command:?}"))?;
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{command:?} ended with {status}\n{out}\n{err}");
    Ok(format!("{out}{err}"))
}

fn contains(text: &str, wanted: &[&str]) -> Result<()> {
    for part in wanted {
        ensure!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    Ok(())
}

#[test]
fn redis_py() -> Result<()> {
    let cluster = cluster()?;
    let script = repository_root().join("crates/testkit/clients/python/cluster_client.py");
    let said = run(Command::new(python()?).arg(script).args(words(&cluster.addresses())))?;
    contains(&said, &["redis-py: all well"])
}

#[test]
fn redis_py_sends_a_pipeline_whole_before_it_reads() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let script = repository_root().join("crates/testkit/clients/python/whole_pipeline.py");
    let ports = [redis.address(), proxy.address()].map(|address| address.port().to_string());
    let said = run(Command::new(python()?).arg(script).args(ports))?;
    println!("{said}");
    contains(&said, &["redis-py: all well"])
}

#[test]
fn ioredis() -> Result<()> {
    let cluster = cluster()?;
    let script = repository_root().join("crates/testkit/clients/node/cluster_client.js");
    let mut command = Command::new(on_path("node")?);
    command.env("NODE_PATH", node_directory()?.join("node_modules"));
    let said = run(command.arg(script).args(words(&cluster.addresses())))?;
    contains(&said, &["ioredis: all well"])
}

#[test]
fn redis_crate() -> Result<()> {
    const KEYS: u32 = 500;
    let cluster = cluster()?;
    for address in cluster.addresses() {
        // One address must be enough to find the whole cluster.
        let client = redis::cluster::ClusterClient::new(vec![format!("redis://{address}")])?;
        let mut connection = client.get_connection()?;
        for number in 0..KEYS {
            let _: () = connection.set(format!("rs{number}"), number)?;
        }
        for number in 0..KEYS {
            let got: u32 = connection.get(format!("rs{number}"))?;
            ensure!(got == number, "rs{number} is {got}");
        }
        let mut pipeline = redis::cluster::cluster_pipe();
        for number in 0..KEYS {
            pipeline.cmd("INCR").arg(format!("rs{number}"));
        }
        let got: Vec<u32> = pipeline.query(&mut connection)?;
        ensure!(got == (1..=KEYS).collect::<Vec<_>>(), "the pipeline answered {got:?}");
        let missing: Option<String> = connection.get("rs:none")?;
        ensure!(missing.is_none(), "a value where none is: {missing:?}");
    }
    Ok(())
}

#[test]
fn redis_cli_follows_moved() -> Result<()> {
    let cluster = cluster()?;
    for address in cluster.addresses() {
        let port = address.port().to_string();
        let cli =
            |args: &[&str]| run(Command::new(on_path("redis-cli")?).args(["-c", "-p", &port]).args(args));
        for key in ["a", "b", "c", "d", "e", "f"] {
            contains(&cli(&["SET", key, "value"])?, &["OK"])?;
            contains(&cli(&["GET", key])?, &["value"])?;
        }
        contains(&cli(&["INCR", "a"])?, &["ERR value is not an integer"])?;
    }
    Ok(())
}

#[test]
fn redis_cli_checks_the_cluster() -> Result<()> {
    const KEYS: u32 = 90;
    let cluster = cluster()?;
    for number in 0..KEYS {
        let key = format!("key{number}");
        let owner = cluster.owner(key.as_bytes())?;
        cluster.connect(owner)?.call(&[b"SET", key.as_bytes(), b"x"])?.expect_ok()?;
    }
    for address in cluster.addresses() {
        let address = address.to_string();
        let check = run(Command::new(on_path("redis-cli")?).args(["--cluster", "check", &address]))?;
        contains(&check, &["All 16384 slots covered", "All nodes agree about slots configuration"])?;
        ensure!(!check.contains("[ERR]") && !check.contains("[WARNING]"), "{check}");
        let info = run(Command::new(on_path("redis-cli")?).args(["--cluster", "info", &address]))?;
        contains(&info, &[&format!("{KEYS} keys in 3 masters")])?;
        for member in &cluster.addresses() {
            contains(&info, &[&member.to_string()])?;
        }
    }
    Ok(())
}

#[test]
fn redis_benchmark() -> Result<()> {
    let cluster = cluster()?;
    let port = cluster.addresses()[0].port().to_string();
    let mut command = Command::new(on_path("redis-benchmark")?);
    command.args(["--cluster", "-p", &port, "-q", "-n", "20000", "-c", "20", "-P", "8", "-r", "1000"]);
    let said = run(command.args(["-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,mset"]))?;
    contains(&said, &["Cluster has 3 master nodes", "SET: ", "GET: ", "MSET (10 keys): "])?;
    ensure!(!said.contains("Error") && !said.contains("ERR"), "{said}");
    // The keys went to all of the cluster, not to one member of it.
    for number in 0..cluster.members.len() {
        let size = cluster.members[number].primary.connect()?.say("DBSIZE")?.integer()?;
        ensure!(size > 0, "member {number} has no key");
    }
    Ok(())
}
