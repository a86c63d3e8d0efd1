//! What a cluster on one machine is made of: how many processes there are, on which ports. It is kept in the
//! directory of the cluster, so that a later start finds the same.
//!
//! Which proxies make a chunk is not said here: that is the broker's to decide.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use model::{Address, ClusterName};
use serde::{Deserialize, Serialize};

use super::ports::FreePorts;

/// How far above the proxies' ports those for metrics begin.
const ADMIN_PORT_OFFSET: u16 = 200;

/// How far above the proxies' ports their replica faces may be. All are as far.
const REPLICA_PORT_OFFSETS: RangeInclusive<u16> = 400..=1000;

/// How far above the proxies' ports those of the Redis servers begin: 5299 makes 6380, next to Redis's own 6379.
const NODE_PORT_OFFSET: u16 = 1081;

/// How far above the proxies' ports the coordinator's is: 5299 makes 6699.
const COORDINATOR_PORT_OFFSET: u16 = 1400;

/// How far above the proxies' ports the broker's is: 5299 makes 7799.
const BROKER_PORT_OFFSET: u16 = 2500;

/// The highest port that may be asked for: above it there must be room for everything.
pub(crate) const BASE_PORT_MAX: u16 = 60_000;

/// The most chunks that one machine is asked to carry: 64 proxies with 128 Redis servers.
const CHUNKS_MAX: usize = 32;

/// The name of the only cluster, and what the names of several begin with.
const CLUSTER_NAME: &str = "local";

/// How much of everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    /// How many clusters.
    pub clusters: u16,
    /// How many chunks each of them has: two proxies with four nodes each.
    pub chunks: u16,
    /// How many proxies there are beyond that, for the pool.
    pub spare: u16,
}

impl Shape {
    /// How many proxies that takes; `None` when it is more than one machine should carry.
    pub(crate) fn proxies(self) -> Option<usize> {
        let used = usize::from(self.clusters) * usize::from(self.chunks) * 2;
        let all = used + usize::from(self.spare);
        (all <= CHUNKS_MAX * 2).then_some(all)
    }

    /// The most proxies that one machine is asked to carry.
    pub(crate) const PROXIES_MAX: usize = CHUNKS_MAX * 2;
}

/// Every process, with its ports. All are on the loopback address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// How much of everything there is.
    pub shape: Shape,
    /// Where the broker answers HTTP.
    pub broker_port: u16,
    /// Where the coordinator answers.
    pub coordinator_port: u16,
    /// How far above its port each proxy has its replica face; 0 where an earlier version has laid out the cluster.
    #[serde(default)]
    pub replica_port_offset: u16,
    /// The proxies.
    pub proxies: Vec<ProxyPlan>,
}

/// A proxy with the two Redis servers behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProxyPlan {
    /// Where it serves clients.
    pub port: u16,
    /// Where it answers `/metrics`.
    pub admin_port: u16,
    /// Where its nodes listen.
    pub node_ports: [u16; 2],
}

impl Layout {
    /// A new layout on ports that are free now, from `base` up; `None` when there are not enough.
    pub(crate) fn new(shape: Shape, base: u16) -> Option<Self> {
        let count = shape.proxies()?;
        let mut ports = FreePorts::default();
        let proxies = ports.several(base, count)?;
        let admin = ports.several(base + ADMIN_PORT_OFFSET, count)?;
        let nodes = ports.several(base + NODE_PORT_OFFSET, count * 2)?;
        let plan = |((port, admin_port), nodes): ((&u16, &u16), &[u16])| {
            let node_ports = nodes.try_into().ok()?;
            Some(ProxyPlan { port: *port, admin_port: *admin_port, node_ports })
        };
        Some(Self {
            shape,
            broker_port: ports.next(base + BROKER_PORT_OFFSET)?,
            coordinator_port: ports.next(base + COORDINATOR_PORT_OFFSET)?,
            replica_port_offset: ports.distance(&proxies, REPLICA_PORT_OFFSETS)?,
            proxies: proxies.iter().zip(&admin).zip(nodes.chunks(2)).map(plan).collect::<Option<_>>()?,
        })
    }

    /// Every port of it.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        let of_proxy =
            |proxy: &ProxyPlan| [proxy.port, proxy.admin_port, proxy.node_ports[0], proxy.node_ports[1]];
        let replicas = self.proxies.iter().filter_map(|proxy| self.replica_face(proxy.port));
        let control = [self.broker_port, self.coordinator_port].into_iter();
        control.chain(self.proxies.iter().flat_map(of_proxy)).chain(replicas)
    }

    /// The port of the replica face of the proxy on that port; `None` where proxies have none.
    pub(crate) fn replica_face(&self, proxy: u16) -> Option<u16> {
        (self.replica_port_offset > 0).then(|| proxy.checked_add(self.replica_port_offset)).flatten()
    }

    /// The names of the clusters.
    pub(crate) fn clusters(&self) -> Vec<ClusterName> {
        let count = self.shape.clusters;
        let name = |number: u16| {
            let text = if count == 1 { CLUSTER_NAME.to_owned() } else { format!("{CLUSTER_NAME}-{number}") };
            text.parse().expect("a word and a number make the name of a cluster")
        };
        (1..=count).map(name).collect()
    }

    /// Every node: the proxy's place, which of its two it is, and its address.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (usize, usize, Address)> {
        let of_proxy = |(place, proxy): (usize, &ProxyPlan)| {
            proxy
                .nodes()
                .into_iter()
                .enumerate()
                .map(move |(which, node)| (place, which, node))
                .collect::<Vec<_>>()
        };
        self.proxies.iter().enumerate().flat_map(of_proxy)
    }
}

impl ProxyPlan {
    /// Where it serves clients.
    pub(crate) fn address(&self) -> Address {
        local(self.port)
    }

    /// Its nodes.
    pub(crate) fn nodes(&self) -> [Address; 2] {
        self.node_ports.map(local)
    }
}

/// An address of this machine.
pub(crate) fn local(port: u16) -> Address {
    Address::new("127.0.0.1", port).expect("the ports of a layout are those that were found free")
}

/// The failure domain that a proxy is said to be in: all are on one machine, and each plays a host of its own.
pub(crate) fn host(place: usize) -> String {
    format!("host-{}", place + 1)
}

/// The folder of a node below the cluster's directory.
pub(crate) fn node_folder(place: usize, which: usize) -> PathBuf {
    PathBuf::from(format!("proxy-{}-node-{which}", place + 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Layout, Shape};

    #[test]
    fn every_process_has_its_own_ports_and_a_file_keeps_them() {
        fn check(shape: (u16, u16, u16), proxies: usize, names: &[&str]) {
            let shape = Shape { clusters: shape.0, chunks: shape.1, spare: shape.2 };
            let layout = Layout::new(shape, 23_000).unwrap();
            assert_eq!(layout.proxies.len(), proxies, "{shape:?}");
            let ports: Vec<u16> = layout.ports().collect();
            assert_eq!(ports.len(), 2 + proxies * 5);
            assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len(), "a port twice: {ports:?}");
            assert_eq!(layout.clusters().iter().map(ToString::to_string).collect::<Vec<_>>(), names);
            let text = toml::to_string(&layout).unwrap();
            assert_eq!(toml::from_str::<Layout>(&text).unwrap(), layout);
            let older = text.replace(&format!("replica_port_offset = {}\n", layout.replica_port_offset), "");
            let older: Layout = toml::from_str(&older).unwrap();
            assert_eq!((older.replica_port_offset, older.ports().count()), (0, 2 + proxies * 4));
        }
        check((1, 1, 0), 2, &["local"]);
        check((2, 2, 1), 9, &["local-1", "local-2"]);
        check((1, 32, 0), 64, &["local"]);
    }

    #[test]
    fn there_is_an_end_to_what_one_machine_carries() {
        assert_eq!(Shape { clusters: 3, chunks: 11, spare: 0 }.proxies(), None);
        assert_eq!(Shape { clusters: u16::MAX, chunks: u16::MAX, spare: u16::MAX }.proxies(), None);
        assert_eq!(Layout::new(Shape { clusters: 1, chunks: 33, spare: 0 }, 23_000), None);
    }
}
