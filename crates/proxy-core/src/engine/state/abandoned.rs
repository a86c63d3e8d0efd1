//! Connections that were given up while their node may still have requests of them in its socket: one list for all workers
//! of a proxy.
//!
//! Connections of all workers lead to the same node, and the next request of a session of another proxy may come to another
//! worker. Ruled out:
//! ```text
//!   SET k old ─▶ worker 1 ─▶ node: no answer, an error ─ SET k new ─▶ worker 2 ─▶ node: OK ─ the node reads k = old
//! ```
//! A worker writes a connection down before it tells anybody of the failure. A worker looks at the list after it has read
//! requests and before it takes them. So when a request was sent by somebody who knows of the failure, its worker finds the
//! connection here.
//!
//! A connection stays here until its node has closed it, however long the node is stopped, and also while no view has the
//! node. A connection has requests under way only when all that were here before it are closed. So there are never many more
//! than connections can stand at one time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Address;

use super::connection_name::ConnectionName;
use super::node_kind::NodeKind;

/// Connections that are remembered. Above that nobody is told of a failure: the sessions concerned are closed.
const ABANDONED_MAX: usize = 32_768;

/// Nodes that are remembered because they refuse to close connections.
const REFUSERS_MAX: usize = 1024;

/// Names a connection among all that were ever given up. Neither its end nor the time does: an end is used again, and
/// several are given up in one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct AbandonedId(u64);

/// A connection that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct GivenUp {
    /// Its node.
    pub(in crate::engine) node: Address,
    /// What that is.
    pub(in crate::engine) kind: NodeKind,
    /// By what the node knows the connection.
    pub(in crate::engine) name: ConnectionName,
}

/// The list is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connections were given up")]
pub(in crate::engine) struct Full;

/// The connections that nodes are not known to have closed. Clones are the same list.
#[derive(Debug, Clone)]
pub struct Abandonments(Arc<Board>);

#[derive(Debug)]
struct Board {
    room: usize,
    /// The next to be given up: a line that hardly ever changes, and that workers look at without the lock.
    next: AtomicU64,
    /// Oldest first.
    open: Mutex<VecDeque<(AbandonedId, GivenUp)>>,
    /// Nodes that have refused to close one.
    refusers: Mutex<Vec<(Address, NodeKind)>>,
}

impl Default for Abandonments {
    fn default() -> Self {
        Abandonments::with_room_for(ABANDONED_MAX)
    }
}

impl Abandonments {
    /// A list of its own, of that many connections at most.
    #[must_use]
    pub fn with_room_for(room: usize) -> Abandonments {
        let (next, open) = (AtomicU64::new(0), Mutex::new(VecDeque::new()));
        Abandonments(Arc::new(Board { room, next, open, refusers: Mutex::default() }))
    }

    /// Writes down a connection that a process which is gone had to a node, by the address that the node knows it by.
    /// Nobody here was owed anything over it, so where the list is full it is left out.
    pub fn add_former(&self, node: Address, end: SocketAddr) {
        let _ = self.add(GivenUp { node, kind: NodeKind::Local, name: ConnectionName::End(end) });
    }

    /// The next to be given up.
    #[inline]
    pub(in crate::engine) fn next(&self) -> AbandonedId {
        // Who tells of a failure has counted it before; who asks on has read of the failure.
        AbandonedId(self.0.next.load(Ordering::Acquire))
    }

    /// Writes one down.
    ///
    /// # Errors
    /// The list is full, and this one is not remembered.
    pub(in crate::engine) fn add(&self, given_up: GivenUp) -> Result<AbandonedId, Full> {
        let mut open = self.open();
        if open.len() == self.0.room {
            return Err(Full);
        }
        let id = self.next();
        open.push_back((id, given_up));
        self.0.next.store(id.0 + 1, Ordering::Release);
        Ok(id)
    }

    /// Its node has closed this one.
    pub(in crate::engine) fn closed(&self, id: AbandonedId) {
        let mut open = self.open();
        if let Ok(at) = open.binary_search_by_key(&id, |(other, _)| *other) {
            open.remove(at);
        }
    }

    /// A node has refused to close one; whether it is the first time.
    pub(in crate::engine) fn note_refusal(&self, node: &Address, kind: NodeKind) -> bool {
        let mut refusers = self.0.refusers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !refusers.iter().any(|(other, other_kind)| other == node && *other_kind == kind);
        if is_new {
            if refusers.len() == REFUSERS_MAX {
                refusers.remove(0);
            }
            refusers.push((node.clone(), kind));
        }
        is_new
    }

    /// Whether a node has refused to close one.
    pub(in crate::engine) fn has_refused(&self, node: &Address, kind: NodeKind) -> bool {
        let refusers = self.0.refusers.lock().unwrap_or_else(PoisonError::into_inner);
        refusers.iter().any(|(other, other_kind)| other == node && *other_kind == kind)
    }

    /// Those that were given up from `heard` on, which is moved behind them.
    pub(in crate::engine) fn news(&self, heard: &mut AbandonedId) -> Vec<(AbandonedId, GivenUp)> {
        let open = self.open();
        let first = open.partition_point(|(id, _)| *id < *heard);
        *heard = self.next();
        open.range(first..).cloned().collect()
    }

    /// Those of a node that were given up before this one.
    pub(in crate::engine) fn of_node(
        &self,
        node: &Address,
        kind: NodeKind,
        before: AbandonedId,
    ) -> Vec<(AbandonedId, ConnectionName)> {
        let open = self.open();
        let of_node = open.iter().take_while(|(id, _)| *id < before);
        let of_node = of_node.filter(|(_, other)| other.node == *node && other.kind == kind);
        of_node.map(|(id, given_up)| (*id, given_up.name.clone())).collect()
    }

    /// Each change is one step, so what a panic leaves behind is whole.
    fn open(&self) -> MutexGuard<'_, VecDeque<(AbandonedId, GivenUp)>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "127.0.0.1:7001";

    fn given_up(port: u16) -> GivenUp {
        let name = ConnectionName::End(([127, 0, 0, 1], port).into());
        GivenUp { node: NODE.parse().unwrap(), kind: NodeKind::Local, name }
    }

    fn port(name: &ConnectionName) -> u16 {
        match name {
            ConnectionName::End(end) => end.port(),
            ConnectionName::Told { .. } => panic!("{name:?}"),
        }
    }

    fn ports(board: &Abandonments) -> Vec<u16> {
        let open = board.of_node(&NODE.parse().unwrap(), NodeKind::Local, board.next());
        open.iter().map(|(_, name)| port(name)).collect()
    }

    #[test]
    fn an_answer_about_one_says_nothing_of_another() {
        let board = Abandonments::default();
        let (first, second) = (board.add(given_up(1)).unwrap(), board.add(given_up(2)).unwrap());
        // Two connections were told to close both, and both have answered about the first.
        board.closed(first);
        board.closed(first);
        assert_eq!(ports(&board), [2]);
        // The same end again is another connection.
        let again = board.add(given_up(2)).unwrap();
        board.closed(second);
        assert_eq!(ports(&board), [2]);
        board.closed(again);
        assert!(ports(&board).is_empty());
    }

    #[test]
    fn each_worker_hears_of_each_that_is_not_closed() {
        let board = Abandonments::default();
        let mut heard = AbandonedId::default();
        let first = board.add(given_up(1)).unwrap();
        board.add(given_up(2)).unwrap();
        let mut late = heard;
        let of =
            |news: Vec<(AbandonedId, GivenUp)>| news.iter().map(|(_, n)| port(&n.name)).collect::<Vec<_>>();
        assert_eq!(of(board.news(&mut heard)), [1, 2]);
        assert_eq!((heard, of(board.news(&mut heard))), (board.next(), Vec::new()));
        board.closed(first);
        assert_eq!(of(board.news(&mut late)), [2]);
    }

    #[test]
    fn a_node_s_are_those_that_were_there_before() {
        let board = Abandonments::default();
        board.add(given_up(1)).unwrap();
        let before = board.next();
        board.add(given_up(2)).unwrap();
        let of = |node: &str, kind| board.of_node(&node.parse().unwrap(), kind, before).len();
        assert_eq!(of(NODE, NodeKind::Local), 1);
        assert_eq!(of(NODE, NodeKind::Proxy), 0);
        assert_eq!(of("127.0.0.1:7002", NodeKind::Local), 0);
    }

    #[test]
    fn none_is_forgotten_for_another() {
        let board = Abandonments::with_room_for(2);
        let first = board.add(given_up(1)).unwrap();
        board.add(given_up(2)).unwrap();
        assert_eq!(board.add(given_up(3)), Err(Full));
        assert_eq!(ports(&board), [1, 2]);
        board.closed(first);
        board.add(given_up(4)).unwrap();
        assert_eq!(ports(&board), [2, 4]);
    }
}
