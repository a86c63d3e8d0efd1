//! What each proxy has, as a view and the replication roles say: slots that its nodes own, and copies.
//!
//! It knows nothing of faces: that is the topology's.

use std::collections::HashMap;

use model::{Address, Role, SLOT_COUNT, SetRepl, Slot, SlotAssignment, SlotRanges, SlotTag, View};

/// One proxy.
#[derive(Debug)]
pub(super) struct Holding {
    /// Where the proxy is.
    pub(super) proxy: Address,
    /// Slots that its nodes own.
    pub(super) owned: SlotRanges,
    /// Slots of which its nodes have copies.
    pub(super) copies: SlotRanges,
}

/// All proxies of a cluster: this one first, then the others in the view's order.
#[derive(Debug)]
pub(super) struct Holdings {
    pub(super) list: Vec<Holding>,
    places: HashMap<Address, usize>,
    /// For each slot the place of its owner.
    owners: Vec<Option<usize>>,
}

impl Holdings {
    /// Reads `view`. Where it does not tag copies, `roles` tells of those that this proxy's nodes take part in, as
    /// the copy or as its primary; of others nothing is known then.
    pub(super) fn new(view: &View, roles: Option<&SetRepl>, me: &Address) -> Holdings {
        let mut holdings =
            Holdings { list: Vec::new(), places: HashMap::new(), owners: vec![None; SLOT_COUNT] };
        let own = holdings.place(me);
        for node in &view.local {
            holdings.list[own].add(&node.slots);
        }
        for peer in &view.peers {
            let place = holdings.place(&peer.address);
            holdings.list[place].add(&peer.slots);
        }
        if let Some(roles) = roles {
            holdings.add_untagged(view, roles);
        }
        for (place, holding) in holdings.list.iter().enumerate() {
            for slot in holding.owned.slots() {
                holdings.owners[slot.index()] = Some(place);
            }
        }
        holdings
    }

    fn add_untagged(&mut self, view: &View, roles: &SetRepl) {
        for role in roles.roles.iter().filter(|role| role.cluster == view.cluster) {
            let Some(node) = view.local.iter().find(|node| node.address == role.node) else { continue };
            match role.role {
                Role::Primary => {
                    let owned = slots(&node.slots, SlotTag::owns);
                    for peer in &role.peers {
                        let place = self.place(&peer.proxy);
                        self.list[place].add_copies(&owned);
                    }
                }
                // A tag says exactly which slots; the role says only whose.
                Role::Replica if slots(&node.slots, is_copy).is_empty() => {
                    let Some(peer) = role.peers.first() else { continue };
                    let place = self.place(&peer.proxy);
                    let owned = self.list[place].owned.clone();
                    self.list[0].add_copies(&owned);
                }
                Role::Replica => {}
            }
        }
    }

    /// The place of the proxy at `address`, which is added if it is new.
    fn place(&mut self, address: &Address) -> usize {
        if let Some(place) = self.places.get(address) {
            return *place;
        }
        let (owned, copies) = (SlotRanges::new(), SlotRanges::new());
        self.list.push(Holding { proxy: address.clone(), owned, copies });
        self.places.insert(address.clone(), self.list.len() - 1);
        self.list.len() - 1
    }

    /// Whether a proxy is at that address.
    pub(super) fn is_proxy(&self, address: &Address) -> bool {
        self.places.contains_key(address)
    }

    /// The proxy of whose slots this one has the most copies; of several the one with the lowest such slot. `None`
    /// where it has no copy of a slot that anybody owns.
    pub(super) fn most_copied(&self, place: usize) -> Option<usize> {
        // Owners in the order of their lowest slot.
        let mut counts: Vec<(usize, usize)> = Vec::new();
        for owner in self.list[place].copies.slots().filter_map(|slot: Slot| self.owners[slot.index()]) {
            match counts.iter_mut().find(|(counted, _)| *counted == owner) {
                Some((_, count)) => *count += 1,
                None => counts.push((owner, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max()?;
        counts.iter().find(|(_, count)| *count == most).map(|(owner, _)| *owner)
    }
}

impl Holding {
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
