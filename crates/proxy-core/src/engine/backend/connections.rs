//! Which connections there are: opened for a view or a session, given back, retired, closed.

use model::Address;
use resp::Protocol;

use crate::engine::state::backend::{Backend, BackendId, Phase, Purpose};
use crate::engine::state::nodes::NONE;
use crate::engine::state::session::SessionId;
use crate::engine::{Action, Engine, NodeState};
use crate::errors;
use crate::routing::{Target, TargetIndex};

/// Unused connections kept for each node, for sessions that need one of their own.
const IDLE_MAX: usize = 8;

impl Engine {
    /// After a new view: which nodes its targets are, and connections to them.
    pub(in crate::engine) fn apply_view(&mut self) {
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
    pub(in crate::engine) fn retire(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        backend.retired = true;
        self.nodes.forget(backend.purpose.node, id);
        if self.backends[id as usize].owed.is_empty() {
            self.close_backend(id);
        }
    }

    /// The connection that this session's requests to `target` share with others, opened where it is missing; else the
    /// client has been told that the node cannot be reached.
    pub(in crate::engine) fn backend_for(&mut self, id: SessionId, target: TargetIndex) -> Option<u32> {
        let node = self.nodes.of_target(target).expect("a target that is forwarded to is a local node");
        self.backend_of_node(id, node)
    }

    /// As [`Engine::backend_for`], for a node or a proxy by its index.
    pub(in crate::engine) fn backend_of_node(&mut self, id: SessionId, node: u32) -> Option<u32> {
        let profile = &self.sessions[id.0 as usize].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        let backend = match db {
            0 => self.main_backend(node, protocol, (id.0 % self.nodes.connections) as usize),
            db => self.other_backend(node, db, protocol),
        };
        if matches!(self.backends[backend as usize].phase, Phase::Down { .. }) {
            let address = self.nodes.nodes[node as usize].address.clone();
            self.reply_now(id, |out| errors::backend_unreachable(out, &address));
            return None;
        }
        Some(backend)
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
    pub(in crate::engine) fn dedicated_backend(&mut self, owner: SessionId, node: u32) -> u32 {
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

    pub(in crate::engine) fn connect(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        backend.phase = Phase::Connecting { deadline_us: self.now.us + self.policy.backend_timeout_us };
        let address = self.nodes.nodes[backend.purpose.node as usize].address.clone();
        self.actions.push(Action::Connect(BackendId(id), address));
    }

    pub(in crate::engine) fn free_backend(&mut self, id: u32) {
        self.nodes.forget(self.backends[id as usize].purpose.node, id);
        let backend = &mut self.backends[id as usize];
        self.stats.remove_backend(&backend.stats);
        backend.phase = Phase::Free;
        backend.stalled_since_us = 0;
        self.freed_backends.push(id);
    }

    /// Closes a connection on our own account; nothing may be owed by it that anybody waits for.
    pub(in crate::engine) fn close_backend(&mut self, id: u32) {
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
    pub(in crate::engine) fn backend_idle(&mut self, id: BackendId) {
        let backend = &self.backends[id.0 as usize];
        if backend.retired {
            self.close_backend(id.0);
        } else if backend.purpose.owner.is_some() && !self.is_uploading(id.0) {
            self.give_back(id.0);
        }
    }

    /// Gives a connection back after a session had it to itself.
    pub(in crate::engine) fn give_back(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        backend.purpose.owner = None;
        let node = &mut self.nodes.nodes[backend.purpose.node as usize];
        match node.current && node.idle.len() < IDLE_MAX && backend.phase == Phase::Ready {
            true => node.idle.push(id),
            false => self.close_backend(id),
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
}
