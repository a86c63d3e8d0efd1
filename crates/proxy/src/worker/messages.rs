//! What the control side asks of a worker.

use std::os::fd::AsRawFd;

use proxy_core::engine::SessionSketch;

use super::event_loop::EventLoop;
use super::killed::Killed;
use super::mailbox::{Errand, KillErrand, SessionsPiece};
use super::registration::Source;
use super::{SessionLine, WorkerMessage};

/// Sessions in one piece of CLIENT LIST: as many as a worker looks at in one turn.
const SESSIONS_PER_PIECE_MAX: usize = 512;
/// What errands may cost in one turn, in bytes of replies, so that requests for data do not wait for them: copying that
/// much takes some tens of microseconds. One errand is always carried out.
const ERRANDS_PER_TURN_BYTES: usize = 256 * 1024;
/// What looking at one session costs, in the same measure.
const SESSION_LOOK_BYTES: usize = 512;
/// What the smallest errand costs.
const ERRAND_BYTES_MIN: usize = 256;

impl EventLoop {
    /// Answers, at the end of a turn, the questions that came in it: what was read from nodes is written to the clients
    /// then, as far as they take it. An asker that reads 0 may let another node take over.
    pub(super) fn answer_owed(&mut self) {
        for ask in self.owed_asks.drain(..) {
            // Who asked may have ended.
            let _ = ask.answer.send(self.engine.owed_by(&ask.nodes));
        }
    }

    /// Answers each CLIENT KILL of whose clients nothing more is carried out, whatever others wait for, and forgets those
    /// that nobody waits for any more. To be called after the turn's actions: what was given up in it is told to the other
    /// workers by then.
    pub(super) fn answer_killed(&mut self) {
        let engine = &self.engine;
        let is_over = |killed: &mut Killed| killed.answer.is_closed() || engine.are_over(&killed.strays);
        self.killed.extract_if(.., is_over).for_each(Killed::tell);
    }

    /// Carries out every order, and as many errands as their limit allows.
    pub(super) fn take_messages(&mut self) {
        self.inbox.clear();
        while let Ok(message) = self.inbox.orders.try_recv() {
            self.obey(message);
        }
        let mut spent = 0;
        while spent < ERRANDS_PER_TURN_BYTES {
            let Ok(errand) = self.inbox.errands.try_recv() else { return };
            spent += ERRAND_BYTES_MIN + self.run_errand(errand);
        }
        self.inbox.again();
    }

    fn obey(&mut self, message: WorkerMessage) {
        match message {
            WorkerMessage::Update(shared, done) => {
                self.maxclients = shared.settings.maxclients as usize;
                self.authenticated = shared.settings.password.is_none();
                self.engine.update(shared);
                let _ = done.send(());
            }
            WorkerMessage::Reply(place, reply) => self.engine.control_replied(place, &reply),
            WorkerMessage::Owed(ask) => self.owed_asks.push(ask),
            WorkerMessage::CutOff(nodes, answer) => {
                nodes.iter().for_each(|node| self.engine.cut_off(node));
                let _ = answer.send(());
            }
            WorkerMessage::Pause(pause) => self.engine.pause(pause),
            WorkerMessage::Drain => {
                self.listeners = None;
                self.draining = true;
                // What clients have sent already is still read and answered.
                let open = self.sessions.iter().flatten().map(|session| Source::Session(session.id));
                self.again.extend(open);
            }
            WorkerMessage::Resolved(id, address) => self.resolved(id, address),
            WorkerMessage::Stop => self.running = false,
        }
    }

    /// What it cost. Who asked may have ended.
    fn run_errand(&mut self, errand: Errand) -> usize {
        match errand {
            Errand::Reply(place, reply) => {
                self.engine.control_replied(place, &reply);
                reply.len()
            }
            Errand::List(from, answer) => {
                let piece = self.sessions_from(from);
                let cost = piece.lines.len() * SESSION_LOOK_BYTES;
                let _ = answer.send(piece);
                cost
            }
            Errand::Kill(errand) => {
                let cost = self.engine.session_count() * SESSION_LOOK_BYTES;
                let KillErrand { filter, asker, waits_for_strays, answer } = errand;
                let done = self.engine.kill_sessions(asker, |profile| filter(profile));
                let killed = Killed { closed: done.closed, strays: done.strays, answer };
                if waits_for_strays {
                    self.killed.push(killed);
                } else {
                    killed.tell();
                }
                cost
            }
        }
    }

    /// A session that lives while all pieces are made is in one of them: its place does not change.
    fn sessions_from(&self, from: u32) -> SessionsPiece {
        let line = |sketch: SessionSketch<'_>| SessionLine {
            profile: sketch.profile.clone(),
            command: sketch.command,
            fd: self.sessions[sketch.id.index()].as_ref().map_or(-1, |session| session.socket.as_raw_fd()),
            input_bytes: sketch.input_bytes,
            output_bytes: sketch.output_bytes,
        };
        let mut sketches =
            self.engine.session_sketches().skip_while(|sketch| sketch.id.index() < from as usize);
        let lines = sketches.by_ref().take(SESSIONS_PER_PIECE_MAX).map(line).collect();
        SessionsPiece { lines, next: sketches.next().map(|sketch| sketch.id.index() as u32) }
    }
}
