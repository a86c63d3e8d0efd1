//! Commands that the proxy answers by itself, and those that it hands to the control thread.

use crate::command::{
    Args, Class, ClientCommand, ClusterCommand, Command, ConfigCommand, Flags, LocalCommand, command_reply,
};
use crate::engine::port::QUESTIONS_PENDING_MAX;
use crate::engine::request::dispatch::Taken;
use crate::engine::state::ids::SessionId;
use crate::engine::state::reached::Reached;
use crate::engine::state::session::{Phase, WaitFor};
use crate::engine::{Action, Ask, Engine, Question, ReplyPlace};
use crate::local::client::SessionUse;
use crate::local::{self, After, Context, ControlRequest, Written};
use crate::slowlog::SlowEntry;

/// After this much of answers that are long or costly to make no more of them are made in a turn: a pipeline of them is
/// answered over several turns, so that others' requests are not behind all of it.
const COSTLY_BYTES_PER_TURN: usize = 64 * 1024;

impl Engine {
    /// Answers a command that the proxy knows the answer to.
    pub(in crate::engine) fn answer(
        &mut self,
        id: SessionId,
        command: &Command,
        local: LocalCommand,
        args: Args<'_>,
    ) -> Taken {
        if is_costly(local) && self.costly_bytes >= COSTLY_BYTES_PER_TURN {
            self.sessions[id].phase = Phase::Waiting(WaitFor::Turn);
            self.agenda.deferred.push(id);
            return Taken::Later;
        }
        let session = &mut self.sessions[id];
        let is_behind_many = is_asked_elsewhere(local) && session.outstanding() >= QUESTIONS_PENDING_MAX;
        if is_behind_many || (needs_earlier_replies(local) && session.outstanding() > 0) {
            // What was asked before runs before, on another connection than what follows.
            session.phase = Phase::Waiting(WaitFor::Replies);
            return Taken::Later;
        }
        session.last_command = Some(command.id);
        self.stats.command(command.id).calls.increment();
        let shared = self.shared.clone();
        let context = Context {
            settings: &shared.settings,
            cluster: shared.view.as_deref().map(|view| view.replies.at(session.profile.face)),
            server_version: &shared.server_version,
            session_use: SessionUse {
                fd: session.profile.fd,
                query_bytes: session.input.len().max(args.frame.len()),
                output_bytes: session.out.len(),
                ..SessionUse::default()
            },
            now_us: self.now.unix_us,
        };
        let mut reply = self.pool.buffer();
        let after = local::answer(local, args, &mut session.profile, &context, &mut reply);
        session.profile_changed();
        match after {
            After::Done | After::SelectChanged | After::SessionReset => {
                self.clients().reply_now(id, |out| out.extend_from_slice(&reply));
            }
            After::Close => {
                self.clients().reply_now(id, |out| out.extend_from_slice(&reply));
                self.clients().close_after_replies(id);
            }
            After::Control(mut request) => match &mut *request {
                ControlRequest::Wait(wait) => {
                    wait.written = self.written(id);
                    self.ask_control(id, Question::Local(request));
                    if self.sessions[id].reached.has_any(Reached::LOST) {
                        // A client of a Redis server that has died is disconnected, too.
                        self.clients().close_after_replies(id);
                    } else {
                        self.clients().take_barrier(id); // as in Redis, what was sent after it runs after it
                    }
                }
                // What follows is not carried out beside what a client asked for that is to be gone by then. So another proxy
                // has what it has given up called back.
                ControlRequest::ClientKill(_) => {
                    self.ask_control(id, Question::Local(request));
                    self.clients().take_barrier(id);
                }
                _ => self.ask_control(id, Question::Local(request)),
            },
            After::Command(sub) => {
                command_reply(sub, &shared.table, args, self.sessions[id].profile.protocol, &mut reply);
                self.clients().reply_now(id, |out| out.extend_from_slice(&reply));
            }
            After::Umctl => self.ask_control(id, Question::Umctl(owned(args))),
            After::Forwarded => return self.take_forwarded(id, args),
            After::CountKeysInSlot(slot) => self.ask_control(id, Question::CountKeysInSlot(slot)),
            After::KeysInSlot { slot, count } => self.ask_control(id, Question::KeysInSlot { slot, count }),
        }
        if is_costly(local) {
            self.costly_bytes += reply.len();
        }
        self.pool.recycle(reply);
        self.note_answered(id, command, args);
        Taken::Yes
    }

    /// Where every request is to be in the slow log, those are that the proxy answers. They take no time that a worker's
    /// clock could show.
    fn note_answered(&mut self, id: SessionId, command: &Command, args: Args<'_>) {
        let has_secrets = command.class == Class::Local(LocalCommand::Config(ConfigCommand::Set));
        let is_secret = has_secrets
            || command.flags.contains(Flags::SKIP_SLOWLOG)
            || command.flags.contains(Flags::NO_AUTH);
        let Some(session) = self.sessions.get(id).filter(|_| self.slow.is_every_one() && !is_secret) else {
            return;
        };
        self.stats.slow_requests.increment();
        let args: Vec<&[u8]> = args.iter().collect();
        self.agenda.actions.push(Action::Slow(Box::new(SlowEntry {
            unix_s: self.now.unix_us / 1_000_000,
            us: 0,
            args: SlowEntry::cut_args(args.into_iter()),
            client: session.profile.peer.to_string(),
            name: session.profile.name().into(),
        })));
    }

    /// Where what the session has sent so far may be.
    fn written(&self, id: SessionId) -> Written {
        let reached = self.sessions[id].reached;
        if reached.has_any(Reached::LOST) || reached.has_any(Reached::OTHER_PROXY) {
            return Written::Elsewhere;
        }
        // What was read from replicas is not written there.
        let primaries = self.nodes.primaries().iter().filter_map(|&target| self.nodes.of_target(target));
        let nodes = primaries.map(|key| &self.nodes.nodes[key]).filter(|node| reached.has_any(node.mark));
        Written::Here(nodes.map(|node| node.address.clone()).collect())
    }

    /// Hands a question to the control thread; its answer keeps its place.
    fn ask_control(&mut self, id: SessionId, question: Question) {
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let place = ReplyPlace { session: id, sequence };
        let profile = session.profile.clone();
        self.agenda.actions.push(Action::Control(Box::new(Ask { place, question, profile })));
    }

    /// The control thread's answer to [`Action::Control`].
    pub fn control_replied(&mut self, place: ReplyPlace, reply: &[u8]) {
        let Some(session) = self.sessions.get(place.session) else { return };
        if place.sequence.wrapping_sub(session.head) < session.outstanding() {
            self.clients().reply_at(place, |out| out.extend_from_slice(reply));
        }
    }
}

/// Whether what the session asked before must have been answered before this command is carried out: it decides on
/// which connection the next requests run, or speaks of what was done so far.
fn needs_earlier_replies(command: LocalCommand) -> bool {
    use LocalCommand as Local;
    matches!(
        command,
        Local::Select | Local::Hello | Local::Reset | Local::Info | Local::Wait | Local::Waitaof
    )
}

/// Whether an answer is long, or costly to make.
fn is_costly(command: LocalCommand) -> bool {
    matches!(
        command,
        LocalCommand::Config(ConfigCommand::Get) | LocalCommand::Command(_) | LocalCommand::Cluster(_)
    )
}

/// Whether the control side answers this command, or may have to.
fn is_asked_elsewhere(command: LocalCommand) -> bool {
    use LocalCommand as Local;
    match command {
        Local::Umctl | Local::Info | Local::Slowlog(_) => true,
        Local::Client(sub) => matches!(
            sub,
            ClientCommand::List
                | ClientCommand::Kill
                | ClientCommand::Pause
                | ClientCommand::Unpause
                | ClientCommand::Unblock
        ),
        Local::Config(sub) => matches!(sub, ConfigCommand::Set | ConfigCommand::Resetstat),
        Local::Cluster(sub) => matches!(sub, ClusterCommand::Countkeysinslot | ClusterCommand::Getkeysinslot),
        _ => false,
    }
}

fn owned(args: Args<'_>) -> Vec<Vec<u8>> {
    args.iter().map(<[u8]>::to_vec).collect()
}
