//! How a cluster is served, put together from its proxies' views.
//!
//! ```text
//!   newest view:    proxy P owns S, proxy Q copies S          P and Q are a chunk
//!   P's own view:   its first node owns S                     S is the shard that is at home in P's half
//! ```
//! Proxies without slots are a chunk where a node of the one replicates a node of the other. Where nobody tells that, they are
//! left out: nothing is lost, and they are for an operator to decide about.
//!
//! A view names the nodes of its own proxy only. Of the other half of a chunk the place tells: a shard is on the first node
//! of the half where it is at home, and on the second of the other.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Address, ClusterName, Epoch, LinkState, SLOT_COUNT, Slot, SlotAssignment, SlotRanges, SlotTag, View,
};

use super::found::{AskedProxies, Found};
use crate::serving::{Serving, ServingChunk, ServingShard};
use crate::state::{Half, State};

/// What the newest view says of one proxy.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) owned: SlotRanges,
    copied: SlotRanges,
}

/// The newest view of a cluster, with what each of its proxies says.
pub(super) struct Newest<'a> {
    pub(super) name: &'a ClusterName,
    pub(super) epoch: Epoch,
    pub(super) members: BTreeMap<&'a Address, Member>,
    state: &'a State,
    asked: &'a AskedProxies,
    view: &'a View,
    owners: Vec<Option<&'a Address>>,
    copiers: Vec<Option<&'a Address>>,
}

impl<'a> Newest<'a> {
    /// Finds the newest view of a cluster; `None` where no proxy has one.
    pub(super) fn find(state: &'a State, name: &'a ClusterName, asked: &'a AskedProxies) -> Option<Self> {
        let views = || {
            asked.iter().filter_map(|(address, found)| {
                let view = found.as_ref()?.serving_view()?;
                (view.cluster == *name).then_some((address, view))
            })
        };
        let epoch = views().map(|(_, view)| view.epoch).max()?;
        let mut newest = views().filter(|(_, view)| view.epoch == epoch);
        let (holder, view) = newest.next()?;
        let mut members: BTreeMap<&Address, Member> = BTreeMap::new();
        members.entry(holder).or_default().note(view.local.iter().flat_map(|node| &node.slots));
        for peer in &view.peers {
            members.entry(&peer.address).or_default().note(&peer.slots);
        }
        // A proxy that had to stop does not see its own slots any more; the others do.
        let others = newest.next().map_or(&[][..], |(_, other)| other.peers.as_slice());
        if let Some(seen) = others.iter().find(|peer| peer.address == *holder) {
            members.entry(holder).or_default().note(&seen.slots);
        }
        let (mut owners, mut copiers) = (vec![None; SLOT_COUNT], vec![None; SLOT_COUNT]);
        for (address, member) in &members {
            member.owned.slots().for_each(|slot| owners[slot.index()] = Some(*address));
            member.copied.slots().for_each(|slot| copiers[slot.index()] = Some(*address));
        }
        Some(Self { name, epoch, members, state, asked, view, owners, copiers })
    }

    /// What a proxy answered.
    pub(super) fn found(&self, proxy: &Address) -> Option<&'a Found> {
        self.asked.get(proxy)?.as_ref()
    }

    /// The cluster as this view has it, and why it cannot be told where it cannot.
    pub(super) fn serving(&self) -> Result<Serving, String> {
        let mut chunks: Vec<ServingChunk> = Vec::new();
        let mut placed: BTreeSet<&Address> = BTreeSet::new();
        let (knowing, others): (Vec<&Address>, Vec<&Address>) =
            self.members.keys().copied().partition(|proxy| self.own_view(proxy).is_some());
        for proxy in knowing.iter().chain(&others) {
            if placed.contains(proxy) {
                continue;
            }
            let Some(partner) = self.partner(proxy) else {
                // Its partner may know.
                continue;
            };
            if placed.contains(partner) {
                if self.members.get(proxy).is_some_and(Member::is_empty) {
                    continue;
                }
                return Err(format!("{partner} backs up more than one proxy"));
            }
            chunks.push(self.chunk(proxy, partner)?);
            placed.extend([*proxy, partner]);
        }
        let has_slots =
            |(proxy, member): &(&&Address, &Member)| !placed.contains(*proxy) && !member.is_empty();
        if let Some((alone, _)) = self.members.iter().find(has_slots) {
            return Err(format!("nobody says which proxy {alone} belongs together with"));
        }
        Ok(Serving { chunks, config: self.view.config.clone() })
    }

    /// The view of a proxy, if it is the newest.
    fn own_view(&self, proxy: &Address) -> Option<&'a View> {
        let view = self.found(proxy)?.serving_view()?;
        (view.cluster == *self.name && view.epoch == self.epoch).then_some(view)
    }

    /// The other half of a proxy's chunk.
    fn partner(&self, proxy: &Address) -> Option<&'a Address> {
        let member = self.members.get(proxy)?;
        let first = |slots: &SlotRanges| slots.slots().next();
        let at = |places: &[Option<&'a Address>], slot: Slot| places[slot.index()];
        let copier = first(&member.owned).and_then(|slot| at(&self.copiers, slot));
        let owner = first(&member.copied).and_then(|slot| at(&self.owners, slot));
        if let Some(partner) = copier.or(owner).filter(|partner| *partner != proxy) {
            return Some(partner);
        }
        // Without slots the metadata tell, if they know it, and what the nodes replicate.
        let chunks = self.state.clusters.get(self.name).into_iter().flat_map(|cluster| &cluster.chunks);
        let mut known = chunks.filter_map(|chunk| Some(chunk.proxy(chunk.half_of(proxy)?.other())));
        let known = known.find_map(|partner| self.members.get_key_value(partner));
        known.map(|(partner, _)| *partner).or_else(|| self.linked(proxy))
    }

    /// The other proxy without slots of which a node replicates a node of this one, or the other way round.
    fn linked(&self, proxy: &Address) -> Option<&'a Address> {
        let replicates = |replica: &Address, primary: &Address| {
            let (Some(found), Some(record)) = (self.found(replica), self.state.proxies.get(primary)) else {
                return false;
            };
            let primaries = found.health.nodes.iter().filter_map(|health| health.primary.as_ref());
            primaries.into_iter().any(|node| record.nodes.contains(node))
        };
        let is_linked = |other: &Address| replicates(proxy, other) || replicates(other, proxy);
        let mut others = self.members.iter().filter(|(other, member)| **other != proxy && member.is_empty());
        others.find(|(other, _)| is_linked(other)).map(|(other, _)| *other)
    }

    /// The proxies without slots of which nobody says which belong together.
    pub(super) fn left_out(&self, serving: &Serving) -> Vec<&'a Address> {
        let has_place = |proxy: &Address| serving.chunks.iter().any(|chunk| chunk.proxies.contains(proxy));
        self.members.keys().copied().filter(|proxy| !has_place(proxy)).collect()
    }

    fn chunk(&self, proxy: &Address, partner: &Address) -> Result<ServingChunk, String> {
        for proxy in [proxy, partner] {
            if !self.state.proxies.contains_key(proxy) {
                return Err(format!("proxy {proxy} is not registered: register it with its nodes"));
            }
        }
        let mine = self.half_of(proxy, partner);
        let slots = Half::BOTH.map(|home| self.slots(home, (mine, proxy, partner)));
        let shards = Half::BOTH.map(|home| {
            let (owned, copied) = &slots[home.index()];
            // A shard without slots is where it is at home.
            let primary = match (owned.is_empty(), copied.is_empty()) {
                (false, _) => mine,
                (true, false) => mine.other(),
                (true, true) => home,
            };
            let slots = owned.union(copied);
            ServingShard { slots, primary, in_sync: false, deposed: None }
        });
        let mut proxies = [proxy.clone(), partner.clone()];
        if mine == Half::Second {
            proxies.reverse();
        }
        let mut chunk = ServingChunk { proxies, shards };
        for home in Half::BOTH {
            let (is_served, in_sync) = (self.is_served(&chunk, home), self.is_in_sync(&chunk, home));
            let primary = chunk.shards[home.index()].primary;
            let replica = chunk.proxies[primary.other().index()].clone();
            let shard = &mut chunk.shards[home.index()];
            shard.in_sync = in_sync;
            // Another node that may serve these slots has to stop first.
            shard.deposed = (!is_served && !shard.slots.is_empty()).then_some(replica);
        }
        Ok(chunk)
    }

    /// Which half a proxy is: as the metadata has it, where it knows either of the two.
    fn half_of(&self, proxy: &Address, partner: &Address) -> Half {
        let chunks = || self.state.clusters.get(self.name).into_iter().flat_map(|cluster| &cluster.chunks);
        let own = chunks().find_map(|chunk| chunk.half_of(proxy));
        let others = chunks().find_map(|chunk| chunk.half_of(partner)).map(Half::other);
        own.or(others).unwrap_or(Half::First)
    }

    /// The slots of a shard: those that the proxy owns, and those that it copies.
    fn slots(&self, home: Half, pair: (Half, &Address, &Address)) -> (SlotRanges, SlotRanges) {
        if let Some(seen) = self.told(home, pair) {
            return seen;
        }
        // Neither tells of this shard, so it has what the proxy's other one has not.
        let Some(member) = self.members.get(pair.1) else { return Default::default() };
        let (owned, copied) = self.told(home.other(), pair).unwrap_or_default();
        let other = owned.union(&copied);
        (member.owned.difference(&other), member.copied.difference(&other))
    }

    /// What the views of the two proxies of a chunk say of one of its shards. `(mine, proxy, partner)`: the first is the half
    /// of the proxy, by whose side it is told.
    fn told(
        &self,
        home: Half,
        (mine, proxy, partner): (Half, &Address, &Address),
    ) -> Option<(SlotRanges, SlotRanges)> {
        let of_node = |proxy: &Address, half: Half| {
            let node = &self.state.proxies.get(proxy)?.nodes[usize::from(half != home)];
            let view = self.own_view(proxy)?;
            let mut seen = Member::default();
            seen.note(
                view.local.iter().filter(|local| local.address == *node).flat_map(|local| &local.slots),
            );
            (!seen.owned.is_empty() || !seen.copied.is_empty()).then_some(seen)
        };
        // What the one owns the other copies.
        let own = of_node(proxy, mine).map(|seen| (seen.owned, seen.copied));
        own.or_else(|| of_node(partner, mine.other()).map(|seen| (seen.copied, seen.owned)))
    }

    /// The node of a shard in a half.
    pub(super) fn node(&self, chunk: &ServingChunk, home: Half, half: Half) -> Option<&'a Address> {
        let record = self.state.proxies.get(&chunk.proxies[half.index()])?;
        Some(&record.nodes[usize::from(half != home)])
    }

    /// Whether the primary of a shard serves its slots now, by its own proxy.
    pub(super) fn is_served(&self, chunk: &ServingChunk, home: Half) -> bool {
        let shard = &chunk.shards[home.index()];
        let Some(found) = self.found(&chunk.proxies[shard.primary.index()]) else { return false };
        let owns = shard.slots.difference(&found.owned(self.name)).is_empty();
        owns && self.node(chunk, home, shard.primary).is_some_and(|node| found.is_primary(node))
    }

    /// Whether a node behind a proxy serves these slots now, by its proxy and by the newest view.
    pub(super) fn serves(&self, proxy: &Address, node: &Address, slots: &SlotRanges) -> bool {
        let serves =
            |found: &Found| found.is_primary(node) && slots.difference(&found.owned(self.name)).is_empty();
        self.own_view(proxy).is_some() && self.found(proxy).is_some_and(serves)
    }

    /// The proxy that owns the first of these slots by the newest view.
    pub(super) fn owner(&self, slots: &SlotRanges) -> Option<&'a Address> {
        self.owners[slots.slots().next()?.index()]
    }

    fn is_in_sync(&self, chunk: &ServingChunk, home: Half) -> bool {
        let primary = chunk.shards[home.index()].primary;
        let place = |half: Half| Some((&chunk.proxies[half.index()], self.node(chunk, home, half)?));
        let Some(((_, primary), (proxy, replica))) = place(primary).zip(place(primary.other())) else {
            return false;
        };
        let health = self.found(proxy).and_then(|found| found.node(replica));
        health.is_some_and(|health| {
            health.primary.as_ref() == Some(primary)
                && health.link == Some(LinkState::Up)
                && !health.restarted
        })
    }
}

impl Member {
    /// Whether it has no slots.
    fn is_empty(&self) -> bool {
        self.owned.is_empty() && self.copied.is_empty()
    }

    fn note<'s>(&mut self, slots: impl IntoIterator<Item = &'s SlotAssignment>) {
        for SlotAssignment { ranges, tag } in slots {
            match tag {
                SlotTag::None | SlotTag::Migrating(_) => self.owned = self.owned.union(ranges),
                SlotTag::Replica => self.copied = self.copied.union(ranges),
                SlotTag::Importing(_) => {}
            }
        }
    }
}
