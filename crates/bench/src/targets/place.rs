//! What every target is started with, and how it is known to answer.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::child::{self, Child};
use crate::wire::{Connection, Reply};

/// How long a server may take until it answers.
pub(super) const READY_LIMIT: Duration = Duration::from_secs(10);
/// Clients that every started server is told to accept: more than any case opens.
pub(super) const CLIENTS_MAX: usize = 20_000;

/// Where one proxy is started.
pub(super) struct Place<'a> {
    pub(super) cores: &'a [usize],
    pub(super) folder: &'a Path,
    pub(super) name: &'a str,
    pub(super) backend_port: u16,
}

/// What runs for one target.
pub(super) struct Started {
    pub(super) port: u16,
    /// The process that clients ask, and the proxy behind it where there is one.
    pub(super) children: Vec<Child>,
}

impl Started {
    /// A program of one process.
    pub(super) fn one((child, port): (Child, u16)) -> Started {
        Started { port, children: vec![child] }
    }
}

/// Fails unless a GET through this port gets an answer that is not an error.
pub(super) fn expect_answer(port: u16) -> anyhow::Result<()> {
    match Connection::open(port)?.call(&[b"GET", b"bench:ready"])? {
        Reply::Bulk(_) => Ok(()),
        other => bail!("GET answered {other:?}"),
    }
}

/// Waits until a server answers, and makes sure that it was this one.
pub(super) fn until_answering(child: &mut Child, port: u16) -> anyhow::Result<()> {
    child.wait_until(READY_LIMIT, || expect_answer(port))?;
    child.wait_until(READY_LIMIT, || Ok(()))
}

/// Two different free ports.
pub(super) fn two_free_ports() -> anyhow::Result<(u16, u16)> {
    let (one, other) = (child::free_port()?, child::free_port()?);
    ensure!(one != other, "the same port twice");
    Ok((one, other))
}
