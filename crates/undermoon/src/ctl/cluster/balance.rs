//! `undermoon ctl cluster balance`.

use control_core::{Cluster, ShardId, State, SyncState};
use model::ClusterName;

use super::super::connection;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::output::{Done, count, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done};
use super::words::find;

/// Bring primaries back home without loss, where no failure stands in the way
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    #[command(flatten)]
    patience: Patience,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    let before = connection::state(&context.client).await?;
    let away_before: Vec<ShardId> = away(find(&before, name)?).collect();
    context.client.balance(name).await?;
    if away_before.is_empty() {
        let message = format!("cluster {name}: every primary is at home already");
        return print(context.format, &Done::complete(message));
    }
    if arguments.patience.no_wait {
        let message = format!("cluster {name}: {} on the way home", count(away_before.len(), "primary"));
        return print(context.format, &Done::accepted(message.replace("primarys", "primaries")));
    }
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "primaries home",
        advice: "is a coordinator running, and can it reach the proxies? Its log says what it does",
    };
    let total = away_before.len();
    let mut left = Vec::new();
    let measure = |state: &State| {
        let cluster = find(state, name)?;
        left = away(cluster).map(|id| why_away(state, cluster, id)).collect();
        let is_going = away(cluster).any(|id| is_handing_over(cluster, id));
        Ok(Progress { done: total.saturating_sub(left.len()), total, is_complete: !is_going })
    };
    let took = until_done(&context.client, arguments.patience, task, measure).await?;
    if left.is_empty() {
        let message = format!("cluster {name}: every primary is at home after {}", spoken(took));
        return print(context.format, &Done::complete(message));
    }
    Err(CtlError::NotYet {
        what: format!("cluster {name}: {} of {total} primaries stayed away: {}", left.len(), left.join("; ")),
        advice: "try again when `undermoon ctl cluster show` has every replica in sync; a coordinator also brings them \
                 home when nothing has changed for a while"
            .to_owned(),
    })
}

fn away(cluster: &Cluster) -> impl Iterator<Item = ShardId> {
    cluster.shard_ids().filter(|id| cluster.shard(*id).primary != id.shard)
}

fn is_handing_over(cluster: &Cluster, id: ShardId) -> bool {
    cluster.shard(id).fence.is_some_and(|fence| fence.reason.is_handover())
}

/// Why a primary has not been brought home.
fn why_away(state: &State, cluster: &Cluster, id: ShardId) -> String {
    let chunk = &cluster.chunks[id.chunk];
    let primary = chunk.primary(id.shard);
    let failed =
        chunk.proxies.iter().find(|proxy| state.is_failed(proxy) || state.failures.contains_key(*proxy));
    if let Some(proxy) = failed {
        return format!("{primary}: proxy {proxy} has failed");
    }
    if chunk.shard(id.shard).replica != SyncState::InSync {
        return format!("{primary}: its replica {} is not in sync", chunk.replica(id.shard));
    }
    if cluster.is_migrating(id) {
        return format!("{primary}: its slots are moving");
    }
    format!("{primary}: the handover was not complete in time")
}
