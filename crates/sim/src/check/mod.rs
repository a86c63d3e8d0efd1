//! What must hold in every world, each in a file of its own, and what is known of all writes.

mod flapping;
mod lease;
mod no_loss;
mod one_writer;
mod writes;

use control_core::{Command, State};
use model::Slot;

use crate::clock::TrueUs;
use crate::node::Node;
use crate::proxy::WriteOutcome;
use crate::violation::Violation;

use writes::Writes;

/// All checkers of one world.
#[derive(Debug)]
pub struct Checks {
    /// What is known of each write.
    pub(crate) writes: Writes,
    /// When something was broken or mended last.
    pub(crate) disturbed: TrueUs,
    one_writer: one_writer::OneWriter,
    flapping: flapping::Flapping,
    found: Option<Violation>,
    story: Vec<String>,
    changes: usize,
}

impl Checks {
    /// Of a world with these shards.
    #[must_use]
    pub(crate) fn new(slots: &[Slot]) -> Self {
        Self {
            writes: Writes::default(),
            disturbed: 0,
            one_writer: one_writer::OneWriter::new(slots.len()),
            flapping: flapping::Flapping::default(),
            found: None,
            story: Vec::new(),
            changes: 0,
        }
    }

    /// Whether everything has held until now.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        self.found.is_none()
    }

    /// What does not hold.
    #[must_use]
    pub const fn found(&self) -> Option<&Violation> {
        self.found.as_ref()
    }

    /// Something is broken or mended.
    pub(crate) fn disturb(&mut self, what: String, now: TrueUs) {
        self.disturbed = now;
        self.flapping.disturbed();
        self.story.push(what);
    }

    /// A client's write has come to an end. `is_lease_owed`: nothing that is wrong explains that the proxy has no lease.
    pub(crate) fn wrote(&mut self, outcome: &WriteOutcome, is_lease_owed: bool, now: TrueUs) {
        let found = match outcome {
            WriteOutcome::Acknowledged { write, epoch, node } => {
                let shard = self.writes.acknowledged(*write);
                self.one_writer.acknowledged(shard, *epoch, node, now)
            }
            WriteOutcome::Fenced { shard } => lease::refused(*shard, is_lease_owed, now),
        };
        self.note(found);
    }

    /// The metadata have changed.
    pub(crate) fn committed(
        &mut self,
        command: &Command,
        states: (&State, &State),
        nodes: &[Node],
        now: TrueUs,
    ) {
        self.changes += 1;
        self.story.push(format!("{} ms {command:?}", now / 1000));
        let found = no_loss::promoted(command, states, nodes, &self.writes, now);
        let found = found.or_else(|| self.flapping.committed(now - self.disturbed, now));
        self.note(found);
    }

    /// This node is the primary of a shard at the end.
    pub(crate) fn has_all(&mut self, shard: usize, primary: &Node, now: TrueUs) {
        self.note(no_loss::at_the_end(shard, primary, &self.writes, now));
    }

    /// How often the metadata were changed until now.
    #[must_use]
    pub(crate) const fn changes(&self) -> usize {
        self.changes
    }

    /// Notes what a checker has found.
    pub(crate) fn note(&mut self, found: Option<Violation>) {
        if self.found.is_none() {
            self.found = found;
        }
    }

    /// What has happened lately, for a person.
    #[must_use]
    pub fn picture(&self) -> String {
        let from = self.story.len().saturating_sub(150);
        format!("found: {:?}\n{}\n", self.found, self.story[from..].join("\n"))
    }
}
