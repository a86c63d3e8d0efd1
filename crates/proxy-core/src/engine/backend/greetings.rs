//! The first words on a connection: who we are, which protocol and which database. Requests wait behind the answers.

use resp::Protocol;

use crate::command::CommandId;
use crate::engine::Engine;
use crate::engine::state::backend::{Owed, Phase};
use crate::engine::state::ids::BackendId;
use crate::engine::state::nodes::NodeKind;

impl Engine {
    /// The driver has connected: greet the node, or begin at once where nothing is to be said.
    pub fn backend_connected(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        if !matches!(backend.phase, Phase::Connecting { .. }) {
            return;
        }
        let mut due = 0;
        let mut greeting = self.pool.buffer();
        let mut greet = |words: &[&[u8]]| {
            resp::encode::request(&mut greeting, words);
            due += 1;
        };
        let password = match self.nodes.nodes[backend.purpose.node].kind {
            NodeKind::Proxy => &self.shared.settings.password,
            NodeKind::Local => &self.shared.backend_password,
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
                session: None,
                sequence: 0,
                started: self.now.us as u32,
                command: CommandId(0),
                part: None,
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
        self.mark_backend(id);
    }

    /// The node answered a greeting; false if it refused, and the connection has failed.
    pub(in crate::engine) fn handshake_replied(&mut self, id: BackendId, reply: &[u8]) -> bool {
        let backend = &mut self.backends[id];
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
            self.mark_backend(id);
        }
        true
    }
}
