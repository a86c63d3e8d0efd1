//! The driver of the engine in these tests: sockets are byte vectors, time is a number.
//!
//! It is as strict as the epoll driver can be: a side that was told not to read does so again only when the engine
//! says so, a write that was cut short goes on only when the socket takes bytes again, and places that the engine
//! gave free are gone at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Address;
use proxy_core::command::CommandTable;
use proxy_core::engine::buffers::Chunk;
use proxy_core::engine::memory::MemoryBudget;
use proxy_core::engine::{
    Abandonments, Ask, BackendId, DroppedSession, Engine, EngineStart, Moment, NodeLives, Policy, ReplyPlace,
    Shared, Strays, WriteFences,
};
use proxy_core::profile::Profile;
use proxy_core::route::WorkerView;
use proxy_core::settings::Settings;
use proxy_core::stats::WorkerStats;

use crate::client::{Allowed, Client};
use crate::node::{Node, Peer, Store};
use crate::views::{NODES, PEER, THIRD, held_view, worker_view};

/// Some time of the year 2026, Unix time in µs.
const UNIX_US: u64 = 1_795_000_000_000_000;

/// The proxy's end and the node's end of one connection.
pub(crate) struct Link {
    pub(crate) id: BackendId,
    /// Which connection it is of all that were asked for: a name may have several, one after the other.
    pub(crate) number: usize,
    pub(crate) address: Address,
    pub(crate) connected: bool,
    pub(crate) peer: Option<Peer>,
    /// What was written to another proxy that is played too, and has not come there.
    pub(crate) under_way: Vec<u8>,
    /// Replies that the proxy has not read.
    pub(crate) replies: Vec<u8>,
    pub(crate) read: usize,
    /// The engine did not want to read.
    pub(crate) unread: bool,
    /// The proxy has shut its end.
    pub(crate) ended: bool,
    /// A write was cut short; the socket has to say that it takes more.
    pub(crate) cut: bool,
}

impl Link {
    /// The proxy's end of it.
    pub(crate) fn end(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 10_000 + self.number as u16))
    }

    /// The proxy's end of it as its node sees it. On the way to another proxy addresses are translated.
    pub(crate) fn end_seen(&self) -> SocketAddr {
        let address = self.address.to_string();
        if NODES.contains(&address.as_str()) {
            return self.end();
        }
        SocketAddr::from(([10, 0, 0, 9], 20_000 + self.number as u16))
    }
}

/// A CLIENT KILL that is not answered yet.
pub(crate) struct Killing {
    pub(crate) place: ReplyPlace,
    pub(crate) killed: usize,
    /// What each worker waits for.
    pub(crate) strays: Vec<Strays>,
}

/// An engine with clients and nodes around it.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    pub(crate) clients: Vec<Client>,
    pub(crate) nodes: BTreeMap<Address, Node>,
    pub(crate) links: Vec<Option<Link>>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) kills: Vec<Killing>,
    /// What this worker and others of its proxy have given up.
    pub(crate) abandonments: Abandonments,
    /// Its clients' numbers begin behind this one.
    pub(crate) last_client: u64,
    /// What always holds is looked at after each turn.
    pub(crate) is_checked: bool,
    /// Sessions that were closed because memory was short.
    pub(crate) dropped: Vec<DroppedSession>,
    /// How often the log was told that a node does not close what was given up.
    pub(crate) refusals_told: usize,
    /// What each session, by its number, held at the end of the turn before, or less.
    pub(crate) held: BTreeMap<u64, usize>,
    pub(crate) memory: MemoryBudget,
    pub(crate) allowed: Allowed,
    /// Bytes that a node's socket takes at one write.
    pub(crate) node_window: usize,
    /// Connections asked for so far.
    pub(crate) connects: usize,
    pub(crate) settings: Settings,
    backend_password: Option<Vec<u8>>,
    view: Option<Arc<WorkerView>>,
    /// Until when the first node takes writes; `u64::MAX` for ever.
    pub(crate) until_us: Arc<AtomicU64>,
    /// The process is stopped for so long between deciding what to write to clients and each such write.
    pub(crate) stopped_us: u64,
    /// The other proxy is played too: what is written to it goes there.
    pub(crate) has_other: bool,
    /// What was written to clients: to whom, how much, and whether the first node's time was over then.
    pub(crate) deliveries: Vec<(usize, usize, bool)>,
    /// What the control thread sees of nodes that are silent.
    pub(crate) lives: NodeLives,
    epoch: u64,
    pub(crate) chunk: Chunk,
    pub(crate) chunk_large: Chunk,
    pub(crate) next_tick_us: u64,
}

impl World {
    /// An engine that works from `view`, one of the constants above, with these rules.
    pub(crate) fn new(view: &str, policy: Policy) -> World {
        World::with_settings(Some(view), policy, |_| {})
    }

    pub(crate) fn with_settings(
        view: Option<&str>,
        policy: Policy,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let mut settings = Settings::new("127.0.0.1:5299".parse().unwrap());
        settings.maxclients = 64;
        // What the engine takes from the settings is what the test's policy says.
        settings.backend_conn_num = u16::try_from(policy.connections_per_node).unwrap();
        settings.backend_timeout_ms = policy.backend_timeout_us / 1000;
        change(&mut settings);
        let view = view.map(|view| worker_view(view, 1, &settings));
        let now = Moment { us: 1_000_000, unix_us: UNIX_US };
        let shared = shared(&settings, view.clone(), None);
        let memory = MemoryBudget::new(settings.memory_max_bytes, 1);
        let stats = Arc::new(WorkerStats::new());
        let start = EngineStart { shared, policy, stats, memory: memory.share(0), seed: 42 };
        let mut engine = Engine::new(start, now);
        let (chunk, chunk_large) = (engine.pool().chunk(false), engine.pool().chunk(true));
        // A client may ask for a request to be forwarded to the other proxy.
        let nodes = NODES.iter().chain([&PEER, &THIRD]).zip([3, 5, 7, 11]);
        let mut world = World {
            engine,
            now,
            clients: Vec::new(),
            nodes: nodes.map(|(at, keys)| (at.parse().unwrap(), Node::with_keys(keys))).collect(),
            links: Vec::new(),
            asks: Vec::new(),
            kills: Vec::new(),
            abandonments: Abandonments::default(),
            last_client: 0,
            is_checked: true,
            dropped: Vec::new(),
            refusals_told: 0,
            held: BTreeMap::new(),
            memory,
            allowed: Allowed::default(),
            node_window: usize::MAX,
            connects: 0,
            settings,
            backend_password: None,
            view,
            until_us: Arc::new(AtomicU64::new(u64::MAX)),
            stopped_us: 0,
            has_other: false,
            deliveries: Vec::new(),
            lives: NodeLives::default(),
            epoch: 1,
            chunk,
            chunk_large,
            next_tick_us: 0,
        };
        world.share();
        world.act();
        world
    }

    pub(crate) fn node(&mut self, address: &str) -> &mut Node {
        self.nodes.get_mut(&address.parse().unwrap()).unwrap()
    }

    /// A client connects; its place in `clients`.
    pub(crate) fn accept(&mut self) -> usize {
        self.accept_from("127.0.0.1:40000".parse().unwrap())
    }

    /// As [`World::accept`], for one at this address.
    pub(crate) fn accept_from(&mut self, end: SocketAddr) -> usize {
        let name = self.clients.len();
        let mut profile = Profile::new(self.last_client + name as u64 + 1, end, end, self.now.unix_us / 1000);
        profile.authenticated = self.settings.password.is_none();
        let id = self.engine.accept(profile);
        self.clients.push(Client::new(id, name));
        name
    }

    /// The proxy is given another view.
    pub(crate) fn update(&mut self, view: Option<&str>) {
        self.epoch += 1;
        self.view = view.map(|view| worker_view(view, self.epoch, &self.settings));
        self.share();
    }

    /// The proxy is given a view in which slots without an owner wait for one for so long.
    pub(crate) fn update_holding(&mut self, view: &str, us: u64) {
        self.epoch += 1;
        self.view = Some(held_view(view, self.epoch, &self.settings, self.now.us + us));
        self.share();
    }

    /// All nodes hold the same from now on, as though a key moved with its slot at once.
    pub(crate) fn share_store(&mut self, store: &Store) {
        self.nodes.values_mut().for_each(|node| node.store = store.clone());
    }

    /// Both are workers of one proxy, in front of the same nodes. Numbers of this one's connections and clients begin where
    /// those of the other do not come.
    pub(crate) fn be_colleague_of(&mut self, other: &mut World) {
        const BEHIND: usize = 1_000;
        let store = Store::default();
        for (address, node) in &mut self.nodes {
            let others = other.nodes.get_mut(address).unwrap();
            (node.closed, node.store) = (others.closed.clone(), store.clone());
            others.store = store.clone();
        }
        self.connects = BEHIND;
        self.last_client = BEHIND as u64;
        self.abandonments = other.abandonments.clone();
        self.share();
    }

    /// From now on connections to nodes begin with this password.
    pub(crate) fn use_backend_password(&mut self, password: &[u8]) {
        self.backend_password = Some(password.to_vec());
        self.share();
    }

    /// Has the engine take over the present settings and view.
    pub(crate) fn share(&mut self) {
        let mut shared = shared(&self.settings, self.view.clone(), self.backend_password.as_deref());
        shared.fences = WriteFences::new(vec![(NODES[0].parse().unwrap(), self.until_us.clone())]);
        shared.lives = self.lives.clone();
        shared.abandonments = self.abandonments.clone();
        self.engine.update(shared);
    }

    /// The first node takes writes until then, and the engine looks at that from now on.
    pub(crate) fn limit(&mut self, until_us: u64) {
        self.extend(until_us);
        self.share();
    }

    /// The first node takes writes until then, as the control thread tells all workers at any time.
    pub(crate) fn extend(&mut self, until_us: u64) {
        self.until_us.store(until_us, Ordering::Relaxed);
    }

    pub(crate) fn pass(&mut self, us: u64) {
        self.now.us += us;
        self.now.unix_us += us;
        self.engine.begin_turn(self.now);
    }

    /// Places of connections that are open or being opened.
    pub(crate) fn links(&self) -> Vec<usize> {
        (0..self.links.len()).filter(|&link| self.links[link].is_some()).collect()
    }

    /// Whether a connection is to that node.
    pub(crate) fn is_link_to(&self, link: usize, address: &str) -> bool {
        self.links[link].as_ref().is_some_and(|open| open.address.to_string() == address)
    }
}

fn shared(settings: &Settings, view: Option<Arc<WorkerView>>, password: Option<&[u8]>) -> Shared {
    static TABLE: std::sync::OnceLock<Arc<CommandTable>> = std::sync::OnceLock::new();
    Shared {
        table: TABLE.get_or_init(|| Arc::new(CommandTable::builtin())).clone(),
        settings: Arc::new(settings.clone()),
        backend_password: password.and_then(proxy_core::settings::Password::new),
        server_version: "7.0.15".into(),
        view,
        fences: WriteFences::default(),
        lives: NodeLives::default(),
        abandonments: Abandonments::default(),
    }
}
