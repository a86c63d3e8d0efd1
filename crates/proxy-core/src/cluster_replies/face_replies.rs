//! CLUSTER's replies as one face of the proxy gives them.

use std::sync::Arc;

use model::{Address, Role};
use resp::{Protocol, encode};

use super::topology::{Member, Standing, Topology};
use super::{info, nodes, shards, slots};
use crate::errors;
use crate::settings::NodesVersion;

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

/// How many replies are encoded.
const ENCODED: usize = 7;

/// What one view makes of CLUSTER for those who ask at one face.
#[derive(Debug)]
pub struct FaceReplies {
    topology: Topology,
    version: NodesVersion,
    /// By [`Encoded`]; for each, RESP2 and RESP3.
    encoded: [[Arc<[u8]>; 2]; ENCODED],
}

impl FaceReplies {
    pub(super) fn new(topology: Topology, version: NodesVersion) -> FaceReplies {
        let nodes = nodes::text(&topology, version);
        let info = info::text(Some(&topology), 0);
        let encoded = [
            both(&|out, protocol| slots::write(&topology, protocol, out)),
            both(&|out, protocol| shards::write(&topology, protocol, out)),
            both(&|out, protocol| encode::verbatim(out, protocol, "txt", nodes.as_bytes())),
            both(&|out, protocol| encode::verbatim(out, protocol, "txt", info.as_bytes())),
            both(&|out, _| encode::array(out, 0)),
            both(&|out, _| encode::bulk(out, topology.me().id.as_bytes())),
            both(&|out, _| encode::bulk(out, topology.me().shard_id.as_bytes())),
        ];
        FaceReplies { topology, version, encoded }
    }

    /// Those of another face of the same proxy: what does not depend on who was asked is shared.
    pub(super) fn of_other_face(&self, topology: Topology) -> FaceReplies {
        let mut replies = FaceReplies::new(topology, self.version);
        for (own, other) in replies.encoded.iter_mut().flatten().zip(self.encoded.iter().flatten()) {
            if own == other {
                *own = other.clone();
            }
        }
        replies
    }

    /// Tells in CLUSTER INFO that this many of the slots have a node that does not answer.
    pub(super) fn set_slots_failing(&mut self, failing: usize) {
        let info = info::text(Some(&self.topology), failing);
        self.encoded[Encoded::Info as usize] =
            both(&|out, protocol| encode::verbatim(out, protocol, "txt", info.as_bytes()));
    }

    /// The bytes of a reply.
    pub fn encoded(&self, which: Encoded, protocol: Protocol) -> &[u8] {
        &self.encoded[which as usize][usize::from(protocol == Protocol::Resp3)]
    }

    /// What this face is to clients.
    pub fn role(&self) -> Role {
        match self.topology.me().standing {
            Standing::Primary { .. } => Role::Primary,
            Standing::Replica { .. } => Role::Replica,
        }
    }

    /// The port at which clients find this face.
    pub fn port(&self) -> u16 {
        self.topology.me().address.port()
    }

    /// Whether every slot has an owner.
    pub fn is_complete(&self) -> bool {
        self.topology.slots_owned() == model::SLOT_COUNT
    }

    /// The members of the cluster: how many nodes clients are shown.
    pub fn members(&self) -> usize {
        self.topology.members.len()
    }

    /// The node that this one replicates, if it is a replica.
    pub fn primary(&self) -> Option<&Address> {
        self.topology.primary_of_me().map(|primary: &Member| &primary.address)
    }

    /// The nodes that replicate this one.
    pub fn replicas(&self) -> impl Iterator<Item = &Address> {
        self.topology.me().replicas().iter().map(|replica| &self.topology.members[*replica].address)
    }

    /// CLUSTER REPLICAS, or the error. Both protocols have the same reply.
    pub fn write_replicas(&self, node_id: &[u8], out: &mut Vec<u8>) {
        let Some(place) = self.topology.by_id(node_id) else {
            return errors::unknown_node(out, node_id);
        };
        let Standing::Primary { replicas, .. } = &self.topology.members[place].standing else {
            return errors::write(out, errors::NOT_A_PRIMARY);
        };
        encode::array(out, replicas.len());
        for replica in replicas {
            encode::bulk(out, nodes::line(&self.topology, *replica, self.version).as_bytes());
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

/// A reply in both protocols.
fn both(write: &dyn Fn(&mut Vec<u8>, Protocol)) -> [Arc<[u8]>; 2] {
    [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
        let mut out = Vec::new();
        write(&mut out, protocol);
        out.into()
    })
}
