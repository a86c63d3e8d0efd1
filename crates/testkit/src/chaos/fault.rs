//! Faults on a running cluster: which processes and hosts one befalls, how it begins, and how it ends.

use anyhow::{Result, bail};

use super::kind::{Fault, Harm};
use super::network::{Direction, Network};
use super::orders::{give_back, grow, hand_over};
use super::services::{ServiceName, Sites, each};
use super::target::{Target, resolve};
use crate::managed::ManagedCluster;
use crate::managed::service::Service;
use crate::managed::shard::ShardPlace;

/// How many nodes a chunk has.
const CHUNK_NODES: usize = control_core::CHUNK_NODES;

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
