//! The end of a turn, as the epoll driver does it: what is marked is written, and what is asked for is done.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::atomic::Ordering;

use proxy_core::engine::buffers::{OutQueue, SLICES_MAX};
use proxy_core::engine::{Action, BackendId, DroppedSession, SessionId};

use crate::views::PEER;
use crate::world::{Link, World};

impl World {
    /// Ends the turn: time-outs where they are due, then what is to be written, then what is to be done.
    pub(crate) fn end_turn(&mut self) {
        if self.now.us >= self.next_tick_us {
            self.engine.tick();
            self.next_tick_us = self.now.us + self.engine.tick_us();
        }
        let (mut sessions, mut backends) = (Vec::new(), Vec::new());
        let held = self.sessions_held();
        self.held.retain(|session, _| held.contains_key(session));
        self.held.iter_mut().for_each(|(session, before)| *before = held[session].min(*before));
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
        self.held = self.sessions_held();
        if self.is_checked {
            self.check();
        }
    }

    /// What always holds does, and what is due and owed by no node was asked of the control thread.
    pub(crate) fn check(&self) {
        let live = |ask: &&proxy_core::engine::Ask| self.is_live(ask.place.session);
        assert_eq!(self.engine.check(), self.asks.iter().filter(live).count(), "replies that nobody owes");
    }

    /// What each session holds, by its number.
    fn sessions_held(&self) -> BTreeMap<u64, usize> {
        self.engine.session_sketches().map(|session| (session.profile.id, session.held_bytes)).collect()
    }

    /// No session that held more when memory was found short, which was at the end of this turn, is still here.
    fn held_the_most(&self, dropped: &DroppedSession) {
        let now = self.sessions_held();
        for (session, &before) in &self.held {
            let held = now.get(session).copied().unwrap_or(0).min(before);
            assert!(held <= dropped.held_bytes, "{dropped:?} was dropped, but {session} held {held} bytes");
        }
    }

    fn is_live(&self, id: SessionId) -> bool {
        self.clients.iter().any(|client| client.id == id && !client.closed)
    }

    fn client_of(&self, id: SessionId) -> Option<usize> {
        self.clients.iter().position(|client| client.id == id && !client.closed)
    }

    fn write_backend(&mut self, id: BackendId) {
        let Some(Some(open)) = self.links.get_mut(id.index()) else { return };
        assert_eq!(open.id, id, "another connection is meant");
        assert!(open.connected, "a connection that is not made is written to");
        assert!(!open.ended, "a connection is written to of which our end is shut");
        let bytes = first_bytes(self.engine.backend_output(id), self.node_window);
        if bytes.is_empty() {
            open.cut = !self.engine.backend_output(id).is_empty();
            return self.engine.backend_blocked(id);
        }
        self.engine.backend_sent(id, bytes.len());
        open.cut = !self.engine.backend_output(id).is_empty();
        if open.cut {
            self.engine.backend_blocked(id);
        }
        if self.has_other && open.address.to_string() == PEER {
            return open.under_way.extend_from_slice(&bytes);
        }
        let node = self.nodes.get_mut(&open.address).unwrap();
        node.received(open.peer.as_mut().unwrap(), &bytes, &mut open.replies);
    }

    pub(crate) fn write_session(&mut self, place: usize) {
        loop {
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
            if self.engine.session_output(client.id).is_empty() {
                return;
            }
            if client.window == 0 {
                return self.engine.session_blocked(client.id);
            }
        }
    }

    pub(crate) fn act(&mut self) {
        for action in self.engine.take_actions() {
            match action {
                Action::Connect(id, address) => {
                    let place = id.index();
                    self.connects += 1;
                    if self.links.len() <= place {
                        self.links.resize_with(place + 1, || None);
                    }
                    assert!(self.links[place].is_none(), "a place that is taken is connected again");
                    self.links[place] = Some(Link {
                        id,
                        number: self.connects,
                        address,
                        connected: false,
                        peer: None,
                        under_way: Vec::new(),
                        replies: Vec::new(),
                        read: 0,
                        unread: false,
                        ended: false,
                        cut: false,
                    });
                }
                Action::CloseBackend(id) => {
                    let closed = self.links[id.index()].take().filter(|link| link.id == id);
                    let Some(link) = closed else { panic!("a closed connection is closed again") };
                    let node = self.nodes.get_mut(&link.address).unwrap();
                    if node.is_stopped && !node.is_dead {
                        node.closed.borrow_mut().extend(link.peer);
                    }
                }
                Action::EndBackend(id) => {
                    if let Some(Some(open)) = self.links.get_mut(id.index())
                        && open.id == id
                    {
                        assert!(open.connected && self.engine.backend_output(id).is_empty());
                        open.ended = true;
                    }
                }
                Action::CloseSession(id) | Action::EndSession(id) => {
                    // The client may have broken the connection after the engine decided.
                    if let Some(client) = self.client_of(id) {
                        self.clients[client].closed = true;
                    }
                }
                Action::ReadSession(id) => {
                    if let Some(client) = self.client_of(id) {
                        self.clients[client].unread = false;
                    }
                }
                Action::ReadBackend(id) => {
                    if let Some(Some(open)) = self.links.get_mut(id.index())
                        && open.id == id
                    {
                        open.unread = false;
                    }
                }
                Action::Dropped(dropped) => {
                    self.held_the_most(&dropped);
                    self.dropped.push(*dropped);
                }
                Action::Control(ask) => self.asks.push(*ask),
                Action::CloseRefused { .. } => self.refusals_told += 1,
                Action::Slow(_) => {}
            }
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
