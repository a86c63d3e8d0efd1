//! `undermoon ctl cluster`: making, looking at, changing and ending clusters.

mod balance;
mod config;
mod create;
mod delete;
mod failover;
mod list;
mod scale;
mod show;

use control_core::{CHUNK_NODES, Cluster, State};
use model::ClusterName;

use super::Context;
use super::error::CtlError;
pub(super) use failover::Which;

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
}

/// How large a cluster is
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Size {
    /// How many chunks: two proxies with four nodes each, which are two primaries and two replicas
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    chunks: Option<u16>,
    /// How many nodes: a multiple of four
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    nodes: Option<u16>,
}

impl Size {
    /// As a number of nodes, as the API counts.
    pub(super) fn nodes(self) -> usize {
        let chunks = self.chunks.map(|chunks| usize::from(chunks) * CHUNK_NODES);
        chunks.or(self.nodes.map(usize::from)).unwrap_or(0)
    }
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
    }
}

/// A cluster of the metadata; an error as the broker gives it when there is none.
fn find<'a>(state: &'a State, name: &ClusterName) -> Result<&'a Cluster, CtlError> {
    let cluster = state.clusters.get(name);
    cluster.ok_or_else(|| CtlError::Missing {
        what: format!("there is no cluster {name}"),
        code: "CLUSTER_NOT_FOUND",
    })
}

/// A setting and its value, as `field=value`.
fn setting(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("a setting is given as field=value")?;
    Ok((field.trim().to_owned(), value.trim().to_owned()))
}
