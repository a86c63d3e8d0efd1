//! The metadata comes to rest when nothing changes outside, whatever is still broken.

use crate::clock::TrueUs;
use crate::violation::{Invariant, Violation};

/// So long after the last fault what follows from it should be over, for the most part.
const SETTLED_US: TrueUs = 8_000_000;
/// How many changes may come after that, in each window of this length.
const WINDOW_US: TrueUs = 5_000_000;
const CHANGES_MAX: usize = 25;

/// The changes since something was broken or mended.
#[derive(Debug, Default)]
pub(crate) struct Flapping(Vec<TrueUs>);

impl Flapping {
    /// Something is broken or mended.
    pub(crate) fn disturbed(&mut self) {
        self.0.clear();
    }

    /// The metadata have changed, so long after that.
    pub(crate) fn committed(&mut self, after: TrueUs, now: TrueUs) -> Option<Violation> {
        if after < SETTLED_US {
            return None;
        }
        self.0.retain(|at| now - at < WINDOW_US);
        self.0.push(now);
        let what = || {
            format!("{} changes within {} s, and nothing has happened", self.0.len(), WINDOW_US / 1_000_000)
        };
        (self.0.len() > CHANGES_MAX).then(|| Violation {
            invariant: Invariant::NoFlapping,
            at: now,
            what: what(),
        })
    }
}
