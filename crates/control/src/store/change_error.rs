//! Why a change of the metadata was not made.

use control_core::ApplyError;

/// Why a change was not made, or not surely.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The metadata refuses it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] ApplyError),
    /// Too many others change the metadata; nothing was changed. Retry.
    #[error("others keep changing the metadata; retry")]
    Conflict,
    /// Too many changes wait; nothing was changed. Retry later.
    #[error("too many changes wait for the store; retry later")]
    Busy,
    /// The store cannot be used; nothing was changed. Retry later.
    #[error("{0}")]
    Unavailable(String),
    /// The store was lost while it was asked: look before you retry.
    #[error("{0}")]
    Unknown(String),
}
