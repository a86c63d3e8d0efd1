//! `undermoon ctl cluster failover`: a replica takes over from its primary because an operator asks for it.

use api::v4::{FailoverRequest, ShardFailover};
use control_core::{Cluster, State};
use model::{Address, ClusterName};

use super::super::confirm::Confirmation;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::output::{Done, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done};
use super::words::find;

/// Have replicas take over from their primaries, without loss
///
/// The primary stops, its replica catches up to the last byte and takes over; clients see no error. With --force the
/// replica takes over at once, with what it has: use it for a primary that is lost.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    #[command(flatten)]
    which: Which,
    /// Promote the replica at once, whatever it lacks
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    patience: Patience,
}

/// From which primaries
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(in crate::ctl) struct Which {
    /// From the primary of a shard, by its number in `cluster show`
    #[arg(long, value_name = "NUMBER")]
    shard: Option<usize>,
    /// From the primary of the shard that this node is in
    #[arg(long, value_name = "HOST:PORT")]
    node: Option<Address>,
    /// From every primary behind this proxy, so that it can be stopped
    #[arg(long, value_name = "HOST:PORT")]
    proxy: Option<Address>,
}

impl Which {
    /// What the broker is asked for.
    pub(in crate::ctl) fn request(self, force: bool) -> FailoverRequest {
        let Self { shard, node, proxy } = self;
        FailoverRequest { node, proxy, shard, force }
    }
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    if arguments.force {
        let what = "With --force the replica takes over at once. What it has not received is lost.";
        arguments.confirmation.ask(what, name.as_str())?;
    }
    let wanted = arguments.which.clone().request(arguments.force);
    let shards = context.client.fail_over(name, &wanted).await?.shards;
    if shards.is_empty() {
        let message = format!("cluster {name}: there is no primary to move, nothing was changed");
        return print(context.format, &Done::complete(message));
    }
    let told: Vec<String> =
        shards.iter().map(|shard| format!("{} takes over from {}", shard.to, shard.from)).collect();
    let told = told.join("; ");
    if arguments.patience.no_wait {
        return print(context.format, &Done::accepted(format!("accepted: {told}")));
    }
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "replicas promoted",
        advice: "is a coordinator running, and can it reach the proxies? Its log says what it does",
    };
    let measure = |state: &State| progress(find(state, name)?, &shards);
    let took = until_done(&context.client, arguments.patience, task, measure).await?;
    print(context.format, &Done::complete(format!("{told}, after {}", spoken(took))))
}

/// How many have taken over. An error when a primary was let go on: its replica did not catch up in time.
fn progress(cluster: &Cluster, shards: &[ShardFailover]) -> Result<Progress, CtlError> {
    let id = |shard: &ShardFailover| cluster.shard_ids().nth(shard.shard);
    let has_taken_over = |shard: &&ShardFailover| {
        id(shard).is_some_and(|id| *cluster.chunks[id.chunk].primary(id.shard) == shard.to)
    };
    let goes_on = |shard: &&ShardFailover| {
        let fence = id(shard).and_then(|id| cluster.shard(id).fence);
        !has_taken_over(shard) && fence.map(|fence| fence.epoch) != shard.fence
    };
    if let Some(ShardFailover { from, to, .. }) = shards.iter().find(goes_on) {
        let what = format!("{from} goes on serving: its replica {to} did not catch up in time");
        let advice = "nothing was lost; try again when there are fewer writes or the link is better";
        return Err(CtlError::NotYet { what, advice: advice.to_owned() });
    }
    Ok(Progress::of(shards.iter().filter(has_taken_over).count(), shards.len()))
}
