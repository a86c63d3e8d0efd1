//! `undermoon up`: a whole self-managing cluster on this machine, until Ctrl-C.
//!
//! This process starts Redis servers, proxies, and broker and coordinator as children, has the broker create the
//! clusters, and restarts children that die. The coordinator does everything else. However this process ends, its
//! children end with it ([`crate::child`]) and its temporary directory is removed ([`crate::sweep`]).

mod directory;
mod formation;
mod introduction;
mod layout;
mod ports;
mod process;
mod recipes;
mod supervisor;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::control::config::BrokerConfig;
use ::proxy::config::{DEFAULT_PORT, ProxyConfig};
use anyhow::{Context as _, anyhow};
use api::{BrokerClient, ClientOptions};
use service::config::{Loaded, load};
use service::shutdown::{Phase, Shutdown};

use self::directory::Directory;
use self::formation::{Formation, LOAD_TIMEOUT, START_TIMEOUT, Step};
use self::introduction::Introduction;
use self::layout::{BASE_PORT_MAX, Layout, Shape, local};
use self::recipes::Programs;
use self::supervisor::{Part, Supervisor};
use crate::failure::Failure;

/// How many chunks a cluster has without `--chunks`.
const CHUNKS_DEFAULT: u16 = 2;

/// The pause between two looks at the children.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

const EXAMPLES: &str = "\
Examples:
  undermoon up                           four proxies on four pretended hosts, with eight Redis servers
  undermoon up --chunks 3 --spare 2      six proxies in the cluster and two in the pool
  undermoon up --dir ./data              keep everything, and find it again at the next start

While the cluster runs, `undermoon ctl` shows and changes it. Its processes read their settings from the environment:
UNDERMOON_PASSWORD, UNDERMOON_LOG_LEVEL and so on.";

/// Run a whole self-managing cluster on this machine, until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many chunks each cluster has: two proxies with four Redis servers, which are two shards with a replica
    /// each [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    chunks: Option<u16>,
    /// How many clusters [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    clusters: Option<u16>,
    /// How many spare proxies there are for the pool [default: 0]
    #[arg(long)]
    spare: Option<u16>,
    /// Worker threads of each proxy
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    proxy_workers: u16,
    /// The first port of the proxies; ports in use are passed over [default: 5299]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1024..=i64::from(BASE_PORT_MAX)))]
    port: Option<u16>,
    /// Keep data and logs in this directory, and start the cluster that an earlier start left there, on the same ports
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "keep")]
    dir: Option<PathBuf>,
    /// Do not remove the temporary directory at the end
    #[arg(long)]
    keep: bool,
    /// The Redis server's program; when not given, redis-server or valkey-server from the search path
    #[arg(long, value_name = "PROGRAM")]
    redis_server: Option<OsString>,
    /// Gone: a chunk has two shards
    #[arg(long, hide = true, value_parser = gone)]
    shards: Option<String>,
    /// Gone: a chunk has its replicas
    #[arg(long, hide = true, value_parser = gone)]
    replicas: Option<String>,
}

fn gone(_: &str) -> Result<String, String> {
    Err("clusters are made of chunks now, each two shards with a replica each: say --chunks".to_owned())
}

/// Runs the cluster until told to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // The children's own environment is checked here, where a person sees the message.
    let proxy: Loaded<ProxyConfig> = load(None, without_addresses(std::env::vars_os()))?;
    let broker: Loaded<BrokerConfig> = load(None, only_tokens(std::env::vars_os()))?;
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    let password = proxy.settings.password.map(|password| password.expose().to_owned());
    let control_password = proxy.settings.control_password.map(|password| password.expose().to_owned());
    let programs = Programs {
        redis: redis_program(arguments)?,
        itself: std::env::current_exe().context("cannot find this program's own file")?.into_os_string(),
        workers: arguments.proxy_workers,
        password: password.clone(),
        control_password,
    };
    let directory = Directory::open(arguments.dir.as_deref(), arguments.keep)?;
    let found = directory.layout()?;
    let layout = agreed(arguments, found.clone(), directory.path())?;
    directory.note(&layout)?;
    let token = broker.settings.write_token.map(|token| token.expose().to_owned());
    let formation = Formation {
        layout: &layout,
        client: client(layout.broker_port, token)?,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the event loop")?,
        password,
        has_read_token: broker.settings.read_token.is_some(),
        shutdown: shutdown.clone(),
        deadline: Instant::now() + if found.is_some() { LOAD_TIMEOUT } else { START_TIMEOUT },
    };
    let mut supervisor = Supervisor::default();
    let outcome = serve(&formation, &programs, &directory, &mut supervisor);
    eprintln!("Stopping");
    supervisor.stop(&shutdown);
    if directory.stays() {
        eprintln!("Data and logs are kept in {}", directory.path().display());
    }
    directory.finish();
    outcome
}

/// Starts everything, says how to use it, and keeps it alive until told to stop.
fn serve(
    formation: &Formation<'_>,
    programs: &Programs,
    directory: &Directory,
    supervisor: &mut Supervisor,
) -> Result<(), Failure> {
    let started = Instant::now();
    let layout = formation.layout;
    let proxies = layout.proxies.len();
    eprintln!("Starting {} Redis servers, {proxies} proxies, broker and coordinator", proxies * 2);
    for recipe in recipes::nodes(layout, programs, directory)? {
        supervisor.start(Part::Node, recipe)?;
    }
    for recipe in recipes::proxies(layout, programs, directory) {
        supervisor.start(Part::Proxy, recipe)?;
    }
    if formation.wait_for_proxies(supervisor)? == Step::Stopped {
        return Ok(());
    }
    supervisor.start(Part::Control, recipes::control(layout, programs, directory)?)?;
    if formation.form(supervisor)? == Step::Stopped
        || formation.wait_until_served(supervisor)? == Step::Stopped
    {
        return Ok(());
    }
    let clusters: Vec<_> =
        layout.clusters().iter().map(|name| formation.cluster(name)).collect::<anyhow::Result<_>>()?;
    let introduction = Introduction {
        layout,
        clusters: &clusters,
        has_password: formation.password.is_some(),
        has_read_token: formation.has_read_token,
        took: started.elapsed(),
        supervisor,
    };
    print!("{}", introduction.text());
    println!("Data and logs are in {}. Ctrl-C stops everything.", directory.path().display());
    while formation.shutdown.phase() == Phase::Running {
        supervisor.tend();
        std::thread::sleep(WATCH_INTERVAL);
    }
    Ok(())
}

/// The layout that an earlier start left, if it fits the arguments; or a new one.
fn agreed(arguments: &Arguments, found: Option<Layout>, directory: &Path) -> Result<Layout, Failure> {
    let wanted = Shape {
        clusters: arguments.clusters.unwrap_or(1),
        chunks: arguments.chunks.unwrap_or(CHUNKS_DEFAULT),
        spare: arguments.spare.unwrap_or(0),
    };
    let Some(found) = found else {
        let base = arguments.port.unwrap_or(DEFAULT_PORT);
        if wanted.proxies().is_none() {
            let text = format!("one machine is asked to carry at most {} proxies", Shape::PROXIES_MAX);
            return Err(anyhow!(text).into());
        }
        return Ok(
            Layout::new(wanted, base).with_context(|| format!("not enough free ports from {base} up"))?
        );
    };
    let Shape { clusters, chunks, spare } = found.shape;
    let port = found.proxies.first().map_or(0, |proxy| proxy.port);
    let differs = [
        ("--clusters", arguments.clusters, clusters),
        ("--chunks", arguments.chunks, chunks),
        ("--spare", arguments.spare, spare),
        ("--port", arguments.port, port),
    ];
    for (option, asked, is) in differs {
        if asked.is_some_and(|asked| asked != is) {
            let shown = directory.display();
            let text = format!(
                "{shown} holds a cluster with {option} {is}: leave the option out, or use another directory"
            );
            return Err(anyhow!(text).into());
        }
    }
    Ok(found)
}

fn client(port: u16, token: Option<String>) -> Result<BrokerClient, Failure> {
    let endpoint = local(port).to_string().parse().context("a bad address for the broker")?;
    let options = ClientOptions { token, ..ClientOptions::default() };
    Ok(BrokerClient::new(vec![endpoint], &options).context("cannot make a client of the broker")?)
}

/// The environment without what each proxy gets from here.
fn without_addresses(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment.filter(|(name, _)| !name.to_string_lossy().ends_with("_ADDRESS"))
}

/// The variables of the environment that hold the broker's tokens.
fn only_tokens(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment.filter(|(name, _)| name == "UNDERMOON_WRITE_TOKEN" || name == "UNDERMOON_READ_TOKEN")
}

fn redis_program(arguments: &Arguments) -> Result<OsString, Failure> {
    let missing = "neither redis-server nor valkey-server is on the search path: install one (on Debian: apt-get \
                   install redis-server), or name it with --redis-server";
    let Some(given) = &arguments.redis_server else {
        return Ok(process::find_program(&["redis-server", "valkey-server"]).context(missing)?);
    };
    // The servers run in folders of their own, where a relative path would lead elsewhere.
    if Path::new(given).components().count() > 1 {
        return Ok(std::path::absolute(given).context("cannot find where this is")?.into_os_string());
    }
    Ok(given.clone())
}
