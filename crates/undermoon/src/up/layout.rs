//! Who is who in a cluster on one machine: which node is behind which proxy, which slots it has, and the views
//! that say so. Pure: it is given addresses and starts nothing.
//!
//! Shard `i` has its primary behind proxy `i` and its replica behind the next one, so that with two proxies the
//! layout is a chunk, and no proxy's loss takes both copies of a shard.

use model::{
    Address, ClusterConfig, ClusterName, Epoch, LocalNode, NodeRole, PeerProxy, ReplPeer, Role, SLOT_COUNT,
    SetCluster, SetRepl, Slot, SlotAssignment, SlotRange, SlotRanges, SlotTag, View,
};

/// The epoch of the only view that this form of `up` pushes. Its proxies are new each time and start from 0.
const EPOCH: Epoch = Epoch(1);

/// How many shards, and whether each has a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// At least 1.
    pub shards: usize,
    /// Whether each shard has a replica next to its primary.
    pub replicated: bool,
}

impl Shape {
    /// How many proxies it takes: one a shard, but two at least where there are replicas.
    pub(crate) fn proxies(self) -> usize {
        if self.replicated { self.shards.max(2) } else { self.shards }
    }

    /// How many Redis servers it takes.
    pub(crate) fn nodes(self) -> usize {
        if self.replicated { self.shards * 2 } else { self.shards }
    }
}

/// A proxy, with what is behind it.
#[derive(Clone, Debug)]
pub(crate) struct ProxyPlan {
    /// Where it serves clients.
    pub address: Address,
    /// Its nodes; empty for none.
    pub nodes: Vec<NodePlan>,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    /// Where it listens.
    pub address: Address,
    /// Whose data it has.
    pub shard: usize,
    /// Whether it is the shard's primary.
    pub role: Role,
}

/// A whole cluster.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    cluster: ClusterName,
    shape: Shape,
    proxies: Vec<ProxyPlan>,
}

impl Layout {
    /// Deals out the addresses. The node addresses are used in the order of the proxies, primary before replica.
    ///
    /// # Panics
    /// When there are not exactly as many addresses as the shape takes.
    pub(crate) fn new(cluster: ClusterName, shape: Shape, proxies: &[Address], nodes: &[Address]) -> Self {
        assert_eq!(
            (proxies.len(), nodes.len()),
            (shape.proxies(), shape.nodes()),
            "addresses as the shape takes"
        );
        let mut nodes = nodes.iter().cloned();
        let plan = |(index, address): (usize, &Address)| {
            let mut behind = Vec::new();
            if index < shape.shards {
                behind.push((index, Role::Primary));
            }
            // The shard of the proxy before this one, in a ring.
            let previous = (index + shape.proxies() - 1) % shape.proxies();
            if shape.replicated && previous < shape.shards {
                behind.push((previous, Role::Replica));
            }
            let node = |(shard, role)| {
                let address = nodes.next().expect("as many addresses as nodes, as counted above");
                NodePlan { address, shard, role }
            };
            ProxyPlan { address: address.clone(), nodes: behind.into_iter().map(node).collect() }
        };
        let proxies = proxies.iter().enumerate().map(plan).collect();
        Layout { cluster, shape, proxies }
    }

    /// The proxies.
    pub(crate) fn proxies(&self) -> &[ProxyPlan] {
        &self.proxies
    }

    /// Every node, in the order of the proxies.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodePlan> {
        self.proxies.iter().flat_map(|proxy| &proxy.nodes)
    }

    /// The slots of a shard: contiguous, and as even as whole numbers allow.
    pub(crate) fn slots(&self, shard: usize) -> SlotRanges {
        let edge = |shard: usize| shard * SLOT_COUNT / self.shape.shards;
        let slot = |index: usize| u16::try_from(index).ok().and_then(Slot::new);
        let range = slot(edge(shard)).zip(slot(edge(shard + 1) - 1)).and_then(|(a, b)| SlotRange::new(a, b));
        range.into_iter().collect()
    }

    /// What the proxy `index` is told of the cluster.
    pub(crate) fn set_cluster(&self, index: usize) -> SetCluster {
        let local = self.proxies[index].nodes.iter();
        let local = local
            .map(|node| LocalNode { address: node.address.clone(), slots: vec![self.assignment(node)] })
            .collect();
        let others = self.proxies.iter().enumerate().filter(|(other, _)| *other != index);
        let peers = others.map(|(_, proxy)| PeerProxy {
            address: proxy.address.clone(),
            slots: proxy.nodes.iter().map(|node| self.assignment(node)).collect(),
        });
        let view = View {
            epoch: EPOCH,
            cluster: self.cluster.clone(),
            local,
            peers: peers.collect(),
            config: ClusterConfig::default(),
        };
        SetCluster::new(view, false)
    }

    /// What the proxy `index` is told of the roles of its nodes.
    pub(crate) fn set_repl(&self, index: usize) -> SetRepl {
        let role = |node: &NodePlan| NodeRole {
            cluster: self.cluster.clone(),
            node: node.address.clone(),
            role: node.role,
            peers: self.replication_peers(node),
        };
        let roles = self.proxies[index].nodes.iter().map(role).collect();
        SetRepl { epoch: EPOCH, flags: model::MetaFlags::default(), roles }
    }

    fn replication_peers(&self, node: &NodePlan) -> Vec<ReplPeer> {
        let all = self.proxies.iter().flat_map(|proxy| proxy.nodes.iter().map(move |peer| (proxy, peer)));
        all.filter(|(_, peer)| peer.shard == node.shard && peer.address != node.address)
            .map(|(proxy, peer)| ReplPeer { node: peer.address.clone(), proxy: proxy.address.clone() })
            .collect()
    }

    fn assignment(&self, node: &NodePlan) -> SlotAssignment {
        let tag = if node.role == Role::Primary { SlotTag::None } else { SlotTag::Replica };
        SlotAssignment { ranges: self.slots(node.shard), tag }
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Shape};
    use model::{Address, Role, SLOT_COUNT, SetCluster, SetRepl};

    fn layout(shards: usize, replicated: bool) -> Layout {
        let shape = Shape { shards, replicated };
        let addresses = |count: usize, base: u16| -> Vec<Address> {
            (0..)
                .take(count)
                .map(|index| Address::new("127.0.0.1", base + index).expect("an address"))
                .collect()
        };
        let cluster = "local".parse().expect("a cluster name");
        Layout::new(cluster, shape, &addresses(shape.proxies(), 5299), &addresses(shape.nodes(), 6380))
    }

    #[test]
    fn what_proxies_are_told() {
        fn check(shards: usize, replicated: bool, index: usize, expected: [&str; 2]) {
            let layout = layout(shards, replicated);
            let told = [layout.set_cluster(index).to_args(false), layout.set_repl(index).to_args(false)];
            // The cluster's settings come last, and are the defaults.
            let told = told.map(|arguments| arguments.join(" ").split(" CONFIG ").next().map(str::to_owned));
            assert_eq!(told, expected.map(|text| Some(text.to_owned())), "{shards} {replicated} {index}");
        }
        check(
            1,
            false,
            0,
            ["v2 1 NOFLAGS local 127.0.0.1:6380 1 0-16383", "1 NOFLAGS master local 127.0.0.1:6380 0"],
        );
        check(
            1,
            true,
            1,
            [
                "v2 1 NOFLAGS local 127.0.0.1:6381 REPLICA 1 0-16383 PEER 127.0.0.1:5299 1 0-16383",
                "1 NOFLAGS replica local 127.0.0.1:6381 1 127.0.0.1:6380 127.0.0.1:5299",
            ],
        );
        check(
            2,
            true,
            0,
            [
                "v2 1 NOFLAGS local 127.0.0.1:6380 1 0-8191 127.0.0.1:6381 REPLICA 1 8192-16383 \
             PEER 127.0.0.1:5300 1 8192-16383 127.0.0.1:5300 REPLICA 1 0-8191",
                "1 NOFLAGS master local 127.0.0.1:6380 1 127.0.0.1:6383 127.0.0.1:5300 \
             replica local 127.0.0.1:6381 1 127.0.0.1:6382 127.0.0.1:5300",
            ],
        );
        check(
            3,
            false,
            2,
            [
                "v2 1 NOFLAGS local 127.0.0.1:6382 1 10922-16383 PEER 127.0.0.1:5299 1 0-5460 127.0.0.1:5300 1 5461-10921",
                "1 NOFLAGS master local 127.0.0.1:6382 0",
            ],
        );
    }

    /// For every shape: all slots are owned once, what is told can be read back, and the loss of one proxy leaves a
    /// copy of every shard.
    #[test]
    fn every_shape_is_sound() {
        for (shards, replicated) in (1..=20).flat_map(|shards| [(shards, false), (shards, true)]) {
            let layout = layout(shards, replicated);
            let context = format!("{shards} shards, replicated: {replicated}");
            let owned: usize = (0..shards).map(|shard| layout.slots(shard).count()).sum();
            assert_eq!(owned, SLOT_COUNT, "{context}");
            for index in 0..layout.proxies().len() {
                let arguments = layout.set_cluster(index).to_args(false);
                let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
                assert_eq!(
                    SetCluster::parse(&arguments).expect("readable").view,
                    layout.set_cluster(index).view
                );
                let arguments = layout.set_repl(index).to_args(false);
                let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
                assert_eq!(
                    SetRepl::parse(&arguments).expect("readable"),
                    layout.set_repl(index),
                    "{context}"
                );
            }
            for shard in 0..shards {
                let proxies_with = |role: Role| -> Vec<usize> {
                    let has = |index: &usize| {
                        layout.proxies()[*index]
                            .nodes
                            .iter()
                            .any(|node| node.shard == shard && node.role == role)
                    };
                    (0..layout.proxies().len()).filter(has).collect()
                };
                let (primary, replica) = (proxies_with(Role::Primary), proxies_with(Role::Replica));
                assert_eq!((primary.len(), replica.len()), (1, usize::from(replicated)), "{context}");
                assert_ne!(primary, replica, "{context}");
            }
        }
    }
}
