//! A real Redis (or Valkey) server on a free port of 127.0.0.1, in a directory of its own, stopped when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tempfile::TempDir;

use crate::binary::ServerBinary;
use crate::connection::Connection;
use crate::port::Port;
use crate::process::Process;
use crate::wait::{Deadline, retry_until};

/// How long a server may take until it answers PING.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Which server.
    pub binary: ServerBinary,
    /// Redis Cluster's own mode, with all slots assigned to this one server.
    pub cluster: bool,
    /// Keep data in an append-only file, so that it outlives [`RedisServer::restart`].
    pub append_only: bool,
    /// More command-line settings, name and value.
    pub settings: Vec<(String, String)>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { binary: ServerBinary::Redis7, cluster: false, append_only: false, settings: Vec::new() }
    }
}

impl RedisOptions {
    /// The given server with default settings.
    #[must_use]
    pub fn of(binary: ServerBinary) -> Self {
        Self { binary, ..Self::default() }
    }

    /// Adds one setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running server.
#[derive(Debug)]
pub struct RedisServer {
    // Declared in the order in which they must go: the process first, its port last.
    process: Process,
    options: RedisOptions,
    directory: TempDir,
    port: Port,
    /// Redis Cluster's own bus, where the server is in that mode.
    bus: Option<Port>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, does not start, or does not answer in time; with the end of its log.
    pub fn start(options: RedisOptions) -> Result<Self> {
        let port = Port::reserve()?;
        let directory = tempfile::Builder::new().prefix("undermoon-redis-").tempdir()?;
        let bus = options.cluster.then(Port::reserve).transpose()?;
        let process = launch(&options, &directory, (&port, bus.as_ref()))?;
        let mut server = Self { process, options, directory, port, bus };
        server.wait_ready()?;
        if server.options.cluster {
            server.take_all_slots()?;
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
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

    /// Starts it again on the same port with the same directory, after a kill or instead of the running one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(&self.options, &self.directory, (&self.port, self.bus.as_ref()))?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let address = self.address();
        let id = self.process.id().to_string();
        let process = &mut self.process;
        let ready = retry_until(Deadline::within(START_LIMIT), "the server answers PING", || {
            // A dead process never answers: its log says why at once, without waiting for the deadline.
            if let Some(status) = process.exited() {
                return Ok(Err(status));
            }
            let mut connection = Connection::open(address)?;
            ensure!(connection.say("PING")?.text()? == "PONG", "no PONG yet");
            let info = connection.say("INFO server")?.text()?;
            let ours = info.lines().any(|line| line.strip_prefix("process_id:") == Some(id.as_str()));
            ensure!(ours, "another process answers on {address}");
            Ok(Ok(()))
        });
        match ready {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => Err(process.explain(&anyhow::anyhow!("the server ended with {status}"))),
            Err(error) => Err(process.explain(&error)),
        }
    }

    fn take_all_slots(&mut self) -> Result<()> {
        let mut connection = self.connect()?;
        connection.say("CLUSTER ADDSLOTSRANGE 0 16383")?.expect_ok()?;
        retry_until(Deadline::within(START_LIMIT), "the cluster state is ok", || {
            let info = connection.say("CLUSTER INFO")?.text()?;
            if info.contains("cluster_state:ok") { Ok(()) } else { bail!("{info}") }
        })
    }
}

fn launch(
    options: &RedisOptions,
    directory: &TempDir,
    (port, bus): (&Port, Option<&Port>),
) -> Result<Process> {
    let yes_no = |on: bool| if on { "yes" } else { "no" };
    let number = port.number().to_string();
    let mut command = Command::new(options.binary.path()?);
    command.current_dir(directory.path()).env_remove("LD_PRELOAD");
    command.args(["--port", &number, "--bind", "127.0.0.1", "--protected-mode", "no", "--save", ""]);
    command.args(["--appendonly", yes_no(options.append_only), "--repl-diskless-sync-delay", "0"]);
    if let Some(bus) = bus {
        command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.number().to_string()]);
    }
    for (name, value) in &options.settings {
        command.args([&format!("--{name}"), value]);
    }
    Process::spawn(&mut command, &format!("redis on port {number}"), &directory.path().join("log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_starts_answers_and_goes() {
        for binary in ServerBinary::ALL {
            let mut server = RedisServer::start(RedisOptions::of(binary)).unwrap();
            let mut connection = server.connect().unwrap();
            connection.say("SET a 1").unwrap().expect_ok().unwrap();
            assert_eq!(connection.say("GET a").unwrap().bytes(), b"$1\r\n1\r\n");
            server.process().kill();
            assert!(server.connect().is_err(), "{binary:?} still accepts after it was killed");
        }
    }

    #[test]
    fn data_in_an_append_only_file_outlives_a_kill() {
        let options =
            RedisOptions { append_only: true, ..RedisOptions::default() }.with("appendfsync", "always");
        let mut server = RedisServer::start(options).unwrap();
        server.connect().unwrap().say("SET a 1").unwrap().expect_ok().unwrap();
        server.restart().unwrap();
        assert_eq!(server.connect().unwrap().say("GET a").unwrap().text().unwrap(), "1");
    }

    #[test]
    fn cluster_mode_owns_every_slot() {
        let server = RedisServer::start(RedisOptions { cluster: true, ..RedisOptions::default() }).unwrap();
        let reply = server.connect().unwrap().say("MGET a b").unwrap();
        assert!(reply.error().is_some_and(|text| text.starts_with("CROSSSLOT")), "{reply:?}");
    }

    #[test]
    fn a_server_that_cannot_start_says_why() {
        let options = RedisOptions::default().with("no-such-setting", "1");
        let error = RedisServer::start(options).expect_err("must fail").to_string();
        assert!(error.contains("no-such-setting"), "{error}");
    }
}
