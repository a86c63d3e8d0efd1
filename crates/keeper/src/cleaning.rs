//! UMCTL CLEAN: emptying the nodes of a proxy that has left its cluster, so that the next cluster never reads what
//! the last one left behind.
//!
//! One at a time, and no metadata is accepted meanwhile: an order that is carried out late would empty the nodes of the
//! next cluster. This was possible:
//! ```text
//!   coordinator A: CLEAN ─ checked ───────────────────────────── nodes emptied
//!   coordinator B: CLEAN ─ checked ─ emptied ─ OK ─ new view, clients write ─┘
//! ```

use model::{Address, Epoch};

use crate::metadata::Metadata;
use crate::port::{Action, Answer, Caller};
use crate::turn::Turn;

/// Who waits for the nodes to be empty.
#[derive(Debug, Default)]
pub(crate) struct Cleaning {
    waiting: Vec<Caller>,
}

impl Cleaning {
    /// Whether the nodes are being emptied.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Empties the nodes, if the empty view of that epoch is in force. Answered when they are empty.
    pub(crate) fn begin(&mut self, caller: Caller, epoch: Epoch, metadata: &Metadata, turn: &mut Turn) {
        // What is in force decides, and so does what has been accepted: a view that is on its way is a cluster's.
        // Newer roles are a cluster's as well: its view follows them.
        let has_newer_roles = metadata.accepted_roles_epoch() > epoch;
        let is_empty = !metadata.is_ready() && metadata.view().is_none() && metadata.epoch() == epoch;
        if !is_empty || has_newer_roles {
            return turn.actions.push(Action::Answer { caller, answer: Answer::NotEmptyView });
        }
        self.waiting.push(caller);
        if self.waiting.len() == 1 {
            let roles = metadata.roles().map_or(&[][..], |roles| &roles.roles);
            turn.actions.push(Action::Clean { nodes: roles.iter().map(|role| role.node.clone()).collect() });
        }
    }

    /// The nodes are empty, or one could not be emptied.
    pub(crate) fn end(&mut self, outcome: &Result<(), (Address, String)>, turn: &mut Turn) {
        let answer = || match outcome {
            Ok(()) => Answer::Done,
            Err((node, reason)) => Answer::NotCleaned { node: node.clone(), reason: reason.clone() },
        };
        turn.actions.extend(self.waiting.drain(..).map(|caller| Action::Answer { caller, answer: answer() }));
    }
}
