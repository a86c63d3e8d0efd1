//! The end of a turn, as the epoll driver does it: what is marked is written, and what is asked for is done.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use proxy_core::engine::buffers::{OutQueue, SLICES_MAX};
use proxy_core::engine::{Action, BackendId, SessionId};

use crate::world::{Link, World};

impl World {
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

    pub(crate) fn write_session(&mut self, place: usize) {
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

    pub(crate) fn act(&mut self) {
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
