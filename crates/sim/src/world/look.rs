//! What somebody sees who can look everywhere at once.

use control_core::{Chunk, Comeback, Half, SyncState};
use model::Address;

use super::World;
use crate::clock::TrueUs;
use crate::event::Process;
use crate::node::Link;
use crate::proxy::Surroundings;

/// How long after the last fault a primary must have its lease again.
const QUIET_US: TrueUs = 3_000_000;

impl World {
    /// Whether every shard is served, with a replica in sync, and no fence or report is left.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let is_settled = |chunk: &Chunk, shard: Half| {
            let held = chunk.shard(shard);
            held.fence.is_none() && held.deposed.is_none() && held.replica == SyncState::InSync
        };
        (0..self.slots.len()).all(|number| {
            let (chunk, shard) = self.shard(number);
            self.waits_with(number).is_some() || is_settled(chunk, shard) && self.is_served(number)
        })
    }

    /// Where a shard waits for an operator because its primary came back without what a replaced node still has: that
    /// node.
    fn waits_with(&self, shard: usize) -> Option<usize> {
        let (chunk, half) = self.shard(shard);
        let held = chunk.shard(half);
        let former = held.former.as_ref().filter(|_| held.comeback == Some(Comeback::Waits))?;
        // It has the place behind its proxy that the replica has behind the proxy that took its place.
        let place = self.node_place(chunk.replica(half))? % 2;
        let kept = 2 * self.place_of(former)? + place;
        let count = |place: usize| self.nodes[place].log.iter().flatten().count();
        (count(self.node_place(chunk.primary(half))?) < count(kept)).then_some(kept)
    }

    /// Whether the primary of a shard, by the metadata, takes writes now.
    #[must_use]
    pub fn is_served(&self, shard: usize) -> bool {
        let (chunk, half) = self.shard(shard);
        let (Some(proxy), Some(node)) =
            (self.place_of(chunk.primary_proxy(half)), self.node_place(chunk.primary(half)))
        else {
            return false;
        };
        let server = &self.proxies[proxy];
        let moment = self.machines[self.machine_of(Process::Proxy(proxy))].clock.moment(self.now);
        let around = Surroundings { moment, slots: &self.slots, planted: self.setup.planted };
        self.acts(Process::Proxy(proxy))
            && self.acts(Process::Node(node))
            && server.server(shard) == Some(chunk.primary(half))
            && server.may_use(chunk.primary(half), around)
            && self.nodes[node].following.is_none()
    }

    /// The chunk and the half of a shard.
    #[must_use]
    pub fn shard(&self, shard: usize) -> (&Chunk, Half) {
        let mut chunks = self.state.clusters.values().flat_map(|cluster| &cluster.chunks);
        let chunk = chunks.nth(shard / 2).expect("a shard of the cluster");
        (chunk, Half::BOTH[shard % 2])
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.slots.len()
    }

    /// Whether a shard could lose a node without losing anything: both are there, and the replica follows.
    #[must_use]
    pub fn is_safe(&self, shard: usize) -> bool {
        let (chunk, half) = self.shard(shard);
        let held = chunk.shard(half);
        let follows = |replica: &Address| {
            self.node_place(replica).is_some_and(|place| {
                let node = &self.nodes[place];
                node.link == Link::Up && node.following.as_ref() == Some(chunk.primary(half))
            })
        };
        self.is_served(shard)
            && held.fence.is_none()
            && held.replica == SyncState::InSync
            && follows(chunk.replica(half))
            && self.place_of(chunk.replica_proxy(half)).is_some_and(|place| self.acts(Process::Proxy(place)))
    }

    /// Whether nothing that is wrong explains that a proxy has no lease: nobody has broken anything for a while, and a
    /// coordinator hears it that can read the metadata.
    pub(super) fn is_lease_owed(&self, proxy: usize) -> bool {
        let own = Process::Proxy(proxy);
        let is_quiet =
            self.now.saturating_sub(self.checks.disturbed) >= QUIET_US && self.network.lost_ppm == 0;
        let is_named = self
            .state
            .proxies
            .get(&self.addresses[proxy])
            .is_some_and(|record| record.failed_since.is_none() && record.cluster.is_some());
        let grants = |coordinator: &usize| {
            let it = Process::Coordinator(*coordinator);
            let reads = |broker: &usize| {
                let broker = Process::Broker(*broker);
                self.acts(broker) && self.joins(it, broker)
            };
            self.acts(it) && self.joins(it, own) && (0..self.brokers.len()).any(|broker| reads(&broker))
        };
        let is_fenced = {
            let chunks = self.state.clusters.values().flat_map(|cluster| &cluster.chunks);
            chunks.into_iter().any(|chunk| {
                chunk.half_of(&self.addresses[proxy]).is_some()
                    && Half::BOTH.into_iter().any(|shard| chunk.shard(shard).fence.is_some())
            })
        };
        is_quiet
            && is_named
            && !is_fenced
            && self.acts(own)
            && (0..self.coordinators.len()).any(|coordinator| grants(&coordinator))
    }

    /// How often the metadata were changed until now.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.checks.changes()
    }

    /// Whom a node replicates.
    #[must_use]
    pub fn follows(&self, node: usize) -> Option<&Address> {
        self.nodes[node].following.as_ref()
    }

    /// The shards that wait for an operator, each with its primary and the writes that are behind it and its replica.
    pub(super) fn waiting(&self) -> Vec<(Address, [usize; 2])> {
        let count = |node: &Address| {
            self.node_place(node).map_or(0, |place| self.nodes[place].log.iter().flatten().count())
        };
        let waits = |shard: &usize| {
            let (chunk, half) = self.shard(*shard);
            chunk.shard(half).comeback == Some(Comeback::Waits) && self.waits_with(*shard).is_none()
        };
        let seen = |shard: usize| {
            let (chunk, half) = self.shard(shard);
            (chunk.primary(half).clone(), [chunk.primary(half), chunk.replica(half)].map(count))
        };
        (0..self.shards()).filter(waits).map(seen).collect()
    }

    /// The address of a host's proxy.
    #[must_use]
    pub fn address(&self, host: usize) -> &Address {
        &self.addresses[host]
    }

    /// A proxy's place.
    #[must_use]
    pub fn place_of(&self, proxy: &Address) -> Option<usize> {
        self.addresses.iter().position(|known| known == proxy)
    }

    /// A node's place.
    #[must_use]
    pub fn node_place(&self, node: &Address) -> Option<usize> {
        self.nodes.iter().position(|known| known.address == *node)
    }

    /// The end of a world: what must not be lost is not.
    pub fn take_stock(&mut self) {
        let primaries: Vec<usize> = (0..self.shards())
            .filter_map(|shard| {
                let (chunk, half) = self.shard(shard);
                self.waits_with(shard).or_else(|| self.node_place(chunk.primary(half)))
            })
            .collect();
        for (shard, place) in primaries.into_iter().enumerate() {
            self.checks.has_all(shard, &self.nodes[place], self.now);
        }
    }

    /// All of it in a few lines, for a person.
    #[must_use]
    pub fn picture(&self) -> String {
        let mut text = format!("at {} ms\n", self.now / 1000);
        for shard in 0..self.shards() {
            let (chunk, half) = self.shard(shard);
            let held = chunk.shard(half);
            text += &format!(
                "shard {shard}: primary {} replica {} {:?} fence {:?} deposed {:?} served {}\n",
                chunk.primary(half),
                chunk.replica(half),
                held.replica,
                held.fence,
                held.deposed,
                self.is_served(shard),
            );
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let acts = self.acts(Process::Node(place));
            let following = node.following.as_ref().map(ToString::to_string).unwrap_or_default();
            text += &format!(
                "node {} acts {acts} follows {following:?} {:?} log {}\n",
                node.address,
                node.link,
                node.log.len()
            );
        }
        for (place, address) in self.addresses.iter().enumerate() {
            let record = self.state.proxies.get(address);
            let failed = record.is_some_and(|record| record.failed_since.is_some());
            text += &format!("proxy {address} acts {} failed {failed}\n", self.acts(Process::Proxy(place)));
        }
        text + &self.checks.picture()
    }
}
