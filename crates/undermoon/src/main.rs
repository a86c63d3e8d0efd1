//! The `undermoon` binary: every role of the system, and the tools around it, as subcommands.
//!
//! This file parses the command line and turns the outcome into an exit code; each subcommand is a file of its
//! own. Nothing here decides anything about a cluster.

#![forbid(unsafe_code)]

mod broker;
mod child;
mod completions;
mod control;
mod coordinator;
mod ctl;
mod failure;
mod proxy;
mod role;
mod settings_help;
mod sweep;
mod up;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use failure::Failure;
use service::build_info::BUILD_TEXT;
use service::exit::Exit;
use std::process::ExitCode;

/// The allocator of every role: it gives memory back and stays fast when a proxy's buffers come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `--help` says after everything else.
const AFTER_HELP: &str = "\
Exit codes:
  0   done, or stopped on request
  1   failed while running
  2   wrong command line
  78  bad configuration

`undermoon ctl --help` lists more exit codes, for what brokers answer.
`undermoon <command> --help` explains each command with examples.";

/// Undermoon turns plain Redis servers into one sharded Redis.
#[derive(Debug, Parser)]
#[command(name = "undermoon", version = BUILD_TEXT, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Arguments),
    Proxy(proxy::Arguments),
    Broker(broker::Arguments),
    Coordinator(coordinator::Arguments),
    Control(control::Arguments),
    Ctl(Box<ctl::Arguments>),
    Completions(completions::Arguments),
    #[command(name = "__child", hide = true)]
    Child(child::Arguments),
    #[command(name = "__sweep", hide = true)]
    Sweep(sweep::Arguments),
}

fn main() -> ExitCode {
    let command = Cli::command()
        .mut_subcommand("proxy", |command| command.after_long_help(proxy::long_help()))
        .mut_subcommand("broker", |command| command.after_long_help(broker::long_help()))
        .mut_subcommand("coordinator", |command| command.after_long_help(coordinator::long_help()));
    let cli = command.try_get_matches().and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let outcome = match cli {
        Ok(cli) => run(cli.command),
        // Help and version come as "errors" too; clap knows where each is printed and its code, 0 or 2.
        Err(error) => error.exit(),
    };
    match outcome {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            if !failure.is_told {
                eprintln!("undermoon: {:#}", failure.error);
            }
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Broker(arguments) => broker::run(&arguments),
        Command::Coordinator(arguments) => coordinator::run(&arguments),
        Command::Control(arguments) => control::run(&arguments),
        Command::Ctl(arguments) => ctl::run(*arguments, Cli::command),
        Command::Completions(arguments) => completions::run(&arguments, Cli::command),
        Command::Up(arguments) => up::run(&arguments),
        Command::Child(arguments) => child::run(&arguments),
        Command::Sweep(arguments) => sweep::run(&arguments),
    }
}
