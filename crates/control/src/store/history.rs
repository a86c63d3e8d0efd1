//! Which history of the metadata a change's number belongs to.
//!
//! Numbers of changes only grow within one history. A new one begins with an empty store, with a restored dump and
//! with a recovery of epochs; the embedded store, whose file may have been put back from a copy, begins one with
//! each start. So a reader that knows `(history, change)` is never told that nothing is new when everything is.

use std::fmt;
use std::str::FromStr;

use control_core::Command;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

/// A history of the metadata, by a random number. 0 is that of a store which holds nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HistoryId(u64);

/// A point of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The history.
    pub history: HistoryId,
    /// The number of the last change; 0 if there was none.
    pub change: u64,
}

/// What is not the text of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a history is named by 1 to 16 hex digits")]
pub struct HistoryError;

impl HistoryId {
    /// One that nobody has seen.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::rng().random_range(1..=u64::MAX))
    }
}

impl fmt::Display for HistoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for HistoryId {
    type Err = HistoryError;

    fn from_str(text: &str) -> Result<Self, HistoryError> {
        // from_str_radix would take a sign, too.
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_hex).map(Self).ok_or(HistoryError)
    }
}

/// Whether a command, once it is done, makes what was known before worthless.
pub(super) const fn begins_history(command: &Command) -> bool {
    matches!(command, Command::Restore(_) | Command::RecoverEpoch { .. })
}
