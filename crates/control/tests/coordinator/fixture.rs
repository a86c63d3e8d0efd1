//! A coordinator on metadata in memory, with imitated proxies.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::v4::Observations;
use control::coordinator::{self, CoordinatorConfig, MetadataError, MetadataSource, Reading};
use control_core::{Command, NewProxy, ReadingNote, Reply, State, SyncState, TimeMs, apply};
use model::Address;
use service::config::Milliseconds;
use service::shutdown::{Phase, Shutdown};

use crate::crowd::{Crowd, place};
use crate::crowd_process::ip;

/// How many proxies a cluster has at most.
const CLUSTER_PROXIES: usize = 20;

/// How long a proxy may be silent in the short form, which asks for no bounds of time.
const PATIENT_MS: i64 = 2_000;

/// MetadataSource without a broker.
#[derive(Clone)]
pub(crate) struct InMemory {
    state: Arc<Mutex<Arc<State>>>,
    /// Whether commands after the first promotion are held back.
    pub(crate) holds_after_promotion: Arc<AtomicBool>,
    is_holding: Arc<AtomicBool>,
    /// What the coordinator said last that it sees.
    pub(crate) seen: Arc<Mutex<Option<Observations>>>,
}

impl InMemory {
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.lock().unwrap().clone()
    }

    pub(crate) fn change(&self, command: Command) -> Result<Reply, MetadataError> {
        let mut current = self.state.lock().unwrap();
        let mut state = State::clone(&current);
        let reply = apply(&mut state, command);
        *current = Arc::new(state);
        reply.map_err(|error| MetadataError::Refused(error.to_string()))
    }
}

impl MetadataSource for InMemory {
    async fn read(&self, _: &ReadingNote) -> Result<Reading, MetadataError> {
        Ok(Reading::new(self.state(), Instant::now()))
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(false)
    }

    async fn apply(&self, command: Command) -> Result<Reply, MetadataError> {
        while self.holds_after_promotion.load(Relaxed) && self.is_holding.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let is_promotion = matches!(command, Command::FailOverShard { .. });
        let outcome = self.change(command);
        self.is_holding.fetch_or(is_promotion && outcome.is_ok(), Relaxed);
        outcome
    }

    async fn observe(&self, seen: Observations) {
        *self.seen.lock().unwrap() = Some(seen);
    }

    fn brokers(&self) -> Vec<String> {
        vec!["127.0.0.1:7799".to_owned()]
    }

    fn set_brokers(&self, _brokers: Vec<String>) -> bool {
        true
    }
}

/// All of it, ended when dropped.
pub(crate) struct Fixture {
    pub(crate) metadata: InMemory,
    pub(crate) crowd: Crowd,
    pub(crate) config: CoordinatorConfig,
    shutdown: Shutdown,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Fixture {
    /// That many proxies, of which clusters use all but `spare`.
    pub(crate) fn start(count: usize, spare: usize) -> Self {
        Self::start_with(count, spare, |_| {})
    }

    /// The same, with other settings.
    pub(crate) fn start_with(count: usize, spare: usize, set: impl FnOnce(&mut CoordinatorConfig)) -> Self {
        if std::env::var_os("COORDINATOR_LOG").is_some() {
            let level = <service::logging::LogLevel as service::config::Setting>::from_text("debug").unwrap();
            // A second test of the same process finds it started.
            let _ = service::logging::start(&level, service::logging::LogFormat::Human);
        }
        let crowd = Crowd::start(count);
        let metadata = InMemory {
            state: Arc::new(Mutex::new(Arc::new(registered(count, spare, crowd.port)))),
            holds_after_promotion: Arc::default(),
            is_holding: Arc::default(),
            seen: Arc::default(),
        };
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = CoordinatorConfig { address: admin, ..CoordinatorConfig::default() };
        if std::env::var_os("COORDINATOR_PROXIES").is_none() {
            // The crowd is one process: on a machine that stalls all would be taken for dead, again and again.
            config.proxy_timeout = Milliseconds::of(PATIENT_MS);
        }
        set(&mut config);
        let shutdown = Shutdown::new();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.spawn(coordinator::run(config.clone(), metadata.clone(), shutdown.clone()));
        Self { metadata, crowd, config, shutdown, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self, number: usize) -> Address {
        Address::new(&ip(number).to_string(), self.crowd.port).unwrap()
    }

    /// Whether all replicas are noted as in sync.
    pub(crate) fn is_in_sync(&self) -> bool {
        let state = self.metadata.state();
        let mut shards = state.clusters.values().flat_map(|c| &c.chunks).flat_map(|chunk| &chunk.shards);
        shards.all(|shard| shard.replica == SyncState::InSync)
    }

    /// Whether every proxy that lives has what the metadata says.
    pub(crate) fn is_filled(&self) -> bool {
        self.unfilled().is_empty()
    }

    /// The proxies that live and have something else, with what each should have and has.
    fn unfilled(&self) -> Vec<String> {
        let epochs = self.crowd.epochs();
        let state = self.metadata.state();
        let wrong = state.proxies.iter().filter_map(|(address, record)| {
            let cluster = record.cluster.as_ref().map(|name| state.clusters[name].epoch);
            let wanted = cluster.unwrap_or(record.epoch);
            let held = epochs[place(address)]?;
            let is_filled = !record.dirty && held == (wanted, wanted);
            (!is_filled).then(|| format!("{address} has {held:?} and not {wanted}: {record:?}"))
        });
        wrong.collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Here and not at each change, because it looks at every slot.
        if std::thread::panicking() {
            println!("not filled: {:#?}", self.unfilled());
        } else {
            self.metadata.state().check().unwrap();
        }
        self.shutdown.advance(Phase::Draining);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn registered(count: usize, spare: usize, port: u16) -> State {
    let mut state = State::default();
    for number in 0..count {
        let address = |above: u16| Address::new(&ip(number).to_string(), port + above).unwrap();
        let nodes = vec![address(1), address(2)];
        let new = NewProxy { address: address(0), nodes, host: None, index: None };
        apply(&mut state, Command::RegisterProxy(new)).unwrap();
    }
    let mut left = count - spare;
    for number in 0.. {
        let used = left.min(CLUSTER_PROXIES);
        let create = Command::CreateCluster {
            cluster: format!("cluster-{number}").parse().unwrap(),
            node_number: used / 2 * 4,
            config: BTreeMap::new(),
            now: TimeMs(1),
        };
        apply(&mut state, create).unwrap();
        left -= used;
        if left == 0 {
            break;
        }
    }
    state
}

/// Polls until the condition holds; how long it took. Looking takes at most a fifth of the time.
pub(crate) fn wait(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    loop {
        let looked = Instant::now();
        if holds() {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < limit, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5).max(looked.elapsed() * 4));
    }
}
