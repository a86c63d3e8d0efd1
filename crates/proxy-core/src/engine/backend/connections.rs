//! Which connections there are: opened for a view or a session, given back, retired, closed.

use model::Address;
use resp::Protocol;

use crate::engine::contexts::Connections;
use crate::engine::state::backend::{Backend, Phase, ProcessSeen, Purpose, ScriptUser};
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::NodeKey;
use crate::engine::state::ids::SessionId;
use crate::engine::state::node_kind::NodeKind;
use crate::engine::state::nodes::{Node, Way};
use crate::engine::state::reached::Reached;
use crate::engine::{Action, Engine};
use crate::errors;
use crate::route::{Target, TargetIndex, WorkerView};

/// Connections of one worker to one node that sessions share, besides those for database 0 of a local one.
const WAYS_MAX: usize = 64;
/// A connection to another proxy that was idle for this long is closed, µs.
const WAY_IDLE_US_MAX: u64 = 60_000_000;
/// Unused connections kept for each node, for sessions that need one of their own.
const IDLE_MAX: usize = 8;

impl Engine {
    /// After a new view, which replaces `before`: which nodes its targets are, and connections to them.
    pub(in crate::engine) fn apply_view(&mut self, before: Option<&WorkerView>) {
        // Behind whom does a request wait that the new view sends another way?
        let losers = self.nodes_that_lost(before);
        for backend in self.backends.keys(|backend| losers.contains(&backend.purpose.node)) {
            self.sending().take_barriers_behind(backend);
        }
        self.lose_what_was_sent(&losers);
        // What was held for a view such as this is looked at again.
        self.clients().release_held_sessions();
        let shared = self.shared.clone();
        let Some(view) = shared.view.as_deref() else {
            self.nodes.set_targets(Vec::new(), Vec::new(), Vec::new(), &[]);
            return self.connections().retire_unused();
        };
        let routes = &view.routes;
        let targets: Vec<Option<NodeKey>> = routes
            .targets()
            .iter()
            .map(|target| match target {
                Target::Local(address) => Some(self.nodes.key_of(address, NodeKind::Local)),
                Target::Nowhere | Target::Held | Target::Peer(_) => None,
            })
            .collect();
        let proxies: Vec<Option<NodeKey>> = routes
            .targets()
            .iter()
            .map(|target| match target {
                Target::Peer(address) => Some(self.nodes.key_of(address, NodeKind::Proxy)),
                Target::Nowhere | Target::Held | Target::Local(_) => None,
            })
            .collect();
        let target_of = |address: &Address| {
            let local = Target::Local(address.clone());
            routes.targets().iter().position(|target| *target == local)
        };
        let primaries =
            routes.primaries().iter().filter_map(target_of).map(|index| index as TargetIndex).collect();
        let nodes: Vec<NodeKey> = targets.iter().flatten().copied().collect();
        self.nodes.set_targets(targets, proxies, primaries, &routes.owning_peers());
        self.connections().retire_unused();
        for node in nodes {
            self.connections().main_backend(node, Protocol::Resp2, 0);
        }
    }

    /// What sessions have sent to these is no longer what the nodes of this proxy can be asked about: another has the slots
    /// now, and may have them without the last writes, also when they come back here one day.
    fn lose_what_was_sent(&mut self, losers: &[NodeKey]) {
        let mut lost = Reached::default();
        let is_local = |key: &&NodeKey| self.nodes.nodes[**key].kind == NodeKind::Local;
        losers.iter().filter(is_local).for_each(|key| lost.add(self.nodes.nodes[*key].mark));
        for id in self.sessions.keys(|session| session.reached.has_any(lost)) {
            self.sessions[id].reached.lose(lost);
        }
    }

    /// The nodes and proxies of the view before that have lost slots by the new one.
    fn nodes_that_lost(&self, before: Option<&WorkerView>) -> Vec<NodeKey> {
        let Some(before) = before else { return Vec::new() };
        let now = self.shared.view.as_deref();
        let losers = before.routes.losers(now.map(|view| &view.routes));
        let node = |target| self.nodes.of_target(target).or_else(|| self.nodes.proxy_of_target(target));
        losers.into_iter().filter_map(node).collect()
    }

    /// Whether this connection is to be made, and has not been.
    #[must_use]
    pub fn is_connecting(&self, id: BackendId) -> bool {
        self.backends.get(id).is_some_and(|backend| matches!(backend.phase, Phase::Connecting { .. }))
    }

    /// Whether this worker has a connection that is ready to the node at `address`; `None` if it is not in the view.
    #[must_use]
    pub fn is_connected_to(&self, address: &Address) -> Option<bool> {
        let is_it = |node: &Node| node.current && node.address == *address;
        let (_, node) = self.nodes.nodes.iter().find(|(_, node)| is_it(node))?;
        let is_ready = |id: Option<BackendId>| id.is_some_and(|id| self.backends[id].phase == Phase::Ready);
        Some(node.main.iter().flatten().any(|&id| is_ready(id)))
    }
}

impl Connections<'_> {
    /// Lets go of the connections to nodes that the view no longer has.
    fn retire_unused(&mut self) {
        let is_unused = |backend: &Backend| {
            backend.purpose.owner.is_none() && !self.nodes.nodes[backend.purpose.node].current
        };
        for id in self.backends.keys(is_unused) {
            self.retire(id);
        }
    }

    /// Nothing new goes to this connection; it closes when nothing is owed any more. Whoever is owed something here
    /// waits for it before going another way.
    pub(in crate::engine) fn retire(&mut self, id: BackendId) {
        let backend = &mut self.backends[id];
        backend.retired = true;
        self.nodes.unlist(backend.purpose.node, id);
        self.sending().take_barriers_behind(id);
        if self.backends[id].owed.is_empty() {
            self.close_backend(id);
        }
    }

    /// The connection that this session's requests to `target` share with others, opened where it is missing; else the
    /// client has been told that the node cannot be reached.
    pub(in crate::engine) fn backend_for(&mut self, id: SessionId, target: TargetIndex) -> Option<BackendId> {
        let node = self.nodes.of_target(target).expect("a target that is forwarded to is a local node");
        self.backend_of_node(id, node, None)
    }

    /// As [`Connections::backend_for`], for a node, or for a proxy with the hops that are left to it.
    pub(in crate::engine) fn backend_of_node(
        &mut self,
        id: SessionId,
        node: NodeKey,
        hops: Option<u8>,
    ) -> Option<BackendId> {
        let profile = &self.sessions[id].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        let backend = match (db, hops) {
            (0, None) => self.main_backend(node, protocol, self.nodes.way(id)),
            _ => {
                let Some(other) = self.other_backend(node, Way { db, protocol, hops }) else {
                    self.clients().reply_now(id, |out| errors::write(out, errors::TOO_MANY_WAYS));
                    return None;
                };
                other
            }
        };
        if self.backends[backend].is_unreachable() {
            match self.backends[backend].refusal.clone() {
                Some(refusal) => self.clients().reply_now(id, |out| out.extend_from_slice(&refusal)),
                None => self.reply_unreachable(id, node),
            }
            return None;
        }
        Some(backend)
    }

    /// The connection over which this session's requests go to another proxy, with so many hops left, opened where it is
    /// missing and there is room for it.
    pub(in crate::engine) fn way_to(&mut self, id: SessionId, proxy: NodeKey, hops: u8) -> Option<BackendId> {
        let profile = &self.sessions[id].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        self.other_backend(proxy, Way { db, protocol, hops: Some(hops) })
    }

    pub(in crate::engine) fn reply_unreachable(&mut self, id: SessionId, node: NodeKey) {
        let address = self.nodes.nodes[node].address.clone();
        self.clients().reply_now(id, |out| errors::backend_unreachable(out, &address));
    }

    fn main_backend(&mut self, node: NodeKey, protocol: Protocol, way: usize) -> BackendId {
        if let Some(known) = self.nodes.nodes[node].main[protocol as usize][way] {
            return known;
        }
        let opened = self.open(Purpose { node, db: 0, protocol, hops: None, owner: None });
        self.nodes.nodes[node].main[protocol as usize][way] = Some(opened);
        opened
    }

    /// The connection that goes this way, opened where it is missing; nothing where too many others are in use.
    fn other_backend(&mut self, node: NodeKey, way: Way) -> Option<BackendId> {
        let others = &self.nodes.nodes[node].others;
        if let Some(&(_, known)) = others.iter().find(|(key, _)| *key == way) {
            return Some(known);
        }
        if others.len() >= WAYS_MAX {
            let is_unused = |backend: &Backend| backend.owed.is_empty() && backend.waiters.is_empty();
            let unused = others.iter().filter(|&&(_, id)| is_unused(&self.backends[id]));
            let &(_, oldest) = unused.min_by_key(|&&(_, id)| self.backends[id].last_heard_us)?;
            self.retire(oldest);
        }
        let Way { db, protocol, hops } = way;
        let opened = self.open(Purpose { node, db, protocol, hops, owner: None });
        self.nodes.nodes[node].others.push((way, opened));
        Some(opened)
    }

    /// Closes a connection to another proxy over which nothing was asked for long; whether it did.
    pub(in crate::engine) fn close_if_unused(&mut self, id: BackendId) -> bool {
        let backend = &self.backends[id];
        let purpose = backend.purpose;
        let is_shared_link = purpose.hops.is_some() && purpose.owner.is_none() && !backend.retired;
        let silent_us = self.now.us.saturating_sub(backend.last_heard_us.max(backend.connected_us));
        let is_unused = is_shared_link && backend.owed.is_empty() && silent_us > WAY_IDLE_US_MAX;
        if is_unused {
            self.retire(id);
        }
        is_unused
    }

    /// A connection that `owner` has to itself until it is given back; `None` where the node cannot be reached.
    pub(in crate::engine) fn dedicated_backend(
        &mut self,
        owner: SessionId,
        node: NodeKey,
    ) -> Option<BackendId> {
        if self.nodes.nodes[node].doubted {
            return None;
        }
        let db = self.sessions[owner].profile.db;
        Some(self.own_backend(owner, node, db))
    }

    /// The connection for what must not wait behind other requests, and concerns no database: a busy node refuses SELECT.
    /// One for all sessions, or as many as there are could take every descriptor.
    pub(in crate::engine) fn apart_backend(&mut self, protocol: Protocol, node: NodeKey) -> BackendId {
        if let Some(known) = self.nodes.nodes[node].apart[protocol as usize] {
            return known;
        }
        let opened = self.open(Purpose { node, db: 0, protocol, hops: None, owner: None });
        self.nodes.nodes[node].apart[protocol as usize] = Some(opened);
        opened
    }

    /// A connection for one script of `owner`, who runs it as this user; else the client has been told that the node cannot
    /// be reached.
    pub(in crate::engine) fn script_connection(
        &mut self,
        owner: SessionId,
        node: NodeKey,
        user: ScriptUser,
    ) -> Option<BackendId> {
        if self.nodes.nodes[node].doubted {
            self.reply_unreachable(owner, node);
            return None;
        }
        let profile = &self.sessions[owner].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        let opened = self.open(Purpose { node, db, protocol, hops: None, owner: Some(owner) });
        self.backends[opened].script = Some(Box::new(user));
        Some(opened)
    }

    pub(in crate::engine) fn own_backend(&mut self, owner: SessionId, node: NodeKey, db: u32) -> BackendId {
        let protocol = self.sessions[owner].profile.protocol;
        let fits = |&id: &BackendId| {
            let backend = &self.backends[id];
            backend.purpose.db == db && backend.purpose.protocol == protocol && backend.phase == Phase::Ready
        };
        let place = self.nodes.nodes[node].idle.iter().position(fits);
        match place {
            Some(place) => {
                let id = self.nodes.nodes[node].idle.swap_remove(place);
                self.backends[id].purpose.owner = Some(owner);
                id
            }
            None => self.open(Purpose { node, db, protocol, hops: None, owner: Some(owner) }),
        }
    }

    pub(in crate::engine) fn open(&mut self, purpose: Purpose) -> BackendId {
        let node = &mut self.nodes.nodes[purpose.node];
        node.backends += 1;
        let stats = self.stats.add_backend(node.address.clone(), purpose.db);
        let mut backend = Backend::new(purpose, node.mark, stats);
        backend.must_prove = node.doubted;
        let id = self.backends.insert(backend);
        self.connect(id);
        id
    }

    pub(in crate::engine) fn connect(&mut self, id: BackendId) {
        let backend = &mut self.backends[id];
        backend.process = ProcessSeen::Unknown;
        backend.phase = Phase::Connecting { deadline_us: self.now.us + self.policy.backend_timeout_us };
        let address = self.nodes.nodes[backend.purpose.node].address.clone();
        self.agenda.actions.push(Action::Connect(id, address));
    }

    pub(in crate::engine) fn free_backend(&mut self, id: BackendId) {
        let Some(backend) = self.backends.remove(id) else { return };
        self.memory.changed(backend.counted, 0);
        self.stats.remove_backend(&backend.stats);
        self.nodes.unlist(backend.purpose.node, id);
        self.nodes.backend_gone(backend.purpose.node);
    }

    /// Closes a connection on our own account; nothing may be owed by it that anybody waits for.
    pub(in crate::engine) fn close_backend(&mut self, id: BackendId) {
        self.sending().forget_reader(id);
        let Some(backend) = self.backends.get_mut(id) else { return };
        let was = backend.phase;
        backend.owed.clear();
        backend.batches.clear(self.pool);
        backend.out.clear(self.pool);
        backend.greeting.clear(self.pool);
        let waiters = std::mem::take(&mut backend.waiters);
        waiters.into_iter().for_each(|waiter| self.clients().room_again(waiter));
        if !matches!(was, Phase::Down { .. }) {
            self.agenda.actions.push(Action::CloseBackend(id));
        }
        self.free_backend(id);
    }

    /// Nothing is owed by this connection at the moment.
    #[inline]
    pub(in crate::engine) fn backend_idle(&mut self, id: BackendId) {
        let backend = &self.backends[id];
        if backend.retired || backend.is_last {
            self.cold().close_backend(id);
        } else if backend.purpose.owner.is_some() && !self.cold().is_uploading(id) {
            self.cold().give_back(id);
        }
    }

    /// Gives a connection back after a session had it to itself.
    pub(in crate::engine) fn give_back(&mut self, id: BackendId) {
        let backend = &mut self.backends[id];
        backend.purpose.owner = None;
        let key = backend.purpose.node;
        // While others are told to be killed over each connection that is used again, this one was not.
        let is_usual = backend.script.is_none() && !self.has_abandoned(key);
        let (backend, node) = (&self.backends[id], &mut self.nodes.nodes[key]);
        if is_usual && node.current && node.idle.len() < IDLE_MAX && backend.phase == Phase::Ready {
            node.idle.push(id);
        } else {
            self.close_backend(id);
        }
    }
}
