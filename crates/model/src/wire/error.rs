//! What can be wrong with a UMCTL command, and where.

use std::fmt;

use crate::config::ConfigError;
use crate::view::ViewError;

/// A UMCTL command that cannot be accepted as it stands. The writer's fault; do not retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct MetaError {
    /// Where it is.
    pub place: MetaPlace,
    /// What is wrong.
    pub fault: MetaFault,
}

/// Where in a UMCTL command a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaPlace {
    /// An argument, counted from 1 after the subcommand's own name.
    Argument(usize),
    /// Inside the compressed payload.
    Payload,
}

impl fmt::Display for MetaPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "argument {number}"),
            Self::Payload => f.write_str("compressed payload"),
        }
    }
}

/// What is wrong with a UMCTL command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaFault {
    /// The arguments end too early.
    #[error("{expected} is missing")]
    Missing {
        /// What should have come.
        expected: &'static str,
    },
    /// The argument is not what belongs there.
    #[error("expected {expected}, got '{got}'")]
    Wrong {
        /// What should have come.
        expected: &'static str,
        /// What came, made printable and cut.
        got: String,
    },
    /// The slots contradict each other.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A setting has a value that it cannot take.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A node has two roles.
    #[error("node {0} is listed twice")]
    NodeTwice(crate::Address),
    /// A replica has nothing to replicate.
    #[error("replica {0} has no peer to replicate")]
    ReplicaWithoutPeer(crate::Address),
    /// A node would replicate itself.
    #[error("node {0} is its own peer")]
    OwnPeer(crate::Address),
    /// The payload is not base64, not gzip or not the JSON that belongs there; or it is too large.
    #[error("{0}")]
    Payload(String),
}

impl MetaFault {
    pub(super) fn at(self, place: MetaPlace) -> MetaError {
        MetaError { place, fault: self }
    }
}
