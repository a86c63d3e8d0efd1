//! Starts this project's proxy in front of one Redis and gives it all slots.
//! It must never set an option that a user would not have, except the one that a case is about.

use std::path::Path;

use anyhow::ensure;

use super::place::{CLIENTS_MAX, Place, READY_LIMIT, Started, until_answering};
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
    let workers = workers.to_string();
    let mut settings = vec![("THREAD_NUMBER", workers.as_str())];
    if !batching {
        settings.push(("BATCHING", "off"));
    }
    let node = format!("127.0.0.1:{}", place.backend_port);
    start_with(program, place, &settings, &[&node, "1", "0-16383"])
}

/// Starts two, of which the one that clients ask passes every request on to the other, which owns all slots.
pub(super) fn start_forwarding(program: &Path, place: &Place<'_>) -> anyhow::Result<Started> {
    let (owner, owner_port) = start(program, place, 1, true)?;
    let settings = [("THREAD_NUMBER", "1"), ("ACTIVE_REDIRECTION", "true")];
    let peer = format!("127.0.0.1:{owner_port}");
    let (front, port) = start_with(program, place, &settings, &["PEER", &peer, "1", "0-16383"])?;
    Ok(Started { port, children: vec![front, owner] })
}

/// Starts one with settings, by their names in the environment without the prefix, and the slots of its view.
fn start_with(
    program: &Path,
    place: &Place<'_>,
    settings: &[(&str, &str)],
    slots: &[&str],
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
    command.env("UNDERMOON_MAXCLIENTS", CLIENTS_MAX.to_string());
    for (name, value) in settings {
        command.env(format!("{SETTING_PREFIX}{name}"), value);
    }
    let mut child = Child::start(command, &format!("{}-{port}", place.name), place.folder)?;
    child.wait_until(READY_LIMIT, || set_cluster(port, slots))?;
    until_answering(&mut child, port)?;
    Ok((child, port))
}

fn set_cluster(port: u16, slots: &[&str]) -> anyhow::Result<()> {
    let words = [&["UMCTL", "SETCLUSTER", "v2", "1", "NOFLAGS", "bench"], slots].concat();
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let reply = Connection::open(port)?.call(&words)?;
    ensure!(reply == Reply::Simple("OK".to_owned()), "UMCTL SETCLUSTER answered {reply:?}");
    Ok(())
}
