//! Commands as an operator gives them, who has seen nothing that a coordinator notes.

use model::{Address, ClusterName};

use super::Command;
use crate::time::TimeMs;

impl Command {
    /// Makes the replica the primary by an operator's order, without a fence, and with nothing for the record.
    #[must_use]
    pub const fn fail_over_unfenced(
        cluster: ClusterName,
        primary: Address,
        force: bool,
        now: TimeMs,
    ) -> Self {
        Self::FailOverShard {
            cluster,
            primary,
            fence: None,
            force,
            behind_bytes: None,
            empty_primary: None,
            process: None,
            stopped: None,
            now,
        }
    }
}
