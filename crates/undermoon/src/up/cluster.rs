//! The running cluster: starts what a layout says, tells the proxies their views, and waits until it serves.

use super::connection::{Connection, Refusal};
use super::directory::Directory;
use super::layout::{Layout, NodePlan, ProxyPlan};
use super::process::{Process, stop_all};
use crate::failure::Failure;
use anyhow::{anyhow, bail};
use model::{Address, Role};
use service::shutdown::{Phase, Shutdown};
use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a cluster may take from start to serving.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The pause between two looks at something that is not ready yet.
const START_POLL: Duration = Duration::from_millis(20);

/// What is needed to start the processes, beyond the layout.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The Redis server's program.
    pub redis: OsString,
    /// This program.
    pub itself: OsString,
    /// Worker threads of each proxy.
    pub workers: u16,
    /// The password that the proxies ask for, from the environment.
    pub password: Option<String>,
    /// Where the first proxy answers `/metrics`; the others follow in their order.
    pub admin_ports: Vec<u16>,
}

/// How the start went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The cluster serves.
    Serving,
    /// It was told to stop before it served.
    Stopped,
}

/// The processes of a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: Programs,
    layout: Layout,
    nodes: Vec<Process>,
    proxies: Vec<Process>,
}

impl Cluster {
    /// A cluster of which nothing runs yet.
    pub(crate) fn new(programs: Programs, layout: Layout) -> Self {
        Cluster { programs, layout, nodes: Vec::new(), proxies: Vec::new() }
    }

    /// Starts everything and waits until it serves. After an error the caller stops what was started.
    pub(crate) fn start(&mut self, directory: &Directory, shutdown: &Shutdown) -> Result<Start, Failure> {
        for (index, node) in self.layout.nodes().enumerate() {
            self.nodes.push(start_node(&self.programs, node, index, directory)?);
        }
        let layout = self.layout.clone();
        let password = self.programs.password.clone();
        let deadline = Instant::now() + START_TIMEOUT;
        for node in layout.nodes() {
            if self.wait(deadline, shutdown, || answers(&node.address, None))? == Start::Stopped {
                return Ok(Start::Stopped);
            }
        }
        for (index, proxy) in layout.proxies().iter().enumerate() {
            self.proxies.push(start_proxy(&self.programs, proxy, index, directory)?);
        }
        for (index, proxy) in layout.proxies().iter().enumerate() {
            let told = || tell(&layout, index, &proxy.address, password.as_deref());
            if self.wait(deadline, shutdown, told)? == Start::Stopped {
                return Ok(Start::Stopped);
            }
        }
        for proxy in layout.proxies() {
            let serves = || serves(proxy, password.as_deref());
            if self.wait(deadline, shutdown, serves)? == Start::Stopped {
                return Ok(Start::Stopped);
            }
        }
        Ok(Start::Serving)
    }

    /// Says on standard error which processes ended since the last look. Answers whether any still runs.
    pub(crate) fn report_ended(&mut self) -> bool {
        for process in self.nodes.iter_mut().chain(&mut self.proxies) {
            if let Some(status) = process.newly_ended() {
                eprintln!("{}", process.obituary(status));
            }
        }
        self.proxies.iter().chain(&self.nodes).any(Process::is_running)
    }

    /// Ends everything: first the proxies, so that what they have in flight still finds its nodes.
    pub(crate) fn stop(&mut self, shutdown: &Shutdown) {
        stop_all(&mut self.proxies, shutdown);
        stop_all(&mut self.nodes, shutdown);
    }

    /// Tries `step` until it succeeds. An error when it is refused for good, a process ends meanwhile, or the
    /// deadline passes.
    fn wait(
        &mut self,
        deadline: Instant,
        shutdown: &Shutdown,
        mut step: impl FnMut() -> anyhow::Result<()>,
    ) -> Result<Start, Failure> {
        loop {
            if shutdown.phase() != Phase::Running {
                return Ok(Start::Stopped);
            }
            for process in self.nodes.iter_mut().chain(&mut self.proxies) {
                if let Some(status) = process.newly_ended() {
                    return Err(anyhow!(process.obituary(status)).into());
                }
            }
            match step() {
                Ok(()) => return Ok(Start::Serving),
                Err(error) if is_final(&error) => return Err(error.into()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(error.context(format!("not serving after {START_TIMEOUT:?}")).into());
                }
                Err(_) => std::thread::sleep(START_POLL),
            }
        }
    }
}

/// Whether an error is an answer that will be the same next time.
fn is_final(error: &anyhow::Error) -> bool {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refusal>())
        .is_some_and(|refusal| !refusal.is_temporary())
}

fn start_node(
    programs: &Programs,
    node: &NodePlan,
    index: usize,
    directory: &Directory,
) -> Result<Process, Failure> {
    let role = if node.role == Role::Primary { "primary" } else { "replica" };
    let folder = directory.folder(&format!("shard-{}-{role}", node.shard))?;
    let name = format!("Redis server {}", node.address);
    Process::start(name, &programs.redis, directory.path().join(format!("node-{index}.log")), |command| {
        command.current_dir(&folder);
        command.args(["--port", &node.address.port().to_string(), "--bind", node.address.host()]);
        command.args(["--save", "", "--daemonize", "no", "--protected-mode", "yes"]);
        // By default a primary waits five seconds for more replicas to copy to at once; here there is only one.
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.args(["--appendonly", if directory.is_lasting() { "yes" } else { "no" }]);
    })
}

fn start_proxy(
    programs: &Programs,
    proxy: &ProxyPlan,
    index: usize,
    directory: &Directory,
) -> Result<Process, Failure> {
    let name = format!("proxy {}", proxy.address);
    let nodes: Vec<String> = proxy.nodes.iter().map(|node| node.address.to_string()).collect();
    let set = |command: &mut Command| {
        command.arg("proxy");
        command.env("UNDERMOON_ADDRESS", proxy.address.to_string());
        command.env("UNDERMOON_ANNOUNCE_ADDRESS", "");
        command.env("UNDERMOON_ADMIN_ADDRESS", format!("127.0.0.1:{}", programs.admin_ports[index]));
        command.env("UNDERMOON_NODE_ADDRESSES", nodes.join(","));
        command.env("UNDERMOON_THREAD_NUMBER", programs.workers.to_string());
    };
    Process::start(name, &programs.itself, directory.path().join(format!("proxy-{index}.log")), set)
}

/// Whether a server answers and has loaded its data.
fn answers(address: &Address, password: Option<&str>) -> anyhow::Result<()> {
    let answer = Connection::open(address, password)?.ask(&["PING"])?;
    if answer == "PONG" { Ok(()) } else { bail!("{address} answers PING with {answer}") }
}

/// Tells a proxy its nodes' roles and its view, unless it knows them already: an answer may get lost.
fn tell(layout: &Layout, index: usize, address: &Address, password: Option<&str>) -> anyhow::Result<()> {
    let set_repl = layout.set_repl(index).to_args(false);
    let set_cluster = layout.set_cluster(index).to_args(false);
    let mut connection = Connection::open(address, password)?;
    for (name, arguments) in [("SETREPL", set_repl), ("SETCLUSTER", set_cluster)] {
        let mut words = vec!["UMCTL", name];
        words.extend(arguments.iter().map(String::as_str));
        match connection.ask(&words) {
            Ok(_) => (),
            Err(error) if error.to_string().starts_with("OLD_EPOCH") => (),
            Err(error) => return Err(error.context(format!("proxy {address} refuses {name}"))),
        }
    }
    Ok(())
}

/// Whether a proxy serves the whole cluster, and its replicas follow their primaries.
fn serves(proxy: &ProxyPlan, password: Option<&str>) -> anyhow::Result<()> {
    let address = &proxy.address;
    let mut connection = Connection::open(address, password)?;
    let ready = connection.ask(&["UMCTL", "READY"])?;
    if ready != "1" {
        bail!("proxy {address} is not ready");
    }
    if !connection.ask(&["CLUSTER", "INFO"])?.contains("cluster_state:ok") {
        bail!("proxy {address} does not see the whole cluster");
    }
    for node in proxy.nodes.iter().filter(|node| node.role == Role::Replica) {
        let replication = Connection::open(&node.address, None)?.ask(&["INFO", "replication"])?;
        if !replication.contains("master_link_status:up") {
            bail!("the replica {} does not follow its primary yet", node.address);
        }
    }
    Ok(())
}
