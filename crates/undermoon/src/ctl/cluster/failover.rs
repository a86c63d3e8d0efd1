//! `undermoon ctl cluster failover`: a replica takes over from its primary because somebody wants it so.

use control_core::{Cluster, Command, FenceReason, Reply, ShardId, State, TimeMs};
use model::{Address, ClusterName};

use super::super::Context;
use super::super::confirm::Confirmation;
use super::super::connection;
use super::super::error::CtlError;
use super::super::output::{Done, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done};
use super::find;

/// Have replicas take over from their primaries, without loss
///
/// The primary stops, its replica catches up to the last byte, and takes over; clients see no error. With --force the
/// replica takes over at once, with what it has: for a primary that is lost.
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
struct Which {
    /// From the primary of a shard, by its number in `cluster show`
    #[arg(long, value_name = "NUMBER")]
    shard: Option<usize>,
    /// From this primary
    #[arg(long, value_name = "HOST:PORT")]
    node: Option<Address>,
    /// From every primary behind this proxy, so that it can be stopped
    #[arg(long, value_name = "HOST:PORT")]
    proxy: Option<Address>,
}

/// One primary that is to give way.
struct Step {
    id: ShardId,
    primary: Address,
    replica: Address,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    let state = connection::state(&context.client).await?;
    let steps = arguments.which.steps(find(&state, name)?)?;
    let told: Vec<String> =
        steps.iter().map(|step| format!("{} takes over from {}", step.replica, step.primary)).collect();
    if arguments.force {
        let what = format!("By force: {}. What the replica has not received is lost.", told.join("; "));
        arguments.confirmation.ask(&what, name.as_str())?;
    }
    for step in &steps {
        let (cluster, primary, now) = (name.clone(), step.primary.clone(), TimeMs::default());
        let command = if arguments.force {
            Command::FailOverShard { cluster, primary, fence: None, force: true, behind_bytes: None, now }
        } else {
            Command::FenceShard { cluster, primary, reason: FenceReason::Handover, now }
        };
        context.client.command::<Reply>(&command).await?;
    }
    if arguments.patience.no_wait {
        return print(context.format, &Done::accepted(format!("accepted: {}", told.join("; "))));
    }
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "replicas promoted",
        advice: "is a coordinator running, and can it reach the proxies? Its log says what it does",
    };
    let measure = |state: &State| progress(find(state, name)?, &steps);
    let took = until_done(&context.client, arguments.patience, task, measure).await?;
    print(context.format, &Done::complete(format!("{}, after {}", told.join("; "), spoken(took))))
}

impl Which {
    /// The primaries that are meant.
    fn steps(&self, cluster: &Cluster) -> Result<Vec<Step>, CtlError> {
        let step = |id: ShardId| {
            let chunk = &cluster.chunks[id.chunk];
            Step { id, primary: chunk.primary(id.shard).clone(), replica: chunk.replica(id.shard).clone() }
        };
        let is_meant = |(number, id): &(usize, ShardId)| {
            let chunk = &cluster.chunks[id.chunk];
            self.shard == Some(*number)
                || self.node.as_ref() == Some(chunk.primary(id.shard))
                || self.proxy.as_ref() == Some(chunk.primary_proxy(id.shard))
        };
        let steps: Vec<Step> =
            cluster.shard_ids().enumerate().filter(is_meant).map(|(_, id)| step(id)).collect();
        if steps.is_empty() {
            let advice = "`undermoon ctl cluster show` shows the shards, their primaries and where these are";
            return Err(CtlError::failed("no primary of the cluster is meant by that", advice));
        }
        Ok(steps)
    }
}

/// How many have taken over. An error when a primary was let go on: its replica did not catch up in time.
fn progress(cluster: &Cluster, steps: &[Step]) -> Result<Progress, CtlError> {
    let has_taken_over = |step: &&Step| *cluster.chunks[step.id.chunk].primary(step.id.shard) == step.replica;
    let given_up = steps.iter().find(|step| !has_taken_over(step) && cluster.shard(step.id).fence.is_none());
    if let Some(Step { primary, replica, .. }) = given_up {
        let what = format!("{primary} serves on: its replica {replica} did not catch up in time");
        let advice = "nothing was lost; try again when there are fewer writes or the link is better";
        return Err(CtlError::NotYet { what, advice: advice.to_owned() });
    }
    Ok(Progress::of(steps.iter().filter(has_taken_over).count(), steps.len()))
}
