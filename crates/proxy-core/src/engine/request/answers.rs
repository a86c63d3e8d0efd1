//! Commands that the proxy answers by itself, and those that it hands to the control thread.

use crate::command::{Args, Command, LocalCommand, command_reply};
use crate::engine::request::dispatch::Taken;
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::{Phase, WaitFor};
use crate::engine::{Action, Ask, Engine, Question, ReplyPlace};
use crate::local::client::SessionUse;
use crate::local::{self, After, Context};

impl Engine {
    /// Answers a command that the proxy knows the answer to.
    pub(in crate::engine) fn answer(
        &mut self,
        id: SessionId,
        command: &Command,
        local: LocalCommand,
        args: Args<'_>,
    ) -> Taken {
        let session = &mut self.sessions[id];
        if needs_earlier_replies(local) && session.outstanding() > 0 {
            session.phase = Phase::Waiting(WaitFor::Replies); // what was asked before runs before, on another connection than what follows
            return Taken::Later;
        }
        session.last_command = Some(command.id);
        self.stats.command(command.id).calls.increment();
        let shared = self.shared.clone();
        let context = Context {
            settings: &shared.settings,
            cluster: shared.view.as_deref().map(|view| &*view.replies),
            server_version: &shared.server_version,
            session_use: SessionUse {
                query_bytes: session.input.len(),
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
                self.reply_now(id, |out| out.extend_from_slice(&reply));
            }
            After::Close => {
                self.reply_now(id, |out| out.extend_from_slice(&reply));
                self.close_after_replies(id);
            }
            After::Control(request) => self.ask_control(id, Question::Local(request)),
            After::Command(sub) => {
                command_reply(sub, &shared.table, args, self.sessions[id].profile.protocol, &mut reply);
                self.reply_now(id, |out| out.extend_from_slice(&reply));
            }
            After::Umctl => self.ask_control(id, Question::Umctl(owned(args))),
            After::Forwarded => return self.take_forwarded(id, args),
            After::CountKeysInSlot(slot) => self.ask_control(id, Question::CountKeysInSlot(slot)),
            After::KeysInSlot { slot, count } => self.ask_control(id, Question::KeysInSlot { slot, count }),
        }
        self.pool.recycle(reply);
        Taken::Yes
    }

    /// Hands a question to the control thread; its answer keeps its place.
    fn ask_control(&mut self, id: SessionId, question: Question) {
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let place = ReplyPlace { session: id, sequence };
        let profile = session.profile.clone();
        self.actions.push(Action::Control(Box::new(Ask { place, question, profile })));
    }

    /// The control thread's answer to [`Action::Control`].
    pub fn control_replied(&mut self, place: ReplyPlace, reply: &[u8]) {
        let Some(session) = self.sessions.get(place.session) else { return };
        if place.sequence.wrapping_sub(session.head) < session.outstanding() {
            self.reply_at(place, |out| out.extend_from_slice(reply));
        }
    }
}

/// Whether what the session asked before must have been answered before this command is carried out: it decides on
/// which connection the next requests run, or speaks of the writes so far.
fn needs_earlier_replies(command: LocalCommand) -> bool {
    use LocalCommand as Local;
    matches!(command, Local::Select | Local::Hello | Local::Reset | Local::Wait | Local::Waitaof)
}

fn owned(args: Args<'_>) -> Vec<Vec<u8>> {
    args.iter().map(<[u8]>::to_vec).collect()
}
