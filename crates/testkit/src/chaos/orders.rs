//! What an operator changes during a run.

use std::time::Duration;

use anyhow::Result;
use api::ClientError;
use api::v4::FailoverRequest;
use model::ClusterName;

use super::CLUSTER;
use crate::managed::ManagedCluster;
use crate::managed::shard::ShardPlace;
use crate::wait::{Deadline, retry_until};

/// How long an operator goes on asking for a change, while brokers are harmed, too.
const ORDER_LIMIT: Duration = Duration::from_secs(20);

/// Has the replica of a shard take over.
pub(super) fn hand_over(cluster: &ManagedCluster, shard: &ShardPlace) -> Result<()> {
    let primary = cluster.hosts[shard.primary.host].nodes[shard.primary.node].model_address()?;
    let wanted = FailoverRequest { node: Some(primary), ..FailoverRequest::default() };
    order(cluster, "the handover is accepted", &[], |cluster, name| {
        cluster.block_on(cluster.client().fail_over(name, &wanted)).map(drop)
    })
}

/// Adds nodes until there are that many.
pub(super) fn grow(cluster: &ManagedCluster, nodes: usize) -> Result<()> {
    order(cluster, "the cluster has another chunk", &["NODE_NUM_ALREADY_ENOUGH"], |cluster, name| {
        cluster.block_on(cluster.client().grow_to(name, nodes))
    })
}

/// Gives chunks without slots back to the pool.
pub(super) fn give_back(cluster: &ManagedCluster) -> Result<()> {
    order(cluster, "the chunk is given back", &["FREE_NODE_NOT_FOUND"], |cluster, name| {
        cluster.block_on(cluster.client().remove_free_nodes(name))
    })
}

/// Asks for a change until it is accepted, or refused because it was made already: the answer to an earlier attempt
/// may have been lost.
///
/// # Errors
/// When it is not accepted in time.
pub(super) fn order(
    cluster: &ManagedCluster,
    what: &str,
    done: &[&str],
    ask: impl Fn(&ManagedCluster, &ClusterName) -> Result<(), ClientError>,
) -> Result<()> {
    let name: ClusterName = CLUSTER.parse()?;
    retry_until(Deadline::within(ORDER_LIMIT), what, || match ask(cluster, &name) {
        Err(error) if error.code().is_some_and(|code| done.contains(&code)) => Ok(()),
        outcome => Ok(outcome?),
    })
}
