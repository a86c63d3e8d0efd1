//! `undermoon ctl cluster failover`: a replica takes over from its primary because an operator asks for it.

use std::time::{Duration, Instant};

use api::ClientError;
use api::v4::{FailoverRequest, FailoverState, ShardFailover, ShardHealth};
use control_core::{Cluster, State};
use model::{Address, ClusterName};

use super::super::confirm::Confirmation;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::output::{Done, print};
use super::super::wait::{Patience, Progress, Task, spoken, until_done};
use super::words::find;

/// The pause between two looks at what proxies say.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Have replicas take over from their primaries, without loss
///
/// The primary stops, its replica catches up to the last byte and takes over; clients see no error. With --force the
/// replica takes over with what it has, as soon as the old primary has stopped: use it for a primary that is lost.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    #[command(flatten)]
    which: Which,
    /// Promote the replica whatever it lacks
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
        let what = "With --force the replica takes over with what it has. What it has not received is lost.";
        arguments.confirmation.ask(what, name.as_str())?;
    }
    let wanted = arguments.which.clone().request(arguments.force);
    let shards = context.client.fail_over(name, &wanted).await?.shards;
    if shards.is_empty() {
        let message = format!("cluster {name}: there is no primary to move, nothing was changed");
        return print(context.format, &Done::complete(message));
    }
    let told: Vec<String> = shards.iter().map(told).collect();
    let told = told.join("; ");
    if arguments.patience.no_wait {
        return print(context.format, &Done::accepted(format!("accepted: {told}")));
    }
    // Whoever waits is told at once that it may be in vain.
    shards.iter().filter_map(|shard| shard.problem.as_ref()).for_each(|problem| eprintln!("{problem}"));
    let took = if arguments.force {
        let promoted = until_promoted(context, name, arguments.patience, &shards).await?;
        // The old primary's proxy may be gone for good.
        let is_served = |shard: &ShardHealth| shard.served == Some(true);
        promoted + until_seen(context, name, arguments.patience, &shards, is_served).await?
    } else {
        until_handed_over(context, name, arguments.patience, &shards).await?
    };
    let told: Vec<String> =
        shards.iter().map(|shard| format!("{} has taken over from {}", shard.to, shard.from)).collect();
    print(context.format, &Done::complete(format!("{}, after {}", told.join("; "), spoken(took))))
}

/// Waits until the replicas are the primaries, by the metadata. Answers how long that took.
async fn until_promoted(
    context: &Context,
    name: &ClusterName,
    patience: Patience,
    shards: &[ShardFailover],
) -> Result<Duration, CtlError> {
    let task = Task {
        name: &format!("cluster {name}"),
        unit: "replicas promoted",
        advice: "is a coordinator running, and can it reach the proxies? Its log says what it does",
    };
    let measure = |state: &State| progress(find(state, name)?, shards);
    match until_done(&context.client, patience, task, measure).await {
        Err(CtlError::NotYet { what, advice }) => {
            let seen = problems(&look(context, name, shards).await.unwrap_or_default());
            Err(CtlError::NotYet { what: [vec![what], seen].concat().join("; "), advice })
        }
        outcome => outcome,
    }
}

/// What is to become of a shard.
fn told(shard: &ShardFailover) -> String {
    let ShardFailover { from, to, waits_for, problem, .. } = shard;
    let mut told = format!("{to} takes over from {from}");
    if let Some(proxy) = waits_for {
        told += &format!(" as soon as proxy {proxy} has stopped");
    }
    if let Some(problem) = problem {
        told += &format!(", and cannot serve yet: {problem}");
    }
    told
}

/// Waits until the replicas are the primaries, and the old primaries' proxies have been told: clients that wait there have gone
/// on then, and these proxies can be stopped. Answers how long that took.
pub(in crate::ctl) async fn until_handed_over(
    context: &Context,
    name: &ClusterName,
    patience: Patience,
    shards: &[ShardFailover],
) -> Result<Duration, CtlError> {
    let promoted = until_promoted(context, name, patience, shards).await?;
    // Nobody waits at a proxy that does not answer.
    let is_settled = |shard: &ShardHealth| shard.settled != Some(false);
    Ok(promoted + until_seen(context, name, patience, shards, is_settled).await?)
}

/// Waits until the proxies of these shards say what is wanted. Answers how long that took.
async fn until_seen(
    context: &Context,
    name: &ClusterName,
    patience: Patience,
    shards: &[ShardFailover],
    is_done: impl Fn(&ShardHealth) -> bool,
) -> Result<Duration, CtlError> {
    let started = Instant::now();
    loop {
        let undone = match look(context, name, shards).await {
            Ok(now) if now.iter().all(&is_done) => return Ok(started.elapsed()),
            Ok(now) => problems(&now).join("; "),
            Err(error @ ClientError::Refused { .. }) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        if started.elapsed() >= patience.limit() {
            let told: Vec<String> =
                shards.iter().map(|shard| format!("{} instead of {}", shard.to, shard.from)).collect();
            let what = format!("the metadata has {}, and not all proxies do: {undone}", told.join("; "));
            let advice = "repair that: it is served as soon as it can be. `undermoon ctl cluster show --live` shows it";
            return Err(CtlError::NotYet { what, advice: advice.to_owned() });
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// How these shards are, by the metadata, the coordinators and their proxies.
async fn look(
    context: &Context,
    name: &ClusterName,
    shards: &[ShardFailover],
) -> Result<Vec<ShardHealth>, ClientError> {
    let mut health = context.client.cluster_health(name, true).await?.shards;
    health.retain(|shard| shards.iter().any(|meant| meant.shard == shard.shard));
    Ok(health)
}

/// Why shards are without service.
fn problems(shards: &[ShardHealth]) -> Vec<String> {
    let words = |shard: &ShardHealth| {
        let number = shard.shard;
        shard.problems.iter().map(move |problem| format!("shard {number}: {problem}")).collect::<Vec<_>>()
    };
    shards.iter().filter(|shard| shard.served != Some(true)).flat_map(words).collect()
}

/// How many have taken over. An error when a primary was let go on: its replica did not catch up in time.
fn progress(cluster: &Cluster, shards: &[ShardFailover]) -> Result<Progress, CtlError> {
    let id = |shard: &ShardFailover| cluster.shard_ids().nth(shard.shard);
    let is_primary = |shard: &ShardFailover| {
        id(shard).is_some_and(|id| *cluster.chunks[id.chunk].primary(id.shard) == shard.to)
    };
    let has_taken_over = |shard: &&ShardFailover| {
        is_primary(shard) && id(shard).is_some_and(|id| cluster.shard(id).deposed.is_none())
    };
    let goes_on = |shard: &&ShardFailover| {
        let fence = id(shard).and_then(|id| cluster.shard(id).fence);
        !is_primary(shard) && fence.map(|fence| fence.epoch) != shard.fence
    };
    if let Some(ShardFailover { from, to, state, .. }) = shards.iter().find(goes_on) {
        let (what, advice) = match state {
            FailoverState::HandingOver => (
                format!("{from} goes on serving: its replica {to} did not catch up in time"),
                "nothing was lost; try again when there are fewer writes or the link is better",
            ),
            FailoverState::Waiting | FailoverState::Done => (
                format!("{to} had taken over from {from}, and is not the primary any more"),
                "`undermoon ctl events` says why",
            ),
        };
        return Err(CtlError::NotYet { what, advice: advice.to_owned() });
    }
    Ok(Progress::of(shards.iter().filter(has_taken_over).count(), shards.len()))
}
