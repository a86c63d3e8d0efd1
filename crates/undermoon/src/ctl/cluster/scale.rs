//! `undermoon ctl cluster scale`: spreading the slots over more chunks or fewer.

use api::BrokerClient;
use control_core::{CHUNK_NODES, Cluster, MigrationOutcome, State};
use model::{ClusterName, Epoch};

use super::super::connection;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::facts::slots_moving;
use super::super::output::{Done, count, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done};
use super::words::find;

/// Spread the slots over more chunks or fewer, and wait until they have moved
///
/// Chunks that are added come from the pool. Chunks that lose their slots stay with the cluster until --release gives
/// them back.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    patience: Patience,
}

/// What to do
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// How many chunks are to have slots
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    chunks: Option<u16>,
    /// How many nodes are to have slots: a multiple of four
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    nodes: Option<u16>,
    /// Pause the moves of an earlier scaling
    #[arg(long)]
    pause: bool,
    /// Resume the moves of an earlier scaling
    #[arg(long)]
    resume: bool,
    /// Cancel what is not done of an earlier scaling
    #[arg(long)]
    cancel: bool,
    /// Give the chunks without slots back to the pool
    #[arg(long)]
    release: bool,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let (name, client) = (&arguments.name, &context.client);
    if let Some(told) = arguments.what.steer(client, name).await? {
        return print(context.format, &Done::complete(format!("cluster {name}: {told}")));
    }
    let chunks = arguments.what.chunks.map(|chunks| usize::from(chunks) * CHUNK_NODES);
    let node_number = chunks.or(arguments.what.nodes.map(usize::from)).unwrap_or(0);
    let state = connection::state(client).await?;
    let begun = state.global_epoch;
    client.only_at(find(&state, name)?.epoch).scale(name, node_number).await?;
    if arguments.patience.no_wait {
        let message = format!(
            "cluster {name} is being scaled to {} with slots; `undermoon ctl cluster show {name} --watch` shows how \
             far it is",
            count(node_number, "node")
        );
        return print(context.format, &Done::accepted(message));
    }
    wait(context, arguments, node_number, begun).await
}

impl What {
    /// Does what concerns an earlier scaling, if that is meant; answers what has become of it.
    async fn steer(self, client: &BrokerClient, name: &ClusterName) -> Result<Option<String>, CtlError> {
        let told = if self.pause {
            client.pause_jobs(name).await?;
            "no slots move until `--resume`".to_owned()
        } else if self.resume {
            client.resume_jobs(name).await?;
            "slots may move again".to_owned()
        } else if self.cancel {
            client.cancel_jobs(name).await?;
            "slots that had not moved stay where they are".to_owned()
        } else if self.release {
            let state = connection::state(client).await?;
            let cluster = find(&state, name)?;
            let before = chunks_without_slots(cluster);
            client.only_at(cluster.epoch).remove_free_nodes(name).await?;
            format!("{} given back to the pool", count(before, "chunk"))
        } else {
            return Ok(None);
        };
        Ok(Some(told))
    }
}

async fn wait(
    context: &Context,
    arguments: &Arguments,
    node_number: usize,
    begun: Epoch,
) -> Result<(), CtlError> {
    let name = &arguments.name;
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "slots moved",
        advice: "`undermoon ctl cluster show` shows what is to move; is a coordinator running, and can it reach the \
                 proxies? `undermoon ctl cluster scale NAME --cancel` calls it off",
    };
    let (mut total, mut called_off, mut empty) = (0, 0, 0);
    let measure = |state: &State| {
        let cluster = find(state, name)?;
        (called_off, empty) = (slots_called_off(cluster, begun), chunks_without_slots(cluster));
        let left = slots_moving(cluster);
        total = total.max(left);
        let is_complete = left == 0 && cluster.scaling.is_none();
        Ok(Progress { done: total - left, total, is_complete })
    };
    let took = until_done(&context.client, arguments.patience, task, measure).await?;
    if called_off > 0 {
        let what = format!("cluster {name}: the move of {} was called off", count(called_off, "slot"));
        return Err(CtlError::failed(what, "`undermoon ctl events` says when; scale again to go on"));
    }
    let mut message = format!(
        "cluster {name} has its slots on {}; {} moved in {}",
        count(node_number, "node"),
        count(total, "slot"),
        spoken(took)
    );
    if empty > 0 {
        let chunks = count(empty, "chunk");
        message +=
            &format!("; {chunks} without slots: `undermoon ctl cluster scale {name} --release` gives back");
    }
    print(context.format, &Done::complete(message))
}

fn chunks_without_slots(cluster: &Cluster) -> usize {
    cluster.chunks.iter().filter(|chunk| chunk.is_without_slots()).count()
}

/// How many slots were called off since an epoch.
fn slots_called_off(cluster: &Cluster, since: Epoch) -> usize {
    let ended = cluster.finished.iter().filter(|done| done.epoch > since);
    ended.filter(|done| done.outcome == MigrationOutcome::Cancelled).map(|done| done.ranges.count()).sum()
}
