//! What is done with one request: answered here, refused, or forwarded to the node or the proxy that its keys belong to.
//!
//! The common case never comes here: `take` sends it to its backend as it reads it.
//!
//! It stands on the whole engine, and so do the other files of this room: which part of it a request needs is what is
//! decided here.

use crate::command::{
    Args, Class, Command, CommandId, Flags, KeyPlan, LocalCommand, Merge, Reason, is_blocking_form,
    key_positions, read_only_form, runs_on_replica,
};
use crate::engine::state::buffers::Chunk;
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::Phase;
use crate::engine::{Engine, Pause};
use crate::errors;
use crate::local::needs_auth;
use crate::route::TargetIndex;
use model::Slot;

/// Whether a request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Taken {
    Yes,
    /// The session waits; the same request is looked at again afterwards.
    Later,
}

/// One request as it is handed from decision to decision.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Request<'a> {
    pub(in crate::engine) args: Args<'a>,
    /// The chunk that holds the request's bytes, and where in it they begin.
    pub(in crate::engine) origin: Option<(&'a Chunk, usize)>,
    /// How many more proxies may forward it, where another proxy has forwarded it to this one.
    pub(in crate::engine) hops: Option<u8>,
}

impl Engine {
    /// Everything that the fast path does not take.
    pub(in crate::engine) fn dispatch(&mut self, id: SessionId, request: Request<'_>) -> Taken {
        let args = request.args;
        if self.sessions[id].phase != Phase::Taking {
            return Taken::Later; // the fast path found no room
        }
        let shared = self.shared.clone();
        let command = match shared.table.resolve(args) {
            Ok(command) => command,
            // A web page made a browser send this: what follows is not to reach a command, as in Redis.
            Err(_) if is_http(args) => {
                self.stats.protocol_errors.increment();
                self.connections().close_session(id);
                return Taken::Yes;
            }
            // As in Redis, before it is asked who the client is.
            Err(unknown) => {
                self.clients().reply_now(id, |out| unknown.write(&shared.table, args, out));
                return Taken::Yes;
            }
        };
        if needs_auth(&self.sessions[id].profile, &shared.settings) && !command.flags.contains(Flags::NO_AUTH)
        {
            self.reject(id, command, |out| errors::write(out, errors::NOAUTH));
            return Taken::Yes;
        }
        if !is_never_held(command.class) && self.hold_back(id, command) {
            return Taken::Later;
        }
        if self.hold_for_owner(id, command, args) {
            return Taken::Later;
        }
        let is_everywhere = matches!(command.class, Class::FanOut(_)) && command.flags.contains(Flags::WRITE);
        if self.is_any_fenced() && is_everywhere {
            self.reject(id, command, |out| errors::write(out, errors::FENCED));
            return Taken::Yes;
        }
        match &command.class {
            Class::Local(local) => self.answer(id, command, *local, args),
            Class::Forward => match command.keys {
                KeyPlan::None => self.forward_anywhere(id, command.id, request),
                _ => self.forward_by_keys(id, command, request),
            },
            Class::ForwardAny => self.forward_anywhere(id, command.id, request),
            Class::FanOut(Merge::OneOk) => self.ask_apart(id, command, request),
            Class::FanOut(merge) => self.fan_out(id, command, *merge, request),
            Class::Refuse(reason) => {
                self.reject(id, command, |out| errors::write(out, &reason.text(&command.name)));
                Taken::Yes
            }
            Class::Container => unreachable!("resolving a command never ends at a container"),
        }
    }

    /// Answers a known command with an error instead of executing it.
    pub(super) fn reject(&mut self, id: SessionId, command: &Command, write: impl FnOnce(&mut Vec<u8>)) {
        self.stats.command(command.id).rejected.increment();
        self.clients().reply_now(id, write);
    }

    /// The session waits if a pause holds commands of this kind back.
    pub(in crate::engine) fn hold_back(&mut self, id: SessionId, command: &Command) -> bool {
        let held = self.is_paused(command);
        if held {
            self.clients().hold(id);
        }
        held
    }

    pub(in crate::engine) fn is_paused(&self, command: &Command) -> bool {
        let is_held = |pause: Pause| !pause.writes_only || may_replicate(command);
        self.pause.is_some_and(|pause| pause.until_us > self.now.us && is_held(pause))
    }

    fn forward_by_keys(&mut self, id: SessionId, command: &Command, request: Request<'_>) -> Taken {
        let args = request.args;
        if command.flags.contains(Flags::BLOCKING) && is_blocking_form(command, args) {
            self.reject(id, command, |out| errors::write(out, &Reason::Blocking.text(&command.name)));
            return Taken::Yes;
        }
        let mut positions = std::mem::take(&mut self.key_positions);
        positions.clear();
        let found = key_positions(command, args, &mut positions);
        let slot = match &found {
            Ok(()) => common_slot(args, &positions),
            Err(_) => Err(CrossSlot),
        };
        let has_keys = !positions.is_empty();
        self.key_positions = positions;
        match (found, slot) {
            // Without keys that can be told, the command fails: a node says how, to the byte.
            (Err(error), _) if error.is_for_the_node() => {
                return self.forward_anywhere(id, command.id, request);
            }
            (Err(error), _) => self.reject(id, command, |out| errors::write(out, &error.text(command))),
            (Ok(()), _) if !has_keys => return self.forward_without_keys(id, command, request),
            (Ok(()), Err(CrossSlot)) => self.reject(id, command, |out| errors::write(out, errors::CROSSSLOT)),
            (Ok(()), Ok(slot)) => return self.forward_to_slot(id, command, slot, request),
        }
        Taken::Yes
    }

    fn forward_to_slot(
        &mut self,
        id: SessionId,
        command: &Command,
        slot: Slot,
        request: Request<'_>,
    ) -> Taken {
        let runs_on_replica = runs_on_replica(command, request.args);
        let reads_copy = runs_on_replica && self.reads_copy(id, slot);
        // A script that reads no copy may write.
        let reads = reads_copy || (runs_on_replica && command.flags.contains(Flags::READONLY));
        if !reads_copy && let Some(proxy) = self.forwards_to(slot) {
            return self.forward_to_proxy(id, proxy, command.id, request);
        }
        match (self.place(id, slot, reads), read_only_form(command).filter(|_| reads_copy)) {
            (Ok(target), Some(form)) => {
                let moved = self.moved_from_here(slot);
                self.run_on_replica(id, (command, form), (target, &moved), request)
            }
            (Ok(target), None) => self.forward(id, target, command.id, request),
            (Err(()), _) => Taken::Yes,
        }
    }

    /// The local target that serves `slot` for this session; else the client has been told where it is.
    fn place(&mut self, id: SessionId, slot: Slot, reads: bool) -> Result<TargetIndex, ()> {
        self.placement(id, slot, reads).map_err(|misplaced| self.reply_misplaced(id, slot, &misplaced))
    }

    /// Forwards a request as it came to the node of `target`.
    pub(in crate::engine) fn forward(
        &mut self,
        id: SessionId,
        target: TargetIndex,
        command: CommandId,
        request: Request<'_>,
    ) -> Taken {
        if self.checks_keys_of(command) {
            return self.run_checked(id, target, command, request);
        }
        let Some(backend) = self.connections().backend_for(id, target) else { return Taken::Yes };
        if !self.sending().owe(backend, id, command, None) {
            return Taken::Later;
        }
        self.sending().send(backend, request.args.frame, request.origin);
        Taken::Yes
    }

    /// A command that any of this proxy's own nodes can answer: always the same one while it can be reached, because a
    /// script that EVAL has sent there is where EVALSHA looks for it.
    pub(super) fn forward_anywhere(
        &mut self,
        id: SessionId,
        command: CommandId,
        request: Request<'_>,
    ) -> Taken {
        let targets = self.keyless_targets(id);
        let well = targets.iter().copied().find(|&target| self.is_well(target));
        match well.or(targets.first().copied()) {
            Some(target) => self.forward(id, target, command, request),
            None => {
                self.reply_without_nodes(id);
                Taken::Yes
            }
        }
    }
}

/// What Redis may replicate though it is no write: its flag MAY_REPLICATE, of which COMMAND tells nothing.
const MAY_REPLICATE: [&str; 6] = ["eval", "evalsha", "fcall", "pfcount", "publish", "spublish"];

fn may_replicate(command: &Command) -> bool {
    command.flags.contains(Flags::WRITE) || MAY_REPLICATE.contains(&&*command.name)
}

/// The first words of a request in HTTP.
fn is_http(args: Args<'_>) -> bool {
    args.get(0).eq_ignore_ascii_case(b"POST") || args.get(0).eq_ignore_ascii_case(b"Host:")
}

/// What no pause holds back: QUIT, as in Redis, what operators say, and the wrapping of what another proxy sends, which
/// is looked into.
fn is_never_held(class: Class) -> bool {
    use LocalCommand as Local;
    matches!(class, Class::Local(Local::Quit | Local::Umctl | Local::Umforward))
}

struct CrossSlot;

fn common_slot(args: Args<'_>, positions: &[u32]) -> Result<Slot, CrossSlot> {
    let mut slots = positions.iter().map(|&position| Slot::of_key(args.get(position as usize)));
    let Some(first) = slots.next() else { return Err(CrossSlot) };
    if slots.all(|slot| slot == first) { Ok(first) } else { Err(CrossSlot) }
}
