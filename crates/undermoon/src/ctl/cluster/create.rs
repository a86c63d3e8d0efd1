//! `undermoon ctl cluster create`.

use std::collections::BTreeMap;
use std::time::Instant;

use api::BrokerClient;
use control_core::{Command, Reply, State, SyncState, TimeMs};
use model::ClusterName;

use super::super::connection::state;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::facts::{Condition, cluster_line, condition_seen};
use super::super::output::{Done, count, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done, until_so};
use super::size::Size;
use super::words::setting;

/// Create a cluster with all slots from proxies of the pool, and wait until every shard has a replica in sync
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// Its name: 1 to 30 of A-Z, a-z, 0-9, '@', '_' and '-'
    name: ClusterName,
    #[command(flatten)]
    size: Size,
    /// A setting that differs from its default; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    #[command(flatten)]
    patience: Patience,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let (name, node_number) = (&arguments.name, arguments.size.nodes());
    if arguments.settings.is_empty() {
        context.client.create_cluster(name, node_number).await?;
    } else {
        // One command for both: the cluster never exists with other settings.
        let config: BTreeMap<String, String> = arguments.settings.iter().cloned().collect();
        let (cluster, now) = (name.clone(), TimeMs::default());
        let create = Command::CreateCluster { cluster, node_number, config, now };
        context.client.command::<Reply>(&create).await?;
    }
    let made = format!("cluster {name} is created with {}", count(node_number, "node"));
    if arguments.patience.no_wait {
        let message = format!("{made}; `undermoon ctl cluster show {name} --watch` shows it become ready");
        return print(context.format, &Done::accepted(message));
    }
    let shards = node_number / 2;
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "shards ready",
        advice: "is a coordinator running, and can it reach the proxies? Its log says what it does; `undermoon ctl \
                 pool list` shows proxies that failed",
    };
    let measure = |state: &State| Ok(Progress::of(shards_ready(state, name), shards));
    let begun = Instant::now();
    until_done(&context.client, arguments.patience, task, measure).await?;
    until_so(arguments.patience, task, async || is_ready(&context.client, name).await).await?;
    let took = begun.elapsed();
    print(context.format, &Done::complete(format!("{made}, and ready after {}", spoken(took))))
}

/// How many shards have been seen with a replica that follows its primary: their proxies have their views.
fn shards_ready(state: &State, name: &ClusterName) -> usize {
    let chunks = state.clusters.get(name).map_or(&[][..], |cluster| &cluster.chunks);
    chunks.iter().flat_map(|chunk| &chunk.shards).filter(|shard| shard.replica == SyncState::InSync).count()
}

/// Whether `cluster list` says that the cluster is ready: coordinators may have seen a moment ago that it is not served yet,
/// and a primary may be gone again.
async fn is_ready(client: &BrokerClient, name: &ClusterName) -> Result<bool, CtlError> {
    let overview = client.overview().await?;
    let state = state(client).await?;
    Ok(state.clusters.get(name).is_some_and(|cluster| {
        let line = cluster_line(&state, name, cluster).state;
        condition_seen(line, name, &overview) == Condition::Ready
    }))
}
