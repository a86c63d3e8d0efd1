//! What an idle connection costs in memory, on a process that was started for it: memory that an earlier
//! load has left behind would hide the growth. It must never reuse a process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::load::data;
use crate::report::Idle;
use crate::targets::Target;
use crate::usage::resident_kib;
use crate::wire::{Connection, Reply};

/// Files that a process needs beside its connections.
const FILES_MARGIN: u64 = 512;
/// Files that a run asks for.
const FILES_WANTED: u64 = 1 << 15;
/// Memory counts as settled when this many looks in a row found the same.
const LOOKS_SAME: u32 = 5;
/// Time between two looks: a server may give back buffers a little after the last request.
const LOOK_PAUSE: Duration = Duration::from_millis(40);
/// How long to wait for that before the figure is taken as it is.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// Opens `few`, then `many` connections that do one GET each, and looks at the memory both times.
///
/// # Errors
/// When a connection is refused or its GET fails.
pub fn measure(target: &Target, few: usize, many: usize) -> anyhow::Result<Idle> {
    let mut connections = Vec::with_capacity(many);
    let mut grow = |count: usize| -> anyhow::Result<u64> {
        while connections.len() < count {
            let number = connections.len();
            let mut connection = Connection::open(target.port)?;
            let reply = connection.call(&[b"GET", &data::key(0)])?;
            ensure!(matches!(reply, Reply::Bulk(Some(_))), "connection {number}: GET answered {reply:?}");
            connections.push(connection);
        }
        settled_kib(target.pid)
    };
    let few_kib = grow(few)?;
    let many_kib = grow(many)?;
    Ok(Idle { few, many, few_kib, many_kib })
}

/// Raises the limit of open files, for this process and what it starts, and says what it is now.
#[must_use]
pub fn raise_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let wanted = FILES_WANTED.max(limit.current.unwrap_or(0));
    // Raising the hard limit takes a privilege; without it the soft one goes as far as it may.
    let lifted = Rlimit { current: Some(wanted), maximum: Some(hard.max(wanted)) };
    if setrlimit(Resource::Nofile, lifted).is_err() {
        let _ =
            setrlimit(Resource::Nofile, Rlimit { current: Some(hard.min(wanted)), maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Fails unless that many connections fit into the limit of open files.
///
/// # Errors
/// When they do not.
pub fn check_files_limit(limit: u64, connections: usize) -> anyhow::Result<()> {
    let needed = connections as u64 + FILES_MARGIN;
    ensure!(limit >= needed, "the limit of open files is {limit}, {needed} are needed (ulimit -n)");
    Ok(())
}

fn settled_kib(pid: u32) -> anyhow::Result<u64> {
    let begin = Instant::now();
    let mut last = resident_kib(pid).context("measuring memory")?;
    let mut same = 0;
    while same < LOOKS_SAME && begin.elapsed() < SETTLE_LIMIT {
        std::thread::sleep(LOOK_PAUSE);
        let now = resident_kib(pid)?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_limit() {
        assert!(check_files_limit(1024, 500).is_ok());
        assert!(check_files_limit(1024, 1000).is_err());
        let limit = raise_files_limit();
        assert_eq!(limit, raise_files_limit(), "asking twice changes nothing");
    }
}
