//! `undermoon up`: a whole sharded Redis on this machine, until Ctrl-C.
//!
//! It starts Redis servers and proxies as children, gives the proxies their views once, and watches. There is no
//! control plane yet: a process that dies is reported, not replaced. However this process ends, its children end
//! with it ([`crate::child`]) and its temporary directory is removed ([`crate::sweep`]).

mod cluster;
mod connection;
mod directory;
mod layout;
mod ports;
mod process;

use crate::failure::Failure;
use ::proxy::config::{DEFAULT_PORT, ProxyConfig};
use anyhow::{Context as _, anyhow};
use cluster::{Cluster, Programs, Start};
use directory::Directory;
use layout::{Layout, Shape};
use model::{Address, Role};
use ports::FreePorts;
use service::config::{Loaded, load};
use service::shutdown::{Phase, Shutdown};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The most shards that one machine is asked to carry.
const SHARDS_MAX: u16 = 64;

/// The highest port that may be asked for: above it there must be room for everything.
const BASE_PORT_MAX: u16 = 60_000;

/// How far above the proxies' ports those for metrics begin.
const ADMIN_PORT_OFFSET: u16 = 200;

/// How far above the proxies' ports those of the Redis servers begin: 5299 makes 6380, next to Redis's own 6379.
const NODE_PORT_OFFSET: u16 = 1081;

/// The name of the cluster.
const CLUSTER_NAME: &str = "local";

/// The pause between two looks at the children.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  undermoon up                           three shards, each with a replica, behind three proxies
  undermoon up --shards 5 --replicas 0   five shards without replicas
  undermoon up --dir ./data              keep the data, and find it again at the next start

The proxies take their settings from the environment as usual: UNDERMOON_PASSWORD, UNDERMOON_LOG_LEVEL and so on.";

/// Run a whole sharded Redis on this machine, until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many shards
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    shards: u16,
    /// How many replicas each shard has: 0 or 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    replicas: u8,
    /// Worker threads of each proxy
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    proxy_workers: u16,
    /// Where the ports begin; ones that are taken are passed over
    #[arg(long, default_value_t = DEFAULT_PORT,
          value_parser = clap::value_parser!(u16).range(1024..=i64::from(BASE_PORT_MAX)))]
    port: u16,
    /// Keep data and logs in this directory, and use what an earlier start left there
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "keep")]
    dir: Option<PathBuf>,
    /// Do not remove the temporary directory at the end
    #[arg(long)]
    keep: bool,
    /// The Redis server's program; otherwise redis-server or valkey-server from the search path
    #[arg(long, value_name = "PROGRAM")]
    redis_server: Option<OsString>,
}

/// Runs the cluster until told to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // The children's own environment is checked here, where a person sees the message.
    let settings: Loaded<ProxyConfig> = load(None, without_addresses(std::env::vars_os()))?;
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    let shape = Shape { shards: usize::from(arguments.shards), replicated: arguments.replicas > 0 };
    let mut ports = FreePorts::default();
    let layout = lay_out(shape, arguments.port, &mut ports)?;
    let programs = Programs {
        redis: redis_program(arguments)?,
        itself: std::env::current_exe().context("cannot find this program's own file")?.into_os_string(),
        workers: arguments.proxy_workers,
        password: settings.settings.password.map(|password| password.expose().to_owned()),
        admin_ports: some_ports(&mut ports, arguments.port + ADMIN_PORT_OFFSET, shape.proxies())?,
    };
    let introduction = introduction(&layout, &programs);
    let directory = Directory::prepare(arguments.dir.as_deref(), arguments.keep, shape)?;
    eprintln!("Starting {} Redis servers and {} proxies", shape.nodes(), shape.proxies());
    let mut cluster = Cluster::new(programs, layout);
    let outcome = match cluster.start(&directory, &shutdown) {
        Ok(Start::Serving) => {
            println!("{introduction}");
            println!("Data and logs are in {}. Ctrl-C stops everything.", directory.path().display());
            watch(&mut cluster, &shutdown)
        }
        Ok(Start::Stopped) => Ok(()),
        Err(failure) => Err(failure),
    };
    eprintln!("Stopping");
    cluster.stop(&shutdown);
    if directory.stays() {
        eprintln!("Data and logs are kept in {}", directory.path().display());
    }
    directory.finish();
    outcome
}

/// Waits until told to stop, and reports children that die. An error when none is left.
fn watch(cluster: &mut Cluster, shutdown: &Shutdown) -> Result<(), Failure> {
    while shutdown.phase() == Phase::Running {
        if !cluster.report_ended() {
            return Err(anyhow!("no process of the cluster is left").into());
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
    Ok(())
}

/// The environment without what each proxy gets from here.
fn without_addresses(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment.filter(|(name, _)| !name.to_string_lossy().ends_with("_ADDRESS"))
}

fn redis_program(arguments: &Arguments) -> Result<OsString, Failure> {
    let found =
        arguments.redis_server.clone().or_else(|| process::find_program(&["redis-server", "valkey-server"]));
    let missing = "neither redis-server nor valkey-server is on the search path: install one (on Debian: apt-get \
                   install redis-server), or name it with --redis-server";
    Ok(found.context(missing)?)
}

fn some_ports(ports: &mut FreePorts, from: u16, count: usize) -> Result<Vec<u16>, Failure> {
    Ok(ports.several(from, count).with_context(|| format!("not enough free ports from {from} up"))?)
}

fn lay_out(shape: Shape, base: u16, ports: &mut FreePorts) -> Result<Layout, Failure> {
    let mut addresses = |from: u16, count: usize| -> Result<Vec<Address>, Failure> {
        let address = |port: u16| Address::new("127.0.0.1", port).context("a port that cannot be");
        Ok(some_ports(ports, from, count)?.into_iter().map(address).collect::<Result<_, _>>()?)
    };
    let proxies = addresses(base, shape.proxies())?;
    let nodes = addresses(base + NODE_PORT_OFFSET, shape.nodes())?;
    Ok(Layout::new(CLUSTER_NAME.parse().context("a bad cluster name")?, shape, &proxies, &nodes))
}

/// What a person is told once the cluster serves.
fn introduction(layout: &Layout, programs: &Programs) -> String {
    let proxies = layout.proxies();
    let urls: Vec<String> = proxies.iter().map(|proxy| format!("redis://{}", proxy.address)).collect();
    let mut lines = vec![format!("\n{:<18}{:<26}Redis servers", "proxy", "metrics")];
    for (proxy, admin_port) in proxies.iter().zip(&programs.admin_ports) {
        let node = |node: &layout::NodePlan| match node.role {
            Role::Primary => format!("{} (slots {})", node.address, layout.slots(node.shard)),
            Role::Replica => format!("{} (replica of {})", node.address, layout.slots(node.shard)),
        };
        let nodes: Vec<String> = proxy.nodes.iter().map(node).collect();
        let metrics = format!("127.0.0.1:{admin_port}/metrics");
        lines.push(format!("{:<18}{metrics:<26}{}", proxy.address.to_string(), nodes.join(", ")));
    }
    let password = if programs.password.is_some() { " -a \"$UNDERMOON_PASSWORD\"" } else { "" };
    let port = proxies.first().map_or(0, |proxy| proxy.address.port());
    lines.push(format!("\nReady. Connect any cluster client to {}", urls.join(",")));
    lines.push(format!("\n  redis-cli -c -p {port}{password}\n"));
    lines.join("\n")
}
