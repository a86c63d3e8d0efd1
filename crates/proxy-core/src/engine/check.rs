//! What always holds between two calls of the driver. Tests ask after every step.

use std::collections::HashMap;

use resp::Protocol;

use super::Engine;
use super::state::backend::{Backend, Owed, Phase as BackendPhase};
use super::state::ids::BackendId;
use super::state::ids::NodeKey;
use super::state::ids::SessionId;
use super::state::order::{Parked, ReplySlot};
use super::state::session::{Phase, Session, WaitFor};

/// For each session and place in it: replies and parts of replies that backends owe.
type Dues = HashMap<(SessionId, u32), (usize, usize)>;

impl Engine {
    /// Asserts what always holds: who owes what to whom, which lists have whom, what is held. Returns how many
    /// replies are due that no backend owes: the control thread owes those.
    ///
    /// # Panics
    /// When something does not hold, which is a fault of the engine.
    pub fn check(&self) -> usize {
        self.sessions.check();
        self.backends.check();
        self.nodes.nodes.check();
        let dues = self.check_what_backends_owe();
        self.backends.iter().for_each(|(id, backend)| self.check_backend(id, backend));
        self.check_nodes();
        let asked = self.sessions.iter().map(|(id, session)| self.check_session(id, session, &dues)).sum();
        self.check_memory();
        asked
    }

    /// Nobody is owed twice, and nothing goes two ways to one node at a time: what goes the second way could be first.
    fn check_what_backends_owe(&self) -> Dues {
        let mut dues = Dues::new();
        let mut ways: HashMap<(SessionId, NodeKey, u32, Protocol), BackendId> = HashMap::new();
        for (id, backend) in self.backends.iter() {
            for Owed { session, sequence, part, .. } in &backend.owed {
                let Some(session) = session.filter(|&session| self.sessions.get(session).is_some()) else {
                    continue;
                };
                let purpose = backend.purpose;
                let way = (session, purpose.node, purpose.db, purpose.protocol);
                // What the other proxy refuses here it executes elsewhere.
                if !backend.refused.contains(&session) {
                    let first = *ways.entry(way).or_insert(id);
                    assert_eq!(
                        first, id,
                        "{session:?} is owed over two connections to one node: {backend:?}"
                    );
                }
                let due = dues.entry((session, *sequence)).or_default();
                match part {
                    None => due.0 += 1,
                    Some(_) => due.1 += 1,
                }
            }
        }
        dues
    }

    fn check_backend(&self, id: BackendId, backend: &Backend) {
        let node = &self.nodes.nodes[backend.purpose.node];
        let shared = node.shared().filter(|&entry| entry == id).count();
        let idle = node.idle.iter().filter(|&&entry| entry == id).count();
        let own = usize::from(backend.purpose.owner.is_some());
        let retired = usize::from(backend.retired);
        assert_eq!(shared + idle + own + retired, 1, "{id:?} is for one thing: {backend:?}");
        assert!(backend.unsent <= backend.owed.len(), "{id:?} has requests to send that nobody is owed");
        if matches!(backend.phase, BackendPhase::Down { .. }) {
            assert!(backend.owed.is_empty() && backend.out.is_empty(), "{id:?} is down and owes something");
        }
        let is_waited_for = backend.owed.iter().any(|owed| owed.session.is_some());
        assert!(!backend.is_unreachable() || !is_waited_for, "{id:?} must prove itself and is waited for");
        let reads_slowly = |(_, session): (SessionId, &Session)| session.unread_backend == Some(id);
        assert_eq!(
            backend.left_unread_for.is_some(),
            self.sessions.iter().any(reads_slowly),
            "{id:?} is left unread for nobody"
        );
        let listed = self.agenda.dirty_backends.iter().filter(|&&entry| entry == id).count();
        assert_eq!(listed, usize::from(backend.dirty), "{id:?} is in the list of those with output, or not");
        assert!(backend.dirty || backend.counted == backend.held(), "{id:?} is counted wrongly");
    }

    fn check_nodes(&self) {
        for (key, node) in self.nodes.nodes.iter() {
            let backends = self.backends.iter().filter(|(_, backend)| backend.purpose.node == key).count();
            assert_eq!(
                backends, node.backends as usize,
                "connections to {} are counted wrongly",
                node.address
            );
            assert!(node.current || backends > 0, "{} is in no view and has no connection", node.address);
        }
    }

    fn check_session(&self, id: SessionId, session: &Session, dues: &Dues) -> usize {
        let listed = self.agenda.dirty_sessions.iter().filter(|&&entry| entry == id).count();
        assert_eq!(listed, usize::from(session.dirty), "{id:?} is in the list of those with output, or not");
        assert!(session.dirty || session.counted == session.held(), "{id:?} is counted wrongly");
        if let Some(parked) = &session.parked {
            parked.check();
        }
        let waits = matches!(session.phase, Phase::Waiting(WaitFor::Room | WaitFor::Held | WaitFor::Turn));
        assert!(waits || !session.barrier, "{id:?} has a barrier for later and nothing to wait for");
        match session.phase {
            Phase::Waiting(WaitFor::Replies) => {
                assert!(session.outstanding() > 0, "{id:?} waits for nothing");
            }
            Phase::Waiting(WaitFor::Held) => {
                assert!(self.agenda.held_sessions.contains(&id), "{id:?} is held by nobody");
            }
            Phase::Waiting(WaitFor::Turn) => {
                assert!(self.agenda.deferred.contains(&id), "{id:?} waits for a turn that nobody gives it");
            }
            Phase::Waiting(WaitFor::Room) => self.check_wait_for_room(id, session),
            Phase::Taking | Phase::Over => {}
        }
        self.check_places(id, session, dues)
    }

    fn check_wait_for_room(&self, id: SessionId, session: &Session) {
        // The reply that is due will tell it.
        let owed_much = session.outstanding() > 0;
        let listed = self.backends.iter().any(|(_, backend)| backend.waiters.contains(&id));
        assert!(owed_much || listed, "{id:?} waits for room that nobody will tell it of");
    }

    /// Each reply that is due is here, owed by one backend, in the making, or owed by the control thread.
    fn check_places(&self, id: SessionId, session: &Session, dues: &Dues) -> usize {
        let mut slots = session.parked.iter().flat_map(|parked| parked.slots());
        assert!(
            session.parked.as_deref().is_none_or(|parked| slots_of(parked) <= session.outstanding() as usize)
        );
        let mut asked = 0;
        for ahead in 0..session.outstanding() {
            let (plain, parts) =
                dues.get(&(id, session.head.wrapping_add(ahead))).copied().unwrap_or_default();
            match slots.next() {
                Some(ReplySlot::Ready(_)) => {
                    assert_eq!((plain, parts), (0, 0), "{id:?}: a reply is due twice");
                }
                Some(ReplySlot::Gather(gather)) => {
                    assert_eq!((plain, parts), (0, gather.missing()), "{id:?}: parts are lost or due twice");
                }
                Some(ReplySlot::Partial(_) | ReplySlot::Refused) => {
                    assert_eq!((plain, parts), (1, 0), "{id:?}: half of a reply");
                }
                Some(ReplySlot::Waiting) | None => {
                    assert!(plain <= 1 && parts == 0, "{id:?}: a reply is due twice");
                    asked += 1 - plain;
                }
            }
        }
        let beyond = |&(of, sequence): &(SessionId, u32)| {
            of == id && sequence.wrapping_sub(session.head) >= session.outstanding()
        };
        assert!(!dues.keys().any(beyond), "{id:?}: a backend owes a reply that was delivered already");
        asked
    }

    fn check_memory(&self) {
        let sessions: usize = self.sessions.iter().map(|(_, session)| session.counted).sum();
        let backends: usize = self.backends.iter().map(|(_, backend)| backend.counted).sum();
        assert_eq!(sessions + backends, self.memory.held(), "memory is counted wrongly");
    }
}

fn slots_of(parked: &Parked) -> usize {
    parked.slots().count()
}
