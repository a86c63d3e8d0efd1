//! How many files and sockets this process may have open.
//!
//! It must not decide what a process does with them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a process needs beside the connections that it is asked to make room for.
const RESERVED: u64 = 1024;

/// Raises the limit to what the system allows, and says in the log when that is too little for `connections`.
pub fn allow(connections: u64) {
    raise();
    let Some(limit) = limit() else { return };
    let wanted = connections + RESERVED;
    if limit < wanted {
        tracing::warn!(limit, wanted, "open files are limited to fewer than needed: raise `ulimit -n`");
    }
}

/// Raises the limit to what the system allows.
pub fn raise() {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// How many files and sockets this process may have open now: no descriptor has this number or a higher one. `None` where
/// there is no limit.
#[must_use]
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
