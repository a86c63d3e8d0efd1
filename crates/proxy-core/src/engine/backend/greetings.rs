//! The first words on a connection: who we are, which protocol and which database. Requests wait behind the answers.

use std::net::SocketAddr;

use resp::Protocol;

use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::request::held::held_reply;
use crate::engine::state::abandoned::AbandonedId;
use crate::engine::state::backend::{HeldAnswer, Owed, Phase};
use crate::engine::state::connection_name::ConnectionName;
use crate::engine::state::ids::BackendId;
use crate::engine::state::node_kind::NodeKind;

/// How a node's reply begins while a script that runs for long keeps it from everything else.
const BUSY: &[u8] = b"-BUSY ";
/// What is said for the user of a script: ACL SETUSER and AUTH.
const SCRIPT_GREETINGS: u16 = 2;

impl Engine {
    /// The driver has connected: greet the node, or begin at once where nothing is to be said. `end` is our end of the
    /// connection, where it is known.
    pub fn backend_connected(&mut self, id: BackendId, end: Option<SocketAddr>) {
        let token = self.random.next();
        let Some(backend) = self.backends.get_mut(id) else { return };
        if !matches!(backend.phase, Phase::Connecting { .. })
            || self.connections().fails_what_is_passed_on(id)
        {
            return;
        }
        let backend = &mut self.backends[id];
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
        // Nothing is asked over a connection that shows whether another proxy lives, so nothing has to be called back first.
        let is_sign_of_life = self.nodes.nodes[backend.purpose.node].sign_of_life == Some(id);
        let is_proxy = self.nodes.nodes[backend.purpose.node].kind == NodeKind::Proxy;
        // A node is beside this proxy, and knows its connections by the addresses that it sees itself.
        backend.asks_name = is_proxy && !is_sign_of_life;
        if backend.asks_name {
            greet(&[b"CLIENT", b"INFO"]);
        }
        backend.name = end.map(ConnectionName::End);
        backend.is_greeted = false;
        backend.told_before =
            if is_sign_of_life { AbandonedId::default() } else { self.shared.abandonments.next() };
        self.connections().order_kills(id, &mut greeting);
        let backend = &mut self.backends[id];
        due += backend.told.len() as u16;
        let mut greet = |words: &[&[u8]]| {
            resp::encode::request(&mut greeting, words);
            due += 1;
        };
        if is_proxy && backend.purpose.owner.is_none() {
            let token = format!("{token:016x}");
            greet(&[b"UMFORWARD", b"SESSIONS", token.as_bytes()]);
            backend.held_answer = Some(HeldAnswer { reply: held_reply(token.as_bytes()), is_agreed: false });
        }
        // A node that is stopped has connections that it has not accepted: it could not close those for us.
        let would_be_mute = due == 0 && backend.purpose.owner.is_some();
        backend.pings = backend.script.is_none() && (backend.must_prove || would_be_mute);
        if let Some(user) = &backend.script {
            greeting.extend_from_slice(&user.greeting);
            due += SCRIPT_GREETINGS;
        } else if backend.pings {
            resp::encode::request(&mut greeting, &[b"PING"]);
            due += 1;
        }
        for _ in 0..due {
            backend.owed.push_front(Owed::to_nobody(self.now.us as u32));
        }
        backend.greeting.copy(&greeting, &mut self.pool);
        self.pool.recycle(greeting);
        backend.last_heard_us = self.now.us;
        backend.connected_us = self.now.us;
        backend.stats.connected.set(1);
        if backend.failures > 0 {
            backend.stats.reconnects.increment();
        }
        match due {
            0 => self.connections().begin_requests(id),
            due => {
                backend.phase = Phase::Handshake { due };
                self.sending().mark_backend(id);
            }
        }
    }
}

impl Connections<'_> {
    /// The node answered a greeting; false if it refused, and the connection has failed.
    pub(in crate::engine) fn handshake_replied(&mut self, id: BackendId, reply: &[u8]) -> bool {
        let backend = &mut self.backends[id];
        let Phase::Handshake { due } = backend.phase else { return false };
        self.nodes.nodes[backend.purpose.node].greeted_us = self.now.us;
        // Whatever a node answers to a PING, it answers.
        let is_ping = backend.pings && due == 1 && !backend.is_greeted;
        let is_offer = due == 1 + u16::from(backend.pings) && !backend.is_greeted;
        let last = match &backend.script {
            _ if backend.is_greeted => 0,
            Some(_) => SCRIPT_GREETINGS,
            None => u16::from(backend.pings) + u16::from(backend.held_answer.is_some()),
        };
        let is_kill_due = due > last && usize::from(due - last) == backend.told.len();
        let is_about_order = reply[0] != b'-' || refuses_to_close(reply);
        let killed = if is_kill_due && is_about_order { backend.told.pop_front() } else { None };
        let is_name = backend.asks_name
            && !backend.is_greeted
            && usize::from(due) == usize::from(last) + backend.told.len() + 1;
        if is_name {
            // Who does not tell is given the address that this proxy sees.
            backend.name = ConnectionName::of_info(reply).or(backend.name.take());
        } else if let Some(abandoned) = killed {
            let node = backend.purpose.node;
            self.kill_answered(node, abandoned, reply);
            if self.backends.get(id).is_none() {
                return false; // it was a session's that is closed
            }
        } else if let Some(held_answer) = backend.held_answer.as_mut().filter(|_| is_offer) {
            // A proxy of an older version does not know what is offered.
            held_answer.is_agreed = reply[0] == b'+';
            if !held_answer.is_agreed && !backend.kept.is_empty() {
                // What waits was written for one that does.
                self.fail_backend(id, "it is of an older version than before");
                return false;
            }
        } else if reply[0] == b'-' && !is_ping {
            if reply.starts_with(BUSY) {
                self.backend_is_busy(id, reply);
                return false;
            }
            if backend.script.is_some() && due <= SCRIPT_GREETINGS {
                self.script_user_refused(id, reply);
                return false;
            }
            let text = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
            self.fail_backend(id, &format!("it refused the connection: {text}"));
            return false;
        }
        match due {
            1 => self.begin_requests(id),
            due => self.backends[id].phase = Phase::Handshake { due: due - 1 },
        }
        self.backends.get(id).is_some_and(|backend| !matches!(backend.phase, Phase::Down { .. }))
    }

    /// Nothing is left to be said before requests.
    fn begin_requests(&mut self, id: BackendId) {
        if self.fails_what_is_passed_on(id) || self.order_more_kills(id) {
            return;
        }
        self.rely_on_answers_to_others(id);
        if self.backends.get(id).is_none() {
            return; // it was a session's that is closed
        }
        let backend = &mut self.backends[id];
        backend.phase = Phase::Ready;
        backend.failures = 0;
        backend.must_prove = false;
        backend.refusal = None;
        let waiters = std::mem::take(&mut backend.waiters);
        self.nodes.nodes[backend.purpose.node].doubted = false;
        waiters.into_iter().for_each(|waiter| self.clients().room_again(waiter));
        self.sending().mark_backend(id);
    }
}

/// Whether an error is a node's answer to the order to close a connection. Others are about the connection that it was given
/// over: the node has too many clients, wants a password, loads its data or is busy.
pub(in crate::engine) fn refuses_to_close(reply: &[u8]) -> bool {
    [&b"-NOPERM"[..], b"-ERR unknown", b"-ERR Unknown"].iter().any(|refusal| reply.starts_with(refusal))
}
