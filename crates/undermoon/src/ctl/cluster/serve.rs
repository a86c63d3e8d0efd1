//! `undermoon ctl cluster serve`: a primary that came back without its data serves with what it has.

use api::v4::ServeRequest;
use control_core::{Cluster, KeysSeen, Shard};
use model::{Address, ClusterName};

use super::super::confirm::Confirmation;
use super::super::connection;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::output::{Done, print};
use super::words::find;

/// Let a primary serve with what it has, when it came back with less than its replica may have
///
/// What only the replica has is lost. To have the replica serve instead, see `cluster failover --force`.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    /// The shard, by its number in `cluster show`
    #[arg(long, value_name = "NUMBER", required_unless_present = "node")]
    shard: Option<usize>,
    /// The shard that this node is in
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "shard")]
    node: Option<Address>,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    let state = connection::state(&context.client).await?;
    let waiting = meant(find(&state, name)?, arguments);
    let keys = waiting.and_then(|shard| shard.comeback_keys).map_or_else(String::new, told);
    let what = format!("The primary serves with what it has{keys}. What only its replica has is lost.");
    arguments.confirmation.ask(&what, name.as_str())?;
    // Another process of it may have other keys, or none.
    let process = waiting.and_then(|shard| shard.comeback_process.clone());
    let wanted = ServeRequest { node: arguments.node.clone(), shard: arguments.shard, process };
    context.client.serve(name, &wanted).await?;
    print(
        context.format,
        &Done::accepted(format!("cluster {name}: the primary is to serve with what it has")),
    )
}

/// The shard that is meant, if the cluster has it: the broker says what is wrong otherwise.
fn meant<'a>(cluster: &'a Cluster, arguments: &Arguments) -> Option<&'a Shard> {
    let id = match (&arguments.node, arguments.shard) {
        (Some(node), _) => cluster.shard_of_primary(node).or_else(|| cluster.shard_of_replica(node))?,
        (None, number) => cluster.shard_ids().nth(number?)?,
    };
    Some(cluster.shard(id))
}

/// How many keys were seen when the primary came back.
fn told(keys: KeysSeen) -> String {
    let count =
        |keys: Option<u64>| keys.map_or_else(|| "an unknown number of".to_owned(), |keys| keys.to_string());
    format!(": {} keys, when its replica had {}", count(keys.primary), count(keys.replica))
}
