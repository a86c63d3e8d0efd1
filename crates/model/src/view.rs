//! The picture of one cluster that one proxy works from.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::assignment::{SlotAssignment, SlotTag};
use crate::cluster_name::ClusterName;
use crate::config::ClusterConfig;
use crate::epoch::Epoch;
use crate::slot::{SLOT_COUNT, Slot};
use crate::slot_ranges::SlotRanges;

/// One cluster as one proxy should see it: its own nodes, and what every other proxy of the cluster has.
///
/// Well formed (see [`View::check`]) when a slot has at most one owner, each member is listed once, and no
/// assignment is empty; a view that was parsed always is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Which version of the cluster this is.
    pub epoch: Epoch,
    /// The cluster.
    pub cluster: ClusterName,
    /// The nodes that this proxy fronts.
    pub local: Vec<LocalNode>,
    /// The other proxies of the cluster.
    pub peers: Vec<PeerProxy>,
    /// The cluster's settings.
    pub config: ClusterConfig,
}

/// A node behind this proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalNode {
    /// Where the node listens.
    pub address: Address,
    /// What it has; empty for a node that waits to be given slots.
    pub slots: Vec<SlotAssignment>,
}

/// Another proxy of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerProxy {
    /// Where the proxy listens.
    pub address: Address,
    /// What the nodes behind it have together.
    pub slots: Vec<SlotAssignment>,
}

/// What makes a view contradict itself. The writer's fault; do not retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Two members own one slot.
    #[error("slot {slot} has two owners, {first} and {second}")]
    TwoOwners {
        /// The slot.
        slot: Slot,
        /// The member that was listed first.
        first: Address,
        /// The other member.
        second: Address,
    },
    /// One member has a slot twice, or in two roles that exclude each other.
    #[error("slot {slot} is given twice to {address}")]
    SlotTwice {
        /// The slot.
        slot: Slot,
        /// The member.
        address: Address,
    },
    /// An assignment with a tag has no slots.
    #[error("{address} has a tag without slots")]
    TagWithoutSlots {
        /// The member.
        address: Address,
    },
}

impl View {
    /// The view of a proxy that has no part in any cluster: nothing local, no peers.
    #[must_use]
    pub fn empty(epoch: Epoch, cluster: ClusterName) -> Self {
        Self { epoch, cluster, local: Vec::new(), peers: Vec::new(), config: ClusterConfig::default() }
    }

    /// Whether it tells the proxy that it has no part in any cluster.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.local.is_empty() && self.peers.is_empty()
    }

    /// The first local node that is not on `host`: a sign that the view was meant for another proxy.
    #[must_use]
    pub fn foreign_local_node(&self, host: &str) -> Option<&Address> {
        self.local.iter().map(|node| &node.address).find(|address| address.host() != host)
    }

    /// The slots that the nodes behind this proxy own.
    #[must_use]
    pub fn owned_locally(&self) -> SlotRanges {
        let owned = self.local.iter().flat_map(|node| &node.slots).filter(|slots| slots.tag.owns());
        owned.flat_map(|slots| &slots.ranges).collect()
    }

    /// Whether the view is well formed.
    pub fn check(&self) -> Result<(), ViewError> {
        let mut draft = ViewDraft::new();
        for node in &self.local {
            draft.add_local(&node.address, node.slots.iter().cloned())?;
        }
        for peer in &self.peers {
            draft.add_peer(&peer.address, peer.slots.iter().cloned())?;
        }
        Ok(())
    }
}

/// A view in the making. It keeps what has been said well formed, and brings it into the one form that
/// equal views share: each member once, in the order of first mention; one assignment for each tag.
pub(crate) struct ViewDraft {
    local: Members,
    peers: Members,
    /// For each slot, one more than its owner's place in `owner_names`; 0 for none yet.
    owners: Box<[u32; SLOT_COUNT]>,
    owner_names: Vec<Address>,
}

impl ViewDraft {
    pub(crate) fn new() -> Self {
        let owners = Box::new([0; SLOT_COUNT]);
        Self { local: Members::default(), peers: Members::default(), owners, owner_names: Vec::new() }
    }

    /// Adds what a local node has; nothing excludes a node without slots.
    pub(crate) fn add_local(
        &mut self,
        address: &Address,
        slots: impl IntoIterator<Item = SlotAssignment>,
    ) -> Result<(), ViewError> {
        let place = self.local.place(address);
        slots.into_iter().try_for_each(|added| {
            // One node either owns a slot, or copies it, or follows its owner.
            self.local.add(place, &added, |_| true)?;
            self.own(address, &added)
        })
    }

    /// Adds what a peer's nodes have together.
    pub(crate) fn add_peer(
        &mut self,
        address: &Address,
        slots: impl IntoIterator<Item = SlotAssignment>,
    ) -> Result<(), ViewError> {
        let place = self.peers.place(address);
        slots.into_iter().try_for_each(|added| {
            // A peer has several nodes: one may own a slot and another be about to copy it.
            let role = role(&added.tag);
            self.peers.add(place, &added, |held| self::role(held) == role)?;
            self.own(address, &added)
        })
    }

    /// The members that were added.
    pub(crate) fn finish(self) -> (Vec<LocalNode>, Vec<PeerProxy>) {
        let local = self.local.list.into_iter().map(|(address, slots)| LocalNode { address, slots });
        let peers = self.peers.list.into_iter().map(|(address, slots)| PeerProxy { address, slots });
        (local.collect(), peers.collect())
    }

    fn own(&mut self, address: &Address, added: &SlotAssignment) -> Result<(), ViewError> {
        if !added.tag.owns() {
            return Ok(());
        }
        self.owner_names.push(address.clone());
        let mark = u32::try_from(self.owner_names.len()).expect("at most one owner is noted for each slot");
        for slot in added.ranges.slots() {
            let held = std::mem::replace(&mut self.owners[slot.index()], mark);
            if held != 0 {
                let first = self.owner_names[held as usize - 1].clone();
                return Err(ViewError::TwoOwners { slot, first, second: address.clone() });
            }
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum MemberRole {
    Owner,
    Importer,
    Replica,
}

fn role(tag: &SlotTag) -> MemberRole {
    match tag {
        SlotTag::None | SlotTag::Migrating(_) => MemberRole::Owner,
        SlotTag::Importing(_) => MemberRole::Importer,
        SlotTag::Replica => MemberRole::Replica,
    }
}

#[derive(Default)]
struct Members {
    list: Vec<(Address, Vec<SlotAssignment>)>,
    places: HashMap<Address, usize>,
}

impl Members {
    fn place(&mut self, address: &Address) -> usize {
        *self.places.entry(address.clone()).or_insert_with(|| {
            self.list.push((address.clone(), Vec::new()));
            self.list.len() - 1
        })
    }

    /// Adds an assignment, which may share no slot with those held whose tag `excludes` says so.
    fn add(
        &mut self,
        place: usize,
        added: &SlotAssignment,
        excludes: impl Fn(&SlotTag) -> bool,
    ) -> Result<(), ViewError> {
        let (address, held) = &mut self.list[place];
        if added.ranges.is_empty() {
            // Plain slots, none of them: this is how a node without slots is written.
            return match added.tag {
                SlotTag::None => Ok(()),
                _ => Err(ViewError::TagWithoutSlots { address: address.clone() }),
            };
        }
        for other in held.iter().filter(|other| excludes(&other.tag)) {
            if let Some(slot) = other.ranges.first_common(&added.ranges) {
                return Err(ViewError::SlotTwice { slot, address: address.clone() });
            }
        }
        match held.iter_mut().find(|other| other.tag == added.tag) {
            Some(same) => same.ranges = same.ranges.union(&added.ranges),
            None => held.push(added.clone()),
        }
        Ok(())
    }
}
