//! How many files and sockets this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a proxy needs beside its clients' sockets: backends of every worker, listeners, logs.
const RESERVED: u64 = 1024;

/// Raises the limit to what the system allows, and says in the log when that is too little for `clients`.
pub fn allow(clients: u64) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    let wanted = clients + RESERVED;
    if limit < wanted {
        tracing::warn!(
            limit,
            wanted,
            "open files are limited to fewer than maxclients needs: raise `ulimit -n`"
        );
    }
}
