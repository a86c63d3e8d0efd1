//! Why a node did not say how it is.

/// Why a visit brought nothing. The text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VisitFault {
    /// Nobody listens there, the connection ended, or what came is of no use: waiting does not help.
    #[error("{0}")]
    Failed(String),
    /// Nothing came in time: it may be busy.
    #[error("{0}")]
    Silent(String),
    /// It says itself that it is busy (`-BUSY`).
    #[error("{0}")]
    Busy(String),
}
