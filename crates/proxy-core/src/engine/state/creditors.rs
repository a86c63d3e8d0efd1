//! Sessions that connections to one node still owed something when they were given up. They were told that it may have
//! been executed, and rely on the node having closed the connection before it executes what they ask next.

use std::collections::VecDeque;

use super::abandoned::AbandonedId;
use super::ids::SessionId;

/// Connections whose sessions are remembered; beyond those the oldest is forgotten.
const CONNECTIONS_MAX: usize = 4096;

/// By connection, the one given up first before the others.
#[derive(Debug, Default)]
pub(in crate::engine) struct Creditors(VecDeque<(AbandonedId, Vec<SessionId>)>);

impl Creditors {
    /// These were owed something by a connection that is given up now.
    pub(in crate::engine) fn add(&mut self, of: AbandonedId, mut sessions: Vec<SessionId>) {
        sessions.sort_unstable();
        sessions.dedup();
        if self.0.len() == CONNECTIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((of, sessions));
    }

    /// The node has answered about this connection: those that rely on it.
    pub(in crate::engine) fn of(&mut self, of: AbandonedId) -> Vec<SessionId> {
        let place = self.0.iter().position(|(other, _)| *other == of);
        place.and_then(|place| self.0.remove(place)).map(|(_, sessions)| sessions).unwrap_or_default()
    }

    /// The node has answered about all connections that were given up before this one: those that rely on it.
    pub(in crate::engine) fn before(&mut self, id: AbandonedId) -> Vec<SessionId> {
        let later = self.0.partition_point(|(other, _)| *other < id);
        self.0.drain(..later).flat_map(|(_, sessions)| sessions).collect()
    }
}
