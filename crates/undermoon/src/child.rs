//! `undermoon __child`: becomes another program, one that cannot outlive the process that started it.
//!
//! Ending with its parent is something that a process on Linux can only ask for itself, between fork and exec.
//! Doing that inside the parent would take unsafe code; doing it here, in a program of its own that then becomes
//! the wanted one, does not.

use crate::failure::Failure;
use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Become another program that is killed when its parent ends
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The process that this one must not outlive
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

/// The command that starts `program` as a child of this process and dies with it. It is in a process group of its
/// own, so that a Ctrl-C at the terminal reaches it only through this process.
///
/// The kernel ties the child to the thread that starts it: call this from a thread that lives as long as the
/// process does.
pub(crate) fn command(program: &OsString) -> Result<Command, Failure> {
    let itself = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(itself);
    command.arg("__child").arg("--parent").arg(std::process::id().to_string()).arg("--").arg(program);
    command.process_group(0);
    Ok(command)
}

/// Asks to be killed with the parent, then becomes the program.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot follow the parent")?;
    // The parent may have ended before the request was in place; the kernel then sends nothing.
    if getppid() != Pid::from_raw(arguments.parent) {
        return Err(anyhow!("the parent has ended already").into());
    }
    let [program, rest @ ..] = arguments.program.as_slice() else {
        return Err(anyhow!("no program").into());
    };
    let error = Command::new(program).args(rest).exec();
    Err(anyhow!(error).context(format!("cannot run {}", program.display())).into())
}
