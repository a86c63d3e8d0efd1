//! The two ends of what the engine talks over: what clients and nodes send is given to it piece by piece, and what
//! happens to connections is told.

use proxy_core::engine::buffers::{READ_BYTES, READ_BYTES_LARGE};

use crate::world::World;

impl World {
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

    /// The client takes so many bytes more, and what waits for it is written.
    pub(crate) fn client_takes(&mut self, client: usize, bytes: usize) {
        self.clients[client].window = self.clients[client].window.saturating_add(bytes);
        if !self.clients[client].closed && self.clients[client].window > 0 {
            self.engine.session_writable(self.clients[client].id);
            self.write_session(client);
        }
    }

    /// A connection attempt ends well, where one is under way.
    pub(crate) fn connects(&mut self, link: usize) {
        let Some(Some(open)) = self.links.get_mut(link) else { return };
        if !open.connected && self.nodes[&open.address].is_dead {
            return self.engine.backend_failed(open.id, "it cannot be reached");
        }
        if !open.connected {
            open.connected = true;
            let end = open.end();
            open.peer = Some(self.nodes[&open.address].welcome(open.number, &open.end_seen().to_string()));
            self.engine.backend_connected(open.id, Some(end));
        }
    }

    /// A connection fails; the driver hears of it.
    pub(crate) fn fails(&mut self, link: usize) {
        if let Some(Some(open)) = self.links.get(link) {
            self.engine.backend_failed(open.id, "the connection broke");
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
        let id = open.id;
        if open.replies.len() == open.read || open.unread {
            return 0;
        }
        if !self.engine.wants_backend_read(id) {
            open.unread = true;
            return 0;
        }
        let large = self.engine.reads_large(id);
        let (chunk, size) =
            if large { (&mut self.chunk_large, READ_BYTES_LARGE) } else { (&mut self.chunk, READ_BYTES) };
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
            self.engine.backend_writable(open.id);
        }
    }
}
