//! Which node or proxy a slot's commands go to: one look-up table made from a view.

use model::{Address, Role, SLOT_COUNT, SetRepl, Slot, SlotRanges, SlotTag, View};

use crate::merge::scan_hash;

/// Index into [`RouteTable::targets`].
pub(crate) type TargetIndex = u16;
/// A slot that nobody owns.
pub(crate) const NOWHERE: TargetIndex = 0;

/// Where commands for a slot go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// No proxy owns the slot.
    Nowhere,
    /// A node beside this proxy owned the slot, and it is about to have another owner: requests wait for that, up to
    /// [`super::WorkerView::hold_until_us`], and after that it is as [`Target::Nowhere`].
    Held,
    /// A node beside this proxy.
    Local(Address),
    /// Another proxy: the client is told to go there.
    Peer(Address),
}

/// The routes of one view.
#[derive(Debug)]
pub struct RouteTable {
    targets: Vec<Target>,
    owners: Box<[TargetIndex; SLOT_COUNT]>,
    /// As `owners`, but with local replicas in the place of their primaries: for sessions in READONLY mode.
    readers: Option<Box<[TargetIndex; SLOT_COUNT]>>,
    primaries: Vec<Address>,
    layout: u64,
}

impl RouteTable {
    /// Builds the table of `view`; `roles` tells which local nodes are replicas, of whom.
    #[must_use]
    pub fn new(view: &View, roles: Option<&SetRepl>) -> Self {
        let mut table = RouteTable {
            targets: vec![Target::Nowhere],
            owners: Box::new([NOWHERE; SLOT_COUNT]),
            readers: None,
            primaries: Vec::new(),
            layout: 0,
        };
        for peer in &view.peers {
            let target = table.add(Target::Peer(peer.address.clone()));
            for assignment in peer.slots.iter().filter(|a| is_owned(&a.tag)) {
                assignment.ranges.slots().for_each(|slot| table.owners[slot.index()] = target);
            }
        }
        for node in &view.local {
            let target = table.add(Target::Local(node.address.clone()));
            for assignment in node.slots.iter().filter(|a| is_owned(&a.tag)) {
                assignment.ranges.slots().for_each(|slot| table.owners[slot.index()] = target);
            }
        }
        table.order_primaries();
        table.readers = table.reader_routes(view, roles);
        if table.primaries.is_empty() {
            table.primaries = view.local.iter().map(|node| node.address.clone()).collect();
            table.primaries.sort_unstable();
        }
        table
    }

    /// Orders the primaries by their lowest slots, and notes the layout: which slots each of them has.
    fn order_primaries(&mut self) {
        let mut order: Vec<TargetIndex> = Vec::new();
        let mut runs: Vec<[u8; 4]> = Vec::new();
        let mut last = None;
        for (slot, &owner) in (0_u16..).zip(self.owners.iter()) {
            let is_local = matches!(self.targets[owner as usize], Target::Local(_));
            if last.replace(owner) == Some(owner) {
                continue;
            }
            let known = order.iter().position(|&target| target == owner);
            let place = match known {
                Some(place) => place + 1,
                None if is_local => {
                    order.push(owner);
                    order.len()
                }
                None => 0, // not here
            };
            let ([high, low], [place_high, place_low]) = (slot.to_be_bytes(), (place as u16).to_be_bytes());
            runs.push([high, low, place_high, place_low]);
        }
        // Slots that go from one stranger to another do not matter here.
        runs.dedup_by_key(|run| [run[2], run[3]]);
        self.layout = scan_hash(runs.iter().map(<[u8; 4]>::as_slice));
        let address = |&target: &TargetIndex| match &self.targets[target as usize] {
            Target::Local(address) => Some(address.clone()),
            Target::Peer(_) | Target::Nowhere | Target::Held => None,
        };
        self.primaries = order.iter().filter_map(address).collect();
    }

    /// A hash of which slots are together at which node here, whatever the nodes are called.
    pub(crate) fn layout(&self) -> u64 {
        self.layout
    }

    /// Has requests for these slots wait for an owner, where they have none.
    pub fn hold(&mut self, slots: &SlotRanges) {
        let held = self.add(Target::Held);
        for slot in slots.slots() {
            let owner = &mut self.owners[slot.index()];
            *owner = if *owner == NOWHERE { held } else { *owner };
        }
    }

    fn add(&mut self, target: Target) -> TargetIndex {
        if let Some(index) = self.targets.iter().position(|t| *t == target) {
            return index as TargetIndex;
        }
        self.targets.push(target);
        TargetIndex::try_from(self.targets.len() - 1).expect("a view has at most 16384 owners")
    }

    fn reader_routes(
        &mut self,
        view: &View,
        roles: Option<&SetRepl>,
    ) -> Option<Box<[TargetIndex; SLOT_COUNT]>> {
        let mut readers = self.owners.clone();
        let mut any = false;
        for node in &view.local {
            let target = self.add(Target::Local(node.address.clone()));
            for assignment in node.slots.iter().filter(|a| a.tag == SlotTag::Replica) {
                assignment.ranges.slots().for_each(|slot| readers[slot.index()] = target);
                any = true;
            }
        }
        for (replica, proxy) in roles.into_iter().flat_map(unambiguous_replicas) {
            let peer = self.add(Target::Peer(proxy));
            let target = self.add(Target::Local(replica));
            for (reader, &owner) in readers.iter_mut().zip(self.owners.iter()) {
                if owner == peer && *reader == owner {
                    *reader = target;
                    any = true;
                }
            }
        }
        any.then_some(readers)
    }

    /// The targets here that have lost slots in `after`: requests for those go another way from then on.
    pub(crate) fn losers(&self, after: Option<&RouteTable>) -> Vec<TargetIndex> {
        let same = |target: &Target| {
            let index = after?.targets.iter().position(|other| other == target)?;
            TargetIndex::try_from(index).ok()
        };
        let same: Vec<Option<TargetIndex>> = self.targets.iter().map(same).collect();
        let mut has_lost = vec![false; self.targets.len()];
        for (slot, &owner) in self.owners.iter().enumerate() {
            let owner_after = after.map(|after| after.owners[slot]);
            has_lost[owner as usize] |= owner_after.is_none() || owner_after != same[owner as usize];
        }
        (0..).zip(has_lost).filter_map(|(target, has_lost)| has_lost.then_some(target)).collect()
    }

    /// Every target, in the order of their indexes.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The nodes beside this proxy that own slots, or all of them where none does.
    #[must_use]
    pub fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// What the commands of `slot` go to.
    pub(crate) fn target_of(&self, slot: Slot) -> &Target {
        &self.targets[self.owner(slot) as usize]
    }

    /// Who owns `slot`.
    #[inline]
    pub(crate) fn owner(&self, slot: Slot) -> TargetIndex {
        self.owners[slot.index()]
    }

    /// Who may answer reads of `slot` for a session in READONLY mode.
    #[inline]
    pub(crate) fn reader(&self, slot: Slot) -> TargetIndex {
        match &self.readers {
            Some(readers) => readers[slot.index()],
            None => self.owner(slot),
        }
    }
}

fn is_owned(tag: &SlotTag) -> bool {
    matches!(tag, SlotTag::None | SlotTag::Migrating(_))
}

/// Local replicas and the proxies of their primaries. A proxy that two of them name is left out: SETREPL does not
/// say which of its slots which of its nodes has, and a read from the wrong replica would find nothing.
fn unambiguous_replicas(roles: &SetRepl) -> Vec<(Address, Address)> {
    let replicas: Vec<_> = roles
        .roles
        .iter()
        .filter(|role| role.role == Role::Replica)
        .filter_map(|role| role.peers.first().map(|peer| (role.node.clone(), peer.proxy.clone())))
        .collect();
    let is_alone = |proxy: &Address| replicas.iter().filter(|(_, other)| other == proxy).count() == 1;
    replicas.iter().filter(|(_, proxy)| is_alone(proxy)).cloned().collect()
}
