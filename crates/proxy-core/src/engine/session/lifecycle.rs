//! Sessions as the driver sees them: accepted, written to, closed.

use crate::command::CommandId;
use crate::engine::state::buffers::OutQueue;
use crate::engine::state::session::{Session, SessionId, Wait};
use crate::engine::state::stream::STREAM_WINDOW_BYTES;
use crate::engine::{Action, Engine, ReplyPlace};
use crate::profile::Profile;
use crate::stats::WorkerStats;

/// What CLIENT LIST tells of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionSketch<'a> {
    /// Which one.
    pub id: SessionId,
    /// Who it is.
    pub profile: &'a Profile,
    /// The command that it sent last; not in the table before the first.
    pub command: CommandId,
    /// Bytes received and not taken yet.
    pub input_bytes: usize,
    /// Bytes not written yet.
    pub output_bytes: usize,
}

impl Engine {
    /// A client connected.
    pub fn accept(&mut self, profile: Profile) -> SessionId {
        self.generations = self.generations.wrapping_add(1).max(1);
        let session = Session::new(self.generations, profile);
        self.live_sessions += 1;
        match self.free_sessions.pop() {
            Some(index) => {
                self.sessions[index as usize] = session;
                SessionId(index)
            }
            None => {
                self.sessions.push(session);
                SessionId(u32::try_from(self.sessions.len() - 1).expect("far fewer sessions than 2^32"))
            }
        }
    }

    /// The client sent its last byte: what it asked for is still answered.
    pub fn session_ended(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        if session.generation == 0 {
            return;
        }
        session.closing = true;
        let unusable = session.unusual.as_ref().is_some_and(|unusual| unusual.stream.is_some());
        match unusable {
            true => self.close_session(id),
            false => self.close_if_done(id),
        }
    }

    /// The connection broke: the driver has closed it already.
    ///
    /// If the engine had decided to close it in the same turn, the action is still to come, and frees the place.
    pub fn session_closed(&mut self, id: SessionId) {
        if self.forget_session(id) {
            self.free_sessions.push(id.0);
        }
    }

    /// The driver has carried out [`Action::CloseSession`]; once for each, also where the connection was closed
    /// already.
    pub fn session_released(&mut self, id: SessionId) {
        self.sessions[id.0 as usize].out.clear(&mut self.pool);
        self.free_sessions.push(id.0);
    }

    /// Whether the driver may read more from this client. When told no, it is told later with
    /// [`Action::ReadSession`].
    #[inline]
    pub fn wants_read(&mut self, id: SessionId) -> bool {
        let backlog = match self.sessions[id.0 as usize].unusual {
            None => 0,
            Some(_) => self.stream_backlog(id),
        };
        let session = &mut self.sessions[id.0 as usize];
        let wants =
            session.wait == Wait::None || session.input.len() < crate::engine::state::buffers::READ_BYTES;
        if !wants || session.closing || backlog >= STREAM_WINDOW_BYTES {
            session.read_paused = true;
            return false;
        }
        true
    }

    /// Bytes to write to the client.
    #[inline]
    pub fn session_output(&self, id: SessionId) -> &OutQueue {
        &self.sessions[id.0 as usize].out
    }

    /// So many of them were written.
    #[inline]
    pub fn session_sent(&mut self, id: SessionId, bytes: usize) {
        let session = &mut self.sessions[id.0 as usize];
        session.out.sent(bytes, &mut self.pool);
        self.stats.bytes_out.add(bytes as u64);
        if session.closing || session.wait == Wait::Room || session.stalls {
            self.session_drained(id);
        }
    }

    fn session_drained(&mut self, id: SessionId) {
        let room = self.policy.session_output_bytes / 2;
        let session = &mut self.sessions[id.0 as usize];
        if session.generation == 0 {
            return;
        }
        if session.out.len() <= room {
            if session.wait == Wait::Room && session.outstanding() < self.policy.outstanding_max / 2 {
                self.resume(id);
            }
            let session = &mut self.sessions[id.0 as usize];
            if session.parked_bytes() <= self.policy.session_parked_bytes / 2
                && std::mem::take(&mut session.stalls)
            {
                self.end_stalls(id);
            }
        }
        self.close_if_done(id);
    }

    /// Lets a session take requests again.
    pub(in crate::engine) fn resume(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        session.wait = Wait::None;
        self.resumed.push(id);
    }

    /// After a reply was delivered: what waited for it may go on.
    #[inline]
    pub(in crate::engine) fn delivered(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        match session.wait {
            Wait::None => {}
            Wait::Drained if session.outstanding() == 0 => self.resume(id),
            Wait::Room => {
                let room = session.out.len() <= self.policy.session_output_bytes / 2;
                if room && session.outstanding() < self.policy.outstanding_max / 2 {
                    self.resume(id);
                }
            }
            Wait::Drained | Wait::Held | Wait::Over => {}
        }
    }

    #[inline]
    pub(in crate::engine) fn mark_session(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        if !session.dirty {
            session.dirty = true;
            self.dirty_sessions.push(id.0);
        }
    }

    /// Answers a request at once, in its place in the order of replies.
    pub(in crate::engine) fn reply_now(&mut self, id: SessionId, write: impl FnOnce(&mut Vec<u8>)) {
        let session = &mut self.sessions[id.0 as usize];
        let sequence = session.take_sequence();
        let place = ReplyPlace { session: id, generation: session.generation, sequence };
        self.reply_at(place, write);
    }

    /// Answers at a place taken earlier; nothing happens if the session is gone.
    pub(in crate::engine) fn reply_at(&mut self, place: ReplyPlace, write: impl FnOnce(&mut Vec<u8>)) {
        let session = &mut self.sessions[place.session.0 as usize];
        if session.generation != place.generation {
            return;
        }
        if session.head == place.sequence {
            let out = session.out.tail(&mut self.pool);
            let start = out.len();
            write(out);
            count_error(&self.stats, &out[start..]);
            session.advance(&mut self.pool);
        } else {
            session.park(place.sequence, true, |queue| {
                let out = queue.tail(&mut self.pool);
                write(out);
                count_error(&self.stats, out);
            });
        }
        self.mark_session(place.session);
        self.delivered(place.session);
    }

    /// No more requests; close when everything due has been answered and written.
    pub(in crate::engine) fn close_after_replies(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        session.closing = true;
        session.wait = Wait::Over;
        session.input = Vec::new();
        self.mark_session(id);
    }

    /// Closes a session that has nothing left to do.
    pub(in crate::engine) fn close_if_done(&mut self, id: SessionId) {
        let session = &self.sessions[id.0 as usize];
        let waits = !session.input.is_empty() && (session.wait != Wait::None || self.resumed.contains(&id));
        if session.closing
            && session.generation != 0
            && session.outstanding() == 0
            && session.out.is_empty()
            && !waits
        {
            self.close_session(id);
        }
    }

    /// Closes a session now; replies that are due to it are dropped when they come.
    pub(in crate::engine) fn close_session(&mut self, id: SessionId) {
        if self.forget_session(id) {
            self.actions.push(Action::CloseSession(id));
        }
    }

    fn forget_session(&mut self, id: SessionId) -> bool {
        let session = &mut self.sessions[id.0 as usize];
        if session.generation == 0 {
            return false;
        }
        session.generation = 0;
        self.live_sessions -= 1;
        session.parked = None;
        self.pool.recycle(std::mem::take(&mut session.input));
        session.out.clear(&mut self.pool);
        let unusual = session.unusual.take();
        let stalls = std::mem::take(&mut session.stalls);
        if let Some(backend) = unusual.and_then(|unusual| unusual.stream).and_then(|stream| stream.backend) {
            self.close_backend(backend);
        }
        if stalls {
            self.end_stalls(id);
        }
        true
    }

    /// What CLIENT LIST tells of this worker's sessions.
    pub fn session_sketches(&self) -> impl Iterator<Item = SessionSketch<'_>> {
        let live = (0u32..).zip(&self.sessions).filter(|(_, session)| session.generation != 0);
        live.map(|(index, session)| SessionSketch {
            id: SessionId(index),
            profile: &session.profile,
            command: session.last_command,
            input_bytes: session.input.len(),
            output_bytes: session.out.len(),
        })
    }

    /// CLIENT KILL: closes the sessions that the filter picks; returns how many.
    pub fn kill_sessions(&mut self, mut picks: impl FnMut(&Profile) -> bool) -> usize {
        let picked: Vec<SessionId> = (0u32..)
            .zip(&self.sessions)
            .filter(|(_, session)| session.generation != 0 && picks(&session.profile))
            .map(|(index, _)| SessionId(index))
            .collect();
        for &id in &picked {
            let session = &self.sessions[id.0 as usize];
            // The rest of a request that it is in the middle of sending will not be read.
            let uploads = session.unusual.as_ref().is_some_and(|unusual| unusual.stream.is_some());
            match !uploads && (session.outstanding() > 0 || !session.out.is_empty()) {
                true => self.close_after_replies(id),
                false => self.close_session(id),
            }
        }
        picked.len()
    }

    /// Takes no more connections' requests once they are idle: each session is closed when nothing is due to it.
    pub fn drain(&mut self) {
        self.draining = true;
        self.close_idle_sessions();
    }

    pub(in crate::engine) fn close_idle_sessions(&mut self) {
        for index in 0..self.sessions.len() {
            let id = SessionId(index as u32);
            let session = &self.sessions[index];
            if session.generation != 0
                && session.outstanding() == 0
                && session.input.is_empty()
                && session.out.is_empty()
            {
                self.close_session(id);
            }
        }
    }
}

/// Counts a reply that is an error.
pub(in crate::engine) fn count_error(stats: &WorkerStats, reply: &[u8]) {
    if reply.first() == Some(&b'-') {
        stats.count_error(reply);
    }
}
