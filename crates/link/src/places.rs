//! Where a server is: the addresses that its name stands for.

use std::net::SocketAddr;

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use crate::LinkError;

/// The addresses of one server, at least one of them, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<SocketAddr>);

impl Places {
    /// The addresses that a host's name, or its address as text, stands for, with this port; looked for until `deadline`.
    ///
    /// # Errors
    /// [`LinkError::Unresolved`], [`LinkError::TimedOut`].
    pub async fn of(host: &str, port: u16, deadline: Instant) -> Result<Self, LinkError> {
        let unresolved = |source| LinkError::Unresolved { host: host.to_owned(), source };
        let begun = Instant::now();
        let found = timeout_at(deadline, lookup_host((host, port))).await;
        let found = found.map_err(|_| LinkError::TimedOut(deadline.saturating_duration_since(begun)))?;
        let places: Vec<SocketAddr> = found.map_err(unresolved)?.collect();
        if places.is_empty() {
            return Err(unresolved(std::io::Error::other("it has no address")));
        }
        Ok(Self(places))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().copied()
    }
}
