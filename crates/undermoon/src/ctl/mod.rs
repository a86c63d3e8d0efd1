//! `undermoon ctl`: operating clusters from the command line.
//!
//! It asks the brokers and shows what they say. What is allowed, and what a change does, is theirs to decide; what
//! takes time is done by the coordinators, and only watched from here.

mod advice;
mod backup;
mod cluster;
mod confirm;
mod connection;
mod context;
mod error;
mod events;
mod facts;
mod health;
mod output;
mod plan;
mod pool;
mod replace;
mod review;
mod wait;

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use serde_json::json;

use self::context::Context;
use self::error::CtlError;
use self::output::Format;
use crate::completions;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  undermoon ctl pool add 10.0.0.1:5299 10.0.0.1:6379 10.0.0.1:6380
  undermoon ctl cluster create mydb --chunks 2       eight nodes on four proxies of the pool
  undermoon ctl cluster show mydb --watch            show it again after each change
  undermoon ctl plan scale mydb --chunks 4           what would move where
  undermoon ctl cluster scale mydb --chunks 4
  undermoon ctl events -o json                       print JSON for programs

Exit codes:
  0   done
  1   refused, or failed
  2   wrong command line
  69  no broker can be reached; nothing was changed
  74  no answer to a call: the change may have been made
  75  not done yet: the change goes on, or you can try again
  77  the token is missing or wrong, or may not do that";

/// Operate clusters: the pool, clusters, events, dry runs, backups
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: connection::Options,
    /// The form of the output
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register, remove and list proxies
    #[command(subcommand)]
    Pool(pool::Command),
    /// Create, show, change and delete clusters
    #[command(subcommand)]
    Cluster(cluster::Command),
    Health(health::Arguments),
    Events(events::Arguments),
    /// Dry runs: show what a change would do now
    #[command(subcommand)]
    Plan(plan::Command),
    Dump(backup::Dump),
    Restore(backup::Restore),
    Review(review::Arguments),
    Completions(completions::Arguments),
}

/// Does what was asked; `whole` is the command line of the whole program.
pub(crate) fn run(arguments: Arguments, whole: fn() -> clap::Command) -> Result<(), Failure> {
    if let Command::Completions(arguments) = &arguments.command {
        return completions::run(arguments, whole);
    }
    let format = arguments.output;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the event loop")?;
    match runtime.block_on(perform(arguments)) {
        Ok(()) | Err(CtlError::ReaderGone) => Ok(()),
        Err(error) => Err(told(&error, format)),
    }
}

async fn perform(arguments: Arguments) -> Result<(), CtlError> {
    let context = Context { client: arguments.connection.client()?, format: arguments.output };
    match arguments.command {
        Command::Pool(command) => pool::run(&context, command).await,
        Command::Cluster(command) => cluster::run(&context, command).await,
        Command::Health(arguments) => health::run(&context, &arguments).await,
        Command::Events(arguments) => events::run(&context, &arguments).await,
        Command::Plan(command) => plan::run(&context, command).await,
        Command::Dump(arguments) => backup::dump(&context, &arguments).await,
        Command::Restore(arguments) => backup::restore(&context, &arguments).await,
        Command::Review(arguments) => review::run(&context, &arguments).await,
        // Needs no broker, and was taken care of before.
        Command::Completions(_) => Ok(()),
    }
}

/// Tells the error in the form that was asked for.
fn told(error: &CtlError, format: Format) -> Failure {
    match (format, error.advice()) {
        (Format::Json, advice) => {
            let told = json!({"error": error.code(), "message": error.to_string(), "advice": advice});
            eprintln!("{told}");
        }
        (Format::Table, Some(advice)) => eprintln!("undermoon: {error}\nWhat to do: {advice}"),
        (Format::Table, None) => eprintln!("undermoon: {error}"),
    }
    Failure { exit: error.exit(), error: anyhow!("{error}"), is_told: true }
}
