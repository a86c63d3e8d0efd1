//! A server proxy as its own process, and the views that are pushed to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::{
    Address, ClusterConfig, ClusterName, Epoch, LocalNode, SetCluster, SlotAssignment, SlotRanges, SlotTag,
    View,
};
use tempfile::TempDir;

use crate::binary;
use crate::connection::Connection;
use crate::frame::Frame;
use crate::port::Port;
use crate::process::Process;
use crate::wait::{Deadline, retry_until};

/// How long a proxy may take until it answers, and until it is ready after a view.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The name of the cluster in tests.
pub const CLUSTER: &str = "testcluster";

/// How a proxy is started: settings by their name in the configuration file, passed through the environment.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    settings: Vec<(String, String)>,
    open_files: Option<u32>,
}

impl ProxyOptions {
    /// Adds one setting, for example `("backend_timeout", "500")`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The process may have no more than this many files and sockets open.
    #[must_use]
    pub fn with_open_files(self, open_files: u32) -> Self {
        Self { open_files: Some(open_files), ..self }
    }

    /// The program, `undermoon`, within the limits that it is to have.
    fn command(&self) -> Result<Command> {
        let program = binary::undermoon()?;
        let Some(files) = self.open_files else { return Ok(Command::new(program)) };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(program);
        Ok(command)
    }

    fn spawn(&self, port: &Port, directory: &TempDir) -> Result<Process> {
        let mut command = self.command()?;
        command.arg("proxy").current_dir(directory.path());
        // Nothing of the caller's environment may change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNDERMOON_") {
                command.env_remove(name);
            }
        }
        command.env("UNDERMOON_ADDRESS", format!("127.0.0.1:{}", port.number()));
        for (name, value) in &self.settings {
            command.env(format!("UNDERMOON_{}", name.to_uppercase()), value);
        }
        let name = format!("proxy on port {}", port.number());
        Process::spawn(&mut command, &name, &directory.path().join("log"))
    }

    /// The offset of the replica face; `None` without one.
    fn replica_port_offset(&self) -> Result<Option<u16>> {
        let setting = self.settings.iter().rfind(|(name, _)| name == "replica_port_offset");
        let offset = setting.map(|(_, value)| value.parse::<u16>()).transpose()?;
        Ok(offset.filter(|offset| *offset != 0))
    }
}

/// A running server proxy.
#[derive(Debug)]
pub struct ProxyProcess {
    // Declared in the order in which they must go: the process first, its port last.
    process: Process,
    directory: TempDir,
    port: Port,
    replica_port: Option<Port>,
}

impl ProxyProcess {
    /// Starts a proxy without a cluster and waits until it answers.
    ///
    /// # Errors
    /// When the binary was not built, does not start or does not answer in time; with the end of its log.
    pub fn start(options: &ProxyOptions) -> Result<Self> {
        let (port, replica_port) = match options.replica_port_offset()? {
            Some(offset) => {
                let [port, replica] = Port::reserve_pair(offset)?;
                (port, Some(replica))
            }
            None => (Port::reserve()?, None),
        };
        let directory = tempfile::Builder::new().prefix("undermoon-proxy-").tempdir()?;
        let process = options.spawn(&port, &directory)?;
        let mut proxy = Self { process, directory, port, replica_port };
        proxy.wait_answering()?;
        Ok(proxy)
    }

    /// Kills the process and starts another at its address, without a cluster; waits until that answers.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&mut self, options: &ProxyOptions) -> Result<()> {
        self.process.kill();
        self.process = options.spawn(&self.port, &self.directory)?;
        self.wait_answering()
    }

    /// A proxy in front of one node that owns every slot.
    ///
    /// # Errors
    /// As [`start`](Self::start), and when the view is refused.
    pub fn in_front_of(node: SocketAddr, options: &ProxyOptions) -> Result<Self> {
        let proxy = Self::start(options)?;
        proxy.set_view(&sole_owner(1, node)?)?;
        proxy.wait_ready()?;
        Ok(proxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// Where its replica face listens.
    ///
    /// # Errors
    /// When it was started without one.
    pub fn replica_address(&self) -> Result<SocketAddr> {
        let port = self.replica_port.as_ref().context("a proxy without a replica face")?;
        Ok((Ipv4Addr::LOCALHOST, port.number()).into())
    }

    /// The process, to stop, freeze or measure it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// When it does not accept one.
    pub fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(self.address())?)
    }

    /// Sends `UMCTL` with the given arguments.
    ///
    /// # Errors
    /// When there is no reply; an error reply is a reply.
    pub fn umctl(&self, args: &[&str]) -> Result<Frame> {
        let mut request: Vec<&[u8]> = vec![b"UMCTL"];
        request.extend(args.iter().map(|arg| arg.as_bytes()));
        Ok(self.connect()?.call(&request)?)
    }

    /// Pushes a view with SETCLUSTER.
    ///
    /// # Errors
    /// When the proxy refuses it.
    pub fn set_view(&self, view: &View) -> Result<()> {
        let args = SetCluster::new(view.clone(), false).to_args(false);
        let words: Vec<&str> = std::iter::once("SETCLUSTER").chain(args.iter().map(String::as_str)).collect();
        self.umctl(&words)?.expect_ok().with_context(|| format!("UMCTL {}", words.join(" ")))
    }

    /// Waits until `UMCTL READY` answers 1.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_ready(&self) -> Result<()> {
        retry_until(Deadline::within(START_LIMIT), "the proxy is ready", || {
            let ready = self.umctl(&["READY"])?.integer()?;
            ensure!(ready == 1, "UMCTL READY answers {ready}");
            Ok(())
        })
        .map_err(|error| self.process.explain(&error))
    }

    fn wait_answering(&mut self) -> Result<()> {
        let address = self.address();
        let process = &mut self.process;
        let answering = retry_until(Deadline::within(START_LIMIT), "the proxy answers", || {
            if let Some(status) = process.exited() {
                return Ok(Err(status));
            }
            // Any reply will do: with a password set, this one is an error.
            Connection::open(address)?.say("PING")?;
            Ok(Ok(()))
        });
        match answering {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => Err(process.explain(&anyhow::anyhow!("the proxy ended with {status}"))),
            Err(error) => Err(process.explain(&error)),
        }
    }
}

/// The view in which `node` owns every slot.
///
/// # Errors
/// Never for an address with a port.
pub fn sole_owner(epoch: u64, node: SocketAddr) -> Result<View> {
    let slots = vec![SlotAssignment { ranges: SlotRanges::all(), tag: SlotTag::None }];
    Ok(View {
        epoch: Epoch(epoch),
        cluster: cluster_name()?,
        local: vec![LocalNode { address: model_address(node)?, slots }],
        peers: Vec::new(),
        config: ClusterConfig::default(),
    })
}

/// A socket's address in the model's form.
///
/// # Errors
/// For port 0.
pub fn model_address(address: SocketAddr) -> Result<Address> {
    Ok(Address::new(&address.ip().to_string(), address.port())?)
}

/// [`CLUSTER`] in the model's form.
///
/// # Errors
/// Never.
pub fn cluster_name() -> Result<ClusterName> {
    Ok(CLUSTER.parse()?)
}
