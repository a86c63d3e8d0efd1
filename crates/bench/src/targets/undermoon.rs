//! Starts this project's proxy in front of one Redis and gives it all slots.
//! It must never set an option that a user would not have, except the one that a case is about.

use std::path::Path;

use anyhow::ensure;

use super::place::{CLIENTS_MAX, Place, READY_LIMIT, until_answering};
use crate::child::{self, Child};
use crate::wire::{Connection, Reply};

/// What the names of the settings in the environment begin with.
const SETTING_PREFIX: &str = "UNDERMOON_";

/// Starts `undermoon proxy` on a free port; it owns all slots and answers when this returns.
pub(super) fn start(
    program: &Path,
    place: &Place<'_>,
    workers: usize,
    batching: bool,
) -> anyhow::Result<(Child, u16)> {
    let port = child::free_port()?;
    let mut command = child::command(place.cores, program);
    command.arg("proxy");
    // What happens to be in the environment of this run must not change what is measured.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(SETTING_PREFIX) {
            command.env_remove(name);
        }
    }
    command.env("UNDERMOON_ADDRESS", format!("127.0.0.1:{port}"));
    command.env("UNDERMOON_THREAD_NUMBER", workers.to_string());
    command.env("UNDERMOON_MAXCLIENTS", CLIENTS_MAX.to_string());
    if !batching {
        command.env("UNDERMOON_BATCHING", "off");
    }
    let mut child = Child::start(command, &format!("{}-{port}", place.name), place.folder)?;
    child.wait_until(READY_LIMIT, || give_all_slots(port, place.backend_port))?;
    until_answering(&mut child, port)?;
    Ok((child, port))
}

fn give_all_slots(port: u16, backend_port: u16) -> anyhow::Result<()> {
    let node = format!("127.0.0.1:{backend_port}");
    let words = ["UMCTL", "SETCLUSTER", "v2", "1", "NOFLAGS", "bench", &node, "1", "0-16383"];
    let reply = Connection::open(port)?.call(&words.map(str::as_bytes))?;
    ensure!(reply == Reply::Simple("OK".to_owned()), "UMCTL SETCLUSTER answered {reply:?}");
    Ok(())
}
