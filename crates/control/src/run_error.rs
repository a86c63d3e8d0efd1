//! Why a part of the control plane could not run.

use std::io;
use std::net::SocketAddr;

use crate::store::{ChangeError, StoreError};

/// Why a broker could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address is taken, or not one of this host.
    #[error("cannot listen on {0}: {1}; choose another `address`, or stop what listens there")]
    Listen(SocketAddr, io::Error),
    /// The operating system refused something.
    #[error("{0} failed: {1}")]
    System(&'static str, io::Error),
    /// The store cannot be opened.
    #[error("the metadata cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The settings could not be put into the store.
    #[error("the settings could not be stored: {0}")]
    Settings(#[from] ChangeError),
    /// A file that a setting names cannot be read.
    #[error("the file `{path}` that `{setting}` names cannot be read: {error}")]
    Pem {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("`tls_certificate` and `tls_key` cannot be used: {0}")]
    Tls(String),
}

impl RunError {
    /// For `map_err`: the system refused `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System(what, error)
    }
}
