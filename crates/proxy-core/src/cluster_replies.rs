//! CLUSTER's replies, encoded once for each view and then served from memory.
//!
//! To clients a proxy is one node of the cluster, whatever it fronts. A proxy may own slots and at the same time
//! hold replicas of another's (both proxies of a chunk do). CLUSTER SLOTS, SHARDS and REPLICAS can say so;
//! a line of CLUSTER NODES has room for one role only, and there the owner's comes first.

mod info;
mod nodes;
mod shards;
mod slots;
mod topology;

use model::{Address, Role, SetRepl, View};
use resp::{Protocol, encode};

use self::topology::Topology;
use crate::errors;
use crate::settings::Settings;

/// A reply that is ready to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// CLUSTER SLOTS
    Slots,
    /// CLUSTER SHARDS
    Shards,
    /// CLUSTER NODES
    Nodes,
    /// CLUSTER INFO
    Info,
    /// CLUSTER LINKS: none, as proxies have no bus between them.
    Links,
    /// CLUSTER MYID
    MyId,
    /// CLUSTER MYSHARDID
    MyShardId,
}

/// What one view makes of CLUSTER.
#[derive(Debug)]
pub struct ClusterReplies {
    topology: Topology,
    version: crate::settings::NodesVersion,
    /// By [`Encoded`]; for each, RESP2 and RESP3.
    encoded: [[Vec<u8>; 2]; 7],
}

impl ClusterReplies {
    /// Encodes what `view` says. `me` is the address by which clients know this proxy; `roles` tells of replicas
    /// that the view does not tag.
    pub fn new(view: &View, roles: Option<&SetRepl>, me: &Address, settings: &Settings) -> ClusterReplies {
        let topology = Topology::new(view, roles, me);
        let version = settings.cluster_nodes_version;
        let both = |write: &dyn Fn(&mut Vec<u8>, Protocol)| {
            [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
                let mut out = Vec::new();
                write(&mut out, protocol);
                out
            })
        };
        let nodes = nodes::text(&topology, version);
        let info = info::text(Some(&topology), 0);
        let encoded = [
            both(&|out, protocol| slots::write(&topology, protocol, out)),
            both(&|out, protocol| shards::write(&topology, protocol, out)),
            both(&|out, protocol| encode::verbatim(out, protocol, "txt", nodes.as_bytes())),
            both(&|out, protocol| encode::verbatim(out, protocol, "txt", info.as_bytes())),
            both(&|out, _| encode::array(out, 0)),
            both(&|out, _| encode::bulk(out, topology.me().id.as_bytes())),
            both(&|out, _| encode::bulk(out, topology.shard_of_me().as_bytes())),
        ];
        ClusterReplies { topology, version, encoded }
    }

    /// Tells in CLUSTER INFO that this many of the slots have a node that does not answer.
    pub fn set_slots_failing(&mut self, failing: usize) {
        let info = info::text(Some(&self.topology), failing);
        self.encoded[Encoded::Info as usize] = [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
            let mut out = Vec::new();
            encode::verbatim(&mut out, protocol, "txt", info.as_bytes());
            out
        });
    }

    /// The bytes of a reply.
    pub fn encoded(&self, which: Encoded, protocol: Protocol) -> &[u8] {
        &self.encoded[which as usize][usize::from(protocol == Protocol::Resp3)]
    }

    /// CLUSTER INFO of a proxy that has no cluster: a cluster that is down.
    pub fn info_without_cluster(protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        encode::verbatim(&mut out, protocol, "txt", info::text(None, 0).as_bytes());
        out
    }

    /// What this proxy is to clients: a replica only if it holds nothing but copies.
    pub fn role(&self) -> Role {
        if self.topology.primary_of(0).is_some() { Role::Replica } else { Role::Primary }
    }

    /// Whether every slot has an owner.
    pub fn is_complete(&self) -> bool {
        self.topology.slots_owned() == model::SLOT_COUNT
    }

    /// The members of the cluster: how many proxies there are, this one among them.
    pub fn members(&self) -> usize {
        self.topology.members.len()
    }

    /// The proxy whose slots this one replicates, if it is a replica.
    pub fn primary(&self) -> Option<&Address> {
        self.topology.primary_of(0).map(|primary| &self.topology.members[primary].address)
    }

    /// The proxies that replicate slots of this one.
    pub fn replicas(&self) -> impl Iterator<Item = &Address> {
        self.topology.replicas_of(0).into_iter().map(|replica| &self.topology.members[replica].address)
    }

    /// CLUSTER REPLICAS, or the error. The same in both protocols.
    pub fn write_replicas(&self, node_id: &[u8], out: &mut Vec<u8>) {
        let Some(primary) = self.topology.by_id(node_id) else {
            return errors::unknown_node(out, node_id);
        };
        if self.topology.primary_of(primary).is_some() {
            return errors::write(out, errors::NOT_A_PRIMARY);
        }
        let replicas = self.topology.replicas_of(primary);
        encode::array(out, replicas.len());
        for replica in replicas {
            let line = nodes::replica_line(&self.topology, replica, primary, self.version);
            encode::bulk(out, line.as_bytes());
        }
    }

    /// CLUSTER COUNT-FAILURE-REPORTS, or the error: proxies keep no reports, so there are none.
    pub fn write_failure_reports(&self, node_id: &[u8], out: &mut Vec<u8>) {
        match self.topology.by_id(node_id) {
            Some(_) => encode::integer(out, 0),
            None => errors::unknown_node(out, node_id),
        }
    }

    /// ROLE. Offsets belong to nodes, and a proxy may have several; so they are 0.
    pub fn write_role(&self, out: &mut Vec<u8>) {
        if let Some(primary) = self.primary() {
            encode::array(out, 5);
            encode::bulk(out, b"slave");
            encode::bulk(out, primary.host().as_bytes());
            encode::integer(out, i64::from(primary.port()));
            encode::bulk(out, b"connected");
            encode::integer(out, 0);
            return;
        }
        let replicas: Vec<&Address> = self.replicas().collect();
        encode::array(out, 3);
        encode::bulk(out, b"master");
        encode::integer(out, 0);
        encode::array(out, replicas.len());
        for replica in replicas {
            encode::array(out, 3);
            encode::bulk(out, replica.host().as_bytes());
            encode::bulk(out, replica.port().to_string().as_bytes());
            encode::bulk(out, b"0");
        }
    }
}

#[cfg(test)]
mod tests;
