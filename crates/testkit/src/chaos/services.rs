//! The processes of a run by their names, and where they are in the network.

use std::path::Path;

use anyhow::{Context, Result};
use control_core::State;

use super::network::Network;
use crate::managed::ManagedCluster;
use crate::managed::service::{Place, Service};

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
    /// The host of brokers and etcd.
    pub control: usize,
    /// How many coordinators there are, each on a host of its own behind `control`.
    pub coordinators: usize,
    /// The host of the clients, the last one.
    pub clients: usize,
}

impl Sites {
    /// The sites of that many hosts with proxies, and coordinators.
    #[must_use]
    pub fn of(hosts: usize, coordinators: usize) -> Self {
        Self { hosts, control: hosts, coordinators, clients: hosts + coordinators + 1 }
    }

    /// How many hosts there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.clients + 1
    }

    /// The host of a coordinator.
    #[must_use]
    pub fn coordinator(self, number: usize) -> usize {
        self.control + 1 + number
    }

    /// The hosts of brokers, etcd and coordinators.
    #[must_use]
    pub fn control_plane(self) -> Vec<usize> {
        (self.control..self.clients).collect()
    }
}

/// What faults work on.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The processes.
    pub cluster: &'a mut ManagedCluster,
    /// The network between them, where there is one.
    pub network: Option<&'a Network>,
    /// Where they are in it.
    pub sites: Sites,
    /// The metadata as they were before each fault so far, this one included.
    pub dumps: &'a [State],
    /// A binary of another version, where one was given.
    pub other_binary: Option<&'a Path>,
}

impl Ground<'_> {
    /// Where clients are, for a process of theirs.
    pub(super) fn beside_clients(&self) -> Place {
        let clients = self.sites.clients;
        self.network.map_or_else(Place::default, |network| Place {
            ip: network.address(clients),
            launcher: network.launcher(clients),
        })
    }
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
