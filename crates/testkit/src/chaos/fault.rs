//! Faults on a running cluster: which processes and hosts one befalls, how it begins, and how it ends.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::ClientError;
use api::v4::FailoverRequest;
use model::ClusterName;

use super::CLUSTER;
use super::network::{Direction, Network};
use super::plan::{Fault, Harm, Victim};
use crate::managed::ManagedCluster;
use crate::managed::service::Service;
use crate::managed::shard::{NodePlace, ShardPlace};
use crate::wait::{Deadline, retry_until};

/// How long an operator goes on asking for a change, while brokers are harmed, too.
const ORDER_LIMIT: Duration = Duration::from_secs(20);
/// How many nodes a chunk has.
const CHUNK_NODES: usize = control_core::CHUNK_NODES;

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
    /// What the brokers keep the metadata in.
    Etcd,
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

/// What a fault befalls just now.
struct Target {
    /// In words.
    what: String,
    /// The shards.
    hit: Vec<usize>,
    /// The processes.
    services: Vec<ServiceName>,
    /// The host in the network.
    host: usize,
    /// The only one that it is cut off from, if not from all.
    from: Option<usize>,
}

/// Begins a fault.
///
/// # Errors
/// When a process or a line cannot be harmed, which is not the product's fault; or when brokers do not make the change
/// that an operator wants.
pub fn begin(
    fault: &Fault,
    cluster: &mut ManagedCluster,
    shards: &[ShardPlace],
    network: Option<(&Network, Sites)>,
) -> Result<Begun> {
    let target = resolve(fault, cluster, shards, network.map(|(_, sites)| sites))?;
    let Target { what, hit, services, host, from } = target;
    let mut begun = Begun { what, hit, services, cut: None, harm: fault.harm };
    match (fault.harm, network) {
        (Harm::Kill, _) => each(cluster, &begun.services, |service| {
            service.kill();
            Ok(())
        })?,
        (Harm::Bounce, _) => each(cluster, &begun.services, Service::restart)?,
        (Harm::Freeze, _) => each(cluster, &begun.services, |service| service.process().freeze())?,
        (Harm::Cut(direction), Some((network, sites))) => {
            let all = || (0..=sites.clients).filter(|&other| other != host).collect();
            let others: Vec<usize> = from.map_or_else(all, |other| vec![other]);
            network.isolate(host, &others, direction, true)?;
            begun.cut = Some((host, others, direction));
        }
        (Harm::CutFromCluster, Some((network, sites))) => {
            let others: Vec<usize> = (0..=sites.control).filter(|&other| other != host).collect();
            network.isolate(host, &others, Direction::Both, true)?;
            begun.cut = Some((host, others, Direction::Both));
        }
        (Harm::Cut(_) | Harm::CutFromCluster, None) => bail!("{fault} takes a network between the hosts"),
        (Harm::HandOver, _) => hand_over(cluster, &shards[fault.choice % shards.len()])?,
        (Harm::Grow, _) => grow(cluster, shards.len() * 2 + CHUNK_NODES)?,
    }
    Ok(begun)
}

/// Ends a fault: starts what was killed, wakes what was frozen, mends what was cut, gives back what was added.
///
/// # Errors
/// When a program cannot be started or a line not be mended, or brokers do not take the chunk back.
pub fn end(begun: &Begun, cluster: &mut ManagedCluster, network: Option<&Network>) -> Result<()> {
    match begun.harm {
        Harm::Kill => each(cluster, &begun.services, Service::restart)?,
        Harm::Freeze => each(cluster, &begun.services, |service| service.process().thaw())?,
        Harm::Grow => give_back(cluster)?,
        Harm::Bounce | Harm::Cut(_) | Harm::CutFromCluster | Harm::HandOver => {}
    }
    if let (Some((host, others, direction)), Some(network)) = (&begun.cut, network) {
        network.isolate(*host, others, *direction, false)?;
    }
    Ok(())
}

/// Has the replica of a shard take over.
fn hand_over(cluster: &ManagedCluster, shard: &ShardPlace) -> Result<()> {
    let primary = cluster.hosts[shard.primary.host].nodes[shard.primary.node].model_address()?;
    let wanted = FailoverRequest { node: Some(primary), ..FailoverRequest::default() };
    order(cluster, "the handover is accepted", &[], |cluster, name| {
        cluster.block_on(cluster.client().fail_over(name, &wanted)).map(drop)
    })
}

/// Adds nodes until there are that many.
fn grow(cluster: &ManagedCluster, nodes: usize) -> Result<()> {
    order(cluster, "the cluster has another chunk", &["NODE_NUM_ALREADY_ENOUGH"], |cluster, name| {
        cluster.block_on(cluster.client().grow_to(name, nodes))
    })
}

/// Gives chunks without slots back to the pool.
fn give_back(cluster: &ManagedCluster) -> Result<()> {
    order(cluster, "the chunk is given back", &["FREE_NODE_NOT_FOUND"], |cluster, name| {
        cluster.block_on(cluster.client().remove_free_nodes(name))
    })
}

/// Asks for a change until it is accepted, or refused because it was made already: the answer to an earlier attempt
/// may have been lost.
fn order(
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

fn resolve(
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
            ServiceName::Etcd => cluster.etcd.as_mut().context("there is an etcd")?,
        })?;
    }
    Ok(())
}
