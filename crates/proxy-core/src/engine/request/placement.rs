//! Where a slot is served for a session, and what a client is told that asks in the wrong place.

use model::Slot;

use crate::engine::Engine;
use crate::engine::state::ids::SessionId;
use crate::engine::state::misplaced::Misplaced;
use crate::errors;
use crate::face::Face;
use crate::route::{Target, TargetIndex};

impl Engine {
    /// The local target that serves `slot` for this session.
    #[inline]
    pub(in crate::engine) fn placement(
        &self,
        id: SessionId,
        slot: Slot,
        reads: bool,
    ) -> Result<TargetIndex, Misplaced> {
        let view = self.shared.view.as_deref().ok_or(Misplaced::NoView)?;
        let profile = &self.sessions[id].profile;
        let reads = reads && profile.readonly;
        if profile.face == Face::Replica {
            return self.placement_at_replica_face(slot, reads);
        }
        let target = if reads { view.routes.reader(slot) } else { view.routes.owner(slot) };
        match &view.routes.targets()[target as usize] {
            // Who has asked for READONLY takes what may be old.
            Target::Local(node) if self.is_fenced(node) && !reads => Err(Misplaced::Fenced),
            Target::Local(_) => Ok(target),
            Target::Peer(address) => Err(Misplaced::Elsewhere(Box::new(address.clone()))),
            Target::Nowhere | Target::Held => Err(Misplaced::Nowhere),
        }
    }

    /// Tells the client.
    pub(in crate::engine) fn reply_misplaced(&mut self, id: SessionId, slot: Slot, misplaced: &Misplaced) {
        let shared = self.shared.clone();
        self.clients().reply_now(id, |out| match misplaced {
            Misplaced::NoView => match &shared.settings.default_redirection_address {
                Some(address) => errors::moved(out, slot, address),
                None => errors::write(out, errors::CLUSTER_NOT_FOUND),
            },
            Misplaced::Fenced => errors::write(out, errors::FENCED),
            Misplaced::Elsewhere(address) => errors::moved(out, slot, address),
            Misplaced::Nowhere => errors::write(out, errors::SLOT_NOT_SERVED),
            Misplaced::Unreachable(address) => errors::backend_unreachable(out, address),
        });
    }
}
