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
    /// The hosts in the network that it is or runs on.
    pub(super) places: Vec<usize>,
    /// The only one that they are cut off from, if not from all.
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
    sites: Sites,
) -> Result<Target> {
    let chosen = fault.choice % shards.len().max(1);
    let shard = shards.get(chosen).context("the cluster has shards")?;
    match fault.victim {
        Victim::Primary | Victim::Nodes | Victim::Replica | Victim::Proxy | Victim::Host | Victim::Link => {
            Ok(of_shard(fault.victim, (chosen, shard), shards))
        }
        Victim::CoordinatorToHost => {
            let number = fault.choice / shards.len() % cluster.coordinators.len();
            let host = shard.primary.host;
            Ok(Target {
                what: format!("{number} to host {host}"),
                hit: led_from(host, shards),
                services: Vec::new(),
                places: vec![sites.coordinator(number)],
                from: Some(host),
            })
        }
        _ => Ok(of_control_plane(fault, cluster, shards.len(), sites)),
    }
}

fn of_control_plane(fault: &Fault, cluster: &ManagedCluster, shards: usize, sites: Sites) -> Target {
    let brokers = || (0..cluster.brokers.len()).map(ServiceName::Broker);
    let coordinators = || (0..cluster.coordinators.len()).map(ServiceName::Coordinator);
    let etcd = || cluster.etcd.as_ref().map(|_| ServiceName::Etcd);
    let coordinator = fault.choice % cluster.coordinators.len();
    let (what, services, places) = match fault.victim {
        Victim::Broker => {
            let number = fault.choice % cluster.brokers.len();
            (format!("{number}"), vec![ServiceName::Broker(number)], vec![sites.control])
        }
        Victim::Coordinator => {
            let services = vec![ServiceName::Coordinator(coordinator)];
            (format!("{coordinator}"), services, vec![sites.coordinator(coordinator)])
        }
        Victim::CoordinatorToBrokers => {
            (format!("{coordinator}"), Vec::new(), vec![sites.coordinator(coordinator)])
        }
        Victim::Brokers => ("all of them".to_owned(), brokers().collect(), vec![sites.control]),
        Victim::Coordinators => {
            ("all of them".to_owned(), coordinators().collect(), sites.control_plane().split_off(1))
        }
        Victim::Etcd => ("the only one".to_owned(), etcd().into_iter().collect(), vec![sites.control]),
        Victim::ControlPlane => {
            let all = etcd().into_iter().chain(brokers()).chain(coordinators());
            ("all of it".to_owned(), all.collect(), sites.control_plane())
        }
        Victim::Proxies => ("one after the other".to_owned(), Vec::new(), Vec::new()),
        _ => ("by a chunk".to_owned(), Vec::new(), Vec::new()),
    };
    let from = (fault.victim == Victim::CoordinatorToBrokers).then_some(sites.control);
    Target { what, hit: (0..shards).collect(), services, places, from }
}

/// The shards whose primary is on a host: one or two.
fn led_from(host: usize, shards: &[ShardPlace]) -> Vec<usize> {
    (0..shards.len()).filter(|&index| shards[index].primary.host == host).collect()
}

fn of_shard(victim: Victim, (chosen, shard): (usize, &ShardPlace), shards: &[ShardPlace]) -> Target {
    let (primary, replica) = (shard.primary, shard.replica);
    let host = primary.host;
    let on_host = led_from(host, shards);
    let node = |place: NodePlace| vec![ServiceName::Node(place.host, place.node)];
    let (what, hit, services) = match victim {
        Victim::Primary => (format!("of shard {chosen} on host {host}"), vec![chosen], node(primary)),
        Victim::Nodes => {
            (format!("of shard {chosen}"), vec![chosen], [node(primary), node(replica)].concat())
        }
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
    Target { what, hit, services, places: vec![host], from }
}
