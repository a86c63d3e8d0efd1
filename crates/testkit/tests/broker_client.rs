//! An independent client of `/api/v3`, in Python and from its description alone, against a real broker, real proxies
//! and a real coordinator.
//!
//! BROKER_WALK sets the number of random operations, BROKER_ROUNDS how often clusters of real proxies are made and
//! changed, BROKER_WALK_SEED the seed, which a failure prints.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::binary::{python, repository_root, undermoon};
use testkit::port::Port;
use testkit::process::Process;
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, retry_until};

/// How many random operations the walk does unless told otherwise.
const STEPS_DEFAULT: u32 = 120;
/// How often clusters are made and changed while a coordinator runs, unless told otherwise.
const ROUNDS_DEFAULT: u32 = 1;
/// How many proxies there are; the client takes two at a time to be on one host.
const PROXIES: usize = 6;
/// How many there are that are only names.
const NAMES: u8 = 16;
const START_LIMIT: Duration = Duration::from_secs(20);

/// A broker or a coordinator.
struct Role {
    _process: Process,
    port: Port,
}

impl Role {
    fn start(name: &str, directory: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let port = Port::reserve()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let mut command = Command::new(undermoon()?);
        command.arg(name).current_dir(directory);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("UNDERMOON_") {
                command.env_remove(variable);
            }
        }
        command.env("UNDERMOON_ADDRESS", address.to_string());
        for (setting, value) in settings {
            command.env(format!("UNDERMOON_{setting}"), value);
        }
        let process = Process::spawn(&mut command, name, &directory.join(format!("{name}.log")))?;
        retry_until(Deadline::within(START_LIMIT), &format!("the {name} listens"), || {
            Ok(TcpStream::connect(address).map(drop)?)
        })
        .map_err(|error| process.explain(&error))?;
        Ok(Self { _process: process, port })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }
}

fn number(variable: &str, default: u32) -> Result<u32> {
    std::env::var(variable).map_or(Ok(default), |text| text.parse().context(variable.to_owned()))
}

/// Runs the client in one of its modes.
fn client(mode: &str, steps: u32, broker: &Role, members: &[String]) -> Result<()> {
    let seed = number("BROKER_WALK_SEED", std::process::id())?;
    let script = repository_root().join("crates/testkit/clients/python/broker_client.py");
    let mut command = Command::new(python()?);
    command.arg("-B").arg(script).args([mode, &seed.to_string(), &steps.to_string(), &broker.address()]);
    let output = command.args(members).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(
        output.status.success() && out.contains(&format!("{mode}: all well")),
        "BROKER_WALK_SEED={seed} BROKER_WALK={steps}, {mode}: {}\n{out}\n{err}",
        output.status
    );
    println!("seed {seed}, {out}");
    Ok(())
}

/// Proxies that are only names: enough for a broker on its own.
fn names(count: u8) -> Vec<String> {
    (1..=count).map(|host| format!("127.0.3.{host}:5299=127.0.3.{host}:6379,127.0.3.{host}:6380")).collect()
}

#[test]
fn where_proxies_are_ordered() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = Role::start("broker", directory.path(), &[("ENABLE_ORDERED_PROXY", "true")])?;
    client("ordered", 0, &broker, &names(5))
}

#[test]
fn random_operations() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = Role::start("broker", directory.path(), &[])?;
    client("walk", number("BROKER_WALK", STEPS_DEFAULT)?, &broker, &names(NAMES))
}

#[test]
fn what_the_proxies_say() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = Role::start("broker", directory.path(), &[])?;
    let mut nodes = Vec::new();
    let mut proxies = Vec::new();
    let mut members = Vec::new();
    for _ in 0..PROXIES {
        let proxy = ProxyProcess::start(&ProxyOptions::default().with("cluster_nodes_version", "v1"))?;
        let pair =
            [RedisServer::start(RedisOptions::default())?, RedisServer::start(RedisOptions::default())?];
        members.push(format!("{}={},{}", proxy.address(), pair[0].address(), pair[1].address()));
        nodes.extend(pair);
        proxies.push(proxy);
    }
    let _coordinator =
        Role::start("coordinator", directory.path(), &[("BROKER_ADDRESS", &broker.address())])?;
    client("compare", number("BROKER_ROUNDS", ROUNDS_DEFAULT)?, &broker, &members)
}
