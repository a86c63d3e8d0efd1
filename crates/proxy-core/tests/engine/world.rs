//! The driver of the engine in these tests: sockets are byte vectors, time is a number.
//!
//! It is as strict as the epoll driver can be: a side that was told not to read does so again only when the engine
//! says so, a write that was cut short goes on only when the socket takes bytes again, and places that the engine
//! gave free are gone at once.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Address, SetCluster, Slot};
use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::command::CommandTable;
use proxy_core::engine::buffers::{Chunk, OutQueue, READ_BYTES, READ_BYTES_LARGE, SLICES_MAX};
use proxy_core::engine::{Action, Ask, BackendId, Engine, Moment, Policy, SessionId, Shared, WriteFences};
use proxy_core::profile::Profile;
use proxy_core::routing::{RouteTable, WorkerView};
use proxy_core::settings::Settings;
use proxy_core::stats::WorkerStats;

use crate::client::{Allowed, Client};
use crate::node::{Node, Peer};

/// Some time of the year 2026, Unix time in µs.
const UNIX_US: u64 = 1_795_000_000_000_000;
/// The addresses of the two nodes.
pub(crate) const NODES: [&str; 2] = ["127.0.0.1:7001", "127.0.0.1:7002"];
/// The other proxy of the cluster.
pub(crate) const PEER: &str = "127.0.0.2:5299";
/// Two nodes here, one proxy elsewhere, and slots that nobody owns.
pub(crate) const BOTH: &str =
    "127.0.0.1:7001 1 0-5000 127.0.0.1:7002 1 5001-10000 PEER 127.0.0.2:5299 1 10001-15000";
/// As [`BOTH`], but the nodes have changed places.
pub(crate) const SWAPPED: &str =
    "127.0.0.1:7002 1 0-5000 127.0.0.1:7001 1 5001-10000 PEER 127.0.0.2:5299 1 10001-15000";
/// As [`BOTH`], but the second node's slots are the other proxy's.
pub(crate) const FIRST_ONLY: &str = "127.0.0.1:7001 1 0-5000 PEER 127.0.0.2:5299 1 5001-15000";
/// One node with everything.
pub(crate) const ONE: &str = "127.0.0.1:7001 1 0-16383";

/// Who owns a slot in [`BOTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    First,
    Second,
    Other,
    Nobody,
}

/// The `number`-th hash tag whose slot has that owner in [`BOTH`].
pub(crate) fn tag(owner: Owner, number: usize) -> String {
    let range = match owner {
        Owner::First => 0..=5000,
        Owner::Second => 5001..=10_000,
        Owner::Other => 10_001..=15_000,
        Owner::Nobody => 15_001..=16_383,
    };
    let mut tags = (0u32..).map(|n| format!("t{n}")).filter(|tag| range.contains(&slot(tag)));
    tags.nth(number).unwrap()
}

pub(crate) fn slot(tag: &str) -> usize {
    Slot::of_key(tag.as_bytes()).index()
}

/// The proxy's end and the node's end of one connection.
struct Link {
    address: Address,
    connected: bool,
    peer: Option<Peer>,
    /// Replies that the proxy has not read.
    replies: Vec<u8>,
    read: usize,
    /// The engine did not want to read.
    unread: bool,
    /// A write was cut short; the socket has to say that it takes more.
    cut: bool,
}

/// An engine with clients and nodes around it.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    pub(crate) clients: Vec<Client>,
    pub(crate) nodes: BTreeMap<Address, Node>,
    links: Vec<Option<Link>>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) allowed: Allowed,
    /// Bytes that a node's socket takes at one write.
    pub(crate) node_window: usize,
    /// Connections asked for so far.
    pub(crate) connects: usize,
    pub(crate) settings: Settings,
    backend_password: Option<Vec<u8>>,
    view: Option<Arc<WorkerView>>,
    /// Until when the first node takes writes; `u64::MAX` for ever.
    until_us: Arc<AtomicU64>,
    /// The process is stopped for so long between deciding what to write to clients and each such write.
    pub(crate) stopped_us: u64,
    /// What was written to clients: to whom, how much, and whether the first node's time was over then.
    pub(crate) deliveries: Vec<(usize, usize, bool)>,
    epoch: u64,
    chunk: Chunk,
    chunk_large: Chunk,
    next_tick_us: u64,
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
        settings.output_bytes_max = policy.session_output_bytes as u64;
        settings.backend_conn_num = u16::try_from(policy.connections_per_node).unwrap();
        settings.backend_timeout_ms = policy.backend_timeout_us / 1000;
        change(&mut settings);
        let view = view.map(|view| worker_view(view, 1, &settings));
        let now = Moment { us: 1_000_000, unix_us: UNIX_US };
        let shared = shared(&settings, view.clone(), None);
        let mut engine = Engine::new(shared, policy, Arc::new(WorkerStats::new()), 42, now);
        let (chunk, chunk_large) = (engine.pool().chunk(false), engine.pool().chunk(true));
        // A client may ask for a request to be forwarded to the other proxy.
        let nodes = NODES.iter().chain([&PEER]).zip([3, 5, 7]);
        let mut world = World {
            engine,
            now,
            clients: Vec::new(),
            nodes: nodes.map(|(at, keys)| (at.parse().unwrap(), Node::with_keys(keys))).collect(),
            links: Vec::new(),
            asks: Vec::new(),
            allowed: Allowed::default(),
            node_window: usize::MAX,
            connects: 0,
            settings,
            backend_password: None,
            view,
            until_us: Arc::new(AtomicU64::new(u64::MAX)),
            stopped_us: 0,
            deliveries: Vec::new(),
            epoch: 1,
            chunk,
            chunk_large,
            next_tick_us: 0,
        };
        world.act();
        world
    }

    pub(crate) fn node(&mut self, address: &str) -> &mut Node {
        self.nodes.get_mut(&address.parse().unwrap()).unwrap()
    }

    /// A client connects; its place in `clients`.
    pub(crate) fn accept(&mut self) -> usize {
        let name = self.clients.len();
        let end = "127.0.0.1:40000".parse().unwrap();
        let mut profile = Profile::new(name as u64 + 1, end, end, self.now.unix_us / 1000);
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

    /// From now on connections to nodes begin with this password.
    pub(crate) fn use_backend_password(&mut self, password: &[u8]) {
        self.backend_password = Some(password.to_vec());
        self.share();
    }

    fn share(&mut self) {
        let mut shared = shared(&self.settings, self.view.clone(), self.backend_password.as_deref());
        shared.fences = WriteFences::new(vec![(NODES[0].parse().unwrap(), self.until_us.clone())]);
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

    /// Lets the proxy read at most so many bytes of what a client has sent; how many it read.
    pub(crate) fn client_sends(&mut self, client: usize, bytes_max: usize) -> usize {
        let client = &mut self.clients[client];
        let due = &client.outgoing[client.sent..];
        let len = due.len().min(bytes_max).min(READ_BYTES);
        if client.closed || client.unread || len == 0 {
            return 0;
        }
        if !self.engine.wants_read(client.id) {
            client.unread = true;
            return 0;
        }
        self.chunk.space()[..len].copy_from_slice(&due[..len]);
        client.sent += len;
        self.engine.session_received(client.id, &self.chunk, len);
        if self.chunk.is_shared() {
            self.chunk = self.engine.pool().chunk(false);
        }
        len
    }

    /// The client has sent its last byte.
    pub(crate) fn client_ends(&mut self, client: usize) {
        let client = &mut self.clients[client];
        if !client.closed && !client.ended {
            client.ended = true;
            client.outgoing.truncate(client.sent);
            self.engine.session_ended(client.id);
        }
    }

    /// The client is gone without a word.
    pub(crate) fn client_breaks(&mut self, client: usize) {
        let client = &mut self.clients[client];
        if !client.closed {
            client.closed = true;
            self.engine.session_closed(client.id);
        }
    }

    /// Places of connections that are open or being opened.
    pub(crate) fn links(&self) -> Vec<usize> {
        (0..self.links.len()).filter(|&link| self.links[link].is_some()).collect()
    }

    /// Whether a connection is to that node.
    pub(crate) fn is_link_to(&self, link: usize, address: &str) -> bool {
        self.links[link].as_ref().is_some_and(|open| open.address.to_string() == address)
    }

    /// A connection attempt ends well, where one is under way.
    pub(crate) fn connects(&mut self, link: usize) {
        let Some(Some(open)) = self.links.get_mut(link) else { return };
        if !open.connected {
            open.connected = true;
            open.peer = Some(self.nodes[&open.address].welcome());
            self.engine.backend_connected(BackendId(link as u32));
        }
    }

    /// A connection fails; the driver hears of it.
    pub(crate) fn fails(&mut self, link: usize) {
        if self.links.get(link).is_some_and(Option::is_some) {
            self.engine.backend_failed(BackendId(link as u32), "the connection broke");
        }
    }

    /// Puts bytes in the place of a node's replies.
    pub(crate) fn node_says(&mut self, link: usize, bytes: &[u8]) {
        if let Some(Some(open)) = self.links.get_mut(link) {
            open.replies.extend_from_slice(bytes);
        }
    }

    /// Lets the proxy read at most so many bytes of a node's replies; how many it read.
    pub(crate) fn node_sends(&mut self, link: usize, bytes_max: usize) -> usize {
        let Some(Some(open)) = self.links.get_mut(link) else { return 0 };
        let id = BackendId(link as u32);
        if open.replies.len() == open.read || open.unread {
            return 0;
        }
        if !self.engine.wants_backend_read(id) {
            open.unread = true;
            return 0;
        }
        let large = self.engine.reads_large(id);
        let (chunk, size) = match large {
            true => (&mut self.chunk_large, READ_BYTES_LARGE),
            false => (&mut self.chunk, READ_BYTES),
        };
        let due = &open.replies[open.read..];
        let len = due.len().min(bytes_max).min(size);
        chunk.space()[..len].copy_from_slice(&due[..len]);
        open.read += len;
        if open.read == open.replies.len() {
            open.replies.clear();
            open.read = 0;
        }
        self.engine.backend_received(id, chunk, len);
        if chunk.is_shared() {
            *chunk = self.engine.pool().chunk(large);
        }
        len
    }

    /// The node's socket takes bytes again where a write was cut short.
    pub(crate) fn node_takes(&mut self, link: usize) {
        if let Some(Some(open)) = self.links.get_mut(link)
            && std::mem::take(&mut open.cut)
        {
            self.engine.backend_writable(BackendId(link as u32));
        }
    }

    /// The client takes so many bytes more, and what waits for it is written.
    pub(crate) fn client_takes(&mut self, client: usize, bytes: usize) {
        self.clients[client].window = self.clients[client].window.saturating_add(bytes);
        self.write_session(client);
    }

    /// Ends the turn: time-outs where they are due, then what is to be written, then what is to be done.
    pub(crate) fn end_turn(&mut self) {
        if self.now.us >= self.next_tick_us {
            self.engine.tick();
            self.next_tick_us = self.now.us + self.engine.tick_us();
        }
        let (mut sessions, mut backends) = (Vec::new(), Vec::new());
        self.engine.end_turn(&mut sessions, &mut backends);
        for id in backends {
            self.write_backend(id);
        }
        for id in sessions {
            self.now.us += self.stopped_us;
            if let Some(client) = self.client_of(id) {
                self.write_session(client);
            }
        }
        self.act();
    }

    fn client_of(&self, id: SessionId) -> Option<usize> {
        self.clients.iter().position(|client| client.id == id && !client.closed)
    }

    fn write_backend(&mut self, id: BackendId) {
        let Some(Some(open)) = self.links.get_mut(id.0 as usize) else { return };
        assert!(open.connected, "a connection that is not made is written to");
        let bytes = first_bytes(self.engine.backend_output(id), self.node_window);
        if bytes.is_empty() {
            open.cut = !self.engine.backend_output(id).is_empty();
            return;
        }
        self.engine.backend_sent(id, bytes.len());
        open.cut = !self.engine.backend_output(id).is_empty();
        let node = self.nodes.get_mut(&open.address).unwrap();
        node.received(open.peer.as_mut().unwrap(), &bytes, &mut open.replies);
    }

    fn write_session(&mut self, place: usize) {
        let is_over = self.now.us > self.until_us.load(Ordering::Relaxed);
        let client = &mut self.clients[place];
        if client.closed {
            return;
        }
        if self.engine.must_look_before_delivery() {
            self.engine.look_before_delivery(self.now.us);
        }
        let bytes = first_bytes(self.engine.session_output(client.id), client.window);
        client.window = client.window.saturating_sub(bytes.len());
        client.received(&bytes, self.allowed);
        self.deliveries.push((place, bytes.len(), is_over));
        self.engine.session_sent(client.id, bytes.len());
    }

    fn act(&mut self) {
        for action in self.engine.take_actions() {
            match action {
                Action::Connect(id, address) => {
                    let place = id.0 as usize;
                    self.connects += 1;
                    if self.links.len() <= place {
                        self.links.resize_with(place + 1, || None);
                    }
                    assert!(self.links[place].is_none(), "a place that is taken is connected again");
                    self.links[place] = Some(Link {
                        address,
                        connected: false,
                        peer: None,
                        replies: Vec::new(),
                        read: 0,
                        unread: false,
                        cut: false,
                    });
                }
                Action::CloseBackend(id) => {
                    assert!(
                        self.links[id.0 as usize].take().is_some(),
                        "a closed connection is closed again"
                    );
                }
                Action::CloseSession(id) => {
                    // The client may have broken the connection after the engine decided.
                    if let Some(client) = self.client_of(id) {
                        self.clients[client].closed = true;
                    }
                    self.engine.session_released(id);
                }
                Action::ReadSession(id) => {
                    if let Some(client) = self.client_of(id) {
                        self.clients[client].unread = false;
                    }
                }
                Action::ReadBackend(id) => {
                    if let Some(Some(open)) = self.links.get_mut(id.0 as usize) {
                        open.unread = false;
                    }
                }
                Action::Control(ask) => self.asks.push(*ask),
                Action::Slow(_) => {}
            }
        }
    }

    /// One turn in which everything moves as far as it can.
    pub(crate) fn flow(&mut self) {
        self.node_window = usize::MAX;
        for client in 0..self.clients.len() {
            while self.client_sends(client, usize::MAX) > 0 {}
            self.client_takes(client, usize::MAX);
        }
        self.flow_nodes();
    }

    /// One turn in which connections are made and nodes move as far as they are let.
    pub(crate) fn flow_nodes(&mut self) {
        for link in self.links() {
            self.connects(link);
            self.node_takes(link);
            while self.node_sends(link, usize::MAX) > 0 {}
        }
        self.end_turn();
    }

    /// What a new client is answered to these bytes, once everything has come to rest.
    pub(crate) fn dialogue(&mut self, bytes: &[u8]) -> (String, usize) {
        let client = self.accept();
        (self.says(client, bytes), client)
    }

    /// What this client is answered to these bytes, once everything has come to rest.
    pub(crate) fn says(&mut self, client: usize, bytes: &[u8]) -> String {
        const TURNS_TO_REST: usize = 8;
        self.clients[client].outgoing.extend_from_slice(bytes);
        self.clients[client].log = Some(Vec::new());
        for _ in 0..TURNS_TO_REST {
            self.flow();
            self.pass(1_000);
        }
        String::from_utf8_lossy(self.clients[client].log.as_ref().unwrap()).into_owned()
    }

    /// Lets everything move until every client has all its replies or is closed. It must not take longer than
    /// any limit in time allows.
    pub(crate) fn finish(&mut self) {
        const TURNS_MAX: usize = 4_000;
        const TURN_US: u64 = 2_000;
        for _ in 0..TURNS_MAX {
            self.flow();
            if self.clients.iter().all(|client| client.closed || client.has_everything()) {
                return self.check_nodes();
            }
            self.pass(TURN_US);
        }
        for client in self.clients.iter().filter(|client| !client.closed && !client.has_everything()) {
            let (sent, all) = (client.sent, client.outgoing.len());
            let (replies, due) = (client.replies, client.expected.len());
            eprintln!("client {}: {sent} of {all} bytes sent, {replies} of {due} replies", client.name);
        }
        panic!("it stands still");
    }

    pub(crate) fn check_nodes(&self) {
        for (address, node) in &self.nodes {
            assert!(node.complaints.is_empty(), "{address}: {:?}", node.complaints);
        }
    }
}

fn first_bytes(queue: &OutQueue, max: usize) -> Vec<u8> {
    let mut slices: [IoSlice<'_>; SLICES_MAX] = std::array::from_fn(|_| IoSlice::new(&[]));
    let used = match queue.as_single() {
        Some(single) => return single[..single.len().min(max)].to_vec(),
        None => queue.slices(&mut slices),
    };
    let mut bytes = Vec::new();
    for slice in &slices[..used] {
        bytes.extend_from_slice(&slice[..slice.len().min(max - bytes.len())]);
    }
    bytes
}

fn worker_view(members: &str, epoch: u64, settings: &Settings) -> Arc<WorkerView> {
    let text = format!("v2 {epoch} NOFLAGS db {members}");
    let args: Vec<&[u8]> = text.split_whitespace().map(str::as_bytes).collect();
    let view = SetCluster::parse(&args).unwrap().view;
    let me = settings.announce_address.clone();
    Arc::new(WorkerView {
        routes: RouteTable::new(&view, None),
        replies: Arc::new(ClusterReplies::new(&view, None, &me, settings)),
        hold_until_us: 0,
    })
}

fn shared(settings: &Settings, view: Option<Arc<WorkerView>>, password: Option<&[u8]>) -> Shared {
    static TABLE: std::sync::OnceLock<Arc<CommandTable>> = std::sync::OnceLock::new();
    Shared {
        table: TABLE.get_or_init(|| Arc::new(CommandTable::builtin())).clone(),
        settings: Arc::new(settings.clone()),
        backend_password: password.and_then(proxy_core::settings::Secret::new),
        server_version: "7.0.15".into(),
        view,
        fences: WriteFences::default(),
    }
}
