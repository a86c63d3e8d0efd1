//! What a session at the replica face gets: reads of the slots that this proxy copies, in READONLY mode; MOVED to the
//! primary face for all else with keys; and for what has no keys, its replicas.
//!
//! Nothing that writes goes to a node from here. A node may have let go of its primary already, to become one itself,
//! and would take the write.

use model::Slot;
use resp::encode;

use crate::command::{
    Command, Flags, Merge, empty_reply, read_only_form, runs_on_replica, says_that_it_reads,
};
use crate::engine::Engine;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::state::backend::Part;
use crate::engine::state::gather::{Gather, Kind};
use crate::engine::state::ids::SessionId;
use crate::engine::state::misplaced::Misplaced;
use crate::engine::state::order::ReplySlot;
use crate::errors;
use crate::face::Face;
use crate::route::{Target, TargetIndex};

impl Engine {
    /// The local target that serves `slot` for a session at the replica face. `reads`: the session is in READONLY mode,
    /// and a replica may execute the command.
    pub(super) fn placement_at_replica_face(
        &self,
        slot: Slot,
        reads: bool,
    ) -> Result<TargetIndex, Misplaced> {
        let shared = &self.shared;
        let view = shared.view.as_deref().ok_or(Misplaced::NoView)?;
        if let Some(copy) = view.routes.copy(slot).filter(|_| reads) {
            return Ok(copy);
        }
        match view.routes.target_of(slot) {
            // Who asked for requests to be forwarded gets no MOVED; the owner is here.
            Target::Local(node) if shared.settings.active_redirection && !self.is_fenced(node) => {
                Ok(view.routes.owner(slot))
            }
            Target::Local(_) => Err(Misplaced::Elsewhere(Box::new(shared.settings.announce_address.clone()))),
            Target::Peer(address) => Err(Misplaced::Elsewhere(Box::new(address.clone()))),
            Target::Nowhere | Target::Held => Err(Misplaced::Nowhere),
        }
    }

    /// Whether a replica beside this proxy serves `slot` for this session, if the command is none that writes.
    pub(super) fn reads_copy(&self, id: SessionId, slot: Slot) -> bool {
        let profile = &self.sessions[id].profile;
        let Some(view) = self.shared.view.as_deref().filter(|_| profile.readonly) else { return false };
        match profile.face {
            Face::Replica => view.routes.copy(slot).is_some(),
            Face::Primary => view.routes.reader(slot) != view.routes.owner(slot),
        }
    }

    /// Sends a command that runs a script to a replica, in its read-only form. `(target, refused)`: the replica, and
    /// what the client gets if the script declares that it writes.
    pub(super) fn run_on_replica(
        &mut self,
        id: SessionId,
        (command, form): (&Command, &str),
        (target, refused): (TargetIndex, &[u8]),
        request: Request<'_>,
    ) -> Taken {
        let checks_keys = self.checks_keys_of(command.id);
        let backend = if checks_keys {
            self.script_backend(id, target, command.id, request.args)
        } else {
            self.connections().backend_for(id, target).ok_or(Taken::Yes)
        };
        let backend = match backend {
            Ok(backend) => backend,
            Err(taken) => return taken,
        };
        if !self.sending().owe(backend, id, command.id, Some(Part::new(0))) {
            return Taken::Later;
        }
        let mut frame = self.pool.buffer();
        encode::array(&mut frame, request.args.len());
        encode::bulk(&mut frame, form.as_bytes());
        request.args.skip(1).iter().for_each(|arg| encode::bulk(&mut frame, arg));
        self.sending().send(backend, &frame, None);
        self.pool.recycle(frame);
        let session = &mut self.sessions[id];
        let sequence = session.take_sequence();
        let said_reads = says_that_it_reads(command, request.args);
        let gather = Gather::new(Kind::Script { said_reads }, session.profile.protocol, 2);
        *session.reply_slot(sequence) = ReplySlot::Gather(Box::new(gather));
        self.clients().deliver_part(id, sequence, Part::new(1), refused);
        if checks_keys {
            self.dismiss_script_user(id, backend);
        }
        Taken::Yes
    }

    /// The redirection to the owner of `slot` for a session that was served by a replica.
    pub(super) fn moved_from_here(&self, slot: Slot) -> Vec<u8> {
        let mut moved = Vec::new();
        match self.shared.view.as_deref().map(|view| view.routes.target_of(slot)) {
            Some(Target::Peer(owner)) => errors::moved(&mut moved, slot, owner),
            Some(Target::Local(_)) => {
                errors::moved(&mut moved, slot, &self.shared.settings.announce_address);
            }
            Some(Target::Nowhere | Target::Held) | None => {
                errors::write(&mut moved, errors::SLOT_NOT_SERVED);
            }
        }
        moved
    }

    /// A command that may have keys, and has none.
    pub(super) fn forward_without_keys(
        &mut self,
        id: SessionId,
        command: &Command,
        request: Request<'_>,
    ) -> Taken {
        let face = self.sessions[id].profile.face;
        let view = self.shared.view.as_deref();
        if face == Face::Primary && view.is_none_or(|view| view.routes.has_data(face)) {
            return self.forward_anywhere(id, command.id, request);
        }
        let mut refused = Vec::new();
        errors::write(&mut refused, errors::READONLY_REPLICA);
        if !runs_on_replica(command, request.args) {
            self.reject(id, command, |out| out.extend_from_slice(&refused));
            return Taken::Yes;
        }
        match (read_only_form(command), self.keyless_targets(id).first().copied()) {
            (Some(form), Some(target)) => {
                self.run_on_replica(id, (command, form), (target, &refused), request)
            }
            _ => self.forward_anywhere(id, command.id, request),
        }
    }

    /// The nodes that a command without a key goes to: what the face of the session stands for.
    pub(super) fn keyless_targets(&self, id: SessionId) -> Vec<TargetIndex> {
        match (self.sessions[id].profile.face, self.shared.view.as_deref()) {
            (Face::Replica, Some(view)) => view.routes.replicas().to_vec(),
            _ => self.nodes.primaries().to_vec(),
        }
    }

    /// Answers a command without a key, where no node is to be asked: a look at the data of a face that has none, or a
    /// write where there are only replicas. False where nodes have to be asked.
    pub(super) fn answer_without_nodes(&mut self, id: SessionId, command: &Command, kind: Merge) -> bool {
        let profile = &self.sessions[id].profile;
        let (face, protocol) = (profile.face, profile.protocol);
        let Some(has_data) = self.shared.view.as_deref().map(|view| view.routes.has_data(face)) else {
            return false;
        };
        let empty = if has_data { None } else { empty_reply(&command.name, kind, protocol) };
        if let Some(empty) = empty {
            self.stats.command(command.id).calls.increment();
            self.clients().reply_now(id, |out| out.extend_from_slice(&empty));
            return true;
        }
        let is_refused = command.flags.contains(Flags::WRITE) && (face == Face::Replica || !has_data);
        if is_refused {
            self.reject(id, command, |out| errors::write(out, errors::READONLY_REPLICA));
        }
        is_refused
    }

    /// No node is there for a command without a key.
    pub(super) fn reply_without_nodes(&mut self, id: SessionId) {
        let face = self.sessions[id].profile.face;
        let has_lost_copies = face == Face::Replica && self.shared.view.is_some();
        let error = if has_lost_copies { errors::NO_COPIES } else { errors::CLUSTER_NOT_FOUND };
        self.clients().reply_now(id, |out| errors::write(out, error));
    }
}
