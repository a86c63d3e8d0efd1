//! One process of a managed cluster that can be killed, stopped and started again at the same address with the
//! same files.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::disk::SmallDisk;
use crate::connection::Connection;
use crate::port::Port;
use crate::process::Process;
use crate::wait::{Deadline, retry_until};

/// How long a process may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Where processes run: this machine's loopback, or anywhere that a launcher takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address that they listen on.
    pub ip: IpAddr,
    /// The words before the program, which must end as that program (`ip netns exec NAME`, for example).
    pub launcher: Vec<String>,
}

impl Default for Place {
    fn default() -> Self {
        Self { ip: std::net::Ipv4Addr::LOCALHOST.into(), launcher: Vec::new() }
    }
}

/// How a process is started, each time anew.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Settings of ours, by their names in the configuration file.
    pub settings: Vec<(String, String)>,
    /// Variables of its environment beside these.
    pub environment: Vec<(String, String)>,
}

impl Recipe {
    /// A subcommand of the `undermoon` binary.
    ///
    /// # Errors
    /// When the binary was not built.
    pub fn undermoon(subcommand: &str) -> Result<Self> {
        let program = crate::binary::undermoon()?;
        Ok(Self { program, arguments: vec![subcommand.to_owned()], ..Self::default() })
    }

    /// Adds one setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self, launcher: &[String], directory: &Path) -> Command {
        let mut command = match launcher.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.arguments).current_dir(directory).env_remove("LD_PRELOAD");
        // Nothing of the caller's environment may change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNDERMOON_") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for (name, value) in &self.settings {
            command.env(format!("UNDERMOON_{}", name.to_uppercase()), value);
        }
        command
    }
}

/// A process with its address, its directory and the way to start it again.
#[derive(Debug)]
pub struct Service {
    // Declared in the order in which they must go: the process first, its port last.
    process: Process,
    name: String,
    recipe: Recipe,
    launcher: Vec<String>,
    directory: PathBuf,
    address: SocketAddr,
    disk: Option<SmallDisk>,
    _ports: Vec<Port>,
}

impl Service {
    /// Starts a process in a directory of its own, which is made under `parent` and stays. `recipe` is given the
    /// address that the process is to listen on.
    ///
    /// # Errors
    /// When no port is free or the program cannot be started.
    pub fn start(
        name: &str,
        parent: &Path,
        place: &Place,
        recipe: impl FnOnce(SocketAddr, &Path) -> Result<Recipe>,
    ) -> Result<Self> {
        Self::start_on(vec![Port::reserve()?], name, parent, place, recipe)
    }

    /// As [`start`](Self::start), on ports that are reserved already. The first is its address.
    ///
    /// # Errors
    /// When there is no port, or the program cannot be started.
    pub fn start_on(
        ports: Vec<Port>,
        name: &str,
        parent: &Path,
        place: &Place,
        recipe: impl FnOnce(SocketAddr, &Path) -> Result<Recipe>,
    ) -> Result<Self> {
        let port = ports.first().context("a service needs a port")?;
        let address = SocketAddr::new(place.ip, port.number());
        let directory = parent.join(name);
        std::fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        let (recipe, launcher) = (recipe(address, &directory)?, place.launcher.clone());
        let process = launch(name, &recipe, &launcher, &directory)?;
        Ok(Self {
            process,
            name: name.to_owned(),
            recipe,
            launcher,
            directory,
            address,
            disk: None,
            _ports: ports,
        })
    }

    /// Keeps the disk that its data are on, until it is dropped.
    pub(super) fn keep(&mut self, disk: Option<SmallDisk>) {
        self.disk = disk;
    }

    /// The small disk that its data are on.
    ///
    /// # Errors
    /// When they are on none.
    pub fn disk(&self) -> Result<&SmallDisk> {
        self.disk.as_ref().with_context(|| format!("{} has no disk of its own", self.name))
    }

    /// What it is called: `proxy-2`, for example.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its files and its log are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process, to freeze, thaw, measure or end it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it with SIGKILL; its address stays reserved and its files stay.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.exited().is_none()
    }

    /// Starts it again, killing it first where it still runs. Does not wait until it answers.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(&self.name, &self.recipe, &self.launcher, &self.directory)?;
        Ok(())
    }

    /// The end of what it has written to its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        format!("--- end of the log of {}\n{}", self.name, self.process.log_tail())
    }

    /// Changes how it is started from the next [`restart`](Self::restart) on.
    pub fn recipe(&mut self) -> &mut Recipe {
        &mut self.recipe
    }

    /// A new connection that speaks Redis's protocol.
    ///
    /// # Errors
    /// When it does not accept one.
    pub fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(self.address)?)
    }

    /// Waits until it answers `PING`, whatever it answers.
    ///
    /// # Errors
    /// When it does not in time, or has ended; with the end of its log.
    pub fn wait_answering(&mut self) -> Result<()> {
        let address = self.address;
        self.wait_for("it answers PING", || {
            Connection::open(address)?.say("PING")?;
            Ok(())
        })
    }

    /// Waits until it accepts connections.
    ///
    /// # Errors
    /// As [`wait_answering`](Self::wait_answering).
    pub fn wait_listening(&mut self) -> Result<()> {
        let address = self.address;
        self.wait_for("it listens", || {
            std::net::TcpStream::connect(address)?;
            Ok(())
        })
    }

    fn wait_for(&mut self, what: &str, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
        let process = &mut self.process;
        let outcome = retry_until(Deadline::within(START_LIMIT), what, || {
            // A dead process never answers: its log says why at once.
            match process.exited() {
                Some(status) => Ok(Some(status)),
                None => attempt().map(|()| None),
            }
        });
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.process.explain(&anyhow::anyhow!("it ended with {status}"))),
            Err(error) => Err(self.process.explain(&error)),
        }
    }

    /// Its address as the metadata has it.
    ///
    /// # Errors
    /// Never for the address of a process.
    pub fn model_address(&self) -> Result<model::Address> {
        crate::proxy::model_address(self.address)
    }

    /// Sends a command on a new connection and wants a reply that is no error.
    ///
    /// # Errors
    /// When there is no reply or an error.
    pub fn say(&self, line: &str) -> Result<crate::frame::Frame> {
        let reply = self.connect()?.say(line)?;
        ensure!(reply.error().is_none(), "{} answers {reply:?} to {line}", self.name);
        Ok(reply)
    }
}

fn launch(name: &str, recipe: &Recipe, launcher: &[String], directory: &Path) -> Result<Process> {
    Process::spawn(&mut recipe.command(launcher, directory), name, &directory.join("log"))
}
