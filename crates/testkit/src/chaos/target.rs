//! What a fault befalls just now: which shards, processes and hosts of the network its words mean.

use anyhow::{Context, Result};

use super::kind::{Fault, Victim};
use super::services::{ServiceName, Sites};
use crate::managed::ManagedCluster;
use crate::managed::shard::{NodePlace, ShardPlace};

/// What a fault befalls just now.
#[derive(Debug)]
pub(super) struct Target {
    /// In words.
    pub(super) what: String,
    /// The shards.
    pub(super) hit: Vec<usize>,
    /// The processes.
    pub(super) services: Vec<ServiceName>,
    /// The host in the network.
    pub(super) host: usize,
    /// The only one that it is cut off from, if not from all.
    pub(super) from: Option<usize>,
}

/// What the fault befalls.
///
/// # Errors
/// When the cluster has no shards.
pub(super) fn resolve(
    fault: &Fault,
    cluster: &ManagedCluster,
    shards: &[ShardPlace],
    sites: Option<Sites>,
) -> Result<Target> {
    let chosen = fault.choice % shards.len().max(1);
    let shard = shards.get(chosen).context("the cluster has shards")?;
    if matches!(fault.victim, Victim::Primary | Victim::Replica | Victim::Proxy | Victim::Host | Victim::Link)
    {
        return Ok(of_shard(fault.victim, (chosen, shard), shards));
    }
    let brokers = || (0..cluster.brokers.len()).map(ServiceName::Broker);
    let coordinators = || (0..cluster.coordinators.len()).map(ServiceName::Coordinator);
    let etcd = cluster.etcd.as_ref().map(|_| ServiceName::Etcd);
    let (what, services) = match fault.victim {
        Victim::Broker => {
            let number = fault.choice % cluster.brokers.len();
            (format!("{number}"), vec![ServiceName::Broker(number)])
        }
        Victim::Coordinator => {
            let number = fault.choice % cluster.coordinators.len();
            (format!("{number}"), vec![ServiceName::Coordinator(number)])
        }
        Victim::Brokers => ("all of them".to_owned(), brokers().collect()),
        Victim::Coordinators => ("all of them".to_owned(), coordinators().collect()),
        Victim::Etcd => ("the only one".to_owned(), etcd.into_iter().collect()),
        Victim::ControlPlane => {
            ("all of it".to_owned(), etcd.into_iter().chain(brokers()).chain(coordinators()).collect())
        }
        _ => ("by a chunk".to_owned(), Vec::new()),
    };
    let host = sites.map_or(0, |sites| sites.control);
    Ok(Target { what, hit: (0..shards.len()).collect(), services, host, from: None })
}

fn of_shard(victim: Victim, (chosen, shard): (usize, &ShardPlace), shards: &[ShardPlace]) -> Target {
    let (primary, replica) = (shard.primary, shard.replica);
    let host = primary.host;
    // A host has the primaries of one or two shards.
    let on_host: Vec<usize> = (0..shards.len()).filter(|&index| shards[index].primary.host == host).collect();
    let node = |place: NodePlace| vec![ServiceName::Node(place.host, place.node)];
    let (what, hit, services) = match victim {
        Victim::Primary => (format!("of shard {chosen} on host {host}"), vec![chosen], node(primary)),
        Victim::Replica => {
            let what = format!("of shard {chosen} on host {}", replica.host);
            (what, vec![chosen], node(replica))
        }
        Victim::Link => {
            let between = |shard: &ShardPlace| [shard.primary.host, shard.replica.host].contains(&host);
            let hit = (0..shards.len()).filter(|&index| between(&shards[index])).collect();
            (format!("from host {host} to host {}", replica.host), hit, Vec::new())
        }
        Victim::Proxy => (format!("of host {host}"), on_host, vec![ServiceName::Proxy(host)]),
        _ => {
            let all = vec![ServiceName::Node(host, 0), ServiceName::Node(host, 1), ServiceName::Proxy(host)];
            (format!("host {host}"), on_host, all)
        }
    };
    let from = (victim == Victim::Link).then_some(replica.host);
    Target { what, hit, services, host, from }
}
