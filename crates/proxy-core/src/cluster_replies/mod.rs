//! CLUSTER's replies, encoded once for each view and then served from memory.
//!
//! What they show is always a topology that a real Redis Cluster could give, the same in all of them: see
//! [`topology`]. Each face of the proxy gives its own, in which it is itself.

mod face_replies;
mod holdings;
mod info;
mod nodes;
mod shards;
mod slots;
mod topology;

use model::{Address, SetRepl, SlotRanges, View};
use resp::{Protocol, encode};

pub use self::face_replies::{Encoded, FaceReplies};
use self::topology::{Faces, Form};
use crate::face::Face;
use crate::settings::Settings;

/// What one view makes of CLUSTER, at both faces.
#[derive(Debug)]
pub struct ClusterReplies {
    primary: FaceReplies,
    replica: Option<FaceReplies>,
    copied: SlotRanges,
}

impl ClusterReplies {
    /// Encodes what `view` says. `me` is the address by which clients know this proxy; `roles` tells of replicas
    /// that the view does not tag.
    pub fn new(view: &View, roles: Option<&SetRepl>, me: &Address, settings: &Settings) -> ClusterReplies {
        let version = settings.cluster_nodes_version;
        let form = Form { me, version, offset: settings.replica_port_offset };
        let Faces { primary, replica, copied } = Faces::new(view, roles, form);
        let primary = FaceReplies::new(primary, version);
        let replica = replica.map(|topology| primary.of_other_face(topology));
        ClusterReplies { primary, replica, copied }
    }

    /// Tells in CLUSTER INFO that this many of the slots have a node that does not answer.
    pub fn set_slots_failing(&mut self, failing: usize) {
        self.primary.set_slots_failing(failing);
        if let Some(replica) = &mut self.replica {
            replica.set_slots_failing(failing);
        }
    }

    /// Those of one face; where there is no replica face, those of the only one.
    pub fn at(&self, face: Face) -> &FaceReplies {
        match (face, &self.replica) {
            (Face::Replica, Some(replica)) => replica,
            _ => &self.primary,
        }
    }

    /// The slots whose copies the replica face serves; `None` without a replica face.
    pub fn copied(&self) -> Option<&SlotRanges> {
        self.replica.as_ref().map(|_| &self.copied)
    }

    /// CLUSTER INFO of a proxy that has no cluster: a cluster that is down.
    pub fn info_without_cluster(protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        encode::verbatim(&mut out, protocol, "txt", info::text(None, 0).as_bytes());
        out
    }
}

#[cfg(test)]
mod tests;
