//! Starts a plain Redis without persistence. It must never be given a cluster or a password.

use std::path::Path;

use super::place::{CLIENTS_MAX, until_answering};
use crate::child::{self, Child};

/// Starts `redis-server` on a free port; it answers when this returns.
pub(super) fn start(
    program: &Path,
    cores: &[usize],
    folder: &Path,
    name: &str,
) -> anyhow::Result<(Child, u16)> {
    let port = child::free_port()?;
    let mut command = child::command(cores, program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder);
    command.args(["--maxclients", &CLIENTS_MAX.to_string()]);
    let mut child = Child::start(command, &format!("{name}-{port}"), folder)?;
    until_answering(&mut child, port)?;
    Ok((child, port))
}
