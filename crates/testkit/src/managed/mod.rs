//! A whole self-managed cluster of real processes, as an operator would run it: brokers, coordinators, and a pool
//! of hosts, each with a proxy and two Redis servers. All of it is made through the broker's HTTP API; a test may
//! kill, stop and start again any single process.
//!
//! ```text
//!   brokers ◀── HTTP ── coordinators ── probes, views ──▶ hosts 0, 1, 2 …
//!   (one file, or etcd)                                   each: proxy + node 0 + node 1
//! ```
//! Children die with the thread that started them, so a cluster is made, restarted and dropped in one thread.

pub mod disk;
pub mod host;
mod options;
pub mod service;
pub mod shard;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::{BrokerClient, ClientOptions, Endpoint};
use control_core::State;
use model::ClusterName;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::host::Host;
pub use self::options::{Brokers, ManagedOptions};
use self::options::{CONTROL_PASSWORD, DATA, needs_control_password};
use self::service::{Place, Recipe, Service};
use self::shard::ShardPlace;
use crate::wait::{Deadline, retry_until};

/// How long one call to a broker may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A running control plane with its hosts. Everything is stopped when it is dropped.
#[derive(Debug)]
pub struct ManagedCluster {
    /// The hosts, in the order in which they were registered; host `n` is called `host-n`.
    pub hosts: Vec<Host>,
    /// The coordinators.
    pub coordinators: Vec<Service>,
    /// The brokers.
    pub brokers: Vec<Service>,
    /// What the brokers keep their metadata in, unless it is a file.
    pub etcd: Option<Service>,
    client: BrokerClient,
    runtime: Runtime,
    directory: TempDir,
}

impl ManagedCluster {
    /// Starts everything and registers every host. There is no cluster yet.
    ///
    /// # Errors
    /// When something does not start, or a broker refuses a host.
    pub fn start(options: &ManagedOptions) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("undermoon-managed-").tempdir()?;
        let (etcd, brokers) = start_brokers(options, directory.path())?;
        let start_host = |(number, place)| Host::start(number, place, options, directory.path());
        let hosts = options.hosts.iter().enumerate().map(start_host).collect::<Result<Vec<_>>>()?;
        let start_coordinator = |number| start_coordinator(number, options, &brokers, directory.path());
        let coordinators = (0..options.coordinators).map(start_coordinator).collect::<Result<Vec<_>>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = client(&brokers, options.write_token())?;
        let mut cluster = Self { hosts, coordinators, brokers, etcd, client, runtime, directory };
        for service in cluster.brokers.iter_mut().chain(&mut cluster.coordinators) {
            service.wait_listening()?;
        }
        for number in 0..cluster.hosts.len() {
            cluster.hosts[number].wait_answering()?;
            cluster.register(number)?;
        }
        Ok(cluster)
    }

    /// Registers a host, or says that it is back; harmless when it is registered.
    ///
    /// # Errors
    /// When the broker refuses it.
    pub fn register(&self, number: usize) -> Result<()> {
        let host = &self.hosts[number];
        let proxy = api::v3::NewProxy {
            proxy_address: crate::proxy::model_address(host.announced())?,
            nodes: host.nodes.iter().map(Service::model_address).collect::<Result<_>>()?,
            host: Some(host.name()),
            index: None,
        };
        match self.runtime.block_on(self.client.add_proxy(&proxy)) {
            Err(error) if error.code() == Some("ALREADY_EXISTED") => Ok(()),
            outcome => outcome.with_context(|| format!("registering {}", host.name())),
        }
    }

    /// Makes a cluster of that many nodes, two on each host.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create(&self, name: &str, nodes: usize) -> Result<()> {
        let name = name.parse()?;
        Ok(self.runtime.block_on(self.client.create_cluster(&name, nodes))?)
    }

    /// The typed client of the brokers' API, and [`block_on`](Self::block_on) to run its calls.
    #[must_use]
    pub fn client(&self) -> &BrokerClient {
        &self.client
    }

    /// Gives the client another token for changes.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn use_token(&mut self, token: &str) -> Result<()> {
        self.client = client(&self.brokers, Some(token))?;
        Ok(())
    }

    /// Runs a call of [`client`](Self::client) to its end.
    pub fn block_on<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }

    /// The metadata as a broker has it now.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn state(&self) -> Result<State> {
        let answer = self.runtime.block_on(self.client.state::<State>(None, Duration::ZERO))?;
        Ok(answer.state.unwrap_or_default())
    }

    /// The shards of a cluster, each with where its nodes are.
    ///
    /// # Errors
    /// When no broker answers, or there is no such cluster.
    pub fn shards(&self, name: &str) -> Result<Vec<ShardPlace>> {
        let (state, name) = (self.state()?, name.parse::<ClusterName>()?);
        let cluster = state.clusters.get(&name).with_context(|| format!("no cluster {name}"))?;
        cluster.shard_ids().map(|id| ShardPlace::of(&self.hosts, cluster, id)).collect()
    }

    /// The shard that owns a key.
    ///
    /// # Errors
    /// As [`shards`](Self::shards).
    pub fn shard_of(&self, name: &str, key: &[u8]) -> Result<ShardPlace> {
        let slot = model::Slot::of_key(key);
        let mut shards = self.shards(name)?.into_iter();
        shards.find(|shard| shard.slots.contains(slot)).with_context(|| format!("no shard owns {slot}"))
    }

    /// Polls until `check` succeeds.
    ///
    /// # Errors
    /// When it does not in time; the message has the metadata and the ends of the coordinators' logs.
    pub fn wait_for<T>(&self, limit: Duration, what: &str, check: impl FnMut() -> Result<T>) -> Result<T> {
        retry_until(Deadline::within(limit), what, check).map_err(|error| self.explain(error))
    }

    /// Adds the metadata and the ends of the coordinators' logs to an error.
    #[must_use]
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let logs = self.coordinators.iter().map(|coordinator| format!("{}\n", coordinator.log_tail()));
        error.context(format!("{:#?}\n{}", self.state(), logs.collect::<String>()))
    }

    /// The addresses of all Redis servers.
    #[must_use]
    pub fn nodes(&self) -> Vec<SocketAddr> {
        self.hosts.iter().flat_map(|host| &host.nodes).map(Service::address).collect()
    }

    /// The addresses of all proxies, for clients.
    #[must_use]
    pub fn proxies(&self) -> Vec<SocketAddr> {
        self.hosts.iter().map(|host| host.proxy.address()).collect()
    }

    /// Kills all processes of these hosts at once, as when a rack loses power.
    pub fn kill_hosts(&mut self, numbers: &BTreeSet<usize>) {
        let dying = self.hosts.iter_mut().filter(|host| numbers.contains(&host.number));
        let mut dying: Vec<&mut Service> = dying.flat_map(Host::services).collect();
        // All have the signal before it is waited for the end of any.
        dying.iter_mut().for_each(|service| service.process().send_kill());
        dying.iter_mut().for_each(|service| service.kill());
    }

    /// Where all files and logs are, until it is dropped.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The host whose proxy listens there.
    ///
    /// # Errors
    /// When there is none.
    pub fn host_at(&self, proxy: SocketAddr) -> Result<usize> {
        match self.hosts.iter().position(|host| host.proxy.address() == proxy) {
            Some(number) => Ok(number),
            None => bail!("no host has its proxy at {proxy}"),
        }
    }

    /// Starts one more coordinator.
    ///
    /// # Errors
    /// When it does not start.
    pub fn add_coordinator(&mut self, options: &ManagedOptions) -> Result<()> {
        let number = self.coordinators.len();
        let mut started = start_coordinator(number, options, &self.brokers, self.directory.path())?;
        started.wait_listening()?;
        self.coordinators.push(started);
        Ok(())
    }
}

fn client(brokers: &[Service], token: Option<&str>) -> Result<BrokerClient> {
    let endpoint = |broker: &Service| Ok(broker.address().to_string().parse::<Endpoint>()?);
    let endpoints = brokers.iter().map(endpoint).collect::<Result<Vec<_>>>()?;
    let token = token.map(str::to_owned);
    let options = ClientOptions { timeout: CALL_LIMIT, token, ..ClientOptions::default() };
    Ok(BrokerClient::new(endpoints, &options)?)
}

fn start_brokers(options: &ManagedOptions, parent: &Path) -> Result<(Option<Service>, Vec<Service>)> {
    let (etcd, count) = match options.brokers {
        Brokers::Embedded => (None, 1),
        Brokers::OnEtcd(count) => (Some(start_etcd(&options.control, parent)?), count),
    };
    let start = |number| {
        let name = format!("broker-{number}");
        let mut disk = None;
        let mut broker = Service::start(&name, parent, &options.control, |address, directory| {
            let mut recipe = Recipe::undermoon("broker")?.with("address", &address.to_string());
            if etcd.is_none() {
                disk = options.small_disk(directory)?;
            }
            if disk.is_some() {
                recipe = recipe.with("meta_filename", &format!("{DATA}/undermoon-metadata.redb"));
            }
            if let Some(etcd) = &etcd {
                let endpoint = format!("http://{}", etcd.address());
                recipe = recipe.with("store", "etcd").with("etcd_endpoints", &endpoint);
            }
            recipe.settings.extend(options.broker_settings.iter().cloned());
            Ok(recipe)
        })?;
        broker.keep(disk);
        Ok(broker)
    };
    let brokers = (0..count).map(start).collect::<Result<Vec<_>>>()?;
    Ok((etcd, brokers))
}

fn start_etcd(place: &Place, parent: &Path) -> Result<Service> {
    let peers = crate::port::Port::reserve()?;
    let mut etcd = Service::start("etcd", parent, place, |address, _| {
        let (client, peer) = (format!("http://{address}"), format!("http://{}:{}", place.ip, peers.number()));
        let arguments = [
            ("--data-dir", "data"),
            ("--listen-client-urls", &client),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &format!("default={peer}")),
            ("--log-level", "error"),
        ];
        let arguments = arguments.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]);
        let program = crate::binary::on_path("etcd")?;
        Ok(Recipe { program, arguments: arguments.collect(), ..Recipe::default() })
    })?;
    etcd.wait_listening()?;
    Ok(etcd)
}

fn start_coordinator(
    number: usize,
    options: &ManagedOptions,
    brokers: &[Service],
    parent: &Path,
) -> Result<Service> {
    let brokers: BTreeMap<usize, String> =
        brokers.iter().map(|broker| broker.address().to_string()).enumerate().collect();
    // Each begins with another broker.
    let first = number % brokers.len().max(1);
    let order = (0..brokers.len()).map(|step| brokers[&((first + step) % brokers.len())].clone());
    let order = order.collect::<Vec<_>>().join(",");
    let place = options.coordinator_places.get(number).unwrap_or(&options.control);
    Service::start(&format!("coordinator-{number}"), parent, place, |address, _| {
        let recipe = Recipe::undermoon("coordinator")?.with("address", &address.to_string());
        let mut recipe = recipe.with("broker_address", &order).with("log_level", "info");
        if options.hosts.iter().any(|host| needs_control_password(host, options)) {
            recipe = recipe.with("proxy_control_password", CONTROL_PASSWORD);
        }
        recipe.settings.extend(options.coordinator_settings.iter().cloned());
        Ok(recipe)
    })
}
