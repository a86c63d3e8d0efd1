//! Settings of Redis servers that make trouble, as a configuration of somebody else's may have them.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::managed::service::Service;
use crate::wait::{Deadline, retry_until};

/// How long a server may take to accept a setting: it may just have been started.
const SET_LIMIT: Duration = Duration::from_secs(10);

/// Settings that make trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Connections are closed after a second without a request.
    IdleTimeout,
    /// A replica that lags by a few kilobytes is disconnected, and the backlog is too short for a partial resync.
    SmallReplicaBuffer,
    /// A primary refuses writes while it has no replica.
    NeedsReplica,
    /// A full resync begins after some seconds.
    LateSync,
    /// Every write is refused for want of memory.
    NoMemory,
}

/// A setting and its value.
type Setting = (&'static str, &'static str);

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::IdleTimeout, Self::SmallReplicaBuffer, Self::NeedsReplica, Self::LateSync, Self::NoMemory];

    /// The settings that make it, and those with which a managed cluster's servers are started.
    const fn settings(self) -> (&'static [Setting], &'static [Setting]) {
        match self {
            Self::IdleTimeout => (&[("timeout", "1")], &[("timeout", "0")]),
            // A limit below the backlog's size counts as that size.
            Self::SmallReplicaBuffer => (
                &[("repl-backlog-size", "4kb"), ("client-output-buffer-limit", "replica 4kb 4kb 1")],
                &[("repl-backlog-size", "1mb"), ("client-output-buffer-limit", "replica 256mb 64mb 60")],
            ),
            Self::NeedsReplica => (&[("min-replicas-to-write", "1")], &[("min-replicas-to-write", "0")]),
            Self::LateSync => (&[("repl-diskless-sync-delay", "4")], &[("repl-diskless-sync-delay", "0")]),
            Self::NoMemory => (&[("maxmemory", "1")], &[("maxmemory", "0")]),
        }
    }

    /// Makes it at a server.
    ///
    /// # Errors
    /// When the server does not accept the settings.
    pub(super) fn make(self, node: &Service) -> Result<()> {
        set(node, self.settings().0)
    }

    /// Ends it.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub(super) fn end(self, node: &Service) -> Result<()> {
        set(node, self.settings().1)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::IdleTimeout => "closing idle connections",
            Self::SmallReplicaBuffer => "with a small buffer for replicas",
            Self::NeedsReplica => "taking writes only with a replica",
            Self::LateSync => "resyncing late",
            Self::NoMemory => "without memory for writes",
        })
    }
}

/// Gives a server settings.
///
/// # Errors
/// When it does not accept them in time.
pub(super) fn set(node: &Service, settings: &[Setting]) -> Result<()> {
    let mut words: Vec<&[u8]> = vec![b"CONFIG", b"SET"];
    words.extend(settings.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    retry_until(Deadline::within(SET_LIMIT), &format!("{} takes settings", node.name()), || {
        let reply = node.connect()?.call(&words)?;
        ensure!(reply.error().is_none(), "{reply:?}");
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed::service::{Place, Recipe};

    #[test]
    fn a_server_takes_each_and_goes_back() {
        let directory = tempfile::tempdir().unwrap();
        let node = Service::start("node", directory.path(), &Place::default(), |address, _| {
            let program = crate::binary::on_path("redis-server")?;
            let arguments = ["--port".to_owned(), address.port().to_string()];
            Ok(Recipe { program, arguments: arguments.into(), ..Recipe::default() })
        });
        let mut node = node.unwrap();
        node.wait_answering().unwrap();
        for trouble in Trouble::ALL {
            trouble.make(&node).unwrap();
            let write = node.connect().unwrap().say("SET a 1").unwrap();
            let wanted = match trouble {
                Trouble::NeedsReplica => Some("NOREPLICAS"),
                Trouble::NoMemory => Some("OOM"),
                _ => None,
            };
            let code = write.error().map(|text| text.split(' ').next().unwrap_or_default().to_owned());
            assert_eq!(code.as_deref(), wanted, "{trouble}");
            trouble.end(&node).unwrap();
            node.connect().unwrap().say("SET a 1").unwrap().expect_ok().unwrap();
        }
    }
}
