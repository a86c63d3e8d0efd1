//! What each proxy should have: its view of its cluster, and the roles of its nodes.

use model::{
    Address, ClusterName, LocalNode, NodeRole, PeerProxy, ReplPeer, Role, SetCluster, SetRepl,
    SlotAssignment, SlotTag, View,
};

use crate::state::{Chunk, Cluster, FenceReason, Half, Proxy, ShardId, State};

/// The name under which a proxy of the pool is given its empty view; no cluster is meant by it.
pub const POOL_CLUSTER: &str = "@pool";

/// What a proxy should have: the roles of its nodes, to be sent first, and its view. `None` for a proxy that
/// is not registered.
///
/// A proxy of the pool, or one whose nodes may still hold another cluster's keys, is given an empty view,
/// and its nodes are told to replicate nobody.
#[must_use]
pub fn desired_view(state: &State, proxy: &Address) -> Option<(SetRepl, SetCluster)> {
    let record = state.proxies.get(proxy)?;
    let in_cluster = record.cluster.as_ref().filter(|_| !record.dirty).and_then(|name| {
        let cluster = state.clusters.get(name)?;
        let (place, half) = cluster.place_of(proxy)?;
        Some(cluster_view(name, cluster, HalfPlace { chunk: place, half }))
    });
    Some(in_cluster.unwrap_or_else(|| pool_view(record)))
}

#[derive(Clone, Copy)]
struct HalfPlace {
    chunk: usize,
    half: Half,
}

fn pool_view(record: &Proxy) -> (SetRepl, SetCluster) {
    let pool: ClusterName = POOL_CLUSTER.parse().expect("the pool's name is a name that a cluster may have");
    let roles = record.nodes.iter().map(|node| NodeRole {
        cluster: pool.clone(),
        node: node.clone(),
        role: Role::Primary,
        peers: Vec::new(),
    });
    let (flags, processes) = (model::MetaFlags::default(), Vec::new());
    let roles = SetRepl { epoch: record.epoch, flags, processes, roles: roles.collect() };
    (roles, SetCluster::new(View::empty(record.epoch, pool), false))
}

fn cluster_view(name: &ClusterName, cluster: &Cluster, me: HalfPlace) -> (SetRepl, SetCluster) {
    let mine = &cluster.chunks[me.chunk];
    let roles = node_order(mine, me.half).map(|(node, shard)| pushed_role(name, mine, node, shard));
    let roles = SetRepl {
        epoch: cluster.epoch,
        flags: model::MetaFlags::default(),
        processes: Vec::new(),
        roles: roles.into_iter().collect(),
    };
    let local = node_order(mine, me.half).map(|(node, shard)| {
        let id = ShardId { chunk: me.chunk, shard };
        LocalNode { address: node.clone(), slots: node_slots(cluster, id, me.half) }
    });
    let mut peers = Vec::new();
    for (place, chunk) in cluster.chunks.iter().enumerate() {
        for half in Half::BOTH {
            if place == me.chunk && half == me.half {
                continue;
            }
            let shards = Half::BOTH.map(|shard| node_slots(cluster, ShardId { chunk: place, shard }, half));
            peers.push(PeerProxy { address: chunk.proxy(half).clone(), slots: joined(shards) });
        }
    }
    let (epoch, cluster_name, config) = (cluster.epoch, name.clone(), cluster.config.clone());
    let view = View { epoch, cluster: cluster_name, local: local.to_vec(), peers, config };
    let mut view = SetCluster::new(fenced(view, mine, me.half), false);
    // However late it arrives: it makes nobody serve without a lease, and only a fresh state grants one.
    view.flags.leased = true;
    (roles, view)
}

/// The two nodes of a half in the order in which it was registered, each with its shard.
fn node_order(chunk: &Chunk, half: Half) -> [(&Address, Half); 2] {
    [half, half.other()].map(|shard| (chunk.node(shard, half), shard))
}

/// A node's role as its proxy is told: a replica whose primary is fenced as dead lets go of it. That one stays its
/// peer: a node that replicates anybody else then has restarted, and is not fit to take over.
fn pushed_role(name: &ClusterName, chunk: &Chunk, node: &Address, shard: Half) -> NodeRole {
    let role = node_role(name, chunk, node, shard);
    let held = chunk.shard(shard);
    let is_dead = held.fence.is_some_and(|fence| fence.reason == FenceReason::Dead);
    if is_dead && held.deposed.is_none() && role.role == Role::Replica {
        return NodeRole { role: Role::Primary, ..role };
    }
    role
}

pub(crate) fn node_role(name: &ClusterName, chunk: &Chunk, node: &Address, shard: Half) -> NodeRole {
    let role = if chunk.primary(shard) == node { Role::Primary } else { Role::Replica };
    let other = match role {
        Role::Primary => chunk.shard(shard).primary.other(),
        Role::Replica => chunk.shard(shard).primary,
    };
    let peer = ReplPeer { node: chunk.node(shard, other).clone(), proxy: chunk.proxy(other).clone() };
    NodeRole { cluster: name.clone(), node: node.clone(), role, peers: vec![peer] }
}

/// What the node of a shard in one half has.
pub(crate) fn node_slots(cluster: &Cluster, id: ShardId, half: Half) -> Vec<SlotAssignment> {
    let shard = cluster.shard(id);
    let mut slots = Vec::new();
    let mut push = |ranges: model::SlotRanges, tag: SlotTag| {
        if !ranges.is_empty() {
            slots.push(SlotAssignment { ranges, tag });
        }
    };
    if shard.primary != half {
        push(shard.slots.clone(), SlotTag::Replica);
        return slots;
    }
    let mut settled = shard.slots.clone();
    for migration in cluster.migrations.iter().filter(|migration| migration.source == id) {
        if let Some(meta) = cluster.meta(migration) {
            settled = settled.difference(&migration.ranges);
            push(migration.ranges.clone(), SlotTag::Migrating(meta));
        }
    }
    push(settled, SlotTag::None);
    for migration in cluster.migrations.iter().filter(|migration| migration.target == id) {
        if let Some(meta) = cluster.meta(migration) {
            push(migration.ranges.clone(), SlotTag::Importing(meta));
        }
    }
    slots
}

/// The assignments of both nodes of a proxy, one for each tag.
fn joined(nodes: [Vec<SlotAssignment>; 2]) -> Vec<SlotAssignment> {
    let mut joined: Vec<SlotAssignment> = Vec::new();
    for slots in nodes.into_iter().flatten() {
        match joined.iter_mut().find(|held| held.tag == slots.tag) {
            Some(held) => held.ranges = held.ranges.union(&slots.ranges),
            None => joined.push(slots),
        }
    }
    joined
}

/// The view for a proxy some of whose primaries must stop: these have nothing.
fn fenced(mut view: View, chunk: &Chunk, half: Half) -> View {
    for shard in chunk.primaries_in(half).filter(|shard| chunk.shard(*shard).fence.is_some()) {
        let primary = chunk.primary(shard);
        view.local.iter_mut().filter(|node| node.address == *primary).for_each(|node| node.slots.clear());
    }
    view
}
