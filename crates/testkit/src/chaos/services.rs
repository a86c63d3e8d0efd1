//! The processes of a run by their names, and where they are in the network.

use anyhow::{Context, Result};

use crate::managed::ManagedCluster;
use crate::managed::service::Service;

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

/// Acts on each of the processes.
pub(super) fn each(
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
