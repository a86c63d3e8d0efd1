//! The life of backend connections: opened, greeted, used, failed, tried again, retired.

use model::Address;
use resp::{Protocol, ReplyScanner};

use super::backend::{Backend, BackendId, HANDSHAKE, Owed, PLAIN, Phase, Purpose};
use super::buffers::OutQueue;
use super::nodes::NONE;
use super::session::SessionId;
use super::{Action, Engine, NodeState};
use crate::command::CommandId;
use crate::errors;
use crate::routing::{Target, TargetIndex};

/// Waiting time before the first new attempt to connect, µs; doubled for each further one.
const BACKOFF_US_MIN: u64 = 10_000;
/// The longest waiting time between attempts, µs.
const BACKOFF_US_MAX: u64 = 1_000_000;
/// Unused connections kept for each node, for sessions that need one of their own.
const IDLE_MAX: usize = 8;

/// The node that a request should have gone to is not connected.
pub(super) struct BackendDown(pub(super) Address);

impl Engine {
    /// After a new view: which nodes its targets are, and connections to them.
    pub(super) fn apply_view(&mut self) {
        // What was held for a view such as this is looked at anew.
        self.release_held_sessions();
        let shared = self.shared.clone();
        self.nodes.connections = self.policy.connections_per_node;
        let Some(view) = shared.view.as_deref() else {
            self.nodes.set_targets(Vec::new(), Vec::new(), Vec::new());
            return self.retire_unused();
        };
        let routes = &view.routes;
        let targets: Vec<Option<u32>> = routes
            .targets()
            .iter()
            .map(|target| match target {
                Target::Local(address) => Some(self.nodes.index_of(address, false)),
                Target::Nowhere | Target::Held | Target::Peer(_) => None,
            })
            .collect();
        let proxies: Vec<Option<u32>> = routes
            .targets()
            .iter()
            .map(|target| match target {
                Target::Peer(address) => Some(self.nodes.index_of(address, true)),
                Target::Nowhere | Target::Held | Target::Local(_) => None,
            })
            .collect();
        let target_of = |address: &Address| {
            let local = Target::Local(address.clone());
            routes.targets().iter().position(|target| *target == local)
        };
        let primaries =
            routes.primaries().iter().filter_map(target_of).map(|index| index as TargetIndex).collect();
        let nodes: Vec<u32> = targets.iter().flatten().copied().collect();
        self.nodes.set_targets(targets, proxies, primaries);
        self.retire_unused();
        for node in nodes {
            self.main_backend(node, Protocol::Resp2, 0);
        }
    }

    /// Lets go of the connections to nodes that the view no longer has.
    fn retire_unused(&mut self) {
        for index in 0..self.backends.len() {
            let backend = &self.backends[index];
            let unused =
                backend.phase != Phase::Free && !self.nodes.nodes[backend.purpose.node as usize].current;
            if unused && backend.purpose.owner.is_none() {
                self.retire(index as u32);
            }
        }
    }

    /// Nothing new goes to this connection; it closes when nothing is owed any more.
    pub(super) fn retire(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        backend.retired = true;
        self.nodes.forget(backend.purpose.node, id);
        if self.backends[id as usize].owed.is_empty() {
            self.close_backend(id);
        }
    }

    /// The connection that this session's requests to `target` share with others, opened where it is missing.
    pub(super) fn backend_for(&mut self, id: SessionId, target: TargetIndex) -> Result<u32, BackendDown> {
        let node = self.nodes.of_target(target).expect("a target that is forwarded to is a local node");
        self.backend_of_node(id, node)
    }

    /// As [`Engine::backend_for`], for a node or a proxy by its index.
    pub(super) fn backend_of_node(&mut self, id: SessionId, node: u32) -> Result<u32, BackendDown> {
        let profile = &self.sessions[id.0 as usize].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        let backend = match db {
            0 => self.main_backend(node, protocol, (id.0 % self.nodes.connections) as usize),
            db => self.other_backend(node, db, protocol),
        };
        match self.backends[backend as usize].phase {
            Phase::Down { .. } => Err(BackendDown(self.nodes.nodes[node as usize].address.clone())),
            _ => Ok(backend),
        }
    }

    fn main_backend(&mut self, node: u32, protocol: Protocol, way: usize) -> u32 {
        let known = self.nodes.nodes[node as usize].main[protocol as usize][way];
        if known != NONE {
            return known;
        }
        let opened = self.open(Purpose { node, db: 0, protocol, owner: None });
        self.nodes.nodes[node as usize].main[protocol as usize][way] = opened;
        opened
    }

    fn other_backend(&mut self, node: u32, db: u32, protocol: Protocol) -> u32 {
        let others = &self.nodes.nodes[node as usize].others;
        if let Some(&(_, known)) = others.iter().find(|(key, _)| *key == (db, protocol)) {
            return known;
        }
        let opened = self.open(Purpose { node, db, protocol, owner: None });
        self.nodes.nodes[node as usize].others.push(((db, protocol), opened));
        opened
    }

    /// A connection that `owner` has to itself until it is given back.
    pub(super) fn dedicated_backend(&mut self, owner: SessionId, node: u32) -> u32 {
        let profile = &self.sessions[owner.0 as usize].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        let fits = |&id: &u32| {
            let backend = &self.backends[id as usize];
            backend.purpose.db == db && backend.purpose.protocol == protocol && backend.phase == Phase::Ready
        };
        let place = self.nodes.nodes[node as usize].idle.iter().position(fits);
        match place {
            Some(place) => {
                let id = self.nodes.nodes[node as usize].idle.swap_remove(place);
                self.backends[id as usize].purpose.owner = Some(owner);
                id
            }
            None => self.open(Purpose { node, db, protocol, owner: Some(owner) }),
        }
    }

    fn open(&mut self, purpose: Purpose) -> u32 {
        let address = self.nodes.nodes[purpose.node as usize].address.clone();
        let backend = Backend::new(purpose, self.stats.add_backend(address, purpose.db));
        let id = match self.free_backends.pop() {
            Some(id) => {
                self.backends[id as usize] = backend;
                id
            }
            None => {
                self.backends.push(backend);
                (self.backends.len() - 1) as u32
            }
        };
        self.connect(id);
        id
    }

    fn connect(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        backend.phase = Phase::Connecting { deadline_us: self.now.us + self.policy.backend_timeout_us };
        let address = self.nodes.nodes[backend.purpose.node as usize].address.clone();
        self.actions.push(Action::Connect(BackendId(id), address));
    }

    /// The driver has connected: greet the node, or begin at once where nothing is to be said.
    pub fn backend_connected(&mut self, id: BackendId) {
        let backend = &mut self.backends[id.0 as usize];
        if !matches!(backend.phase, Phase::Connecting { .. }) {
            return;
        }
        let mut due = 0;
        let mut greeting = self.pool.buffer();
        let mut greet = |words: &[&[u8]]| {
            resp::encode::request(&mut greeting, words);
            due += 1;
        };
        let is_proxy = self.nodes.nodes[backend.purpose.node as usize].is_proxy;
        let password = match is_proxy {
            true => &self.shared.settings.password,
            false => &self.shared.backend_password,
        };
        if let Some(password) = password {
            greet(&[b"AUTH", password.reveal()]);
        }
        if backend.purpose.protocol == Protocol::Resp3 {
            greet(&[b"HELLO", b"3"]);
        }
        if backend.purpose.db != 0 {
            greet(&[b"SELECT", backend.purpose.db.to_string().as_bytes()]);
        }
        for _ in 0..due {
            backend.owed.push_front(Owed {
                session: HANDSHAKE,
                generation: 0,
                sequence: 0,
                started: self.now.us as u32,
                command: CommandId(0),
                part: PLAIN,
            });
        }
        backend.greeting.copy(&greeting, &mut self.pool);
        self.pool.recycle(greeting);
        backend.last_heard_us = self.now.us;
        backend.stats.connected.set(1);
        if backend.failures > 0 {
            backend.stats.reconnects.increment();
        }
        backend.phase = match due {
            0 => Phase::Ready,
            due => Phase::Handshake { due },
        };
        backend.failures = if due == 0 { 0 } else { backend.failures };
        self.mark_backend(id.0);
    }

    /// The node answered a greeting; false if it refused, and the connection has failed.
    pub(super) fn handshake_replied(&mut self, id: BackendId, reply: &[u8]) -> bool {
        let backend = &mut self.backends[id.0 as usize];
        let Phase::Handshake { due } = backend.phase else { return false };
        if reply[0] == b'-' {
            let text = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
            self.backend_failed(id, &format!("it refused the connection: {text}"));
            return false;
        }
        backend.phase = match due {
            1 => Phase::Ready,
            due => Phase::Handshake { due: due - 1 },
        };
        if backend.phase == Phase::Ready {
            backend.failures = 0;
            self.mark_backend(id.0);
        }
        true
    }

    /// The connection broke or could not be made. What was in flight has failed with an unknown outcome, what had not
    /// been sent has failed for certain; both are told so.
    pub fn backend_failed(&mut self, id: BackendId, why: &str) {
        let backend = &mut self.backends[id.0 as usize];
        if matches!(backend.phase, Phase::Free | Phase::Down { .. }) {
            return;
        }
        let purpose = backend.purpose;
        let address = self.nodes.nodes[purpose.node as usize].address.clone();
        let in_flight = backend.in_flight();
        let owed = std::mem::take(&mut backend.owed);
        let mut cut_short = std::mem::take(&mut backend.streaming);
        backend.failures += 1;
        backend.batches.clear(&mut self.pool);
        backend.stats.lost.add(owed.len() as u64);
        backend.stats.connected.set(0);
        if matches!(backend.phase, Phase::Connecting { .. }) {
            backend.stats.connect_failures.increment();
        }
        backend.out.clear(&mut self.pool);
        backend.greeting.clear(&mut self.pool);
        backend.partial = Vec::new();
        backend.scanner = ReplyScanner::default();
        backend.unsent = 0;
        backend.blocked = false;
        backend.sent_at_us = 0;
        backend.stalled_since_us = 0;
        backend.phase = Phase::Down { retry_us: u64::MAX };
        let waiters = std::mem::take(&mut backend.waiters);
        self.actions.push(Action::CloseBackend(id));
        for (index, owed) in owed.into_iter().enumerate() {
            if std::mem::take(&mut cut_short) {
                self.close_session_of(&owed); // it has received half of a reply
            } else {
                self.fail_owed(&owed, index < in_flight, &address, why);
            }
        }
        waiters.into_iter().for_each(|waiter| self.room_again(waiter));
        self.after_failure(id.0);
    }

    fn fail_owed(&mut self, owed: &Owed, in_flight: bool, address: &Address, why: &str) {
        if owed.session == HANDSHAKE || self.sessions[owed.session as usize].generation != owed.generation {
            return;
        }
        let mut error = Vec::new();
        match in_flight {
            true => errors::backend_failed(&mut error, address, why),
            false => errors::backend_unreachable(&mut error, address),
        }
        self.fail_reply(owed, &error);
    }

    /// Decides what becomes of a place whose connection failed: a shared one is tried again later.
    fn after_failure(&mut self, id: u32) {
        let Purpose { node, owner, .. } = self.backends[id as usize].purpose;
        let known = {
            let node = &self.nodes.nodes[node as usize];
            node.main.iter().flatten().any(|&entry| entry == id)
                || node.others.iter().any(|&(_, entry)| entry == id)
        };
        if known && owner.is_none() {
            let jitter = self.random();
            let backend = &mut self.backends[id as usize];
            let pause = (BACKOFF_US_MIN << backend.failures.clamp(1, 8)).min(BACKOFF_US_MAX);
            backend.phase = Phase::Down { retry_us: self.now.us + pause / 2 + jitter % (pause / 2) };
            return;
        }
        if let Some(owner) = owner {
            self.stream_backend_lost(owner, id);
        }
        self.free_backend(id);
    }

    fn free_backend(&mut self, id: u32) {
        self.nodes.forget(self.backends[id as usize].purpose.node, id);
        let backend = &mut self.backends[id as usize];
        self.stats.remove_backend(&backend.stats);
        backend.phase = Phase::Free;
        backend.stalled_since_us = 0;
        self.freed_backends.push(id);
    }

    /// Closes a connection on our own account; nothing may be owed by it that anybody waits for.
    pub(super) fn close_backend(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        let was = backend.phase;
        if was == Phase::Free {
            return;
        }
        backend.owed.clear();
        backend.out.clear(&mut self.pool);
        backend.greeting.clear(&mut self.pool);
        let waiters = std::mem::take(&mut backend.waiters);
        waiters.into_iter().for_each(|waiter| self.room_again(waiter));
        if !matches!(was, Phase::Down { .. }) {
            self.actions.push(Action::CloseBackend(BackendId(id)));
        }
        self.free_backend(id);
    }

    /// Nothing is owed by this connection at the moment.
    #[inline]
    pub(super) fn backend_idle(&mut self, id: BackendId) {
        let backend = &self.backends[id.0 as usize];
        if backend.retired {
            self.close_backend(id.0);
        } else if backend.purpose.owner.is_some() && !self.is_uploading(id.0) {
            self.give_back(id.0);
        }
    }

    /// Gives a connection back after a session had it to itself.
    pub(super) fn give_back(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        backend.purpose.owner = None;
        let node = &mut self.nodes.nodes[backend.purpose.node as usize];
        match node.current && node.idle.len() < IDLE_MAX && backend.phase == Phase::Ready {
            true => node.idle.push(id),
            false => self.close_backend(id),
        }
    }

    #[inline]
    pub(super) fn mark_backend(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        if !backend.dirty {
            backend.dirty = true;
            self.dirty_backends.push(id);
        }
    }

    /// Bytes to write to the node.
    #[inline]
    pub fn backend_output(&self, id: BackendId) -> &OutQueue {
        let backend = &self.backends[id.0 as usize];
        match backend.phase {
            Phase::Handshake { .. } => &backend.greeting,
            _ => &backend.out,
        }
    }

    /// So many of them were written.
    #[inline]
    pub fn backend_sent(&mut self, id: BackendId, bytes: usize) {
        let backend = &mut self.backends[id.0 as usize];
        if matches!(backend.phase, Phase::Handshake { .. }) {
            return backend.greeting.sent(bytes, &mut self.pool);
        }
        if let Some(spent) = backend.out.sent_keeping(bytes, &mut self.pool) {
            backend.batches.written(spent, &mut self.pool);
        }
        backend.blocked = !backend.out.is_empty();
        self.stats.batches.increment();
        self.stats.batched_requests.add(backend.unsent as u64);
        backend.stats.batches.increment();
        backend.stats.requests.add(backend.unsent as u64);
        backend.stats.bytes_out.add(bytes as u64);
        backend.unsent = 0;
        if backend.sent_at_us == 0 {
            backend.sent_at_us = self.now.us;
        }
        if !backend.waiters.is_empty() || backend.purpose.owner.is_some() {
            self.backend_drained(id.0);
        }
    }

    /// The socket takes bytes again.
    pub fn backend_writable(&mut self, id: BackendId) {
        self.backends[id.0 as usize].blocked = false;
        self.mark_backend(id.0);
    }

    fn backend_drained(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        if backend.out.len() <= self.policy.backend_output_bytes / 2 {
            let waiters = std::mem::take(&mut backend.waiters);
            waiters.into_iter().for_each(|waiter| self.room_again(waiter));
        }
        let backend = &self.backends[id as usize];
        if let Some(owner) = backend.purpose.owner
            && backend.out.len() <= super::stream::STREAM_WINDOW_BYTES / 2
        {
            self.stream_window_opened(owner);
        }
    }

    /// Whether this worker reaches the node at `address`; none if it is not in the view.
    #[must_use]
    pub fn node_state(&self, address: &Address) -> Option<NodeState> {
        let node = self.nodes.nodes.iter().find(|node| node.current && node.address == *address)?;
        let ready = |&id: &u32| id != NONE && self.backends[id as usize].phase == Phase::Ready;
        match node.main.iter().flatten().any(ready) {
            true => Some(NodeState::Connected),
            false => Some(NodeState::Disconnected),
        }
    }

    /// Connects again where it is time to, and gives up on connections that are too slow.
    pub(super) fn check_backends(&mut self) {
        for index in 0..self.backends.len() {
            let id = BackendId(index as u32);
            let backend = &self.backends[index];
            match backend.phase {
                Phase::Free => {}
                Phase::Connecting { deadline_us } if deadline_us <= self.now.us => {
                    self.backend_failed(id, "connecting took too long");
                }
                Phase::Down { retry_us } if retry_us <= self.now.us => self.connect(id.0),
                Phase::Connecting { .. } | Phase::Down { .. } => {}
                Phase::Handshake { .. } | Phase::Ready => self.check_answering(id),
            }
        }
    }

    fn check_answering(&mut self, id: BackendId) {
        let backend = &self.backends[id.0 as usize];
        let Some(first) = backend.owed.front() else { return };
        if backend.stalled_since_us != 0 || self.is_uploading(id.0) {
            return;
        }
        let waited = u64::from((self.now.us as u32).wrapping_sub(first.started));
        let silent = self.now.us.saturating_sub(backend.last_heard_us);
        if waited.min(silent) > self.policy.backend_timeout_us {
            backend.stats.timeouts.increment();
            self.backend_failed(id, "it did not answer in time");
        }
    }
}
