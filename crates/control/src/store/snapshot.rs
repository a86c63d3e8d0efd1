//! The metadata at one point of its history.

use control_core::State;

use super::contract::HeadMark;
use super::history::{HistoryId, Mark};

/// The metadata at one point of its history.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What `change` counts in.
    pub history: HistoryId,
    /// The number of the last change in it; 0 if there was none.
    pub change: u64,
    /// The metadata.
    pub state: State,
    /// That change, as the store names it.
    pub(super) head: HeadMark,
}

impl Snapshot {
    /// Where in the history it is.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark { history: self.history, change: self.change }
    }

    /// Whether it holds what is not known at `mark`.
    #[must_use]
    pub fn is_news(&self, mark: Mark) -> bool {
        self.history != mark.history || self.change > mark.change
    }
}
