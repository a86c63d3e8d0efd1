//! Names that are only names: of hosts and of those who report failures.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure domain: what fails together. Usually a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(pub String);

/// The longest name of a failure domain, as DNS has it for hosts.
pub(crate) const HOST_NAME_BYTES_MAX: usize = 253;

impl HostName {
    /// Whether it can stand in a table and in a log: 1 to 253 bytes, without control characters and spaces.
    #[must_use]
    pub(crate) fn is_fit(&self) -> bool {
        let is_bad = |letter: char| letter.is_control() || letter.is_whitespace();
        !self.0.is_empty() && self.0.len() <= HOST_NAME_BYTES_MAX && !self.0.chars().any(is_bad)
    }
}

/// Who reports a failure: one coordinator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReporterId(pub String);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ReporterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
