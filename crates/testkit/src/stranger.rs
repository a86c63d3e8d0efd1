//! Replicas that nobody manages: a backup, a copy for analysis, a migration tool.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::managed::ManagedCluster;
use crate::managed::service::{Place, Recipe, Service};
use crate::managed::shard::{NodePlace, ShardPlace};
use crate::wait::{Deadline, retry_until};

/// How long it may take until it has a copy.
const COPY_LIMIT: Duration = Duration::from_secs(10);

/// Starts a replica of a primary at a place, and waits until it follows.
///
/// # Errors
/// When it cannot be started, or does not follow in time.
pub fn copy(cluster: &ManagedCluster, primary: NodePlace, place: &Place) -> Result<Service> {
    start(cluster, primary, place, None)
}

/// The same, and the primary lists it with the address of its own replica.
///
/// # Errors
/// As [`copy`].
pub fn impostor(cluster: &ManagedCluster, shard: &ShardPlace, place: &Place) -> Result<Service> {
    let replica = cluster.hosts[shard.replica.host].nodes[shard.replica.node].address();
    start(cluster, shard.primary, place, Some(replica))
}

fn start(
    cluster: &ManagedCluster,
    primary: NodePlace,
    place: &Place,
    announced: Option<SocketAddr>,
) -> Result<Service> {
    let source = cluster.hosts[primary.host].nodes[primary.node].address();
    let name = format!("stranger-{}-{}", primary.host, primary.node);
    let stranger = Service::start(&name, cluster.directory(), place, |address, _| {
        let mut arguments = vec![
            ("--port", address.port().to_string()),
            ("--bind", address.ip().to_string()),
            ("--protected-mode", "no".to_owned()),
            ("--save", String::new()),
            ("--replicaof", format!("{} {}", source.ip(), source.port())),
        ];
        if let Some(announced) = announced {
            arguments.push(("--replica-announce-ip", announced.ip().to_string()));
            arguments.push(("--replica-announce-port", announced.port().to_string()));
        }
        let arguments = arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        let program = crate::binary::on_path("redis-server")?;
        Ok(Recipe { program, arguments: arguments.collect(), ..Recipe::default() })
    })?;
    retry_until(Deadline::within(COPY_LIMIT), &format!("{name} follows {source}"), || {
        let info = stranger.say("INFO replication")?.text()?;
        ensure!(info.contains("master_link_status:up"), "{info}");
        Ok(())
    })?;
    Ok(stranger)
}
