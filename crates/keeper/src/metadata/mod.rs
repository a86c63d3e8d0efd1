//! The proxy's metadata: which view and which roles were accepted, and which of them all workers have.
//!
//! Metadata that was accepted is handed to the workers, and then [`Metadata::applied`] is called; in between nothing else
//! is accepted.
//!
//! ```text
//!            set_cluster / set_repl          applied
//!  settled ─────────────────────────▶ applying ──────▶ settled
//!                                        │ set_cluster / set_repl: TRY_AGAIN
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::role::{DesiredRole, Order};
use model::{Address, Epoch, Role, SetCluster, SetRepl, SlotAssignment, SlotRanges, SlotTag, View};

/// Metadata with a higher epoch is accepted only by force: nothing newer could follow it. A broker gives out epochs up to
/// 2^62 where it is asked to, and one more with each change after that.
const EPOCH_TAKEN_MAX: Epoch = Epoch((1 << 62) + (1 << 32));

/// Why metadata was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Newer metadata, or the same, is here already. The sender should look at the epoch and not retry.
    #[error("newer metadata, or the same, is here already")]
    OldEpoch,
    /// The epoch leaves no room for later ones. The sender's fault.
    #[error("the epoch is above {EPOCH_TAKEN_MAX}, which leaves no room for later ones")]
    EpochTooHigh,
    /// It was meant for another proxy. The sender's fault.
    #[error("a local node is not on this proxy's host")]
    NotMyMeta,
    /// Other metadata is on its way to the workers. The sender should retry at once.
    #[error("other metadata is on its way to the workers")]
    TryAgain,
}

/// What all workers have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct InForce {
    epoch: Epoch,
    roles_epoch: Epoch,
    serves: bool,
}

/// The metadata of one proxy.
#[derive(Debug)]
pub struct Metadata {
    announced: Address,
    /// The view that was accepted last; `None` if it was empty, or there never was any.
    view: Option<Arc<View>>,
    epoch: Epoch,
    roles: Option<Arc<SetRepl>>,
    forced: u64,
    /// Slots that a node here had, and that have no owner in the view that was accepted last: they are on their way
    /// to one.
    held: SlotRanges,
    in_force: InForce,
    applying: bool,
}

impl Metadata {
    /// No cluster yet. `announced` is the address by which others know this proxy.
    pub(crate) fn new(announced: Address) -> Metadata {
        Metadata {
            announced,
            view: None,
            epoch: Epoch::default(),
            roles: None,
            forced: 0,
            held: SlotRanges::default(),
            in_force: InForce::default(),
            applying: false,
        }
    }

    /// The address by which others know this proxy.
    #[must_use]
    pub fn announced(&self) -> &Address {
        &self.announced
    }

    /// UMCTL SETCLUSTER: replaces the view. An empty view takes the proxy out of its cluster.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub(crate) fn set_cluster(&mut self, command: SetCluster) -> Result<(), Refusal> {
        let SetCluster { view, flags, .. } = command;
        if view.foreign_local_node(self.announced.host()).is_some() {
            return Err(Refusal::NotMyMeta);
        }
        self.admit(view.epoch, self.epoch, flags.force)?;
        self.epoch = view.epoch;
        let is_same_cluster = self.view().is_some_and(|held| held.cluster == view.cluster);
        self.held = if is_same_cluster {
            self.owned_here().union(&self.held).difference(&owned_by_anyone(&view))
        } else {
            SlotRanges::default()
        };
        self.view = (!view.is_empty()).then(|| Arc::new(view));
        Ok(())
    }

    /// UMCTL SETREPL: replaces the roles of this proxy's nodes. Its epoch is apart from that of the view.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub(crate) fn set_repl(&mut self, command: SetRepl) -> Result<(), Refusal> {
        if command.roles.iter().any(|role| role.node.host() != self.announced.host()) {
            return Err(Refusal::NotMyMeta);
        }
        let current = self.accepted_roles_epoch();
        // A coordinator that was stopped with FORCE in its hands must not undo a failover that came after it.
        let is_overtaken = command.flags.leased && command.epoch < current;
        self.admit(command.epoch, current, command.flags.force && !is_overtaken)?;
        self.forced += u64::from(command.flags.force);
        self.roles = Some(Arc::new(command));
        Ok(())
    }

    fn admit(&mut self, given: Epoch, current: Epoch, force: bool) -> Result<(), Refusal> {
        if self.applying {
            return Err(Refusal::TryAgain);
        }
        if !force && given <= current {
            return Err(Refusal::OldEpoch);
        }
        if !force && given > EPOCH_TAKEN_MAX {
            return Err(Refusal::EpochTooHigh);
        }
        self.applying = true;
        Ok(())
    }

    /// All workers have what was accepted.
    pub(crate) fn applied(&mut self) {
        self.applying = false;
        self.in_force = InForce {
            epoch: self.epoch,
            roles_epoch: self.accepted_roles_epoch(),
            serves: self.view.is_some(),
        };
    }

    /// The epoch of the roles that were accepted last; 0 before the first.
    pub(crate) fn accepted_roles_epoch(&self) -> Epoch {
        self.roles.as_ref().map_or(Epoch::default(), |roles| roles.epoch)
    }

    /// The epoch of the view that all workers have; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.in_force.epoch
    }

    /// The epoch of the roles that are in force; 0 before the first.
    #[must_use]
    pub fn roles_epoch(&self) -> Epoch {
        self.in_force.roles_epoch
    }

    /// Whether all workers serve a cluster.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.in_force.serves
    }

    /// The view that was accepted last, unless it was empty.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.view.as_deref()
    }

    /// View and roles that were accepted last, to be kept.
    #[must_use]
    pub fn accepted(&self) -> (Option<Arc<View>>, Option<Arc<SetRepl>>) {
        (self.view.clone(), self.roles.clone())
    }

    /// The roles that were accepted last.
    #[must_use]
    pub fn roles(&self) -> Option<&SetRepl> {
        self.roles.as_deref()
    }

    /// The slots that are on their way from a node here to another owner.
    #[must_use]
    pub fn held(&self) -> &SlotRanges {
        &self.held
    }

    fn owned_here(&self) -> SlotRanges {
        let local = self.view().into_iter().flat_map(|view| view.local.iter().flat_map(|node| &node.slots));
        union(local)
    }

    /// The nodes beside this proxy that the metadata names.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<Address> {
        let served = self.view().into_iter().flat_map(|view| view.local.iter().map(|node| &node.address));
        let replicated = self.roles().into_iter().flat_map(|roles| roles.roles.iter().map(|role| &role.node));
        served.chain(replicated).cloned().collect()
    }

    /// What SETREPL said of a node; `None` where it did not say anything.
    #[must_use]
    pub fn desired_role(&self, node: &Address) -> Option<DesiredRole> {
        let role = self.roles()?.roles.iter().find(|role| role.node == *node)?;
        match role.role {
            Role::Primary => Some(DesiredRole::Primary),
            // Parsing has made sure that a replica has a peer.
            Role::Replica => role.peers.first().map(|peer| DesiredRole::ReplicaOf(peer.node.clone())),
        }
    }

    /// What a node is told to be; `None` where SETREPL did not say anything.
    pub(crate) fn order(&self, node: &Address) -> Option<Order> {
        let role = self.desired_role(node)?;
        let told = self.roles()?.roles.iter().find(|role| role.node == *node)?;
        let peer = told.peers.first().map(|peer| peer.node.clone());
        let processes = self.roles()?.processes.clone();
        Some(Order { role, cluster: told.cluster.clone(), peer, forced: self.forced, processes })
    }

    /// The other node of the shard of each node here, as far as the metadata names one.
    pub(crate) fn peers(&self) -> BTreeMap<Address, Address> {
        let peer = |node: Address| self.order(&node)?.peer.map(|peer| (node, peer));
        self.nodes().into_iter().filter_map(peer).collect()
    }

    /// How many slots these nodes own.
    #[must_use]
    pub fn slots_of(&self, nodes: &[Address]) -> usize {
        let Some(view) = self.view() else { return 0 };
        let owned =
            view.local.iter().filter(|node| nodes.contains(&node.address)).flat_map(|node| &node.slots);
        union(owned).iter().map(|range| range.last().index() - range.first().index() + 1).sum()
    }

    /// The nodes beside this proxy that own slots.
    #[must_use]
    pub fn owners(&self) -> Vec<Address> {
        let Some(view) = self.view() else { return Vec::new() };
        let owners = view.local.iter().filter(|node| node.slots.iter().any(|slots| slots.tag.owns()));
        owners.map(|node| node.address.clone()).collect()
    }

    /// The nodes beside this proxy that own slots, or all of them where none does.
    #[must_use]
    pub fn primaries(&self) -> Vec<Address> {
        let Some(view) = self.view() else { return Vec::new() };
        let owners = self.owners();
        if owners.is_empty() { view.local.iter().map(|node| node.address.clone()).collect() } else { owners }
    }

    /// The migrations that this proxy takes part in, one line for each: which way, the slots, the five words of
    /// the wire form.
    #[must_use]
    pub fn migrations(&self) -> Vec<String> {
        let slots = self.view().into_iter().flat_map(|view| view.local.iter().flat_map(|node| &node.slots));
        let line = |way: &str, meta: &dyn std::fmt::Display, ranges: &SlotRanges| {
            let ranges: Vec<String> =
                ranges.iter().map(|range| format!("{}-{}", range.first(), range.last())).collect();
            format!("{way} {} {meta}", ranges.join(","))
        };
        slots
            .filter_map(|slots| match &slots.tag {
                SlotTag::Migrating(meta) => Some(line("migrating", meta, &slots.ranges)),
                SlotTag::Importing(meta) => Some(line("importing", meta, &slots.ranges)),
                SlotTag::None | SlotTag::Replica => None,
            })
            .collect()
    }
}

fn owned_by_anyone(view: &View) -> SlotRanges {
    let local = view.local.iter().flat_map(|node| &node.slots);
    union(local.chain(view.peers.iter().flat_map(|peer| &peer.slots)))
}

fn union<'a>(assignments: impl Iterator<Item = &'a SlotAssignment>) -> SlotRanges {
    let owned = assignments.filter(|slots| slots.tag.owns());
    owned.fold(SlotRanges::default(), |all, slots| all.union(&slots.ranges))
}

#[cfg(test)]
mod tests;
