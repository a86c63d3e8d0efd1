//! `undermoon completions`: completion scripts for shells.

use crate::failure::Failure;
use anyhow::Context as _;
use std::io::{ErrorKind, Write as _};

const EXAMPLES: &str = "\
Examples:
  undermoon completions bash > /etc/bash_completion.d/undermoon
  undermoon completions zsh > \"${fpath[1]}/_undermoon\"
  undermoon completions fish > ~/.config/fish/completions/undermoon.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell that will read the script
    shell: clap_complete::Shell,
}

/// Writes the script to standard output; `whole` is the command line that it completes.
pub(crate) fn run(arguments: &Arguments, whole: fn() -> clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut whole(), "undermoon", &mut script);
    match std::io::stdout().write_all(&script) {
        // The reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.context("cannot write the script")?),
    }
}
