//! A broker process on a free port, with its store in a folder of its own, and `ctl` to talk to it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api::v4::{Observations, UnservedShard};
use api::{BrokerClient, ClientOptions};
use control_core::{Command as Change, Reply, State, SyncState};
use model::{Address, ClusterName};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything here may take before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a run of `ctl` ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it printed, if it was successful.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "", "{}", self.stdout);
        self.stdout
    }

    /// What it printed as JSON, if it was successful.
    pub(crate) fn json(self) -> Value {
        let text = self.good();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// A running broker.
pub(crate) struct Broker {
    pub(crate) address: String,
    child: Child,
    folder: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Broker {
    /// Starts one, with settings by the environment.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let child = undermoon()
            .arg("broker")
            .env("UNDERMOON_ADDRESS", &address)
            .env("UNDERMOON_META_FILENAME", folder.path().join("metadata.redb"))
            .env("UNDERMOON_LOG_LEVEL", "warn")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let broker = Self { address, child, folder };
        let started = Instant::now();
        while std::net::TcpStream::connect(&broker.address).is_err() {
            assert!(started.elapsed() < PATIENCE, "the broker does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        broker
    }

    /// One with that many proxies in its pool, each on a host of its own.
    pub(crate) fn with_proxies(count: usize) -> Self {
        let broker = Self::start(&[]);
        for host in 1..=count {
            let [proxy, first, second] = [5299, 6379, 6380].map(|port| format!("127.0.3.{host}:{port}"));
            broker.ctl(&["pool", "add", &proxy, &first, &second, "--host", &format!("rack-{host}")]).good();
        }
        broker
    }

    /// A folder that goes with the broker.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// `ctl` for this broker, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = undermoon();
        command.arg("ctl").args(arguments).env("UNDERMOON_BROKER", &self.address);
        command
    }

    /// Runs `ctl` to its end.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).stdin(Stdio::null()))
    }

    /// The metadata.
    pub(crate) fn state(&self) -> State {
        self.call(async |client| client.metadata().await.unwrap())
    }

    /// Makes a change as a coordinator does.
    pub(crate) fn apply(&self, change: &Change) -> Reply {
        self.call(async |client| client.command(change).await.unwrap())
    }

    /// Says of every replica of a cluster that it is in sync.
    pub(crate) fn sync_all(&self, name: &str) {
        let name: ClusterName = name.parse().unwrap();
        let state = self.state();
        let cluster = state.clusters.get(&name).unwrap();
        for id in cluster.shard_ids() {
            let replica = cluster.chunks[id.chunk].replica(id.shard).clone();
            let (cluster, sync) = (name.clone(), SyncState::InSync);
            self.apply(&Change::SetReplicaSync { cluster, replica, sync });
        }
    }

    /// Says what a coordinator sees: that nobody serves these primaries of a cluster.
    pub(crate) fn observe(&self, name: &str, unserved: &[Address]) {
        let shard = |primary: &Address| UnservedShard {
            cluster: name.parse().unwrap(),
            primary: primary.clone(),
            why: "it is still a replica".to_owned(),
        };
        let unserved = unserved.iter().map(shard).collect();
        let seen = Observations { coordinator: "tests".to_owned(), unserved, ..Observations::default() };
        self.call(async |client| client.observe(&seen).await.unwrap());
    }

    /// Waits until the metadata is as it should be.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&State) -> bool) -> State {
        let started = Instant::now();
        loop {
            let state = self.state();
            if holds(&state) {
                return state;
            }
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn call<T>(&self, call: impl AsyncFnOnce(BrokerClient) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = self.address.parse().unwrap();
        let client = BrokerClient::new(vec![endpoint], &ClientOptions::default()).unwrap();
        runtime.block_on(call(client))
    }
}

/// The binary, with nothing of the test's own environment that it would read.
pub(crate) fn undermoon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_undermoon"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNDERMOON_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended {
        code: output.status.code().expect("it was not killed"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
