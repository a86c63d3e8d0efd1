//! `undermoon ctl cluster delete`.

use control_core::State;
use model::{Address, ClusterName};

use super::super::confirm::Confirmation;
use super::super::connection;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::output::{Done, count, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done};
use super::words::find;

/// Delete a cluster and all its keys, and wait until its proxies can be used again
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    patience: Patience,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    let state = connection::state(&context.client).await?;
    let cluster = find(&state, name)?;
    let proxies: Vec<Address> = cluster.chunks.iter().flat_map(|chunk| chunk.proxies.clone()).collect();
    let what =
        format!("Cluster {name} and all keys on its {} are deleted.", count(proxies.len() * 2, "node"));
    arguments.confirmation.ask(&what, name.as_str())?;
    // The one that was shown, not another that has its name by now.
    context.client.only_at(cluster.epoch).delete_cluster(name).await?;
    if arguments.patience.no_wait {
        let message = format!("cluster {name} is deleted; its nodes are being emptied");
        return print(context.format, &Done::accepted(message));
    }
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "proxies emptied",
        advice: "is a coordinator running, and can it reach the proxies? `undermoon ctl pool list` shows which are \
                 still cleaning; a cluster can be made of them already, and gets them when they are clean",
    };
    let measure = |state: &State| Ok(emptied(state, name, &proxies));
    let took = until_done(&context.client, arguments.patience, task, measure).await?;
    let message = format!("cluster {name} is deleted, and its proxies are free again after {}", spoken(took));
    print(context.format, &Done::complete(message))
}

/// How many of the proxies hold nothing of the cluster any more. One that has failed cannot be emptied: nobody
/// waits for it, and it is emptied when it returns.
fn emptied(state: &State, name: &ClusterName, proxies: &[Address]) -> Progress {
    let is_empty = |proxy: &&Address| {
        let record = state.proxies.get(*proxy);
        record.is_none_or(|record| !record.dirty || record.failed_since.is_some())
    };
    let done = proxies.iter().filter(is_empty).count();
    if state.clusters.contains_key(name) {
        return Progress { done: 0, total: proxies.len(), is_complete: false };
    }
    Progress::of(done, proxies.len())
}
