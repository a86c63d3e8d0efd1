//! Who owns which slots and who has copies of them, by proxy, as a view and the replication roles say.

use model::{
    Address, Epoch, NodeId, Role, SetRepl, Slot, SlotAssignment, SlotRange, SlotRanges, SlotTag, View,
};

/// The cluster's proxies.
#[derive(Debug)]
pub(super) struct Topology {
    /// The version of the view.
    pub(super) epoch: Epoch,
    /// This proxy first, then the others in the view's order.
    pub(super) members: Vec<Member>,
}

/// One proxy.
#[derive(Debug)]
pub(super) struct Member {
    /// Where clients find it.
    pub(super) address: Address,
    /// Its 40 characters.
    pub(super) id: NodeId,
    /// Slots that its nodes own.
    pub(super) owned: SlotRanges,
    /// Slots of others of which its nodes have replicas.
    pub(super) copies: SlotRanges,
}

/// Neighbouring slots of one owner that have the same replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) range: SlotRange,
    /// Places in [`Topology::members`].
    pub(super) replicas: Vec<usize>,
}

impl Topology {
    pub(super) fn new(view: &View, roles: Option<&SetRepl>, me: &Address) -> Topology {
        let member = |address: &Address| Member {
            address: address.clone(),
            id: NodeId::of(&view.cluster, address),
            owned: SlotRanges::new(),
            copies: SlotRanges::new(),
        };
        let mut topology = Topology { epoch: view.epoch, members: vec![member(me)] };
        for node in &view.local {
            topology.members[0].add(&node.slots);
        }
        for peer in &view.peers {
            let place = topology.place(&peer.address, &member);
            topology.members[place].add(&peer.slots);
        }
        for role in
            roles.into_iter().flat_map(|roles| &roles.roles).filter(|role| role.cluster == view.cluster)
        {
            let Some(node) = view.local.iter().find(|node| node.address == role.node) else { continue };
            match role.role {
                Role::Primary => {
                    let owned = slots(&node.slots, SlotTag::owns);
                    for peer in &role.peers {
                        let place = topology.place(&peer.proxy, &member);
                        topology.members[place].add_copies(&owned);
                    }
                }
                // A tag says exactly which slots; the role says only whose.
                Role::Replica if slots(&node.slots, is_copy).is_empty() => {
                    let Some(peer) = role.peers.first() else { continue };
                    let place = topology.place(&peer.proxy, &member);
                    let owned = topology.members[place].owned.clone();
                    topology.members[0].add_copies(&owned);
                }
                Role::Replica => {}
            }
        }
        for member in &mut topology.members {
            // Nobody is a replica of what it owns itself.
            member.copies = member.copies.difference(&member.owned);
        }
        topology
    }

    /// The place of the proxy at `address`, which is added if it is new.
    fn place(&mut self, address: &Address, member: &dyn Fn(&Address) -> Member) -> usize {
        let known = self.members.iter().position(|known| known.address == *address);
        known.unwrap_or_else(|| {
            self.members.push(member(address));
            self.members.len() - 1
        })
    }

    /// This proxy.
    pub(super) fn me(&self) -> &Member {
        &self.members[0]
    }

    /// The place of the member with that id.
    pub(super) fn by_id(&self, id: &[u8]) -> Option<usize> {
        self.members.iter().position(|member| member.id.as_bytes() == id)
    }

    /// Slots with an owner.
    pub(super) fn slots_owned(&self) -> usize {
        self.members.iter().map(|member| member.owned.count()).sum()
    }

    /// The member whose replica this one is: only if it owns nothing itself. With copies of several, the owner of
    /// the lowest slot.
    pub(super) fn primary_of(&self, place: usize) -> Option<usize> {
        let member = &self.members[place];
        if !member.owned.is_empty() {
            return None;
        }
        let owner_of = |slot: Slot| self.members.iter().position(|owner| owner.owned.contains(slot));
        member.copies.iter().find_map(|range| range.slots().find_map(owner_of))
    }

    /// The members with copies of slots that this one owns.
    pub(super) fn replicas_of(&self, place: usize) -> Vec<usize> {
        let owned = &self.members[place].owned;
        let holds = |(_, member): &(usize, &Member)| member.copies.intersects(owned);
        self.members.iter().enumerate().filter(holds).map(|(replica, _)| replica).collect()
    }

    /// The id of this proxy's shard: that of its primary.
    pub(super) fn shard_of_me(&self) -> &NodeId {
        &self.members[self.primary_of(0).unwrap_or(0)].id
    }

    /// What a member owns, cut where the set of replicas changes; in the order of slots.
    pub(super) fn segments(&self, place: usize) -> Vec<Segment> {
        let replicas = self.replicas_of(place);
        let mut segments = Vec::new();
        for range in &self.members[place].owned {
            let mut rest = Some(range);
            while let Some(range) = rest {
                let first = range.first();
                let holding = |replica: &usize| self.members[*replica].copies.contains(first);
                let last = replicas.iter().map(|replica| self.uniform_until(*replica, range)).min();
                let last = last.unwrap_or_else(|| range.last());
                let holders = replicas.iter().copied().filter(holding).collect();
                segments
                    .extend(SlotRange::new(first, last).map(|range| Segment { range, replicas: holders }));
                rest = last.next().and_then(|next| SlotRange::new(next, range.last()));
            }
        }
        segments
    }

    /// The last slot of `range` up to which the member has either all copies or none.
    fn uniform_until(&self, place: usize, range: SlotRange) -> Slot {
        let first = range.first();
        for copies in &self.members[place].copies {
            if copies.contains(first) {
                return copies.last().min(range.last());
            }
            if copies.first() > first && copies.first() <= range.last() {
                return copies.first().previous().unwrap_or(first);
            }
        }
        range.last()
    }
}

impl Member {
    fn add(&mut self, assignments: &[SlotAssignment]) {
        self.owned = self.owned.union(&slots(assignments, SlotTag::owns));
        self.add_copies(&slots(assignments, is_copy));
    }

    fn add_copies(&mut self, copies: &SlotRanges) {
        self.copies = self.copies.union(copies);
    }
}

fn is_copy(tag: &SlotTag) -> bool {
    matches!(tag, SlotTag::Replica)
}

/// The slots of the assignments whose tag is wanted.
fn slots(assignments: &[SlotAssignment], wanted: impl Fn(&SlotTag) -> bool) -> SlotRanges {
    assignments.iter().filter(|assignment| wanted(&assignment.tag)).flat_map(|found| &found.ranges).collect()
}
