//! What an operator sets for the whole metadata store.

use std::fmt;

use serde::{Deserialize, Serialize};

const FAILURE_TTL_DEFAULT_MS: u64 = 60_000;
const FAILURE_QUORUM_DEFAULT: usize = 1;
const MIGRATION_LIMIT_DEFAULT: usize = 2;

/// Settings of the metadata store. They are part of the state because what a command does depends on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSettings {
    /// How long a failure report counts, in milliseconds.
    pub failure_ttl_ms: u64,
    /// How many reporters make a failure.
    pub failure_quorum: usize,
    /// How many migrations one proxy takes part in at a time; 0 is no limit.
    pub migration_limit: usize,
    /// Chunks by index, failover changes roles only, one cluster: for a Kubernetes StatefulSet.
    pub ordered_proxies: bool,
    /// What becomes of a primary that came back with less than its replica may have.
    #[serde(default, skip_serializing_if = "RestartedPrimary::is_usual")]
    pub restarted_primary: RestartedPrimary,
}

/// What becomes of a primary that came back with less than its replica may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestartedPrimary {
    /// Its replica takes over where that is seen to have data and the primary has none; else an operator decides.
    #[default]
    Waits,
    /// It serves with what it has, and its replica loses what only that had.
    Serves,
}

impl RestartedPrimary {
    /// Nothing is written then, because earlier versions read no record with a field that they do not know.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// As the setting of brokers says it.
impl fmt::Display for RestartedPrimary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Waits => "wait",
            Self::Serves => "serve",
        })
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            failure_ttl_ms: FAILURE_TTL_DEFAULT_MS,
            failure_quorum: FAILURE_QUORUM_DEFAULT,
            migration_limit: MIGRATION_LIMIT_DEFAULT,
            ordered_proxies: false,
            restarted_primary: RestartedPrimary::Waits,
        }
    }
}
