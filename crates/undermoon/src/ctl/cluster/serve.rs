//! `undermoon ctl cluster serve`: a primary that came back without its data serves with what it has.

use api::v4::ServeRequest;
use model::{Address, ClusterName};

use super::super::confirm::Confirmation;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::output::{Done, print};

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
    let what = "The primary serves with what it has. What only its replica has is lost.";
    arguments.confirmation.ask(what, name.as_str())?;
    let wanted = ServeRequest { node: arguments.node.clone(), shard: arguments.shard };
    context.client.serve(name, &wanted).await?;
    print(
        context.format,
        &Done::accepted(format!("cluster {name}: the primary is to serve with what it has")),
    )
}
