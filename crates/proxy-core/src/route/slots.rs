//! Which node or proxy a slot's commands go to: one look-up table made from a view.

use model::{Address, LocalNode, NodeRole, Role, SLOT_COUNT, SetRepl, Slot, SlotRanges, SlotTag, View};

use crate::face::Face;

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
    /// The local replicas, each for the slots of which it has copies; elsewhere [`NOWHERE`].
    copies: Option<Box<[TargetIndex; SLOT_COUNT]>>,
    /// Copies are read from at the replica face, not at the proxy's own address.
    has_replica_face: bool,
    primaries: Vec<Address>,
    layout: u64,
    /// Not all nodes here are replicas.
    has_data: bool,
    replicas: Vec<TargetIndex>,
}

impl RouteTable {
    /// Builds the table of `view`; `roles` tells which local nodes are replicas, of whom.
    #[must_use]
    pub fn new(view: &View, roles: Option<&SetRepl>) -> Self {
        let mut table = RouteTable {
            targets: vec![Target::Nowhere],
            owners: Box::new([NOWHERE; SLOT_COUNT]),
            copies: None,
            has_replica_face: false,
            primaries: Vec::new(),
            layout: 0,
            has_data: false,
            replicas: Vec::new(),
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
        table.copies = table.routes_to_copies(view, roles);
        if table.primaries.is_empty() {
            let waiting = view.local.iter().filter(|node| !is_replica(node, roles));
            table.primaries = waiting.map(|node| node.address.clone()).collect();
        }
        // A proxy without nodes has nobody to ask, and says so.
        table.has_data = !table.primaries.is_empty() || view.local.is_empty();
        if !table.has_data {
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

    fn routes_to_copies(
        &mut self,
        view: &View,
        roles: Option<&SetRepl>,
    ) -> Option<Box<[TargetIndex; SLOT_COUNT]>> {
        let mut copies = Box::new([NOWHERE; SLOT_COUNT]);
        for node in &view.local {
            let target = self.add(Target::Local(node.address.clone()));
            for assignment in node.slots.iter().filter(|a| a.tag == SlotTag::Replica) {
                assignment.ranges.slots().for_each(|slot| copies[slot.index()] = target);
            }
        }
        for (replica, proxy) in roles.into_iter().flat_map(unambiguous_replicas) {
            let peer = self.add(Target::Peer(proxy));
            let target = self.add(Target::Local(replica));
            for (copy, &owner) in copies.iter_mut().zip(self.owners.iter()) {
                if owner == peer && *copy == NOWHERE {
                    *copy = target;
                }
            }
        }
        copies.iter().any(|copy| *copy != NOWHERE).then_some(copies)
    }

    /// Has copies read from at the replica face, and there only those of `copied`.
    pub fn show_replica_face(&mut self, copied: &SlotRanges) {
        self.has_replica_face = true;
        let Some(copies) = &mut self.copies else { return };
        let kept: Vec<(usize, TargetIndex)> =
            copied.slots().map(|slot| (slot.index(), copies[slot.index()])).collect();
        copies.fill(NOWHERE);
        for (slot, copy) in kept {
            copies[slot] = copy;
            if copy != NOWHERE && !self.replicas.contains(&copy) {
                self.replicas.push(copy);
            }
        }
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

    /// The nodes beside this proxy that own slots; where none does, those that are no replicas; or else all of them,
    /// for commands that are not about data.
    #[must_use]
    pub fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// The other proxies that own slots, in the order of their lowest slots.
    pub(crate) fn owning_peers(&self) -> Vec<TargetIndex> {
        let mut peers = Vec::new();
        let mut last = NOWHERE;
        for &owner in self.owners.iter() {
            if std::mem::replace(&mut last, owner) != owner
                && matches!(self.targets[owner as usize], Target::Peer(_))
                && !peers.contains(&owner)
            {
                peers.push(owner);
            }
        }
        peers
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

    /// Where the commands for a key go.
    #[inline]
    pub(crate) fn route(&self, key: &[u8]) -> TargetIndex {
        self.owner(Slot::of_key(key))
    }

    /// Who may answer reads of `slot` for a session in READONLY mode at the proxy's own address.
    pub(crate) fn reader(&self, slot: Slot) -> TargetIndex {
        let copy = if self.has_replica_face { None } else { self.copy(slot) };
        copy.unwrap_or_else(|| self.owner(slot))
    }

    /// The local replica that has `slot`.
    pub(crate) fn copy(&self, slot: Slot) -> Option<TargetIndex> {
        self.copies.as_ref().map(|copies| copies[slot.index()]).filter(|copy| *copy != NOWHERE)
    }

    /// Whether there is a node that a command about all data goes to at this face.
    pub(crate) fn has_data(&self, face: Face) -> bool {
        match face {
            Face::Primary => self.has_data,
            Face::Replica => !self.replicas.is_empty(),
        }
    }

    /// The nodes that the keys of this face are on.
    #[must_use]
    pub fn data_nodes(&self, face: Face) -> Vec<Address> {
        let address = |target: &TargetIndex| match &self.targets[usize::from(*target)] {
            Target::Local(address) => Some(address.clone()),
            Target::Nowhere | Target::Held | Target::Peer(_) => None,
        };
        match face {
            Face::Primary if self.has_data => self.primaries.clone(),
            Face::Primary => Vec::new(),
            Face::Replica => self.replicas.iter().filter_map(address).collect(),
        }
    }

    /// The local replicas whose copies the replica face serves.
    pub(crate) fn replicas(&self) -> &[TargetIndex] {
        &self.replicas
    }
}

/// Whether a local node is a replica, as its slots or its role say.
fn is_replica(node: &LocalNode, roles: Option<&SetRepl>) -> bool {
    let is_told = |told: &NodeRole| told.node == node.address && told.role == Role::Replica;
    node.slots.iter().any(|slots| slots.tag == SlotTag::Replica)
        || roles.is_some_and(|roles| roles.roles.iter().any(is_told))
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

#[cfg(test)]
mod tests {
    use model::{SetCluster, SlotRanges};

    use super::*;

    const OWNER: &str = "127.0.0.1:1";
    const COPY: &str = "127.0.0.1:2";
    /// Slots 0 to 9 are here, and copies of 10 to 19, of which only half are shown.
    const BOTH: &str = "127.0.0.1:1 1 0-9 127.0.0.1:2 REPLICA 1 10-19 PEER 127.0.0.2:1 1 10-19";

    fn table(members: &str, copied: Option<&str>) -> RouteTable {
        let text = format!("v2 1 NOFLAGS db {members}");
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let mut table = RouteTable::new(&SetCluster::parse(&words).unwrap().view, None);
        if let Some(copied) = copied {
            let copied: SlotRanges = copied.parse().unwrap();
            table.show_replica_face(&copied);
        }
        table
    }

    /// Where a local target is; otherwise a word.
    fn place(table: &RouteTable, target: Option<TargetIndex>) -> String {
        match target.map(|target| &table.targets()[usize::from(target)]) {
            Some(Target::Local(node)) => node.to_string(),
            Some(Target::Peer(_)) => "peer".to_owned(),
            Some(Target::Nowhere | Target::Held) => "nowhere".to_owned(),
            None => "no copy".to_owned(),
        }
    }

    #[test]
    fn copies_are_read_from_at_one_face() {
        for (copied, slot, owner, reader, copy) in [
            (None, 3, OWNER, OWNER, "no copy"),
            (None, 12, "peer", COPY, COPY),
            (None, 20, "nowhere", "nowhere", "no copy"),
            (Some("10-14"), 12, "peer", "peer", COPY),
            (Some("10-14"), 17, "peer", "peer", "no copy"),
            (Some("10-14"), 3, OWNER, OWNER, "no copy"),
        ] {
            let (table, slot) = (table(BOTH, copied), Slot::new(slot).unwrap());
            assert_eq!(place(&table, Some(table.owner(slot))), owner, "{copied:?} {slot}");
            assert_eq!(place(&table, Some(table.reader(slot))), reader, "{copied:?} {slot}");
            assert_eq!(place(&table, table.copy(slot)), copy, "{copied:?} {slot}");
        }
    }

    #[test]
    fn each_face_has_its_own_keys() {
        let owner: &[&str] = &[OWNER];
        let copies = "127.0.0.1:1 REPLICA 1 0-9 127.0.0.1:2 REPLICA 1 10-19 PEER 127.0.0.2:1 1 0-19";
        for (members, copied, primary, replica) in [
            (BOTH, None, owner, &[][..]),
            (BOTH, Some("10-14"), owner, &[COPY]),
            (copies, Some("0-19"), &[], &[OWNER, COPY]),
            (copies, Some("10-19"), &[], &[COPY]),
            // A node that waits for slots has whatever keys there are.
            ("127.0.0.1:1 0 127.0.0.1:2 REPLICA 1 10-19 PEER 127.0.0.2:1 1 10-19", None, owner, &[]),
        ] {
            let table = table(members, copied);
            for (face, nodes) in [(Face::Primary, primary), (Face::Replica, replica)] {
                let found: Vec<String> = table.data_nodes(face).iter().map(ToString::to_string).collect();
                assert_eq!(found, nodes, "{members} {copied:?} {face:?}");
                assert_eq!(table.has_data(face), !nodes.is_empty());
            }
        }
    }
}
