//! Why a request cannot be served here, before its client is told.

use model::Address;

/// Why a slot is not served here for a session.
#[derive(Debug)]
pub(in crate::engine) enum Misplaced {
    /// The proxy has no view.
    NoView,
    /// Another may be the primary by now.
    Fenced,
    /// It is served there.
    Elsewhere(Box<Address>),
    /// Nobody serves it.
    Nowhere,
    /// Its node cannot be reached.
    Unreachable(Box<Address>),
}
