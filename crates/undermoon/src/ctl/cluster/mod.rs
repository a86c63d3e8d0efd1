//! `undermoon ctl cluster`: making, looking at, changing and ending clusters.

mod balance;
mod config;
mod create;
mod delete;
mod failover;
mod list;
mod scale;
mod serve;
mod show;
mod size;
mod words;

use super::context::Context;
use super::error::CtlError;
pub(super) use failover::{Which, until_handed_over};
pub(super) use size::Size;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Create(create::Arguments),
    Delete(delete::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Scale(scale::Arguments),
    Balance(balance::Arguments),
    Config(config::Arguments),
    Failover(failover::Arguments),
    Serve(serve::Arguments),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<(), CtlError> {
    match command {
        Command::Create(arguments) => create::run(context, &arguments).await,
        Command::Delete(arguments) => delete::run(context, &arguments).await,
        Command::List(arguments) => list::run(context, &arguments).await,
        Command::Show(arguments) => show::run(context, &arguments).await,
        Command::Scale(arguments) => scale::run(context, &arguments).await,
        Command::Balance(arguments) => balance::run(context, &arguments).await,
        Command::Config(arguments) => config::run(context, &arguments).await,
        Command::Failover(arguments) => failover::run(context, &arguments).await,
        Command::Serve(arguments) => serve::run(context, &arguments).await,
    }
}
