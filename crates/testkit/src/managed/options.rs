//! Of what a managed cluster consists, and with which settings.

use std::path::Path;

use anyhow::Result;

use super::disk::SmallDisk;
use super::service::Place;
use crate::redis_server::RedisOptions;

/// How far above its port each proxy of a managed cluster has its replica face.
pub(super) const REPLICA_PORT_OFFSET: u16 = 1;

/// Where processes keep their data on a small disk, below their directory.
pub(super) const DATA: &str = "data";

/// Where the metadata is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// One broker with one file.
    Embedded,
    /// That many brokers on one etcd.
    OnEtcd(usize),
}

/// How a managed cluster is started.
#[derive(Clone, Debug)]
pub struct ManagedOptions {
    /// The brokers.
    pub brokers: Brokers,
    /// How many coordinators there are.
    pub coordinators: usize,
    /// One host for each; more hosts than a cluster uses stay in the pool.
    pub hosts: Vec<Place>,
    /// Where brokers and etcd run, and coordinators for whom there is no place of their own.
    pub control: Place,
    /// Where coordinators run, the first of them first.
    pub coordinator_places: Vec<Place>,
    /// Settings of each broker, by their names in the configuration file.
    pub broker_settings: Vec<(String, String)>,
    /// Settings of each coordinator.
    pub coordinator_settings: Vec<(String, String)>,
    /// Settings of each proxy.
    pub proxy_settings: Vec<(String, String)>,
    /// Whether proxies have replica faces. Where a relay stands before a proxy they have none: it passes on one port.
    pub replica_faces: bool,
    /// Whether a relay stands before each proxy, through which everybody but a test's own clients reaches it: cut, it
    /// leaves a proxy that lives, with its nodes and their replication, and that no coordinator hears.
    pub relays: bool,
    /// Whether each broker's file and each Redis server's data are on a small disk. The calling thread has
    /// [`own_mounts`](super::disk::own_mounts) then.
    pub small_disks: bool,
    /// The Redis servers; `cluster` mode is not for here.
    pub nodes: RedisOptions,
}

impl ManagedOptions {
    /// One broker, one coordinator, and that many hosts on the loopback, all with default settings.
    #[must_use]
    pub fn of(hosts: usize) -> Self {
        Self {
            brokers: Brokers::Embedded,
            coordinators: 1,
            hosts: vec![Place::default(); hosts],
            control: Place::default(),
            coordinator_places: Vec::new(),
            broker_settings: Vec::new(),
            coordinator_settings: Vec::new(),
            proxy_settings: Vec::new(),
            replica_faces: true,
            relays: false,
            small_disks: false,
            nodes: RedisOptions::default(),
        }
    }

    /// Whether its proxies have replica faces.
    #[must_use]
    pub fn has_replica_faces(&self) -> bool {
        self.replica_faces && !self.relays
    }

    /// A disk for what a process keeps below its directory, where there are small ones.
    pub(super) fn small_disk(&self, directory: &Path) -> Result<Option<SmallDisk>> {
        self.small_disks.then(|| SmallDisk::mount(&directory.join(DATA))).transpose()
    }

    /// The token that brokers want for changes, where they want one.
    pub(super) fn write_token(&self) -> Option<&str> {
        let found = self.broker_settings.iter().find(|(name, _)| name == "write_token");
        found.map(|(_, token)| token.as_str())
    }

    /// Adds a setting of each broker.
    #[must_use]
    pub fn broker(mut self, name: &str, value: &str) -> Self {
        self.broker_settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a setting of each coordinator.
    #[must_use]
    pub fn coordinator(mut self, name: &str, value: &str) -> Self {
        self.coordinator_settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a setting of each proxy.
    #[must_use]
    pub fn proxy(mut self, name: &str, value: &str) -> Self {
        self.proxy_settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What coordinators give to proxies on other machines.
pub(super) const CONTROL_PASSWORD: &str = "the coordinators' own";

/// Whether coordinators are on another machine than a host: its proxy takes orders by a password then.
pub(super) fn needs_control_password(host: &Place, options: &ManagedOptions) -> bool {
    host.ip != options.control.ip
}
