//! `undermoon ctl pool`: the proxies that clusters can be made of.

use api::v3::NewProxy;
use control_core::State;
use model::Address;
use serde::Serialize;

use super::context::Context;
use super::error::CtlError;
use super::facts::{ProxyCondition, ProxyLine, proxy_lines};
use super::output::{Done, Show, print, print_state, table};
use super::replace;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(Add),
    Replace(replace::Arguments),
    Remove(Remove),
    List(List),
}

/// Register a proxy with its two nodes; or clear the failure of one that is registered
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Add {
    /// The proxy, as host:port by which clients and other proxies reach it
    proxy: Address,
    /// Its two Redis servers
    #[arg(num_args = 2, required = true, value_name = "NODE")]
    nodes: Vec<Address>,
    /// Its failure domain; when not given, the host of its address
    #[arg(long)]
    host: Option<String>,
    /// Its place, where the broker orders its proxies (a Kubernetes StatefulSet)
    #[arg(long)]
    index: Option<u64>,
}

/// Forget proxies that no cluster uses
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// The proxies
    #[arg(required = true)]
    proxies: Vec<Address>,
}

/// Show the registered proxies
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only proxies that can be given to a cluster
    #[arg(long, conflicts_with = "failed")]
    free: bool,
    /// Only proxies that count as failed
    #[arg(long)]
    failed: bool,
    /// Show the proxies again after each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

/// The registered proxies.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Pool(Vec<ProxyLine>);

impl Add {
    /// As the API takes it.
    pub(super) fn proxy(&self) -> NewProxy {
        NewProxy {
            proxy_address: self.proxy.clone(),
            nodes: self.nodes.clone(),
            host: self.host.clone(),
            index: self.index,
        }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> Result<(), CtlError> {
    match command {
        Command::Add(arguments) => add(context, &arguments).await,
        Command::Replace(arguments) => replace::run(context, &arguments).await,
        Command::Remove(arguments) => remove(context, &arguments).await,
        Command::List(arguments) => list(context, &arguments).await,
    }
}

async fn add(context: &Context, arguments: &Add) -> Result<(), CtlError> {
    let proxy = &arguments.proxy;
    let message = match context.client.add_proxy(&arguments.proxy()).await {
        Ok(()) => format!("proxy {proxy} is in the pool"),
        Err(error) if error.code() == Some("ALREADY_EXISTED") => {
            format!("proxy {proxy} was registered already; its failure, if there was one, is cleared")
        }
        Err(error) => return Err(error.into()),
    };
    print(context.format, &Done::complete(message))
}

async fn remove(context: &Context, arguments: &Remove) -> Result<(), CtlError> {
    for proxy in &arguments.proxies {
        context.client.remove_proxy(proxy).await?;
        print(context.format, &Done::complete(format!("proxy {proxy} is no longer in the pool")))?;
    }
    Ok(())
}

async fn list(context: &Context, arguments: &List) -> Result<(), CtlError> {
    let is_wanted = |line: &ProxyLine| match line.state {
        ProxyCondition::Free => !arguments.failed,
        ProxyCondition::Failed => !arguments.free,
        _ => !arguments.free && !arguments.failed,
    };
    let look = |state: &State| Ok(Pool(proxy_lines(state).into_iter().filter(is_wanted).collect()));
    print_state(&context.client, context.format, arguments.watch, look).await
}

impl Show for Pool {
    fn text(&self) -> String {
        let row = |line: &ProxyLine| {
            [
                line.proxy.to_string(),
                line.host.clone(),
                line.state.word().to_owned(),
                line.cluster.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                line.nodes.each_ref().map(ToString::to_string).join(" "),
            ]
        };
        let free = self.0.iter().filter(|line| line.state == ProxyCondition::Free).count();
        let sum = format!("{} in all, {free} free\n", self.0.len());
        table(["PROXY", "HOST", "STATE", "CLUSTER", "NODES"], self.0.iter().map(row)) + &sum
    }
}
