//! Faults on a running cluster: which processes and hosts one befalls, how it begins, and how it ends.

use anyhow::{Result, bail};

use super::network::{Direction, Network};
use super::plan::{Fault, Harm, Victim};
use crate::managed::ManagedCluster;
use crate::managed::service::Service;
use crate::managed::shard::ShardPlace;

/// One process of a managed cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// The proxy of a host.
    Proxy(usize),
    /// A Redis server: its host, and 0 or 1.
    Node(usize, usize),
    /// A broker.
    Broker(usize),
    /// A coordinator.
    Coordinator(usize),
}

/// Where the parts of the run are in the network.
#[derive(Clone, Copy, Debug)]
pub struct Sites {
    /// Hosts 0 to this one, exclusive, have proxies.
    pub hosts: usize,
    /// The host of brokers and coordinators.
    pub control: usize,
    /// The host of the clients.
    pub clients: usize,
}

/// A fault that has begun.
#[derive(Debug)]
pub struct Begun {
    /// What was hit, for people.
    pub what: String,
    /// The shards whose service it hits, ascending.
    pub hit: Vec<usize>,
    services: Vec<ServiceName>,
    cut: Option<(usize, Vec<usize>, Direction)>,
    harm: Harm,
}

/// Begins a fault.
///
/// # Errors
/// When a process or a line cannot be harmed, which is not the product's fault.
pub fn begin(
    fault: &Fault,
    cluster: &mut ManagedCluster,
    shards: &[ShardPlace],
    network: Option<(&Network, Sites)>,
) -> Result<Begun> {
    let (what, hit, services, host) = resolve(fault, cluster, shards, network.map(|(_, sites)| sites));
    let mut begun = Begun { what, hit, services, cut: None, harm: fault.harm };
    match (fault.harm, network) {
        (Harm::Kill, _) => each(cluster, &begun.services, |service| {
            service.kill();
            Ok(())
        })?,
        (Harm::Bounce, _) => each(cluster, &begun.services, Service::restart)?,
        (Harm::Freeze, _) => each(cluster, &begun.services, |service| service.process().freeze())?,
        (Harm::Cut(direction), Some((network, sites))) => {
            let others: Vec<usize> = (0..=sites.clients).filter(|&other| other != host).collect();
            network.isolate(host, &others, direction, true)?;
            begun.cut = Some((host, others, direction));
        }
        (Harm::CutFromCluster, Some((network, sites))) => {
            let others: Vec<usize> = (0..=sites.control).filter(|&other| other != host).collect();
            network.isolate(host, &others, Direction::Both, true)?;
            begun.cut = Some((host, others, Direction::Both));
        }
        (Harm::Cut(_) | Harm::CutFromCluster, None) => bail!("{fault} takes a network between the hosts"),
    }
    Ok(begun)
}

/// Ends a fault: starts what was killed, wakes what was frozen, mends what was cut.
///
/// # Errors
/// When a program cannot be started or a line not be mended.
pub fn end(begun: &Begun, cluster: &mut ManagedCluster, network: Option<&Network>) -> Result<()> {
    match begun.harm {
        Harm::Kill => each(cluster, &begun.services, Service::restart)?,
        Harm::Freeze => each(cluster, &begun.services, |service| service.process().thaw())?,
        Harm::Bounce | Harm::Cut(_) | Harm::CutFromCluster => {}
    }
    if let (Some((host, others, direction)), Some(network)) = (&begun.cut, network) {
        network.isolate(*host, others, *direction, false)?;
    }
    Ok(())
}

/// What a fault befalls just now: in words, the shards, the processes, and the host in the network.
fn resolve(
    fault: &Fault,
    cluster: &ManagedCluster,
    shards: &[ShardPlace],
    sites: Option<Sites>,
) -> (String, Vec<usize>, Vec<ServiceName>, usize) {
    let chosen = fault.choice % shards.len().max(1);
    let shard = &shards[chosen];
    let host = shard.primary.host;
    let host_services =
        vec![ServiceName::Node(host, 0), ServiceName::Node(host, 1), ServiceName::Proxy(host)];
    // A host has the primaries of one or two shards.
    let on_host: Vec<usize> = (0..shards.len()).filter(|&index| shards[index].primary.host == host).collect();
    let control = sites.map_or(0, |sites| sites.control);
    match fault.victim {
        Victim::Primary => {
            let node = ServiceName::Node(host, shard.primary.node);
            (format!("of shard {chosen} on host {host}"), vec![chosen], vec![node], host)
        }
        Victim::Replica => {
            let place = shard.replica;
            let node = ServiceName::Node(place.host, place.node);
            (format!("of shard {chosen} on host {}", place.host), vec![chosen], vec![node], place.host)
        }
        Victim::Proxy => (format!("of host {host}"), on_host, vec![ServiceName::Proxy(host)], host),
        Victim::Host => (format!("host {host}"), on_host, host_services, host),
        Victim::Broker => {
            let number = fault.choice % cluster.brokers.len();
            (format!("{number}"), (0..shards.len()).collect(), vec![ServiceName::Broker(number)], control)
        }
        Victim::Coordinator => {
            let number = fault.choice % cluster.coordinators.len();
            let service = ServiceName::Coordinator(number);
            (format!("{number}"), (0..shards.len()).collect(), vec![service], control)
        }
        Victim::ControlPlane => {
            let brokers = (0..cluster.brokers.len()).map(ServiceName::Broker);
            let coordinators = (0..cluster.coordinators.len()).map(ServiceName::Coordinator);
            let all = brokers.chain(coordinators).collect();
            ("all of it".to_owned(), (0..shards.len()).collect(), all, control)
        }
    }
}

/// Acts on each of the processes.
fn each(
    cluster: &mut ManagedCluster,
    services: &[ServiceName],
    mut act: impl FnMut(&mut Service) -> Result<()>,
) -> Result<()> {
    for service in services {
        act(match *service {
            ServiceName::Proxy(host) => &mut cluster.hosts[host].proxy,
            ServiceName::Node(host, node) => &mut cluster.hosts[host].nodes[node],
            ServiceName::Broker(number) => &mut cluster.brokers[number],
            ServiceName::Coordinator(number) => &mut cluster.coordinators[number],
        })?;
    }
    Ok(())
}
