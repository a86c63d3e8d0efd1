//! Primaries that must not be written to any more: their time has run out, or they were taken out of service.
//!
//! The node that was made the primary in the place of one of these may take writes already. So from that moment on the
//! worker sends nothing to the old primary for clients of its slots. Requests that were sent and are not answered yet get
//! an error that says that they may have been executed: an OK that comes later could be for a write that the new primary
//! never heard of, by a process that was stopped in between. A reply that is here already and not with its client yet
//! cannot be told from others any more: such a client is disconnected.
//!
//! A process can be stopped anywhere. So the clock is read at the beginning of a turn, which covers what the turn
//! reads and sends to nodes, and again before each write to a client. What was ruled out:
//! ```text
//!   turn begins ─ OK read from the node ─ stopped, the time runs out ─ written to the client   no: seen before the write
//!   turn begins ─ OK read, client does not take it ─ time runs out ─ the client reads on       no: disconnected
//!   stopped, the time runs out ─ OK lies in the socket ─ turn begins                           no: connection given up
//! ```
//! Left is a stop between the last look at the clock and the system call after it: some tens of nanoseconds.

use model::{Address, Slot};

use crate::command::{Args, Class, Command, key_positions};
use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::state::backend::Backend;
use crate::engine::state::ids::NodeKey;
use crate::engine::state::ids::SessionId;
use crate::engine::state::node_kind::NodeKind;
use crate::engine::state::session::Session;
use crate::route::Target;

/// Why connections to a fenced node are given up.
const CUT_OFF: &str = "another node may be the primary of its slots by now";

impl Engine {
    /// At the beginning of a turn: whether a node's time is over since the last one.
    #[inline]
    pub(in crate::engine) fn look_at_fences(&mut self) {
        let is_any_over = self.shared.fences.is_any_over(self.now.us);
        if is_any_over || !self.fenced_nodes.is_empty() {
            self.enter_fences(self.now.us);
        }
    }

    /// Whether the driver has to read a clock and call [`Engine::look_before_delivery`] before it writes to a client.
    #[inline]
    #[must_use]
    pub fn must_look_before_delivery(&self) -> bool {
        self.shared.fences.is_any_limited()
    }

    /// Something is about to be written to a client, at this time: if a node's time has run out since the turn
    /// began, nothing that was read from it is delivered any more. The output that was to be written may be gone
    /// then.
    #[inline]
    pub fn look_before_delivery(&mut self, now_us: u64) {
        if self.shared.fences.is_any_over(now_us) {
            self.enter_fences(now_us.max(self.now.us));
        }
    }

    #[cold]
    fn enter_fences(&mut self, now_us: u64) {
        let over = self.shared.fences.over(now_us);
        let before = std::mem::replace(&mut self.fenced_nodes, over.clone());
        let fresh: Vec<&Address> = over.iter().filter(|node| !before.contains(node)).collect();
        if fresh.is_empty() {
            return;
        }
        // Before others are told errors: those are no reason to disconnect anybody.
        self.connections().drop_undelivered();
        fresh.into_iter().for_each(|node| self.cut_off(node));
    }

    /// Whether no request of a client may be sent to this node now.
    pub(in crate::engine) fn is_fenced(&self, node: &Address) -> bool {
        self.fenced_nodes.contains(node)
    }

    /// Whether any node is fenced now.
    #[inline]
    pub(in crate::engine) fn is_any_fenced(&self) -> bool {
        !self.fenced_nodes.is_empty()
    }

    /// How many replies of these nodes are due to clients.
    #[must_use]
    pub fn owed_by(&self, nodes: &[Address]) -> usize {
        let is_theirs = |node: NodeKey| {
            let node = &self.nodes.nodes[node];
            node.kind == NodeKind::Local && nodes.contains(&node.address)
        };
        let backends = self.backends.iter().map(|(_, backend)| backend);
        backends.filter(|backend| is_theirs(backend.purpose.node)).map(|backend| backend.owed.len()).sum()
    }

    /// Gives up what this node owes: each of those requests is answered with an error.
    pub fn cut_off(&mut self, node: &Address) {
        let is_its = |backend: &Backend| {
            let known = &self.nodes.nodes[backend.purpose.node];
            let is_in_use = !backend.owed.is_empty() || backend.purpose.owner.is_some();
            known.kind == NodeKind::Local && known.address == *node && is_in_use
        };
        for id in self.backends.keys(is_its) {
            self.connections().fail_backend(id, CUT_OFF);
        }
    }

    /// Has the session wait if the request is for slots whose owner is being replaced.
    pub(in crate::engine) fn hold_for_owner(
        &mut self,
        id: SessionId,
        command: &Command,
        args: Args<'_>,
    ) -> bool {
        let is_held = self.is_holding() && self.touches_held(command, args);
        if is_held {
            self.clients().hold(id);
        }
        is_held
    }

    /// Holds a request of which only the one key is known, if its slot is held.
    pub(in crate::engine) fn hold_slot_for_owner(&mut self, id: SessionId, slot: Slot) -> bool {
        let is_held = self.is_holding() && self.is_held(slot);
        if is_held {
            self.clients().hold(id);
        }
        is_held
    }

    fn is_holding(&self) -> bool {
        self.shared.view.as_deref().is_some_and(|view| view.hold_until_us > self.now.us)
    }

    fn is_held(&self, slot: Slot) -> bool {
        self.shared.view.as_deref().is_some_and(|view| view.routes.target_of(slot) == &Target::Held)
    }

    fn touches_held(&self, command: &Command, args: Args<'_>) -> bool {
        match command.class {
            // These go to all primaries, of which one is missing.
            Class::FanOut(_) => true,
            Class::Forward => {
                let mut positions = Vec::new();
                // A request whose keys cannot be told fails, now or later.
                let _ = key_positions(command, args, &mut positions);
                let mut slots = positions.iter().map(|&position| Slot::of_key(args.get(position as usize)));
                slots.any(|slot| self.is_held(slot))
            }
            _ => false,
        }
    }

    /// Lets go on what was held for an owner that did not come in time.
    pub(in crate::engine) fn end_hold(&mut self) {
        let until = self.shared.view.as_deref().map_or(0, |view| view.hold_until_us);
        if until != 0 && until <= self.now.us && !self.agenda.held_sessions.is_empty() {
            self.clients().release_held_sessions();
        }
    }
}

impl Connections<'_> {
    /// Disconnects clients to whom a reply is on its way.
    fn drop_undelivered(&mut self) {
        let is_under_way = |session: &Session| !session.out.is_empty() || session.parked.is_some();
        for id in self.sessions.keys(is_under_way) {
            self.close_session(id);
        }
    }
}
