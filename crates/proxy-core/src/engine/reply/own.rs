//! Replies that the proxy gives itself, each in its place in the order of its session.

use crate::engine::ReplyPlace;
use crate::engine::contexts::Clients;
use crate::engine::state::ids::SessionId;
use crate::stats::WorkerStats;

impl Clients<'_> {
    /// Answers a request at once, in its place in the order of replies.
    pub(in crate::engine) fn reply_now(&mut self, id: SessionId, write: impl FnOnce(&mut Vec<u8>)) {
        let sequence = self.sessions[id].take_sequence();
        self.reply_at(ReplyPlace { session: id, sequence }, write);
    }

    /// Answers at a place taken earlier; nothing happens if the session is gone.
    pub(in crate::engine) fn reply_at(&mut self, place: ReplyPlace, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(session) = self.sessions.get_mut(place.session) else { return };
        if session.head == place.sequence {
            let out = session.out.tail(self.pool);
            let start = out.len();
            write(out);
            count_error(self.stats, &out[start..]);
            session.advance(self.pool);
        } else {
            session.park(place.sequence, true, |queue| {
                let out = queue.tail(self.pool);
                write(out);
                count_error(self.stats, out);
            });
        }
        self.mark_session(place.session);
        self.delivered(place.session);
    }
}

/// Counts a reply that is an error.
fn count_error(stats: &WorkerStats, reply: &[u8]) {
    if reply.first() == Some(&b'-') {
        stats.count_error(reply);
    }
}
