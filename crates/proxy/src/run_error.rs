//! Why a proxy could not run.

use std::io;
use std::net::SocketAddr;

/// Why a proxy could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address is taken, or not one of this host.
    #[error("cannot listen on {0}: {1}; choose another `address`, or stop what listens there")]
    Listen(SocketAddr, io::Error),
    /// The operating system refused something.
    #[error("{0} failed: {1}")]
    System(&'static str, io::Error),
}

impl RunError {
    /// For `map_err`: the system refused `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
        move |error| RunError::System(what, error)
    }
}
