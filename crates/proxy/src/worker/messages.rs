//! What the control thread asks of a worker.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use model::Address;
use proxy_core::engine::SessionSketch;
use tokio::sync::oneshot;

use super::event_loop::EventLoop;
use super::registration::Source;
use super::{SessionLine, WorkerMessage};

/// The question how many replies of some nodes are due to clients.
pub(super) struct OwedAsk {
    nodes: Arc<[Address]>,
    answer: oneshot::Sender<usize>,
}

impl EventLoop {
    /// Answers at the end of a turn who has asked in it: what was read from nodes is written to the clients then, as
    /// far as they take it. Whoever reads 0 may have another take over.
    pub(super) fn answer_owed(&mut self) {
        for ask in self.owed_asks.drain(..) {
            // Who asked may have ended.
            let _ = ask.answer.send(self.engine.owed_by(&ask.nodes));
        }
    }

    pub(super) fn take_messages(&mut self) {
        self.inbox.clear();
        while let Ok(message) = self.inbox.receiver.try_recv() {
            match message {
                WorkerMessage::Update(shared, done) => {
                    self.maxclients = shared.settings.maxclients as usize;
                    self.authenticated = shared.settings.password.is_none();
                    self.engine.update(shared);
                    let _ = done.send(());
                }
                WorkerMessage::Reply(place, reply) => self.engine.control_replied(place, &reply),
                WorkerMessage::Owed(nodes, answer) => self.owed_asks.push(OwedAsk { nodes, answer }),
                WorkerMessage::CutOff(nodes, answer) => {
                    nodes.iter().for_each(|node| self.engine.cut_off(node));
                    let _ = answer.send(());
                }
                WorkerMessage::Pause(pause) => self.engine.pause(pause),
                WorkerMessage::List(answer) => {
                    let _ = answer.send(self.session_lines());
                }
                WorkerMessage::Kill { filter, asker, answer } => {
                    let _ = answer.send(self.engine.kill_sessions(Some(asker), |profile| filter(profile)));
                }
                WorkerMessage::Drain => {
                    self.listener = None;
                    self.draining = true;
                    // What clients have sent already is still read and answered.
                    let open = self.sessions.iter().flatten().map(|session| Source::Session(session.id));
                    self.again.extend(open);
                }
                WorkerMessage::Stop => self.running = false,
            }
        }
    }

    fn session_lines(&self) -> Vec<SessionLine> {
        let line = |sketch: SessionSketch<'_>| SessionLine {
            profile: sketch.profile.clone(),
            command: sketch.command,
            fd: self.sessions[sketch.id.index()].as_ref().map_or(-1, |session| session.socket.as_raw_fd()),
            input_bytes: sketch.input_bytes,
            output_bytes: sketch.output_bytes,
        };
        self.engine.session_sketches().map(line).collect()
    }
}
