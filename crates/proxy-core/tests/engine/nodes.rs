//! What happens to nodes and to the proxy as a whole: they die, stop, go on; and in the end everything is well again.

use model::Address;
use proxy_core::engine::{Ask, Question, ReplyPlace};
use proxy_core::local::ControlRequest;
use proxy_core::local::client::{ClientKill, ClientType};
use proxy_core::profile::Profile;

use crate::views::BOTH;
use crate::world::{Killing, World};

/// CLIENT KILL at these workers of one proxy, as its control side carries it out: answered when nothing of sessions that are
/// gone is under way at any of them.
pub(crate) fn kill_whom_others_ask_for(workers: &mut [&mut World]) {
    for at in 0..workers.len() {
        for ask in std::mem::take(&mut workers[at].asks) {
            let Some(kill) = kill_of(&ask) else {
                workers[at].asks.push(ask);
                continue;
            };
            let known = workers[at].kills.iter().position(|known| known.place == ask.place);
            let killing = match known {
                Some(known) => workers[at].kills.swap_remove(known),
                None => Killing::begin(ask.place, kill, ask.profile.id, workers),
            };
            let mut strays = workers.iter().zip(&killing.strays);
            if strays.all(|(worker, strays)| worker.engine.are_over(strays)) {
                workers[at].engine.control_replied(ask.place, format!(":{}\r\n", killing.killed).as_bytes());
            } else {
                workers[at].kills.push(killing);
                workers[at].asks.push(ask);
            }
        }
    }
}

impl Killing {
    fn begin(place: ReplyPlace, kill: &ClientKill, asker: u64, workers: &mut [&mut World]) -> Killing {
        let mut killing = Killing { place, killed: 0, strays: Vec::new() };
        for worker in workers {
            let now_ms = worker.now.unix_us / 1000;
            let picks = |profile: &Profile| {
                profile.id != asker && kill.filter.matches(profile, ClientType::Normal, now_ms)
            };
            let killed = worker.engine.kill_sessions(Some(asker), picks);
            killing.killed += killed.closed;
            killing.strays.push(killed.strays);
        }
        killing
    }
}

fn kill_of(ask: &Ask) -> Option<&ClientKill> {
    match &ask.question {
        Question::Local(request) => match &**request {
            ControlRequest::ClientKill(kill) => Some(kill),
            _ => None,
        },
        _ => None,
    }
}

impl World {
    /// A node dies: its connections break, what lies in them is lost, and no new one can be made.
    pub(crate) fn dies(&mut self, address: &Address) {
        let node = self.nodes.get_mut(address).unwrap();
        node.is_dead = true;
        node.starts += 1;
        node.closed.take();
        for link in self.links() {
            if self.links[link].as_ref().is_some_and(|open| open.address == *address && open.connected) {
                self.fails(link);
            }
        }
    }

    /// A node that was stopped goes on: it executes what lies in its sockets, also in those that the proxy has closed.
    pub(crate) fn goes_on(&mut self, address: &Address, closed_first: bool) {
        let node = self.nodes.get_mut(address).unwrap();
        if !std::mem::take(&mut node.is_stopped) {
            return;
        }
        if closed_first {
            node.read_closed();
        }
        for link in self.links.iter_mut().flatten().filter(|link| link.address == *address) {
            if let Some(peer) = &mut link.peer {
                node.received(peer, &[], &mut link.replies);
            }
        }
        node.read_closed();
    }

    /// A node that was busy goes on with what has come to it.
    pub(crate) fn is_done(&mut self, address: &Address) {
        let node = self.nodes.get_mut(address).unwrap();
        node.is_busy = false;
        for link in self.links.iter_mut().flatten().filter(|link| link.address == *address) {
            if let Some(peer) = &mut link.peer {
                node.received(peer, &[], &mut link.replies);
            }
        }
    }

    /// The control thread answers what it was asked.
    pub(crate) fn answer_asks(&mut self) {
        self.kill_whom_others_ask_for();
        let asks = std::mem::take(&mut self.asks);
        let (kills, others): (Vec<Ask>, Vec<Ask>) = asks.into_iter().partition(|ask| kill_of(ask).is_some());
        self.asks = kills;
        for ask in others {
            self.engine.control_replied(ask.place, b"+ANSWERED\r\n");
        }
    }

    /// CLIENT KILL, as the control side of a proxy with one worker carries it out.
    pub(crate) fn kill_whom_others_ask_for(&mut self) {
        kill_whom_others_ask_for(&mut [self]);
    }

    /// Nodes live and answer, slots have owners, nothing is held back.
    pub(crate) fn heal(&mut self) {
        let addresses: Vec<Address> = self.nodes.keys().cloned().collect();
        for address in addresses {
            self.nodes.get_mut(&address).unwrap().is_dead = false;
            self.goes_on(&address, true);
        }
        self.engine.pause(None);
        self.limit(u64::MAX);
        self.update(Some(BOTH));
    }

    /// Lets everything move until every client has all its replies or is closed. It takes no longer than limits in time
    /// allow.
    pub(crate) fn come_to_rest(&mut self) {
        const TURNS_MAX: usize = 4_000;
        const TURN_US: u64 = 2_000;
        for _ in 0..TURNS_MAX {
            self.end_turn();
            self.answer_asks();
            self.flow();
            if self.clients.iter().all(|client| client.closed || client.has_everything()) {
                return self.check_nodes();
            }
            self.pass(TURN_US);
        }
        self.stands_still();
    }

    /// All clients leave: nothing is held for them any more.
    pub(crate) fn say_goodbye(&mut self) {
        const LEFT_BYTES_MAX: usize = 64 * 1024;
        (0..self.clients.len()).for_each(|client| self.client_breaks(client));
        for _ in 0..4 {
            self.flow_nodes();
            self.pass(2_000);
        }
        self.check();
        assert_eq!(self.engine.session_count(), 0);
        let left: usize = self.engine.session_sketches().map(|session| session.held_bytes).sum();
        assert!(left <= LEFT_BYTES_MAX, "{left} bytes are held for nobody");
    }
}
