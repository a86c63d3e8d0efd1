//! Which proxies of the pool make a chunk, and which one takes the place of a failed one.
//!
//! A chunk's load falls on its other half when one fails. So a host that is paired with many others spreads
//! its load widely when it is lost, and the pairing is what is kept even.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use model::Address;

use crate::error::ApplyError;
use crate::state::{Half, HostName, Proxy, Shard, State};

/// Among how many hosts with equally many free proxies, and for each among how many equally good partners,
/// the choice is made. More would only matter in pools of more hosts, and would cost time there.
const CANDIDATES_MAX: usize = 32;

/// A host by its place among the hosts, which are sorted by name: so the first by name is the lowest.
type Host = usize;

/// The pool, host by host, and how often two hosts are paired.
struct Pool<'a> {
    hosts: Vec<&'a HostName>,
    free: Vec<VecDeque<&'a Address>>,
    pairs: Vec<HashMap<Host, usize>>,
}

/// How good a host is as a partner, the best first: the one that is least paired with the other, of these
/// the one with the most free proxies.
type Rank = (usize, Reverse<usize>);

impl<'a> Pool<'a> {
    /// With these proxies to choose from.
    fn new(state: &'a State, free: impl Iterator<Item = (&'a Address, &'a Proxy)>) -> Self {
        let hosts: BTreeSet<&HostName> = state.proxies.values().map(|proxy| &proxy.host).collect();
        let hosts: Vec<&HostName> = hosts.into_iter().collect();
        let (queues, pairs) = (vec![VecDeque::new(); hosts.len()], vec![HashMap::new(); hosts.len()]);
        let mut pool = Self { hosts, free: queues, pairs };
        // Clean ones first: they can serve at once.
        let mut free: Vec<_> = free.collect();
        free.sort_by_key(|(_, proxy)| proxy.dirty);
        for (address, proxy) in free {
            if let Some(host) = pool.place(&proxy.host) {
                pool.free[host].push_back(address);
            }
        }
        for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
            let hosts = Half::BOTH.map(|half| pool.place(state.host_of(chunk.proxy(half))?));
            if let [Some(first), Some(second)] = hosts {
                pool.note_pair(first, second);
            }
        }
        pool
    }

    fn place(&self, host: &HostName) -> Option<Host> {
        self.hosts.binary_search(&host).ok()
    }

    fn note_pair(&mut self, first: Host, second: Host) {
        *self.pairs[first].entry(second).or_default() += 1;
        *self.pairs[second].entry(first).or_default() += 1;
    }

    fn free_count(&self) -> usize {
        self.free.iter().map(VecDeque::len).sum()
    }

    fn rank(&self, host: Host, other: Host) -> Rank {
        let paired = self.pairs[host].get(&other).copied().unwrap_or(0);
        (paired, Reverse(self.free[other].len()))
    }

    /// The hosts with free proxies that are the best to pair with `host`, all of one rank, lowest first.
    fn partners(&self, host: Host) -> Vec<Host> {
        let mut paired = vec![0; self.hosts.len()];
        self.pairs[host].iter().for_each(|(other, count)| paired[*other] = *count);
        let mut best: Option<Rank> = None;
        let mut partners = Vec::new();
        for (other, queue) in self.free.iter().enumerate() {
            if other == host || queue.is_empty() {
                continue;
            }
            let rank = (paired[other], Reverse(queue.len()));
            if best.is_none_or(|best| rank < best) {
                best = Some(rank);
                partners.clear();
            }
            if best == Some(rank) {
                partners.push(other);
            }
        }
        partners
    }

    /// A chunk's two proxies, on two hosts: one of those with the most free proxies and one of the best to
    /// pair it with. Where there is a choice, those come first that have the least choice: else the last of
    /// them would have to be paired with hosts that have been taken from more often.
    fn take_pair(&mut self) -> Result<[Address; 2], ApplyError> {
        let most = self.free.iter().map(VecDeque::len).max().unwrap_or(0);
        let fullest = (0..self.hosts.len()).filter(|host| self.free[*host].len() == most);
        let fullest: Vec<Host> = fullest.take(CANDIDATES_MAX).collect();
        let mut partners: BTreeMap<Host, Vec<Host>> =
            fullest.iter().map(|host| (*host, self.partners(*host))).collect();
        let mut pairs = Vec::new();
        for host in &fullest {
            let choice = partners[host].len();
            let others: Vec<Host> = partners[host].iter().take(CANDIDATES_MAX).copied().collect();
            for other in others {
                let (paired, free) = self.rank(*host, other);
                let other_choice = partners.entry(other).or_insert_with(|| self.partners(other)).len();
                pairs.push((free, paired, choice, other_choice, *host, other));
            }
        }
        let Some((.., host, partner)) = pairs.into_iter().min() else {
            let host = fullest.first().map(|host| self.hosts[*host].to_string());
            return Err(ApplyError::ResourceNotBalance { host: host.unwrap_or_default() });
        };
        self.note_pair(host, partner);
        Ok([self.take(host), self.take(partner)])
    }

    fn take(&mut self, host: Host) -> Address {
        self.free[host].pop_front().expect("only hosts with free proxies are chosen").clone()
    }
}

/// Proxies for that many chunks. It takes the host with the most free proxies each time, so that none are
/// left over as long as no host has more than all others together. Those that can serve at once are enough, if they are.
pub(crate) fn allocate(state: &State, chunks: usize) -> Result<Vec<[Address; 2]>, ApplyError> {
    let of = |mut pool: Pool<'_>| {
        check_free(state, chunks, pool.free_count())?;
        (0..chunks).map(|_| pool.take_pair()).collect::<Result<Vec<_>, _>>()
    };
    of(Pool::new(state, state.free().filter(|free| is_ready(state, *free))))
        .or_else(|_| of(Pool::new(state, state.free())))
}

/// Whether a free proxy can serve at once: its nodes are known to be empty, and nobody reports it.
fn is_ready(state: &State, (address, proxy): (&Address, &Proxy)) -> bool {
    !proxy.dirty && !state.failures.contains_key(address)
}

/// Proxies for that many chunks by their index, beginning with `first_index`.
pub(crate) fn allocate_in_order(
    state: &State,
    chunks: usize,
    first_index: u64,
) -> Result<Vec<[Address; 2]>, ApplyError> {
    let free = state.free();
    let by_index: BTreeMap<u64, &Address> =
        free.filter_map(|(address, proxy)| Some((proxy.index?, address))).collect();
    check_free(state, chunks, by_index.len())?;
    let at = |index: u64| {
        let found = by_index.get(&index).copied().cloned();
        found.ok_or(ApplyError::ProxyResourceOutOfOrder { expected: index })
    };
    (0..chunks as u64)
        .map(|chunk| Ok([at(first_index + 2 * chunk)?, at(first_index + 2 * chunk + 1)?]))
        .collect()
}

fn check_free(state: &State, chunks: usize, free: usize) -> Result<(), ApplyError> {
    let needed = chunks.saturating_mul(2);
    if needed <= free {
        return Ok(());
    }
    Err(ApplyError::NoAvailableResource { needed, free, held_back: state.held_back_count() })
}

/// The proxy that takes the place of `failed` beside `partner`: not on the partner's host, and on that of
/// the failed one only if there is no other. When the whole host is lost, the others there will need one
/// each, too; none is taken that would leave one of them without, if that can be helped. One that was in that place before may
/// take it again: what its nodes have is that shard's, and the shard is served.
pub(crate) fn replacement(state: &State, failed: &Address, partner: &Address) -> Option<Address> {
    let of = |pool| replacement_in(state, pool, failed, partner);
    // With the host of the failed one the others there may be lost, too.
    let is_elsewhere = |proxy: &Proxy| state.host_of(failed) != Some(&proxy.host);
    let ready = state.free().filter(|free| is_ready(state, *free) && is_elsewhere(free.1));
    of(Pool::new(state, ready))
        .or_else(|| of(Pool::new(state, state.free())))
        .or_else(|| of(Pool::new(state, own_formers(state, failed))))
}

/// The proxies of the pool that were in the place of this one before, where no shard there waits for what they have.
fn own_formers<'a>(state: &'a State, failed: &Address) -> impl Iterator<Item = (&'a Address, &'a Proxy)> {
    let cluster = state.proxies.get(failed).and_then(|record| state.clusters.get(record.cluster.as_ref()?));
    let place = cluster.and_then(|cluster| cluster.place_of(failed));
    let chunk = cluster.zip(place).map(|(cluster, (chunk, _))| &cluster.chunks[chunk]);
    let chunk = chunk.filter(|chunk| chunk.shards.iter().all(|shard| shard.comeback.is_none()));
    let shards = state.clusters.values().flat_map(|cluster| &cluster.chunks).flat_map(|chunk| &chunk.shards);
    let kept_for = shards.filter_map(|shard| Some((state.former(shard)?, shard))).collect::<Vec<_>>();
    state.proxies.iter().filter(move |(address, record)| {
        let is_own = |shard: &Shard| {
            chunk.is_some_and(|chunk| chunk.shards.iter().any(|own| std::ptr::eq(own, shard)))
        };
        let mut kept = kept_for.iter().filter(|(former, _)| former == address).peekable();
        record.is_free() && kept.peek().is_some() && kept.all(|(_, shard)| is_own(shard))
    })
}

fn replacement_in(state: &State, mut pool: Pool<'_>, failed: &Address, partner: &Address) -> Option<Address> {
    let beside = pool.place(state.host_of(partner)?)?;
    let lost = state.host_of(failed).and_then(|host| pool.place(host));
    let needed = lost.map(|lost| needed_elsewhere(state, &pool, lost, failed)).unwrap_or_default();
    let free: usize = pool.free_count() - lost.map_or(0, |lost| pool.free[lost].len());
    let leaves_enough = |taken: Host| {
        let left =
            |avoided: Host| free.saturating_sub(1 + pool.free[avoided].len()) + usize::from(avoided == taken);
        needed.iter().all(|(avoided, count)| *count <= left(*avoided))
    };
    let hosts = (0..pool.hosts.len()).filter(|host| *host != beside && !pool.free[*host].is_empty());
    let rank = |host: &Host| (lost == Some(*host), !leaves_enough(*host), pool.rank(beside, *host));
    let best = hosts.min_by_key(rank)?;
    Some(pool.take(best))
}

/// How many other proxies in use are on the lost host, by the host of their partner, where their
/// replacement must not be.
fn needed_elsewhere(state: &State, pool: &Pool<'_>, lost: Host, failed: &Address) -> BTreeMap<Host, usize> {
    let mut needed = BTreeMap::new();
    for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
        for half in Half::BOTH.into_iter().filter(|half| chunk.proxy(*half) != failed) {
            let place = |half| pool.place(state.host_of(chunk.proxy(half))?);
            if place(half) == Some(lost)
                && let Some(partner) = place(half.other())
            {
                *needed.entry(partner).or_default() += 1;
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests;
