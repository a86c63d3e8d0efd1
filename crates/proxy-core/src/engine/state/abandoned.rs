//! Connections to one node that were given up while it may still have requests of them in its socket.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// Connections to one node that are remembered after they were given up; beyond those the oldest is forgotten.
const ABANDONED_MAX: usize = 64;

/// Names one of them among all that were ever given up at its node. Neither its end nor the time does: an end is used
/// again, and several are given up in one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct AbandonedId(u64);

/// Those that the node is not known to have closed, oldest first.
#[derive(Debug, Default)]
pub(in crate::engine) struct Abandoned {
    /// By which the node knows each: our end of it.
    ends: VecDeque<(AbandonedId, SocketAddr)>,
    next: AbandonedId,
}

impl Abandoned {
    /// One more is given up.
    pub(in crate::engine) fn add(&mut self, end: SocketAddr) -> AbandonedId {
        if self.ends.len() == ABANDONED_MAX {
            self.ends.pop_front();
        }
        let id = self.next;
        self.next = AbandonedId(id.0 + 1);
        self.ends.push_back((id, end));
        id
    }

    /// The node has closed this one.
    pub(in crate::engine) fn closed(&mut self, id: AbandonedId) {
        self.ends.retain(|(other, _)| *other != id);
    }

    /// The node has closed all that were given up before this one.
    pub(in crate::engine) fn closed_before(&mut self, id: AbandonedId) {
        self.ends.retain(|(other, _)| *other >= id);
    }

    /// The next to be given up.
    pub(in crate::engine) fn next(&self) -> AbandonedId {
        self.next
    }

    /// Our ends of them.
    pub(in crate::engine) fn ends(&self) -> impl Iterator<Item = SocketAddr> {
        self.ends.iter().map(|(_, end)| *end)
    }

    /// Whether there is none.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn an_answer_about_one_says_nothing_of_another() {
        let mut abandoned = Abandoned::default();
        let (first, second) = (abandoned.add(end(1)), abandoned.add(end(2)));
        // Two connections were told to close both, and both have answered about the first.
        abandoned.closed(first);
        abandoned.closed(first);
        assert_eq!(abandoned.ends().collect::<Vec<_>>(), [end(2)]);
        // The same end again is another connection.
        let again = abandoned.add(end(2));
        abandoned.closed(second);
        assert_eq!(abandoned.ends().collect::<Vec<_>>(), [end(2)]);
        abandoned.closed(again);
        assert!(abandoned.is_empty());
    }

    #[test]
    fn a_new_connection_closes_those_that_it_was_told_of() {
        let mut abandoned = Abandoned::default();
        abandoned.add(end(1));
        let told_before = abandoned.next();
        abandoned.add(end(2));
        abandoned.closed_before(told_before);
        assert_eq!(abandoned.ends().collect::<Vec<_>>(), [end(2)]);
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut abandoned = Abandoned::default();
        for port in 0..70 {
            abandoned.add(end(port));
        }
        assert_eq!(abandoned.ends().count(), ABANDONED_MAX);
        assert_eq!(abandoned.ends().next(), Some(end(6)));
    }
}
