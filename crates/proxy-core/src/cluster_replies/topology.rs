//! The cluster as clients are shown it: nodes, each with one address and one role, as a real Redis Cluster has them.
//!
//! What is a node to clients is a [face](crate::face) of a proxy:
//! ```text
//!   proxy                       primary face, shown           replica face, shown
//!   owns slots, copies others   primary with its slots        replica of the owner of most of its copies
//!   owns slots, copies none     primary with its slots        not shown
//!   owns none, copies others    primary without slots         replica of the owner of most of its copies
//! ```
//! All proxies make the same of views of one epoch. Only who asks at a replica face that is not shown sees a node more:
//! that face itself, a primary without slots, as a node of Redis that the others have forgotten sees itself.
//!
//! A replica of Redis has one primary. A proxy with copies of several owners' slots shows those of one, and its other
//! copies are not read from.

use std::num::NonZeroU16;

use model::{Address, Epoch, NodeId, SetRepl, SlotRanges, View};

use super::holdings::{Holding, Holdings};
use crate::face::replica_address;
use crate::settings::NodesVersion;

/// The cluster's nodes as clients are shown them.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    /// The version of the view.
    pub(super) epoch: Epoch,
    /// This proxy's primary face first; the primary faces in the view's order, then the replica faces.
    pub(super) members: Vec<Member>,
    /// The place of the face that was asked.
    me: usize,
}

/// One node.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Where clients find it.
    pub(super) address: Address,
    /// Its 40 characters.
    pub(super) id: NodeId,
    /// The 40 characters of its shard.
    pub(super) shard_id: NodeId,
    /// What it is.
    pub(super) standing: Standing,
}

/// What a node is. Places are those in [`Topology::members`].
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Primary { slots: SlotRanges, replicas: Vec<usize> },
    Replica { primary: usize },
}

/// What of a view the faces of this proxy are shown as.
#[derive(Debug)]
pub(super) struct Faces {
    /// As seen at the primary face.
    pub(super) primary: Topology,
    /// As seen at the replica face; `None` without one.
    pub(super) replica: Option<Topology>,
    /// The slots that the replica face serves.
    pub(super) copied: SlotRanges,
}

/// What decides how faces are shown, besides the view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    /// This proxy.
    pub(super) me: &'a Address,
    /// The form of node ids.
    pub(super) version: NodesVersion,
    /// How far above a proxy's port its replica face is; `None` without replica faces.
    pub(super) offset: Option<NonZeroU16>,
}

impl Faces {
    pub(super) fn new(view: &View, roles: Option<&SetRepl>, form: Form<'_>) -> Faces {
        let holdings = Holdings::new(view, roles, form.me);
        let primary_face = |holding: &Holding| {
            let standing = Standing::Primary { slots: holding.owned.clone(), replicas: Vec::new() };
            Member::new(view, &holding.proxy, form.version, standing)
        };
        let members = holdings.list.iter().map(primary_face).collect();
        let mut topology = Topology { epoch: view.epoch, members, me: 0 };
        let Some(offset) = form.offset else {
            return Faces { primary: topology, replica: None, copied: SlotRanges::new() };
        };
        for (place, holding) in holdings.list.iter().enumerate() {
            // An offset that leads to another proxy, or nowhere, is a mistake of the operator.
            let address = replica_address(&holding.proxy, offset);
            let address = address.filter(|address| !holdings.is_proxy(address));
            if let Some((address, primary)) = address.zip(holdings.most_copied(place)) {
                topology.add_replica(view, &address, form.version, primary);
            }
        }
        let own = replica_address(form.me, offset);
        let replica = own.map(|address| topology.seen_from(view, &address, form.version));
        let copies = &holdings.list[0].copies;
        let of_primary = |primary: usize| copies.intersection(&holdings.list[primary].owned);
        let copied = holdings.most_copied(0).map_or_else(SlotRanges::new, of_primary);
        Faces { primary: topology, replica, copied }
    }
}

impl Topology {
    fn add_replica(&mut self, view: &View, address: &Address, version: NodesVersion, primary: usize) {
        let place = self.members.len();
        let mut member = Member::new(view, address, version, Standing::Replica { primary });
        let Some(of) = self.members.get_mut(primary) else { return };
        member.shard_id = of.shard_id;
        if let Standing::Primary { replicas, .. } = &mut of.standing {
            replicas.push(place);
        }
        self.members.push(member);
    }

    /// As the node at that address sees it, which is not among the members where it is not shown.
    fn seen_from(&self, view: &View, address: &Address, version: NodesVersion) -> Topology {
        let mut seen = self.clone();
        let known = seen.members.iter().position(|member| member.address == *address);
        seen.me = known.unwrap_or_else(|| {
            let nothing = Standing::Primary { slots: SlotRanges::new(), replicas: Vec::new() };
            seen.members.push(Member::new(view, address, version, nothing));
            seen.members.len() - 1
        });
        seen
    }

    /// The node that was asked.
    pub(super) fn me(&self) -> &Member {
        &self.members[self.me]
    }

    /// Whether that place is the node that was asked.
    pub(super) fn is_me(&self, place: usize) -> bool {
        self.me == place
    }

    /// The place of the member with that id.
    pub(super) fn by_id(&self, id: &[u8]) -> Option<usize> {
        self.members.iter().position(|member| member.id.as_bytes() == id)
    }

    /// Slots with an owner.
    pub(super) fn slots_owned(&self) -> usize {
        self.primaries().map(|(_, slots, _)| slots.count()).sum()
    }

    /// The primaries: their places, slots and replicas.
    pub(super) fn primaries(&self) -> impl Iterator<Item = (usize, &SlotRanges, &[usize])> {
        self.members.iter().enumerate().filter_map(|(place, member)| match &member.standing {
            Standing::Primary { slots, replicas } => Some((place, slots, replicas.as_slice())),
            Standing::Replica { .. } => None,
        })
    }

    /// The primary of the node that was asked, if that is a replica.
    pub(super) fn primary_of_me(&self) -> Option<&Member> {
        match self.me().standing {
            Standing::Primary { .. } => None,
            Standing::Replica { primary } => Some(&self.members[primary]),
        }
    }
}

impl Member {
    fn new(view: &View, address: &Address, version: NodesVersion, standing: Standing) -> Member {
        let (id, shard_id) = match version {
            NodesVersion::V1 => (NodeId::of(&view.cluster, address), NodeId::of(&view.cluster, address)),
            NodesVersion::V2 => {
                (NodeId::hex(&view.cluster, address), NodeId::shard_hex(&view.cluster, address))
            }
        };
        Member { address: address.clone(), id, shard_id, standing }
    }

    /// The nodes that replicate this one.
    pub(super) fn replicas(&self) -> &[usize] {
        match &self.standing {
            Standing::Primary { replicas, .. } => replicas,
            Standing::Replica { .. } => &[],
        }
    }
}
